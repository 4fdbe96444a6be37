"""Longer fits of the networks that did best in a first part of the time."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.scoring import Ending
from logpx.tables.families.family import QuickFamily, TableFamily
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate

__all__ = ["FIRST_PART", "fit_longer"]

# Of an equal share of the time, what each of several networks gets at first.
FIRST_PART = 0.25
# In nats per row.
_FAR_BEHIND = 0.5


def fit_longer(search: Search, families: Sequence[TableFamily]) -> None:
    """Divide the time that is left among the networks that were short of it and are not far behind the best.

    The others come after them, if any time is left. Each is fitted anew, as learning rates fall until the end
    of its time, and the better of its two fits is kept.

    Parameters
    ----------
    search
        What has tried the families, in a part of the time.
    families
        These.

    References
    ----------
    Jamieson and Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization.
    https://arxiv.org/abs/1502.07943
    """
    slow = {family.name: family for family in families if not isinstance(family, QuickFamily)}
    firsts = [one for one in search.candidates if one.model in slow]
    short = [one for one in firsts if one.ended is Ending.TIME]
    best = max((one.score for one in firsts), default=0.0)
    for far in (False, True):
        group = [one for one in short if (best - one.score > _FAR_BEHIND) is far]
        for index, first in enumerate(group):
            seconds = search.left() / (len(group) - index)
            if not _fitted_longer(search, slow[first.model], first, seconds):
                return


def _fitted_longer(search: Search, family: TableFamily, first: Candidate, seconds: float) -> bool:
    """Fit again and keep the better fit; return False where there is no more time than the first one had."""
    journal = search.journal_of(family, first.scales, longer=True)
    enough = journal.decided("enough time", lambda: seconds > first.seconds)
    if not enough or search.budget.should_stop():
        return False
    count = len(search.candidates)
    search.fit_again(family, first.scales, seconds, longer=True)
    fits = sorted([first, *search.candidates[count:]], key=lambda one: one.score)
    for worse in fits[:-1]:
        search.failures.append(worse.record())
        search.candidates = [one for one in search.candidates if one is not worse]
    return True
