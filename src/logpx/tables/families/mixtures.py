"""Families of mixtures with an exact log p, for columns of any kind and with missing cells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import LogpxError
from logpx.inference import expectation_maximisation
from logpx.latent import ConjugatePrior, GaussianMixture, LatentMixture, MixedMixture
from logpx.tables.families.family import Budget, QuickFamily, score_of_size

__all__ = ["GaussianFamily", "MixtureFamily", "one_component"]

# Far below the variance of any varying column in any direction, given that grids are dequantised.
_FLOOR = 1e-12
# Pseudo-rows per label, so that a label that is in none of the training rows keeps a small probability.
_LABEL_ROWS = 0.5


def one_component(rows: Tensor, kinds: Sequence[str | int], covariance: str = "full") -> LatentMixture:
    """Fit one normal distribution of the numbers, with independent labels, to rows in model units.

    Parameters
    ----------
    rows
        Shape ``(n, d)``, float64; NaN is missing.
    kinds
        As in `logpx.latent.MixedMixture`.
    covariance
        The kind of covariance of the numbers.
    """
    model = _mixture(1, kinds, covariance, ConjugatePrior(), _FLOOR)
    model.initialise_components(rows)
    # Without missing cells the start already is the maximum.
    if bool(rows.isnan().any()):
        expectation_maximisation(model, lambda: [(rows, None)], max_iterations=200, tolerance=1e-6)
    return model


class GaussianFamily(QuickFamily):
    """One normal distribution with a full covariance; labels are independent of it and of each other."""

    name = "gaussian"
    summary = "one normal distribution with a full covariance"
    allows_missing = True
    allows_labels = True

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Fit in closed form, or by EM where cells are missing."""
        return one_component(training, budget.kinds)

    def refit(self, model: Any, rows: Tensor) -> None:
        """Fit again."""
        kinds = model.kinds if isinstance(model, MixedMixture) else ["normal"] * rows.shape[1]
        model.load_state_dict(one_component(rows, kinds).state_dict())


class MixtureFamily(QuickFamily):
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
    most_numbers = 400_000

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Run EM for each size from two starts; keep the best."""
        deadline = budget.deadline
        rows = training[: self.most_numbers // training.shape[1]]
        best: LatentMixture | None = None
        best_score, worse = -torch.inf, 0
        for components in self.sizes if budget.components is None else (budget.components,):
            if budget.components is None and (4 * components > budget.rows or worse == 3):
                break
            worse += 1
            for start in range(2):
                if best is not None and (time.monotonic() > deadline or budget.should_stop()):
                    return best
                try:
                    model = _run(rows, components, budget.kinds, 2 * budget.seed + start, deadline)
                except LogpxError:
                    if budget.components is not None and start == 1 and best is None:
                        raise
                    continue
                score = score_of_size(model, rows, validation, budget.rows)
                if score > best_score:
                    best, best_score, worse = model, score, 0
        if best is None:
            return GaussianFamily().fit(training, validation, budget)
        return best

    @torch.no_grad()
    def refit(self, model: Any, rows: Tensor) -> None:
        """Continue EM on all rows, from the model's parameters."""
        rows = rows[: self.most_numbers // rows.shape[1]]
        expectation_maximisation(model, lambda: [(rows, None)], max_iterations=20, tolerance=1e-4)


@torch.no_grad()
def _run(
    rows: Tensor, components: int, kinds: Sequence[str | int], seed: int, deadline: float
) -> LatentMixture:
    model = _mixture(components, kinds, "full", ConjugatePrior(covariance_rows=0.1))
    model.initialise_components(rows, seed)
    expectation_maximisation(
        model, lambda: [(rows, None)], max_iterations=150, tolerance=3e-4, deadline=deadline
    )
    return model


def _mixture(
    components: int, kinds: Sequence[str | int], covariance: str, prior: ConjugatePrior, floor: float = 1e-6
) -> LatentMixture:
    if all(kind == "normal" for kind in kinds):
        return GaussianMixture(components, len(kinds), covariance, prior=prior, floor=floor).double()
    prior = ConjugatePrior(mean_rows=_LABEL_ROWS, covariance_rows=prior.covariance_rows)
    return MixedMixture(components, kinds, covariance, prior=prior, floor=floor).double()
