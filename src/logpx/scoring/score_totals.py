"""What is said of all scores of a table, also of one in several parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from logpx.distributions import LowerBound
from logpx.scoring.running_mean import RunningMean

__all__ = ["ScoreTotals"]


class ScoreTotals:
    """Means of log p over all rows and over the possible ones, and the lowest.

    Examples
    --------
    >>> import torch
    >>> one, other = ScoreTotals(), ScoreTotals()
    >>> one.add(LowerBound(torch.tensor([-1.0, -math.inf]), torch.zeros(2)))
    >>> other.add(LowerBound(torch.tensor([-3.0]), torch.zeros(1)))
    >>> one.merge(ScoreTotals.from_dict(other.to_dict()))
    >>> one.possible.value, one.all.count, one.outside, one.lowest
    (-2.0, 3, 1, -inf)
    """

    def __init__(self) -> None:
        self.all, self.possible, self.lowest = RunningMean(), RunningMean(), math.inf

    @property
    def outside(self) -> int:
        """How many rows have log p minus infinity."""
        return self.all.count - self.possible.count

    def add(self, bound: LowerBound) -> None:
        """Add the scores of some rows."""
        values = bound.log_prob
        self.all.add(values)
        self.possible.add(values[values.isfinite()])
        self.lowest = min(self.lowest, float(values.min()))

    def merge(self, other: ScoreTotals) -> None:
        """Add the scores that other totals are of."""
        self.all.merge(other.all)
        self.possible.merge(other.possible)
        self.lowest = min(self.lowest, other.lowest)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; those of rows that are not possible follow from their number."""
        return {"rows": self.all.count, "possible": self.possible.state, "lowest": _finite(self.lowest)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Undo `to_dict`."""
        totals = cls()
        totals.possible = RunningMean.of_state(document["possible"])
        totals.all = RunningMean.of_state(document["possible"])
        outside = document["rows"] - totals.all.count
        if outside:
            totals.all.merge(RunningMean.of_state([outside, -math.inf, math.nan]))
        totals.lowest = -math.inf if outside else float(document["lowest"])
        return totals


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
