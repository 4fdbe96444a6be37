"""Whether the values of columns are distributed as a model says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logpx.representations import Shown
from logpx.scoring.ranks import RankTest
from logpx.scoring.significance import holm

__all__ = ["SMALL_DISTANCE", "ColumnCalibration"]

#: A column whose distribution is off by less than this share of the rows is good enough for most uses.
SMALL_DISTANCE = 0.02

_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, repr=False)
class ColumnCalibration(Shown):
    """Whether the values of each column are distributed as the model says: their ranks are uniform.

    Attributes
    ----------
    tests : dict of str to RankTest
        By column; p-values are not yet adjusted for their number.

    References
    ----------
    Dawid 1984, Statistical theory: the prequential approach (probability integral transforms).

    Examples
    --------
    >>> good, bad = RankTest(distance=0.01, p_value=0.8), RankTest(distance=0.3, p_value=1e-9)
    >>> found = ColumnCalibration(tests={"a": good, "b": bad})
    >>> found.worst, found.wrong
    ('b', ['b'])
    """

    tests: Mapping[str, RankTest]

    @property
    def adjusted(self) -> dict[str, float]:
        """The p-values, adjusted for the number of columns by Holm's procedure."""
        return dict(zip(self.tests, holm([test.p_value for test in self.tests.values()]), strict=True))

    @property
    def worst(self) -> str:
        """The column with the largest distance among those with the least p-value."""
        adjusted = self.adjusted
        return min(self.tests, key=lambda name: (adjusted[name], -self.tests[name].distance))

    @property
    def wrong(self) -> list[str]:
        """The columns that differ by more than chance at 5 % for all columns together, the worst first."""
        found = [name for name, p_value in self.adjusted.items() if p_value < _LEVEL]
        return sorted(found, key=lambda name: -self.tests[name].distance)

    def __str__(self) -> str:
        """Say which columns are off, or that none is known to be."""
        worst, wrong = self.worst, self.wrong
        test, p_value = self.tests[worst], self.adjusted[worst]
        if not wrong:
            return (
                "no column is known to be distributed otherwise than the model says "
                f"(worst: {worst!r}, KS {test.distance:.3f}, adjusted p = {p_value:.2g})"
            )
        others = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        worst, off = wrong[0], self.tests[wrong[0]].distance
        much = "slightly " if off < SMALL_DISTANCE else ""
        return (
            f"column {worst!r}{others} {'are' if others else 'is'} {much}not distributed as the model says "
            f"(KS {off:.3f}, adjusted p {_less(self.adjusted[worst])})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tests as JSON values."""
        adjusted = self.adjusted
        columns = {
            name: {**test.to_dict(), "adjusted_p_value": adjusted[name]} for name, test in self.tests.items()
        }
        return {"worst": self.worst, "wrong": self.wrong, "columns": columns}


def _less(p_value: float) -> str:
    return "< 0.0001" if p_value < 1e-4 else f"= {p_value:.2g}"
