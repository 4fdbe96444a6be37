"""How probable rows are under a model: batch by batch, and on average beside baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from logpx.distributions import LowerBound
from logpx.markup import card, html_table
from logpx.representations import Shown
from logpx.scoring.column_calibration import ColumnCalibration
from logpx.scoring.units import Unit
from logpx.scoring.weighted_mean import WeightedMean
from logpx.wording import counted

__all__ = ["Comparison", "Evaluation", "ImpossibleRow", "MeanScore", "ScoredBatch", "Tally"]

# Of the rows outside a model's support.
_MOST_NAMED = 5
# Baselines in a representation.
_MOST_SHOWN = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class ScoredBatch(Shown):
    """The scores of consecutive rows or images.

    Attributes
    ----------
    start : int
        The number of rows before the batch.
    bound : LowerBound
        Log p(x) in nats, exact or a lower bound, and its standard error: float64, on the CPU.
    kind : str
        ``exact`` or ``lower bound``.
    unit : Unit
        What scores are reported in.
    """

    start: int
    bound: LowerBound
    kind: str
    unit: Unit

    @property
    def log_prob(self) -> npt.NDArray[np.float64]:
        """Exact log p(x), or its lower bound, in nats; one number per row."""
        return np.asarray(self.bound.log_prob)

    @property
    def standard_error(self) -> npt.NDArray[np.float64] | None:
        """Standard error of the bound's estimate, in nats; None where log p(x) is exact."""
        return None if self.kind == "exact" else np.asarray(self.bound.standard_error)

    @property
    def bits_per_dimension(self) -> Tensor:
        """The cost of each image in bits per dimension, shape ``(n,)``."""
        return self.unit.bits_per_dimension(self.bound.log_prob)


@dataclass(frozen=True, kw_only=True, repr=False)
class MeanScore(Shown):
    """A mean of log p over rows.

    Attributes
    ----------
    mean, mean_standard_error : float
        In nats per row.
    unit : Unit
        What it is reported in.
    """

    mean: float
    mean_standard_error: float
    unit: Unit

    @property
    def value(self) -> float:
        """The mean in the unit."""
        return self.unit.value(self.mean)

    @property
    def standard_error(self) -> float:
        """The standard error of the mean, in the unit."""
        return self.unit.difference(self.mean_standard_error)

    @property
    def bits_per_dimension(self) -> float:
        """The mean cost of images in bits per dimension; an upper bound if log p is a lower bound."""
        return self.unit.bits_per_dimension(self.mean)

    def to_dict(self) -> dict[str, Any]:
        """Return the mean in the unit, and its standard error, as JSON values."""
        return {self.unit.key: self.value, "standard_error": self.standard_error}


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(MeanScore):
    """How a baseline does on the same rows: a `MeanScore`, with the gain of the model over it.

    Attributes
    ----------
    gain, gain_standard_error : float
        How much better the model is, in the unit, and the standard error of the paired difference; NaN where
        both means are infinite.
    bound : bool
        Whether the number of the baseline is a lower bound, so that part of a gain may be its gap.
    """

    gain: float
    gain_standard_error: float
    bound: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        own = ("gain", "gain_standard_error", "bound")
        return super().to_dict() | {name: getattr(self, name) for name in own}


@dataclass(frozen=True, repr=False)
class ImpossibleRow(Shown):
    """A row to which the model gives log p minus infinity.

    Attributes
    ----------
    file : str or None
        The file that it is in, if any.
    row : int
        Its number there, counted from 1.
    columns : list of str
        The columns whose cells are impossible; empty if each is possible by itself.
    """

    file: str | None
    row: int
    columns: list[str]

    def __str__(self) -> str:
        """Say where it is, and why it is impossible."""
        where = f"row {self.row:,}" if self.file is None else f"{self.file}, row {self.row:,}"
        return f"{where} ({', '.join(map(repr, self.columns))})" if self.columns else where


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(MeanScore):
    """How probable rows are under a model: a `MeanScore`, with those of baselines.

    Attributes
    ----------
    kind : str
        ``exact`` or ``lower bound``.
    rows : int
        The number of rows.
    outside : int
        The number of rows outside the model's support. They are part of the mean, with log p minus infinity.
    draws : int or None
        Draws of noise that the bound of each row was averaged over; None where it was not.
    exactness : int or None
        Draws spent on the importance-weighted bound of each row; None without such a bound.
    baselines : mapping of str to Comparison
        How simple models do on the same rows.
    impossible : list of ImpossibleRow
        The first of the rows outside the model's support.
    possible : Evaluation or None
        The evaluation of the rows that are possible under the model and all baselines; None if all rows are,
        or none is.
    notes : tuple of str
        What a reader of the numbers should know, such as labels that are new to the model.
    calibration : ColumnCalibration or None
        Whether columns are distributed as the model says; None for images.
    """

    kind: str
    rows: int
    outside: int
    draws: int | None
    exactness: int | None
    baselines: Mapping[str, Comparison]
    impossible: list[ImpossibleRow] = field(default_factory=list)
    possible: Evaluation | None = None
    notes: tuple[str, ...] = ()
    calibration: ColumnCalibration | None = None

    def __repr__(self) -> str:
        """Return the mean beside those of the baselines, on a few lines."""
        lines = [f"Evaluation of {counted(self.rows, 'row')}: {self._headline}"]
        lines += [
            f"  {name}: {other.value:.3f}; better by {other.gain:.3f} ± {other.gain_standard_error:.3f}"
            for name, other in list(self.baselines.items())[:_MOST_SHOWN]
        ]
        if self.outside:
            lines.append(f"  {counted(self.outside, 'row', 'lie')} outside the model's support")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        rows = [{"model": "this model", "mean": f"{self.value:.3f} ± {self.standard_error:.3f}", "gain": ""}]
        rows += [
            {
                "model": name,
                "mean": f"{other.value:.3f} ± {other.standard_error:.3f}",
                "gain": f"{other.gain:.3f} ± {other.gain_standard_error:.3f}",
            }
            for name, other in self.baselines.items()
        ]
        notes = html_table([{"notes": note} for note in self.notes])
        return card(f"Evaluation of {counted(self.rows, 'row')}", self._headline, html_table(rows), notes)

    @property
    def _headline(self) -> str:
        return f"{self.unit.heading(self.kind)} {self.value:.3f} ± {self.standard_error:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        names = ("mean", "mean_standard_error", "kind", "rows", "outside", "draws", "exactness")
        others = {name: other.to_dict() for name, other in self.baselines.items()}
        values = super().to_dict() | {name: getattr(self, name) for name in names}
        values |= {"baselines": others, "notes": list(self.notes)}
        if self.calibration is not None:
            values["calibration"] = self.calibration.to_dict()
        if self.outside:
            values["impossible"] = [asdict(row) for row in self.impossible]
        return values if self.possible is None else values | {"possible": self.possible.to_dict()}


