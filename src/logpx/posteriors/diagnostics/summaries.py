"""A table of the posterior's numbers for each parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from logpx.markup import card, html_table
from logpx.representations import Shown

__all__ = ["Row", "Summary", "circular_mean", "named_columns", "summarise"]

_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, kw_only=True)
class Row:
    """The row of one scalar parameter, or of one entry of a larger one.

    Attributes
    ----------
    name : str
        The parameter's name, with its indices.
    mean, standard_deviation : float
        The posterior mean and standard deviation; on a circle, the circular mean and the deviation from it.
    quantiles : tuple of float
        The quantiles at 5, 50 and 95 percent.
    mcse : float
        The Monte Carlo standard error of the mean.
    """

    name: str
    mean: float
    standard_deviation: float
    quantiles: tuple[float, float, float]
    mcse: float


@dataclass(frozen=True, repr=False)
class Summary(Shown):
    """A table of all parameters, which prints as one.

    Attributes
    ----------
    rows : sequence of Row
        In the order of the parameters.
    verdict : str
        Whether to trust it.
    """

    rows: Sequence[Row]
    verdict: str

    def __getitem__(self, name: str) -> Row:
        """Return the row with a name."""
        return next(row for row in self.rows if row.name == name)

    def _repr_html_(self) -> str:
        """Show it in a notebook, verdict first."""
        names = ("mean", "sd", "5%", "50%", "95%", "mcse")
        rows = [
            {
                "parameter": row.name,
                **{
                    name: f"{value:.4g}"
                    for name, value in zip(
                        names, (row.mean, row.standard_deviation, *row.quantiles, row.mcse), strict=True
                    )
                },
            }
            for row in self.rows
        ]
        return card("Summary", self.verdict, html_table(rows, most=100))

    def __str__(self) -> str:
        """Lay out the table."""
        width = max(len(row.name) for row in self.rows)
        lines = [f"{'':{width}} {'mean':>10} {'sd':>10} {'5%':>10} {'50%':>10} {'95%':>10} {'mcse':>10}"]
        for row in self.rows:
            numbers = (row.mean, row.standard_deviation, *row.quantiles, row.mcse)
            lines.append(f"{row.name:{width}} " + " ".join(f"{number:10.4g}" for number in numbers))
        return "\n".join([*lines, self.verdict])


def named_columns(draws: Any) -> dict[str, Tensor]:
    """Return draws by name; a plain vector is called ``x``."""
    return draws if isinstance(draws, dict) else {"x": draws}


def summarise(
    draws: Any, weights: Tensor, verdict: str, circles: Mapping[str, tuple[float, float]] | None = None
) -> Summary:
    """Return the table of weighted draws.

    Parameters
    ----------
    draws
        Shape ``(S, dim)``, or a dictionary of shapes ``(S, *shape)``.
    weights
        Shape ``(S,)``, with sum 1.
    verdict
        Whether to trust it.
    circles
        The ends of the period of parameters on circles, by name.

    References
    ----------
    Mardia and Jupp 2000, Directional statistics, section 2.2 (the circular mean).
    """
    rows, present = [], weights[weights > 0.0]
    for name, values in named_columns(draws).items():
        # Far draws with weight 0 may overflow in their own units.
        flat = values.reshape(len(values), -1)[weights > 0.0]
        places = product(*(range(size) for size in values.shape[1:]))
        for column, place in zip(flat.unbind(1), places, strict=True):
            index = f"[{', '.join(str(number) for number in place)}]" if values.dim() > 1 else ""
            rows.append(_row(f"{name}{index}", column, present, (circles or {}).get(name)))
    return Summary(rows, verdict)


def _row(name: str, column: Tensor, weights: Tensor, circle: tuple[float, float] | None) -> Row:
    mean = float(weights @ column)
    if circle is not None:
        mean = circular_mean(column, weights, *circle)
        # The shorter way round from the mean.
        period = circle[1] - circle[0]
        column = mean + torch.remainder(column - mean + 0.5 * period, period) - 0.5 * period
    deviation = math.sqrt(max(float(weights @ (column - mean).square()), 0.0))
    order = column.argsort()
    reached = weights[order].cumsum(0)
    levels = torch.tensor(_QUANTILES, dtype=reached.dtype)
    at = torch.searchsorted(reached, levels).clamp_max(len(column) - 1)
    quantiles = column[order][at]
    if circle is not None:
        quantiles = circle[0] + torch.remainder(quantiles - circle[0], circle[1] - circle[0])
    low, middle, high = quantiles.tolist()
    return Row(
        name=name,
        mean=mean,
        standard_deviation=deviation,
        quantiles=(low, middle, high),
        mcse=math.sqrt(float(weights.square() @ (column - mean).square())),
    )


def circular_mean(column: Tensor, weights: Tensor, lower: float, upper: float) -> float:
    """Return the direction of the mean of points on a circle, in ``[lower, upper)``."""
    turn = 2.0 * math.pi / (upper - lower)
    angle = turn * (column - lower)
    direction = math.atan2(float(weights @ angle.sin()), float(weights @ angle.cos()))
    found = lower + (direction / turn) % (upper - lower)
    return found if found < upper else lower
