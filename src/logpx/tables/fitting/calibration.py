"""Scores of rows that a fitted model has not seen, by which the p-values of new rows are found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.errors import DataError, ModelFolderError
from logpx.scoring import Calibration, RowsByContent
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.supports import Supports
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, QuickFamily
from logpx.tables.fitting.rows import DividedRows, divided_places
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate
from logpx.tables.schema.schema import Schema
from logpx.wording import counted

__all__ = ["DRAWS", "UnseenScores", "unseen_scores"]

#: The draws of noise that calibrated scores are averaged over: new rows need as many.
DRAWS = 8

# As many as there is time for.
_FOLDS = (5, 3)
# A model of known size is fitted in less time than its size was found in.
_QUICK_COST = 0.25
# Of the time that is left, for fits without each fold.
_SHARE = 0.6
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
    rows : Tensor or None
        Those among them that repeat often, shape ``(m, d)``; None if their model stays as it is.
    places : Tensor
        Which these are, shape ``(m,)``.
    crossed : bool
        Whether they are all rows of the fit, rather than rows set aside.
    """

    log_prob: Tensor
    source: str
    rows: Tensor | None = None
    places: Tensor | None = None
    crossed: bool = False

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
    search: Search, best: Candidate, read: DividedRows, schema: Schema, *, unseen: str | None
) -> UnseenScores | None:
    """Return the scores of rows that the best candidate was fitted without, before it is fitted to all rows.

    If there is time, models of its kind are fitted without each fold in turn, and all rows count. Otherwise
    the rows count that candidates were compared on.

    Parameters
    ----------
    search, best
        The search, and what it found.
    read
        The rows.
    schema
        The columns.
    unseen
        What rows candidates were compared on that they had not seen, in words; None if they had.

    Returns
    -------
    UnseenScores or None
        None if the rows are too few to be scored by a model that has not seen them.
    """
    if read.undivided:
        return None if unseen is None else UnseenScores(log_prob=best.log_prob, source=unseen, crossed=True)
    if read.joined and len(read.held_out) < _ENOUGH_ASIDE:
        crossed = _crossed(search, best, read, schema)
        if crossed is not None:
            scores, folds = crossed
            source = f"{counted(len(scores), 'row')}, by {folds}-fold cross-fitting"
            return replace(_with_repeated(scores, source, read.rows, read.rows), crossed=True)
    scores = best.log_prob.double().cpu()
    # What candidates are compared by may be of a target alone, or of other noise.
    if search.budget.target or needs_noise(best.density) or best.density.kind != "exact":
        scores = _scores(best.density, search.supports, read.held_out, search.budget.seed)
    if not read.joined:
        return UnseenScores(log_prob=scores, source=f"{counted(len(scores), 'row')} of the validation table")
    return _with_repeated(scores, f"{counted(len(scores), 'row')} set aside", read.held_out, read.rows)


def _with_repeated(log_prob: Tensor, source: str, rows: Tensor, every: Tensor) -> UnseenScores:
    """Return scores of rows, and which of the rows are often among all."""
    keys, counts = torch.unique(_keys(every), return_counts=True)
    own = torch.searchsorted(keys, _keys(rows))
    places = (counts[own] >= _OFTEN).nonzero().flatten()
    return UnseenScores(log_prob=log_prob, source=source, rows=rows[places], places=places)


def _keys(rows: Tensor) -> Tensor:
    keys = RowsByContent().of(0, rows)
    assert isinstance(keys, Tensor)
    return keys


def _crossed(search: Search, best: Candidate, read: DividedRows, schema: Schema) -> tuple[Tensor, int] | None:
    """Return the scores of all rows, each without its fold, and how many folds there are.

    None if that takes too long, or a fit fails.
    """
    rows = read.rows
    left = _SHARE * (search.deadline - time.monotonic())
    cost = sum(part.seconds * (_QUICK_COST if _is_quick(part) else 1.0) for part in best.parts)
    maps = search.seconds_for_maps if _on_chosen_maps(best) else 0.0
    # Scales of single columns bend to a row far less than models do: sooner they are common than rows few.
    plans = [(folds, own) for own in (True, False) for folds in _FOLDS]
    journal = search.budget.journal.part("without a fold")
    chosen = journal.decided(
        "plan",
        lambda: next(
            (number for number, (n, own) in enumerate(plans) if n * (cost + maps * own) < left), None
        ),
    )
    if chosen is None:
        return None
    if chosen >= len(plans):
        raise ModelFolderError(f"the plan of a fit has no number {chosen}", fix="begin the fit again")
    folds, own_maps = plans[chosen]
    fold = torch.arange(len(rows)) % folds
    found = torch.empty(len(rows), dtype=torch.float64)
    for number in range(folds):
        aside = fold == number
        weights = None if read.weights is None else read.weights[~aside]
        budget = replace(search.budget, seconds=left / folds, journal=journal.part(str(number)))
        density = None
        # A column may vary in this fold alone: its scale is then that of all rows.
        for scales in [None, search.maps] if own_maps else [search.maps]:
            with suppress(DataError):
                density = _fitted_without(best, rows[~aside], weights, schema, budget, maps=scales)
                break
        if density is None or search.budget.should_stop():
            return None
        found[aside] = _scores(density, search.supports, rows[aside], search.budget.seed)
    return found, folds


def _is_quick(part: Candidate) -> bool:
    return isinstance(FAMILIES[part.model], QuickFamily)


def _on_chosen_maps(best: Candidate) -> bool:
    return any(part.scales == "chosen" for part in best.parts)


def _fitted_without(
    best: Candidate,
    rows: Tensor,
    weights: Tensor | None,
    schema: Schema,
    budget: Budget,
    maps: Mapping[str, ColumnScales] | None,
) -> Distribution | None:
    """Return a model of the same kind and size, fitted to some of the rows."""
    quick = all(map(_is_quick, best.parts))
    places = None if quick else divided_places(rows, _FRACTION)
    training, validation = (rows, rows) if places is None else (rows[places[0]], rows[places[1]])
    weighing, aside = weights, weights
    if places is not None and weights is not None:
        weighing, aside = weights[places[0]], weights[places[1]]
    densities: list[Distribution] = []
    budget = replace(budget, rows=len(training))
    one = Search(
        schema,
        training,
        validation,
        budget,
        chosen=_on_chosen_maps(best),
        maps=maps,
        weights=weighing,
        weights_aside=aside,
    )
    for member in best.parts:
        family = FAMILIES[member.model]
        size = _size(family.options, member.density)
        one.budget = replace(
            budget,
            components=size.get("components"),
            latent=size.get("latent"),
            settings=member.settings,
        )
        density = one.fit_again(family, member.scales, budget.seconds / len(best.parts), member.start)
        if density is None:
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
