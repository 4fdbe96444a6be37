"""Families of mixtures with an exact log p, for columns of any kind and with missing cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import LogpxError
from logpx.latent import ConjugatePrior, GaussianMixture, LatentMixture, LinearGaussian, MixedMixture
from logpx.latent.gaussian_components import GaussianComponents
from logpx.latent.product_components import ProductComponents
from logpx.tables.families.climb import Climb, climb, repeated
from logpx.tables.families.family import FEW_ROWS, Budget, ClimbingFamily, QuickFamily, score_of_size
from logpx.tables.families.shrinkage import cautious_normal, shrinkage, shrunk_normal
from logpx.training.journal import Journal
from logpx.wording import counted

__all__ = ["GaussianFamily", "MixtureFamily", "normal_of", "one_component"]

# Far below the variance of any varying column in any direction, given that grids are dequantised.
_FLOOR = 1e-12
# Pseudo-rows per label, so that a label that is in none of the training rows keeps a small probability.
_LABEL_ROWS = 0.5
_ITERATIONS, _TOLERANCE = 200, 1e-6
# Up to so many columns, leaving out each of few rows takes no time.
_FEW_COLUMNS = 100


def one_component(
    rows: Tensor,
    kinds: Sequence[str | int],
    covariance: str = "full",
    *,
    deadline: float,
    prior: ConjugatePrior | None = None,
    iterations: int = _ITERATIONS,
    weights: Tensor | None = None,
    journal: Journal | None = None,
    of_rows: int | None = None,
) -> tuple[LatentMixture, Climb | None]:
    """Fit one normal distribution of the numbers, with independent labels, to rows in model units.

    Parameters
    ----------
    rows
        Shape ``(n, d)``, float64; NaN is missing.
    kinds
        As in `logpx.latent.MixedMixture`.
    covariance
        The kind of covariance of the numbers.
    deadline
        A value of ``time.monotonic()`` at which EM ends.
    prior
        The prior of the numbers' covariance.
    iterations
        The most iterations of EM.
    weights
        How much each row counts, shape ``(n,)``; by default all count alike.
    journal
        Where EM is kept.
    of_rows
        How many different rows there are; see `climb`.

    Returns
    -------
    LatentMixture
        The model.
    Climb or None
        How far EM came; None for a maximum in closed form.
    """
    model = _mixture(1, kinds, covariance, prior, _FLOOR)
    # Without missing cells the start already is the maximum.
    if not bool(rows.isnan().any()):
        maximise_alone(model, rows, weights)
        return model, None
    climbed = climb(
        model,
        rows,
        deadline,
        model.initialise_components,
        max_iterations=iterations,
        tolerance=_TOLERANCE,
        weights=weights,
        journal=journal,
        of_rows=of_rows,
    )
    return model, climbed


@torch.no_grad()
def maximise_alone(model: LatentMixture, rows: Tensor, weights: Tensor | None) -> None:
    """Set a model of one component to the maximum of the likelihood of complete rows."""
    model.initialise_components(repeated(rows, weights))
    if weights is not None:
        model.update(model.statistics(rows, weights))


def normal_of(model: LatentMixture) -> GaussianComponents:
    """Return the part of a mixture that models its numbers."""
    parts = model.parts
    found = parts.parts[0] if isinstance(parts, ProductComponents) else parts
    assert isinstance(found, GaussianComponents)
    return found


class GaussianFamily(QuickFamily):
    """One normal distribution with a full covariance; labels are independent of it and of each other.

    With few rows, or no more than columns, the covariance is shrunk towards a multiple of the identity.
    """

    name = "gaussian"
    summary = "one normal distribution with a full covariance"
    allows_missing = True
    allows_labels = True
    needs_many_rows = False

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Fit in closed form, or by EM where cells are missing."""
        numbers = [column for column, kind in enumerate(budget.kinds) if kind == "normal"]
        if not numbers or budget.effective_rows >= max(FEW_ROWS, len(numbers) + 1):
            model, climbed = one_component(
                training,
                budget.kinds,
                deadline=budget.deadline,
                weights=budget.weights,
                iterations=budget.limits.iterations(_ITERATIONS),
                journal=budget.journal.part("em"),
                of_rows=budget.rows,
            )
            budget.climbed(climbed)
            return model
        return self._shrunk(training, numbers, budget)

    def _shrunk(self, rows: Tensor, numbers: Sequence[int], budget: Budget) -> Distribution:
        effective, weights = budget.effective_rows, budget.weights
        few = (
            f"{counted(effective, 'row')}"
            if weights is None
            else f"an effective number of {counted(effective, 'row')}"
        )
        budget.remark(
            f"the covariance is shrunk, for there are only {few} for {counted(len(numbers), 'column')}"
        )
        if len(numbers) == rows.shape[1] and not bool(rows.isnan().any()):
            if budget.rows < FEW_ROWS and len(numbers) <= _FEW_COLUMNS:
                return cautious_normal(rows, budget.rows, weights)
            return shrunk_normal(rows, shrinkage(rows, effective, weights), weights=weights)
        share = shrinkage(rows[:, numbers], effective, weights)
        spread = rows[:, numbers].nan_to_num(nan=0.0).var(0).mean().item()
        # Noisy copies of rows count as rows.
        count = len(rows) if weights is None else float(weights.sum())
        prior = ConjugatePrior(covariance_rows=count * share / (1.0 - share), covariance=spread)
        model, climbed = one_component(
            rows,
            budget.kinds,
            deadline=budget.deadline,
            prior=prior,
            weights=weights,
            iterations=budget.limits.iterations(_ITERATIONS),
            journal=budget.journal.part("em"),
            of_rows=budget.rows,
        )
        budget.climbed(climbed)
        return model

    def refit(self, model: Any, rows: Tensor, budget: Budget) -> None:
        """Fit again, or go on with EM where cells are missing."""
        if isinstance(model, LinearGaussian):
            share = shrinkage(rows, budget.effective_rows, budget.weights)
            again = shrunk_normal(rows, share, model.latent, budget.weights)
            model.load_state_dict(again.state_dict())
        elif bool(rows.isnan().any()):
            done = climb(
                model,
                rows,
                budget.deadline,
                max_iterations=budget.limits.iterations(_ITERATIONS),
                tolerance=_TOLERANCE,
                weights=budget.weights,
                journal=budget.journal,
                of_rows=budget.rows,
            )
            budget.continued(done)
        else:
            maximise_alone(model, rows, budget.weights)