class Tally:
    """The means of log p under a model and its baselines, taken batch by batch.

    Parameters
    ----------
    baselines
        The names of the baselines that the model is compared with.
    unit
        The unit of the evaluation.
    bounds
        The names of those whose numbers are lower bounds.

    Examples
    --------
    >>> from logpx.scoring import NatsPerRow
    >>> tally = Tally(["simple"], NatsPerRow())
    >>> tally.add(torch.tensor([-1.0, -3.0]), {"simple": torch.tensor([-2.0, -5.0])})
    >>> evaluation = tally.evaluation("exact")
    >>> evaluation.mean, evaluation.standard_error, evaluation.baselines["simple"].gain
    (-2.0, 1.0, 1.5)
    """

    def __init__(self, baselines: Iterable[str], unit: Unit, bounds: Collection[str] = ()) -> None:
        names = list(baselines)
        self._unit = unit
        self._all, self._possible = _Means(names, bounds), _Means(names, bounds)
        self._outside = 0
        self._impossible: list[ImpossibleRow] = []

    @property
    def unnamed(self) -> int:
        """How many more impossible rows are to be named."""
        return _MOST_NAMED - len(self._impossible)

    def name(self, row: ImpossibleRow) -> None:
        """Name an impossible row."""
        self._impossible.append(row)

    def add(self, log_prob: Tensor, others: Mapping[str, Tensor], weights: Tensor | None = None) -> None:
        """Add log p of the same rows under the model and under each baseline, shape ``(n,)``.

        Rows count by their weights, of shape ``(n,)`` and at least 0; by default alike.
        """
        if weights is not None:
            there = weights > 0.0
            log_prob, weights = log_prob[there], weights[there]
            others = {name: other[there] for name, other in others.items()}
        self._all.add(log_prob, others, weights)
        self._outside += int(torch.isneginf(log_prob).sum())
        possible = torch.isfinite(torch.stack([log_prob, *others.values()])).all(0)
        self._possible.add(
            log_prob[possible],
            {name: other[possible] for name, other in others.items()},
            None if weights is None else weights[possible],
        )

    def evaluation(self, kind: str, draws: int | None = None, exactness: int | None = None) -> Evaluation:
        """Return the evaluation of all rows so far."""
        common = {"kind": kind, "draws": draws, "exactness": exactness}
        possible = None
        if 0 < self._possible.own.count < self._all.own.count:
            possible = self._possible.evaluation(self._unit, outside=0, **common)
        return self._all.evaluation(
            self._unit, outside=self._outside, impossible=self._impossible, possible=possible, **common
        )


class _Means:
    """The means of log p under a model and its baselines, and of the paired differences."""

    def __init__(self, names: Iterable[str], bounds: Collection[str]) -> None:
        self.own, self._bounds = WeightedMean(), frozenset(bounds)
        self._others = {name: WeightedMean() for name in names}
        self._gains = {name: WeightedMean() for name in self._others}

    def add(self, log_prob: Tensor, others: Mapping[str, Tensor], weights: Tensor | None) -> None:
        self.own.add(log_prob, weights)
        for name, other in others.items():
            self._others[name].add(other, weights)
            # Minus infinity less minus infinity is no difference that means anything: NaN.
            self._gains[name].add(log_prob - other, weights)

    def evaluation(self, unit: Unit, **rest: Any) -> Evaluation:
        baselines = {
            name: Comparison(
                mean=other.value,
                mean_standard_error=other.standard_error,
                unit=unit,
                gain=unit.difference(self._gains[name].value),
                gain_standard_error=unit.difference(self._gains[name].standard_error),
                bound=name in self._bounds,
            )
            for name, other in self._others.items()
        }
        return Evaluation(
            mean=self.own.value,
            mean_standard_error=self.own.standard_error,
            unit=unit,
            rows=self.own.count,
            baselines=baselines,
            **rest,
        )
