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

from logpx.detection.elsewhere import CellsFromElsewhere
from logpx.detection.standing_out import StandingOut
from logpx.representations import Shown
from logpx.tables import TableModel
from logpx.tables.arrow_columns import arrow_array, written_type
from logpx.tables.companions import CONDITIONS
from logpx.tables.conditioning.surprisals import CellSurprisals

__all__ = ["Explainer", "Reason", "shortly", "words_of"]

_LEVELS = (0.05, 0.5, 0.95)
# Rows drawn from the model, which show what is usual; by quadrature each of them takes long.
_DRAWN_ROWS, _USUAL_ROWS, _USUAL_BY_QUADRATURE = 2000, 500, 200
# A cell is a reason if hardly any cell of its column is as surprising in rows drawn from the model. In a row
# that is unusual, the first is looked for less strictly.
_UNUSUAL_FIRST, _UNUSUAL = 0.95, 0.99
# Of labels of equal shares, or cells that are all alike, none is a reason for being above others by rounding.
_LEAST_EVIDENCE = math.log(2.0)
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
        :math:`-\log p` of the cell given the rest, in nats, or in its column by itself, if it stands out
        there; infinite for a cell that the model finds impossible.
    usual : float
        The median surprisal of the column's cells, in rows drawn from the model.
    probability : float or None
        The probability of the most probable label.
    without : tuple of str
        Columns that the rest leaves out: those of the row's reasons before this one.
    alone : bool
        Whether other cells of the row tell nothing: there are none, or the cell stands out in its column by
        itself.
    within : bool
        Whether the cell lies within the interval, in a gap or a corner where hardly any value is.
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
    alone: bool = False
    within: bool = False

    @property
    def excess(self) -> float:
        """The nats by which the cell is more surprising than is usual for its column."""
        return self.surprisal - self.usual

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            expected = f"expected {self.expected} ({self.probability:.2f})"
        elif self.low == self.high:
            expected = f"expected {self.low}"
        elif self.within:
            expected = f"rare between {self.low} and {self.high}"
        else:
            expected = f"expected {self.low} to {self.high}"
        rest = "" if self.alone else " given the rest"
        without = f" without {' and '.join(self.without)}" if self.without else ""
        return f"{self.column} {self.value}: {expected}{rest}{without}"


def words_of(reasons: Sequence[Reason]) -> str:
    """Return the reasons of a row in a line."""
    return "; ".join(map(str, reasons)) or "no single column: the combination of all is unusual"


