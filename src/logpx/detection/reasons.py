"""Why a row is unusual: the columns whose cells are not to be expected, given the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.representations import Shown
from logpx.tables import TableModel
from logpx.tables.arrow_columns import arrow_array, written_type
from logpx.tables.conditioning.surprisals import CellSurprisals

__all__ = ["Explainer", "Reason", "shortly", "words_of"]

_LEVELS = (0.05, 0.5, 0.95)
_USUAL_ROWS = 500
# A cell is a reason if hardly any cell of its column is as surprising in rows drawn from the model.
_UNUSUAL = 0.99
_MOST_REASONS, _MOST_LOOKS = 3, 6
_ROUNDING = 1e-9
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, repr=False)
class Reason(Shown):
    r"""A cell that is not to be expected, given the rest of its row.

    Attributes
    ----------
    column : str
        The name of the column.
    value : str
        The cell, as it would be written.
    expected : str
        The median of what was to be expected given the rest, or the most probable label.
    low, high : str or None
        The ends of the 90 % interval; None for labels.
    surprisal : float
        :math:`-\log p` of the cell given the rest, in nats; infinite for a cell that the model finds
        impossible.
    usual : float
        The median surprisal of the column's cells, in rows drawn from the model.
    probability : float or None
        The probability of the most probable label.
    without : tuple of str
        Columns that the rest leaves out: those of the row's reasons before this one.
    """

    column: str
    value: str
    expected: str
    low: str | None
    high: str | None
    surprisal: float
    usual: float
    probability: float | None = None
    without: tuple[str, ...] = ()

    @property
    def excess(self) -> float:
        """The nats by which the cell is more surprising than is usual for its column."""
        return self.surprisal - self.usual

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            expected = f"{self.expected} ({self.probability:.2f})"
        else:
            expected = self.low if self.low == self.high else f"{self.low} to {self.high}"
        rest = " ".join(["the rest", *(["without", " and ".join(self.without)] if self.without else [])])
        return f"{self.column} {self.value}: expected {expected} given {rest}"


def words_of(reasons: Sequence[Reason]) -> str:
    """Return the reasons of a row in a line."""
    return "; ".join(map(str, reasons)) or "no single column: the combination of all is unusual"


class Explainer:
    """Finds the columns that make rows unusual.

    The cell with the largest excess of its surprisal given the others over the median for its column is
    named first: without it, the rest of the row is the most usual. A second one is looked for with the first
    taken out, so that a cell is not blamed for what another explains; by quadrature no two columns can be
    taken out, and all are compared with the whole row. Less is known of a cell once others are out, so its
    surprisal is then compared with what its own distribution, given what is left, allows.

    Parameters
    ----------
    model
        The model of the table.
    seed
        Seed of the rows that show what is usual, and of noise.

    Raises
    ------
    UsageError
        If the model has no conditional distributions.
    """

    def __init__(self, model: TableModel, seed: int = 0) -> None:
        self.columns = model.schema.modelled
        self.supports = model.supports
        self.seed = seed
        self._density = model.density
        self.cells = CellSurprisals(model.density, model.supports)

    @property
    def method(self) -> str:
        """How surprisals are found, in words."""
        if self.cells.by_quadrature:
            return "conditional surprisal, estimated by quadrature over one column at a time"
        return f"conditional surprisal ({self.cells.kind})"

    @cached_property
    def _usual(self) -> tuple[Tensor, Tensor]:
        """The median surprisal of each column's cells, and where unusual begins."""
        with torch.no_grad():
            drawn = self.supports.snap(self._density.sample(_USUAL_ROWS, seed=self.seed))
        found = self.cells.of(drawn, seed=self.seed)
        found = found.nan_to_num(nan=math.nan, posinf=math.nan)
        levels = torch.tensor([0.5, _UNUSUAL], dtype=found.dtype, device=found.device)
        middle, limit = torch.nanquantile(found, levels, dim=0).nan_to_num(nan=0.0)
        return middle, limit

    def reasons(
        self, x: Tensor, first: int = 0, shown: Callable[[int, str], str | None] = lambda place, name: None
    ) -> list[list[Reason]]:
        """Return the reasons of each row, the strongest first: none, if no single cell is unusual.

        Parameters
        ----------
        x
            Rows as in the table, shape ``(n, d)``, float64.
        first
            The number of the first row, counted from 0.
        shown
            Returns the text of a cell, given its row among these and its column, if it is not to be written
            anew.
        """
        found: list[list[Reason]] = []
        for start in range(0, len(x), _ROWS_AT_ONCE):
            found += self._reasons(x[start : start + _ROWS_AT_ONCE], first + start)
        return [
            [replace(reason, value=shown(place, reason.column) or reason.value) for reason in reasons]
            for place, reasons in enumerate(found)
        ]

    def _reasons(self, x: Tensor, first: int) -> list[list[Reason]]:
        found: list[list[Reason]] = [[] for _ in range(len(x))]
        middle, limit = self._usual
        keys = first + torch.arange(len(x), device=x.device)
        named, settled = torch.zeros_like(x, dtype=torch.bool), torch.zeros_like(x, dtype=torch.bool)
        left = x.clone()
        surprisals = self.cells.of(left, seed=self.seed, first=first)
        for turn in range(min(_MOST_LOOKS, x.shape[1])):
            excess = (surprisals - middle).nan_to_num(nan=-math.inf, posinf=math.inf)
            excess = excess.masked_fill(settled | ~(surprisals > limit), -math.inf)
            best = excess.argmax(1)
            open_ = ~torch.isneginf(excess.gather(1, best[:, None])[:, 0])
            open_ &= named.sum(1) < _MOST_REASONS
            if not bool(open_.any()):
                break
            changed = torch.zeros_like(open_)
            for column in sorted(set(best[open_].tolist())):
                own = (open_ & (best == column)).nonzero().flatten()
                settled[own, column] = True
                if turn:
                    own = own[self._unusual(left[own], column, surprisals[own, column], keys[own])]
                reasons = self._described(x[own], left[own], column, surprisals[own, column])
                for place, reason in zip(own.tolist(), reasons, strict=True):
                    found[place].append(replace(reason, without=self._names(left[place], x[place])))
                named[own, column] = True
                changed[own] = True
            if not self.cells.by_quadrature and bool(changed.any()):
                left = x.masked_fill(named, math.nan)
                surprisals[changed] = self.cells.of(left[changed], seed=self.seed, first=keys[changed])
        return found

    def _unusual(self, left: Tensor, column: int, surprisals: Tensor, keys: Tensor) -> Tensor:
        """Return whether cells are rare in their distributions given what is left of their rows."""
        tail = self.cells.tail(left, column, surprisals, seed=self.seed, first=keys)
        return (tail <= 1.0 - _UNUSUAL + _ROUNDING).to(left.device)

    def _names(self, left: Tensor, row: Tensor) -> tuple[str, ...]:
        """Return the columns that are left out of a row."""
        out = (left.isnan() & ~row.isnan()).nonzero().flatten().tolist()
        return tuple(self.columns[place].name for place in out)

    def _described(self, x: Tensor, given: Tensor, column: int, surprisals: Tensor) -> list[Reason]:
        marginals = self.cells.expected(given, column, seed=self.seed)
        values = self._written(column, x[:, column])
        usual = float(self._usual[0][column])
        name = self.columns[column].name
        if marginals.probabilities is not None:
            best = marginals.probabilities.max(1)
            labels = self._written(column, best.indices.double())
            return [
                Reason(
                    column=name,
                    value=value,
                    expected=label,
                    low=None,
                    high=None,
                    surprisal=surprisal,
                    usual=usual,
                    probability=probability,
                )
                for value, label, surprisal, probability in zip(
                    values, labels, surprisals.tolist(), best.values.tolist(), strict=True
                )
            ]
        levels = torch.tensor(_LEVELS, dtype=torch.float64, device=x.device)
        quantiles = self.supports.supports[column].snap(marginals.quantiles(levels))
        low, middle, high = (self._written(column, each) for each in quantiles.T)
        return [
            Reason(column=name, value=value, expected=centre, low=one, high=other, surprisal=own, usual=usual)
            for value, centre, one, other, own in zip(
                values, middle, low, high, surprisals.tolist(), strict=True
            )
        ]

    def _written(self, place: int, values: Tensor) -> list[str]:
        """Return values of a column as text: of four digits or so, labels and dates as in the table."""
        column, support = self.columns[place], self.supports.supports[place]
        numbers = np.ascontiguousarray(values.numpy(force=True), dtype=np.float64)
        levels = column.levels
        if levels is not None:
            known = (numbers >= 0) & (numbers < len(levels))
            cells = arrow_array(np.where(known, numbers, 0.0), column, written_type(column, support))
            return [
                shortly(cell) if ok else "a new label"
                for cell, ok in zip(cells.to_pylist(), known, strict=True)
            ]
        cells = arrow_array(numbers, column, written_type(column, support))
        return [shortly(cell) for cell in cells.to_pylist()]


def shortly(value: Any) -> str:
    """Return a value as text, a floating-point number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
