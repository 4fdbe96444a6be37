"""Which rows are called anomalies: by a rate of false alarms, a level, a number, or all rows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring import check_level
from logpx.wording import counted

__all__ = ["AllRows", "AtLevel", "FalseDiscoveryRate", "MostUnusual", "Selection", "selection_of"]

# Anomalies that one hopes to find.
_FEW = 5

_Numbers = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


class Selection(Shown, ABC):
    """A rule that selects rows, having seen all of them once, batch by batch.

    Attributes
    ----------
    needs_p_values, needs_a_look, everything : bool
        Whether rows have to have p-values; whether all rows have to be seen before any is selected; whether
        no row is left out.
    """

    needs_p_values: ClassVar[bool] = True
    needs_a_look: ClassVar[bool] = False
    everything: ClassVar[bool] = False

    def look(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> None:
        """Take note of a batch of rows; `start` is the number of rows before it."""
        return

    @abstractmethod
    def chosen(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> _Mask:
        """Return which rows of a batch are selected."""

    @abstractmethod
    def words(self, rows: int, selected: int) -> str:
        """Return what the selection means, in a sentence."""

    def too_few_aside(self, least: float) -> str | None:
        """Say so if the least p-value that there is lets no row be selected."""
        return None


class AllRows(Selection):
    """Every row."""

    needs_p_values = False
    everything = True

    def chosen(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> _Mask:
        """Return true for all."""
        return np.ones(len(log_prob), dtype=bool)

    def words(self, rows: int, selected: int) -> str:
        """Say that none is left out."""
        return f"all {counted(rows, 'row')}"


class AtLevel(Selection):
    """Rows with a p-value of at most alpha."""

    def __init__(self, alpha: float) -> None:
        self.alpha = check_level("alpha", alpha)

    def chosen(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> _Mask:
        """Compare the p-values with alpha."""
        return np.asarray(p_values <= self.alpha)

    def words(self, rows: int, selected: int) -> str:
        """Say how many rows there would be without any anomaly."""
        return (
            f"{selected:,} of {counted(rows, 'row')} have a p-value of {self.alpha:g} or less; if "
            "all were of the "
            f"usual kind, about {self.alpha * rows:,.0f} would"
        )


class MostUnusual(Selection):
    """The rows with the lowest scores, and of equal ones the first."""

    needs_p_values = False
    needs_a_look = True

    def __init__(self, top: int) -> None:
        check_count("top", top)
        self.top = top
        self._log_prob, self._rows = np.empty(0), np.empty(0, dtype=np.int64)

    def look(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> None:
        """Keep the lowest so far."""
        values = np.concatenate([self._log_prob, log_prob])
        rows = np.concatenate([self._rows, start + np.arange(len(log_prob))])
        kept = np.lexsort((rows, values))[: self.top]
        self._log_prob, self._rows = values[kept], rows[kept]

    def chosen(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> _Mask:
        """Look the rows up among the lowest."""
        return np.isin(start + np.arange(len(log_prob)), self._rows)

    def words(self, rows: int, selected: int) -> str:
        """Say how many there are."""
        return (
            f"the {selected:,} most unusual of {counted(rows, 'row')}; how many of them are "
            "anomalies is not known"
        )


class FalseDiscoveryRate(Selection):
    """Rows selected by the procedure of Benjamini and Hochberg; see `logpx.scoring.benjamini_hochberg`."""

    needs_a_look = True

    def __init__(self, level: float) -> None:
        self.level = check_level("fdr", level)
        self._counts: Counter[float] = Counter()

    def look(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> None:
        """Count each p-value; there are only as many as rows set aside."""
        values, counts = np.unique(p_values, return_counts=True)
        self._counts.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def chosen(self, p_values: _Numbers, log_prob: _Numbers, start: int) -> _Mask:
        """Compare p-values with the largest that passes."""
        return np.asarray(p_values <= self._limit)

    @property
    def selected(self) -> int:
        """How many rows are selected, once all have been seen."""
        return sum(count for value, count in self._counts.items() if value <= self._limit)

    @cached_property
    def _limit(self) -> float:
        """The largest p-value that is selected, once all have been seen; below 0 if none is."""
        values = np.array(sorted(self._counts))
        below = np.cumsum([self._counts[value] for value in values.tolist()])
        passed = values[values <= self.level * below / max(self._counts.total(), 1)]
        return float(passed[-1]) if len(passed) else -1.0

    def words(self, rows: int, selected: int) -> str:
        """State the guarantee."""
        return (
            f"{selected:,} of {counted(rows, 'row')}; of rows selected in this way at most "
            f"{100 * self.level:g} % are "
            "of the usual kind, on average"
        )

    def too_few_aside(self, least: float) -> str | None:
        """Say so if p-values cannot be low enough for a few rows to be selected."""
        needed = math.ceil(least * self._counts.total() / self.level)
        if needed <= _FEW or self._limit > 0.0:
            return None
        return (
            f"no p-value is below {least:.2g}, so that rows are selected only if {needed:,} or more have the "
            "lowest one: take the most unusual with --top, or set more rows aside by fitting to more of them"
        )


def selection_of(**wanted: Any) -> Selection:
    """Return the rule that one of several arguments asks for; by default a false discovery rate of 0.05.

    Parameters
    ----------
    **wanted
        ``fdr``, ``top``, ``alpha`` and ``everything``, of which one may be given.

    Raises
    ------
    UsageError
        If several are given, or the one is out of range.

    Examples
    --------
    >>> type(selection_of(top=5)).__name__, selection_of(fdr=None).level
    ('MostUnusual', 0.05)
    """
    rules: dict[str, Callable[[Any], Selection]] = {
        "fdr": FalseDiscoveryRate,
        "top": MostUnusual,
        "alpha": AtLevel,
        "everything": lambda wanted: AllRows(),
    }
    given = {name: value for name, value in wanted.items() if value is not None and value is not False}
    if len(given) > 1:
        first, second = list(given)[:2]
        raise UsageError(f"both {first} and {second} were given", fix="select rows in one way")
    for name, value in given.items():
        return rules[name](value)
    return FalseDiscoveryRate(0.05)
