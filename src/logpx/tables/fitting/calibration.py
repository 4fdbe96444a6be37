"""Scores of rows that a fitted model has not seen, by which the p-values of new rows are found."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.errors import ModelFolderError
from logpx.scoring import Calibration, Ending, RowsByContent
from logpx.tables.columns.supports import Supports
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, QuickFamily
from logpx.tables.fitting.maps import refitted_maps
from logpx.tables.fitting.rows import DividedRows, divided_places
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate
from logpx.training.journal import Journal
from logpx.wording import counted

__all__ = ["DRAWS", "UnseenScores", "unseen_scores"]

#: The draws of noise that calibrated scores are averaged over: new rows need as many.
DRAWS = 8

# As many as there is time for.
_FOLDS = (5, 3)
# Of models trained by gradient descent, so many more at most, each without as many rows as were set aside;
# fewer where no time limits the fit, for each of them makes it longer.
_MOST_MORE, _MORE_WITHOUT_END = 4, 1
# A model of known size is fitted in less time than its size was found in.
_QUICK_COST = 0.25
# Of the time that is left, for fits without each fold; and what one may take of what was expected.
_SHARE, _LATE = 0.6, 2.0
# More rows set aside than these decide nothing better.
_ENOUGH_ASIDE = 20_000
_FRACTION = 0.1
# From so many equal rows on, a model without one of them is much like that of all.
_OFTEN = 5


@dataclass(frozen=True, kw_only=True)
class UnseenScores:
    """Log p of rows, each under a model that has not seen it.

    Attributes
    ----------
    log_prob : Tensor
        Shape ``(n,)``.
    source : str
        What rows they are, in words.
    among : Tensor or None
        Their numbers among the rows that were set aside, if any, and then the training rows; ascending. None
        if they are rows of another table.
    rows : Tensor or None
        Those among them that repeat often, shape ``(m, d)``; None if their model stays as it is.
    places : Tensor
        Which these are, shape ``(m,)``.
    """

    log_prob: Tensor
    source: str
    among: Tensor | None = None
    rows: Tensor | None = None
    places: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def of(self, density: Distribution, supports: Supports, seed: int) -> UnseenScores:
        """Return the scores beside a density, which has by now been fitted to all rows.

        A new row that equals many is to tie with them, rather than to lie anywhere among what the models
        without a fold say of them: their scores are those by the density itself. With one of many equal rows
        left out, and a new one taken in, it would be the same.
        """
        scores = self.log_prob.clone()
        if self.rows is not None and len(self.rows):
            scores[self.places] = _scores(density, supports, self.rows, seed).to(scores)
        return replace(self, log_prob=scores)

    def calibration(self) -> Calibration:
        """Return the calibration by these scores."""
        return Calibration.of(self.log_prob, self.source)


def unseen_scores(
    search: Search, best: Candidate, read: DividedRows, *, unseen: str | None
) -> UnseenScores | None:
    """Return the scores of rows that the best candidate was fitted without, before it is fitted to all rows.

    If there is time, models of its kind are fitted without each fold in turn, and all rows count. A model
    trained by gradient descent takes longer: the rows that candidates were compared on count, and then as
    many training rows, and as many again, while there is time to train the model anew without them.

    Parameters
    ----------
    search, best
        The search, and what it found.
    read
        The rows.
    unseen
        What rows candidates were compared on that they had not seen, in words; None if they had.

    Returns
    -------
    UnseenScores or None
        None if the rows are too few to be scored by a model that has not seen them.
    """
    if read.undivided:
        if unseen is None:
            return None
        return UnseenScores(log_prob=best.log_prob, source=unseen, among=search.compared_on)
    every, weights = read.in_order()
    quick = all(map(_is_quick, best.parts))
    few = read.joined and len(read.held_out) < _ENOUGH_ASIDE
    if few and quick:
        crossed = _crossed(search, best, every, weights)
        if crossed is not None:
            scores, folds = crossed
            source = f"{counted(len(every), 'row')}, by {folds}-fold cross-fitting"
            return _with_repeated(scores, source, every)
    scores = best.log_prob.double().cpu()
    # What candidates are compared by may be of a target alone, or of other noise.
    if search.budget.target or needs_noise(best.density) or best.density.kind != "exact":
        scores = _scores(best.density, search.supports, read.held_out, search.budget.seed)
    if not read.joined:
        return UnseenScores(log_prob=scores, source=f"{counted(len(scores), 'row')} of the validation table")
    source = f"{counted(len(scores), 'row')} set aside"
    if few and not quick:
        more = _more_folds(search, best, every, weights, len(scores))
        if more:
            scores = torch.cat([scores, *more])
            source = f"{counted(len(scores), 'row')}, by {len(more) + 1} fits without a part of them each"
    return _with_repeated(scores, source, every)


def _with_repeated(log_prob: Tensor, source: str, every: Tensor) -> UnseenScores:
    """Return scores of the first of all rows, and which of them are often among all."""
    among = torch.arange(len(log_prob))
    keys, counts = torch.unique(_keys(every), return_counts=True)
    own = torch.searchsorted(keys, _keys(every[: len(log_prob)]))
    places = (counts[own] >= _OFTEN).nonzero().flatten()
    return UnseenScores(log_prob=log_prob, source=source, among=among, rows=every[places], places=places)


def _keys(rows: Tensor) -> Tensor:
    keys = RowsByContent().of(0, rows)
    assert isinstance(keys, Tensor)
    return keys


def _crossed(
    search: Search, best: Candidate, rows: Tensor, weights: Tensor | None
) -> tuple[Tensor, int] | None:
    """Return the scores of all rows, each without its fold, and how many folds there are.

    None if that takes too long, or a fit fails.
    """
    left = _SHARE * (search.deadline - time.monotonic())
    cost = sum(map(_cost_again, best.parts))
    journal = search.budget.journal.part("without a fold")
    folds = journal.decided("folds", lambda: next((count for count in _FOLDS if count * cost < left), None))
    if folds is None:
        return None
    if folds not in _FOLDS:
        raise ModelFolderError(f"the plan of a fit has {folds!r} folds", fix="begin the fit again")
    fold = torch.arange(len(rows)) % folds
    found = torch.empty(len(rows), dtype=torch.float64)
    for number in range(folds):
        aside = fold == number
        budget = replace(search.budget, seconds=left / folds, journal=journal.part(str(number)))
        density = _without(aside, search, best, rows, weights, budget)
        if density is None or search.budget.should_stop():
            return None
        found[aside] = _scores(density, search.supports, rows[aside], search.budget.seed)
    return found, folds


def _more_folds(
    search: Search, best: Candidate, rows: Tensor, weights: Tensor | None, size: int
) -> list[Tensor]:
    """Return scores of the rows after those set aside, in parts of the same number, each without the part.

    Each model is trained on as many rows as the chosen one, to the step that was best for that; so no row of
    its part has a say, and their scores are like those of new rows by the chosen model.
    """
    journal = search.budget.journal.part("without a part")
    parts = tuple(_with_plan(part, journal.part(f"part-{number}")) for number, part in enumerate(best.parts))
    best = replace(best, members=parts) if best.members else parts[0]
    cost = sum(map(_cost_again, parts))
    found: list[Tensor] = []
    # A last part of fewer rows is left out.
    most = _MORE_WITHOUT_END if math.isinf(search.budget.seconds) else _MOST_MORE
    for number in range(min(most, len(rows) // size - 1)):
        began, own = time.monotonic(), journal.part(str(number))
        left = search.deadline - began
        if search.budget.should_stop() or not own.decided("enough time", partial(operator.lt, cost, left)):
            break
        aside = torch.zeros(len(rows), dtype=torch.bool)
        aside[(number + 1) * size : (number + 2) * size] = True
        seconds = math.inf if math.isinf(left) else max(min(_LATE * cost, left), 0.5)
        budget = replace(search.budget, seconds=seconds, journal=own)
        # A model that was not ready in time is not when the fit is repeated on another clock, either.
        late = own.knows("ready") and not own.decided("ready", lambda: False)
        density = None if late else _without(aside, search, best, rows, weights, budget)
        if search.budget.should_stop() or not own.decided("ready", partial(operator.is_not, density, None)):
            break
        if density is None:
            break
        found.append(_scores(density, search.supports, rows[aside], search.budget.seed))
        cost = max(0.5 * cost, time.monotonic() - began)
    return found


def _with_plan(part: Candidate, journal: Journal) -> Candidate:
    """Return a part of a candidate with the steps that were planned for it, which depends on the clock."""
    if part.steps is None:
        return part
    best, last, planned = part.steps
    planned = journal.decided("planned steps", lambda: planned)
    return replace(part, steps=(best, last, planned))


def _cost_again(part: Candidate) -> float:
    """Return about how many seconds a model takes whose size, or number of steps, is known."""
    if part.steps is None:
        return part.seconds * (_QUICK_COST if _is_quick(part) else 1.0)
    return part.seconds_to_best


def _is_quick(part: Candidate) -> bool:
    return isinstance(FAMILIES[part.model], QuickFamily)


def _without(
    aside: Tensor,
    search: Search,
    best: Candidate,
    rows: Tensor,
    weights: Tensor | None,
    budget: Budget,
) -> Distribution | None:
    """Return a model of the same kind and size, fitted to all rows but some; None if that fails."""
    rows, weights = rows[~aside], None if weights is None else weights[~aside]
    alone = all(_is_quick(part) or part.steps is not None for part in best.parts)
    places = None if alone else divided_places(rows, _FRACTION)
    training, validation = (rows, rows) if places is None else (rows[places[0]], rows[places[1]])
    weighing = weighing_aside = weights
    if places is not None and weights is not None:
        weighing, weighing_aside = weights[places[0]], weights[places[1]]
    densities: list[Distribution] = []
    budget = replace(budget, rows=len(training))
    one = Search(
        search.schema,
        training,
        validation,
        budget,
        # Curves of single columns bend to a row, too.
        maps=refitted_maps(training, search.supports.supports, search.maps, budget.seed, weighing),
        weights=weighing,
        weights_aside=weighing_aside,
    )
    whole = sum(map(_cost_again, best.parts)) or 1.0
    for member in best.parts:
        family = FAMILIES[member.model]
        size = _size(family.options, member.density)
        one.budget = replace(
            budget,
            components=size.get("components"),
            latent=size.get("latent"),
            settings=member.settings,
            steps=None if member.steps is None else member.steps[::2],
        )
        seconds = budget.seconds * max(_cost_again(member), 1e-3) / whole
        density = one.fit_again(family, member.scales, seconds, member.start)
        # With fewer steps it would be a worse model.
        if density is None or (member.steps is not None and one.candidates[-1].ended is Ending.INTERRUPTED):
            return None
        densities.append(density)
    if not isinstance(best.density, Mixture):
        return densities[0]
    return Mixture(densities, torch.softmax(best.density.logits.detach(), 0).tolist())


def _size(options: frozenset[str] | Sequence[str], density: Any) -> dict[str, int]:
    """Return the options that give a model the size of a fitted one."""
    model = density.model
    own = {"components": getattr(model, "components", None), "latent": getattr(model, "latent", None)}
    return {name: size for name, size in own.items() if name in options and isinstance(size, int)}


@torch.no_grad()
def _scores(density: Distribution, supports: Supports, rows: Tensor, seed: int) -> Tensor:
    effort = Effort.of(density.kind == "exact", bool(supports.noisy) and needs_noise(density), DRAWS, None)
    (found,) = effort.bounds([density], supports, rows, seed, 0)
    return found.log_prob.cpu()