class MixtureFamily(ClimbingFamily):
    """Mixtures with a growing number of components, until they stop getting better.

    They are compared by validation likelihood, or by BIC if a small table has too few validation rows.
    Numbers are jointly normal within a component, and labels independent.
    """

    name = "gmm"
    summary = "Gaussian mixture; the number of components by validation likelihood or BIC"
    allows_missing = True
    allows_labels = True
    options = frozenset({"components"})
    sizes = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Run EM for each size from two starts; keep the best."""
        deadline = budget.deadline
        rows = self.affordable(training)
        best: LatentMixture | None = None
        best_score, worse = -torch.inf, 0
        best_climb: Climb | None = None
        for components in self.sizes if budget.components is None else (budget.components,):
            if budget.components is None and (4 * components > budget.effective_rows or worse == 3):
                break
            worse += 1
            for start in range(2):
                if best is not None and budget.is_over(deadline):
                    break
                try:
                    model, climbed = _run(rows, components, budget, start, deadline)
                except LogpxError:
                    if budget.components is not None and start == 1 and best is None:
                        raise
                    continue
                score = score_of_size(model, rows, validation, budget)
                if score > best_score:
                    best, best_score, best_climb, worse = model, score, climbed, 0
        if best is None:
            return GaussianFamily().fit(training, validation, budget)
        budget.climbed(best_climb)
        return best


@torch.no_grad()
def _run(
    rows: Tensor, components: int, budget: Budget, number: int, deadline: float
) -> tuple[LatentMixture, Climb]:
    model = _mixture(components, budget.kinds, "full", ConjugatePrior(covariance_rows=0.1))

    def start(part: Tensor) -> None:
        model.initialise_components(part, 2 * budget.seed + number)

    iterations = budget.limits.iterations(150)
    return model, climb(
        model,
        rows,
        deadline,
        start,
        max_iterations=iterations,
        tolerance=3e-4,
        weights=budget.first_weights(len(rows)),
        journal=budget.journal.part(f"{components}-{number}"),
        of_rows=budget.rows,
    )


def _mixture(
    components: int,
    kinds: Sequence[str | int],
    covariance: str,
    prior: ConjugatePrior | None,
    floor: float = 1e-6,
) -> LatentMixture:
    if all(kind == "normal" for kind in kinds):
        return GaussianMixture(components, len(kinds), covariance, prior=prior, floor=floor).double()
    prior = prior or ConjugatePrior()
    prior = ConjugatePrior(
        mean_rows=_LABEL_ROWS, covariance_rows=prior.covariance_rows, covariance=prior.covariance
    )
    return MixedMixture(components, kinds, covariance, prior=prior, floor=floor).double()
