"""The model families that a table can be fitted with, each with its own way of choosing its size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx import flows
from logpx.distributions import Distribution, FullNormal
from logpx.errors import LogpxError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import ConjugatePrior, GaussianMixture
from logpx.suggestions import suggestion
from logpx.tables.fitting.family import Budget, Family, QuickFamily, score_of_size
from logpx.tables.fitting.subspaces import FactorFamily, MixtureOfPPCAFamily, PrincipalFamily
from logpx.training import fit

__all__ = ["AUTOMATIC", "FAMILIES", "FlowFamily", "GaussianFamily", "MixtureFamily", "family_named"]

# Smaller than for training to convergence: in a minute, more steps count for more than smoother ones.
_BATCH_ROWS = 256


class GaussianFamily(QuickFamily):
    """One normal distribution with a full covariance, in closed form."""

    name = "gaussian"
    summary = "one normal distribution with a full covariance"

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Fit in closed form."""
        model = FullNormal(training.shape[1]).double()
        self.refit(model, training)
        return model

    def refit(self, model: FullNormal, rows: Tensor) -> None:
        """Fit in closed form."""
        model.update(model.statistics(rows))


class MixtureFamily(QuickFamily):
    """Gaussian mixtures with a growing number of components, until they stop getting better.

    Better by the validation likelihood; of a small table, whose validation rows are too few to tell, by BIC.
    """

    name = "gmm"
    summary = "Gaussian mixture; the number of components by validation likelihood or BIC"
    sizes = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)
    most_numbers = 400_000

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Run EM for each size from two starts; keep the best."""
        deadline = budget.deadline
        rows = training[: self.most_numbers // training.shape[1]]
        best: GaussianMixture | None = None
        best_score, worse = -torch.inf, 0
        for components in self.sizes:
            if 4 * components > budget.rows or worse == 3:
                break
            worse += 1
            for start in range(2):
                if best is not None and (time.monotonic() > deadline or budget.should_stop()):
                    return best
                try:
                    model = self._run(rows, components, 2 * budget.seed + start, deadline)
                except LogpxError:
                    continue
                score = score_of_size(model, rows, validation, budget.rows)
                if score > best_score:
                    best, best_score, worse = model, score, 0
        if best is None:
            return GaussianFamily().fit(training, validation, budget)
        return best

    @torch.no_grad()
    def refit(self, model: Any, rows: Tensor) -> None:
        """Go on with EM on all rows, from the parameters that the model has."""
        rows = rows[: self.most_numbers // rows.shape[1]]
        if isinstance(model, GaussianMixture):
            expectation_maximisation(model, lambda: [(rows, None)], max_iterations=20, tolerance=1e-4)
        else:
            GaussianFamily().refit(model, rows)

    @torch.no_grad()
    def _run(self, rows: Tensor, components: int, seed: int, deadline: float) -> GaussianMixture:
        model = GaussianMixture(components, rows.shape[1], prior=ConjugatePrior(covariance_rows=0.1)).double()
        model.initialise_components(rows, seed)
        expectation_maximisation(
            model, lambda: [(rows, None)], max_iterations=150, tolerance=3e-4, deadline=deadline
        )
        return model


@dataclass(frozen=True)
class FlowFamily(Family):
    """A named flow of a size that suits the table, trained by gradient descent."""

    name: str
    summary: str
    build: Callable[[int, int], Distribution]
    least_features: int = 2

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation likelihood stops rising or the time is over."""
        rows, features = budget.rows, training.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(budget.seed % 2**64)
            model = self.build(rows, features)
        fit(
            model,
            training.float(),
            validation.float(),
            max_time=budget.seconds,
            batch_size=_BATCH_ROWS if rows > 40 * _BATCH_ROWS else None,
            max_steps=100_000,
            seed=budget.seed,
            progress=budget.progress,
            should_stop=budget.should_stop,
            device=budget.device,
        )
        return model.cpu()


def _hidden(rows: int) -> tuple[int, int]:
    width = 32 if rows < 2_000 else 64 if rows < 10_000 else 128
    return width, width


def _nsf(rows: int, features: int) -> Distribution:
    return flows.NSF(features, autoregressive=True, layers=1 if features == 1 else 3, hidden=_hidden(rows))


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        GaussianFamily(),
        MixtureFamily(),
        PrincipalFamily(),
        FactorFamily(),
        MixtureOfPPCAFamily(),
        FlowFamily("nice", "additive coupling flow", lambda n, d: flows.NICE(d, hidden=_hidden(n))),
        FlowFamily("realnvp", "affine coupling flow", lambda n, d: flows.RealNVP(d, 8, _hidden(n))),
        FlowFamily("maf", "masked autoregressive flow", lambda n, d: flows.MAF(d, hidden=_hidden(n))),
        FlowFamily("iaf", "inverse autoregressive flow", lambda n, d: flows.IAF(d, hidden=_hidden(n))),
        FlowFamily("nsf", "autoregressive neural spline flow", _nsf, least_features=1),
    )
}

AUTOMATIC: tuple[Family, ...] = tuple(FAMILIES[name] for name in ("gaussian", "gmm", "maf", "nsf"))


def family_named(name: str) -> Family:
    """Return the family of a name.

    Raises
    ------
    UsageError
        Suggesting the nearest name.

    Examples
    --------
    >>> family_named("gmm").summary
    'Gaussian mixture; the number of components by validation likelihood or BIC'
    """
    if name not in FAMILIES:
        raise UsageError(f"there is no model {name!r}", fix=suggestion(name, ["auto", *FAMILIES]))
    return FAMILIES[name]