class Explainer:
    r"""Finds the columns that make rows unusual.

    The cell is named first without which the row makes most sense: for each column, the row as it is competes
    with one whose cell came from elsewhere, :math:`p(x_{-j})\, m_j(x_j)`, and the evidence for the latter is
    the cell's surprisal given the others plus :math:`\log m_j(x_j)` (`CellsFromElsewhere`). A second one is
    looked for with the first taken out, so that a cell is not blamed for what another explains; by quadrature
    no two columns can be taken out, and all are compared with the whole row. Less is known of a cell once
    others are out, so its surprisal is then compared with what its own distribution, given what is left,
    allows.

    Where the model has no conditional distributions in closed form, the mixture that is kept beside it for
    conditions explains. Of a row in which no cell is surprising, but which robust mixtures find unusual, the
    cells are named that stand out to them and in their columns (`StandingOut`).

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
        self._unusualness = model.unusualness
        self._density = model.answering(CONDITIONS)
        self._beside = self._density is not model.density
        self.cells = CellSurprisals(self._density, model.supports)

    @property
    def method(self) -> str:
        """How surprisals are found, in words."""
        if self.cells.by_quadrature:
            return "conditional surprisal, estimated by quadrature over one column at a time"
        by = ", by the model that is kept for conditions" if self._beside else ""
        return f"conditional surprisal ({self.cells.kind}){by}"

    @cached_property
    def _likely(self) -> Tensor:
        return self._drawn(_DRAWN_ROWS, self.seed)

    @cached_property
    def _elsewhere(self) -> CellsFromElsewhere:
        return CellsFromElsewhere(self._likely, self.supports)

    @cached_property
    def _standing_out(self) -> StandingOut | None:
        if self._unusualness is None:
            return None
        return StandingOut(self._unusualness, self._likely, self.supports.supports)

    @cached_property
    def _usual(self) -> tuple[Tensor, Tensor, Tensor]:
        """The median surprisal of each column; where unusual surprisals and evidence begin, ``(2, d)``."""
        drawn = self._drawn(_USUAL_BY_QUADRATURE if self.cells.by_quadrature else _USUAL_ROWS, self.seed)
        found = self.cells.of(drawn, seed=self.seed)
        found = found.nan_to_num(nan=math.nan, posinf=math.nan)
        evidence = found + self._elsewhere.log_prob(drawn).to(found)
        levels = torch.tensor([_UNUSUAL_FIRST, _UNUSUAL], dtype=found.dtype, device=found.device)
        middle = torch.nanquantile(found, 0.5, dim=0).nan_to_num(nan=0.0)
        limit, evidence_limit = (
            torch.nanquantile(one, levels, dim=0).nan_to_num(nan=0.0) for one in (found, evidence)
        )
        return middle, limit, evidence_limit

    @torch.no_grad()
    def _drawn(self, count: int, seed: int) -> Tensor:
        return self.supports.snap(self._density.sample(count, seed=seed))

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
        open_ = [place for place, reasons in enumerate(found) if not reasons]
        if open_ and self._standing_out is not None:
            rows = x[open_]
            surprisals = -self._elsewhere.log_prob(rows)
            cells = self._standing_out.cells(rows)
            for place, row, own, columns in zip(open_, rows, surprisals, cells, strict=True):
                found[place] = [self._by_itself(row, column, float(own[column])) for column in columns]
        return [
            [replace(reason, value=shown(place, reason.column) or reason.value) for reason in reasons]
            for place, reasons in enumerate(found)
        ]

    def _reasons(self, x: Tensor, first: int) -> list[list[Reason]]:
        found: list[list[Reason]] = [[] for _ in range(len(x))]
        _, limits, evidence_limits = self._usual
        elsewhere = self._elsewhere.log_prob(x)
        keys = first + torch.arange(len(x), device=x.device)
        named, settled = torch.zeros_like(x, dtype=torch.bool), torch.zeros_like(x, dtype=torch.bool)
        left = x.clone()
        surprisals = self.cells.of(left, seed=self.seed, first=first)
        for turn in range(min(_MOST_LOOKS, x.shape[1])):
            evidence = (surprisals + elsewhere).nan_to_num(nan=-math.inf, posinf=math.inf)
            which = min(turn, 1)
            unusual = (surprisals > limits[which]) | (evidence > evidence_limits[which])
            evidence = evidence.masked_fill(settled | ~unusual | (evidence < _LEAST_EVIDENCE), -math.inf)
            best = evidence.argmax(1)
            open_ = ~torch.isneginf(evidence.gather(1, best[:, None])[:, 0])
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
        others = given.clone()
        others[:, column] = math.nan
        alone = others.isnan().all(1).tolist()
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
                    alone=by_itself,
                )
                for value, label, surprisal, probability, by_itself in zip(
                    values, labels, surprisals.tolist(), best.values.tolist(), alone, strict=True
                )
            ]
        levels = torch.tensor(_LEVELS, dtype=torch.float64, device=x.device)
        quantiles = self.supports.supports[column].snap(marginals.quantiles(levels))
        low, middle, high = (self._written(column, each) for each in quantiles.T)
        own = x[:, column, None]
        within = ((quantiles[:, :1] <= own) & (own <= quantiles[:, 2:]))[:, 0].tolist()
        return [
            Reason(
                column=name,
                value=values[place],
                expected=middle[place],
                low=low[place],
                high=high[place],
                surprisal=surprisal,
                usual=usual,
                alone=alone[place],
                within=within[place],
            )
            for place, surprisal in enumerate(surprisals.tolist())
        ]

    def _by_itself(self, row: Tensor, column: int, surprisal: float) -> Reason:
        """Return the reason that a cell stands out in its column."""
        out = self._standing_out
        assert out is not None
        (value,) = self._written(column, row[None, column])
        reason = Reason(
            column=self.columns[column].name,
            value=value,
            expected="",
            low=None,
            high=None,
            surprisal=surprisal,
            usual=float(self._usual_by_itself[column]),
            alone=True,
        )
        if self.columns[column].levels is not None:
            code, share = out.commonest(column)
            (label,) = self._written(column, row.new_tensor([code]))
            return replace(reason, expected=label, probability=share)
        quantiles = torch.stack([each[column] for each in (out.low, out.middle, out.high)])
        low, middle, high = self._written(column, self.supports.supports[column].snap(quantiles))
        return replace(reason, expected=middle, low=low, high=high)

    @cached_property
    def _usual_by_itself(self) -> Tensor:
        return -torch.nanquantile(self._elsewhere.log_prob(self._likely[:_USUAL_ROWS]), 0.5, dim=0)

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
