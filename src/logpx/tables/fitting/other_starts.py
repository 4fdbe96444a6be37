"""Fits of the best network from other starts, in time that is left."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.tables.families.family import TableFamily
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import WORTHWHILE, choose

__all__ = ["fit_from_other_starts"]

# How many fits may be stacked; how long each but the first may train, as a multiple of the time in which the
# first was best; and how long at least.
_MOST_STARTS = 4
_OF_FIRST, _LEAST_OF_FIRST = 1.2, 0.8
# They are for those who give more time than this, in seconds.
_LONG = 60.0


def fit_from_other_starts(search: Search, families: Sequence[TableFamily]) -> None:
    """Fit the best model that gradient descent has found again, while there is time and a stack gains by it.

    Each fit takes about as long as the first did to be best, so that its learning rate has come down by then.
    An average of fits from several starts is nearly always better than each of them. Nothing is done where
    steps, epochs, a target or no more than a minute were asked for, nor where no rows are set aside.

    Parameters
    ----------
    search
        What has tried the families.
    families
        These.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell 2017, Simple and scalable predictive uncertainty estimation using
    deep ensembles. https://arxiv.org/abs/1612.01474
    """
    firsts = [one for one in search.candidates if one.steps is not None]
    if not firsts or not _suits(search):
        return
    first = max(firsts, key=lambda one: one.score)
    (family,) = (family for family in families if family.name == first.model)
    usual = _OF_FIRST * first.seconds_to_best
    score = choose(search.candidates).score
    for start in range(1, _MOST_STARTS):
        journal = search.journal_of(family, first.scales, start)
        enough = journal.decided("enough time", lambda: search.left() > _LEAST_OF_FIRST * usual)
        if not enough or search.budget.should_stop():
            return
        count = len(search.candidates)
        search.fit_again(family, first.scales, min(usual, search.left()), start)
        before, score = score, choose(search.candidates).score
        if score < before + WORTHWHILE:
            search.failures += [one.record() for one in search.candidates[count:]]
            del search.candidates[count:]
            return


def _suits(search: Search) -> bool:
    limits = search.budget.limits
    counted = limits.repeatable or limits.unfinished_by_time
    aside = search.validation is not search.training
    return aside and not counted and limits.seconds > _LONG and not search.budget.target
