"""Families with latent dimensions: probabilistic PCA, factor analysis, and a mixture of the former."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor

from logpx.distributions import Distribution, Moments
from logpx.errors import LogpxError, UsageError
from logpx.inference import EMResult
from logpx.latent import ConjugatePrior, FactorAnalysis, LinearGaussian, MixtureOfPPCA, ProbabilisticPCA
from logpx.scoring import Ending
from logpx.tables.families.climb import Climb, climb
from logpx.tables.families.family import Budget, ClimbingFamily, score_of_size
from logpx.wording import counted

__all__ = ["FactorFamily", "MixtureOfPPCAFamily", "PrincipalFamily"]

# What one more dimension has to gain, in nats per row.
_WORTHWHILE = 0.005
_SIZES = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64)
# Of the time left, what one number of latent dimensions may take.
_SHARE_OF_A_SIZE = 0.3
# Beyond these, products of all pairs for every component would take too long.
_MOST_COLUMNS = 500


class _SubspaceFamily(ClimbingFamily):
    """A linear-Gaussian model, whose latent dimensions are chosen by validation likelihood or BIC."""

    least_features = 2
    allows_missing = True
    needs_many_rows = False
    options = frozenset({"latent"})
    kind: type[LinearGaussian]

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Fit each number of latent dimensions, until three in a row are no better."""
        deadline, features = budget.deadline, training.shape[1]
        maximise = self._maximiser(training, deadline, budget)
        best, best_score, best_climb, worse = None, -math.inf, None, 0
        most = _most_latent(features, budget)
        sizes = (0, *(size for size in _SIZES if size <= most))
        for latent in sizes if budget.latent is None else (budget.latent,):
            if best is not None and (worse == 3 or budget.is_over(deadline)):
                break
            model = self.kind(features, latent).double()  # type: ignore[call-arg]
            climbed = maximise(model)
            score = score_of_size(model, training, validation, budget)
            worse += 1
            if best is None or score > best_score + _WORTHWHILE:
                best, best_score, best_climb, worse = model, score, climbed, 0
        assert best is not None
        budget.climbed(best_climb)
        return best

    def refit(self, model: Any, rows: Tensor, budget: Budget) -> None:
        """Fit again with the same number of latent dimensions; if cells are missing, continue EM."""
        if bool(rows.isnan().any()):
            super().refit(model, rows, budget)
        else:
            model.update_from_rows(rows, budget.weights, deadline=_finite(budget.deadline))

    def _maximiser(
        self, rows: Tensor, deadline: float, budget: Budget
    ) -> Callable[[LinearGaussian], Climb | None]:
        """Return a function that fits a model to the rows: from moments, or by EM if cells are missing."""
        if not bool(rows.isnan().any()):
            weights = budget.weights
            moments = Moments.of(rows, weights, full=True) if len(rows) > rows.shape[1] else None

            def at_once(model: LinearGaussian) -> Climb | None:
                now = time.monotonic()
                until = _finite(now + _SHARE_OF_A_SIZE * (deadline - now))
                if moments is None:
                    model.update_from_rows(rows, weights, deadline=until)
                else:
                    model.update_from_moments(moments, until)
                if not model.covariance.cut_short:
                    return None
                return Climb(EMResult(), "stopped by the time limit", Ending.TIME)

            return at_once
        part = self.affordable(rows)

        def by_climbing(model: LinearGaussian) -> Climb | None:
            # Plain EM takes hundreds of iterations if the noise of a column goes towards zero.
            return climb(
                model,
                part,
                deadline,
                model.initialise_components,
                max_iterations=budget.limits.iterations(200),
                tolerance=1e-5,
                accelerate=True,
                should_stop=budget.should_stop,
                weights=budget.first_weights(len(part)),
                journal=budget.journal.part(f"{model.latent}"),
                of_rows=budget.rows,
            )

        return by_climbing


def _finite(deadline: float) -> float | None:
    return deadline if math.isfinite(deadline) else None


def _most_latent(features: int, budget: Budget) -> int:
    """Return the most latent dimensions that the rows determine.

    Raises
    ------
    UsageError
        If more are asked for.
    """
    most = min(features - 1, max(0, budget.rows - 2))
    if budget.latent is not None and budget.latent > most:
        raise UsageError(
            f"{counted(budget.latent, 'latent dimension')} for {counted(budget.rows, 'row')} of "
            f"{counted(features, 'column')}",
            fix=f"give --latent from 0 to {most}",
        )
    return most


class PrincipalFamily(_SubspaceFamily):
    """Probabilistic PCA."""

    name = "ppca"
    summary = "probabilistic PCA; the number of latent dimensions by validation likelihood or BIC"
    kind = ProbabilisticPCA


class FactorFamily(_SubspaceFamily):
    """Factor analysis."""

    name = "fa"
    summary = "factor analysis; the number of factors by validation likelihood or BIC"
    kind = FactorAnalysis


class MixtureOfPPCAFamily(ClimbingFamily):
    """A mixture of probabilistic PCA; both sizes are chosen by validation likelihood or BIC."""

    name = "mppca"
    summary = "mixture of probabilistic PCA; components and dimensions by validation likelihood or BIC"
    least_features = 2
    allows_missing = True
    needs_many_rows = False
    options = frozenset({"components", "latent"})

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Run EM for growing sizes; keep the best."""
        deadline, features = budget.deadline, training.shape[1]
        most = _most_latent(features, budget)
        if features > _MOST_COLUMNS and budget.components in (None, 1):
            budget.remark(f"one component, for more than {counted(_MOST_COLUMNS, 'column')}")
            return PrincipalFamily().fit(training, validation, budget)
        rows = self.affordable(training)
        best: Distribution | None = None
        error: LogpxError | None = None
        best_score, best_climb = -math.inf, None
        for components, latent in self._sizes(most, budget):
            if best is not None and budget.is_over(deadline):
                break
            prior = ConjugatePrior(covariance_rows=0.1)
            model = MixtureOfPPCA(components, features, latent, prior=prior).double()
            start = partial(model.initialise_components, seed=budget.seed)
            try:
                climbed = climb(
                    model,
                    rows,
                    deadline,
                    start,
                    max_iterations=budget.limits.iterations(100),
                    tolerance=1e-4,
                    weights=budget.first_weights(len(rows)),
                    journal=budget.journal.part(f"{components}-{latent}"),
                    of_rows=budget.rows,
                )
            except LogpxError as failure:
                error = failure
                continue
            score = score_of_size(model, rows, validation, budget)
            if score > best_score:
                best, best_score, best_climb = model, score, climbed
        if best is None and error is not None and budget.components is not None:
            raise error
        if best is None:
            return PrincipalFamily().fit(training, validation, budget)
        budget.climbed(best_climb)
        return best

    def refit(self, model: Any, rows: Tensor, budget: Budget) -> None:
        """Continue EM on all rows, from the model's parameters."""
        if isinstance(model, LinearGaussian):
            PrincipalFamily().refit(model, rows, budget)
        else:
            super().refit(model, rows, budget)

    @staticmethod
    def _sizes(most: int, budget: Budget) -> Iterator[tuple[int, int]]:
        for components in (1, 2, 4, 8, 16, 32) if budget.components is None else (budget.components,):
            sizes = [size for size in _SIZES if size <= min(most, 16)]
            for latent in sizes if budget.latent is None else [budget.latent]:
                given = budget.components is not None and budget.latent is not None
                if given or components * (latent + 2) * 4 <= budget.rows:
                    yield components, latent
