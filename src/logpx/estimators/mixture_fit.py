"""The fit of a mixture with scikit-learn's parameters: a model, its starts, and the best run."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from logpx.arguments import check_count
from logpx.errors import DivergedError, UsageError
from logpx.estimators.covariance_types import covariance_type_named
from logpx.estimators.mixture_em import Run, Settings, run_em
from logpx.estimators.mixture_start import Start, start_mixture
from logpx.latent import GaussianMixture

__all__ = ["check_settings", "fit_mixture"]

# What rounding needs where reg_covar is less: no covariance that means anything comes near it.
_LEAST_RELATIVE_VARIANCE = 1e-14


def check_settings(settings: Settings) -> None:
    """Refuse parameters that make no sense.

    Raises
    ------
    UsageError
        Naming the first that does not.
    """
    covariance_type_named(settings.covariance_type)
    for name, least in (("n_components", 1), ("n_init", 1), ("max_iter", 0), ("verbose_interval", 1)):
        value = getattr(settings, name)
        check_count(name, int(value) if isinstance(value, np.integer) else value, least)
    for name in ("tol", "reg_covar"):
        value = getattr(settings, name)
        if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < math.inf:
            raise UsageError(f"{name} is {value!r}", fix="give a number, 0 or more")


def fit_mixture(
    settings: Settings, start: Start, last: GaussianMixture | None
) -> tuple[GaussianMixture, Run]:
    """Fit a mixture to the rows of a start.

    Parameters
    ----------
    settings
        The parameters of the estimator.
    start
        The rows, and where EM starts.
    last
        A mixture to go on from, in place of a start.

    Returns
    -------
    model : GaussianMixture
        In float64.
    run : Run
        The run that it is the result of.

    Raises
    ------
    UsageError
        If the shape of an initial parameter is wrong.
    DivergedError
        If the log-likelihood is not finite from any start.
    """
    model = _new_model(settings, start)
    if last is not None:
        _go_on_from(model, last)
    random = check_random_state(settings.random_state)
    runs: list[Run] = []
    failure: DivergedError | None = None
    single = last is not None or settings.n_components == 1
    for number in range(1 if single else settings.n_init):
        if settings.verbose:
            print(f"Initialization {number}")
        if last is None:
            _set_start(settings, model, start, random)
        try:
            runs.append(run_em(model, start, settings))
        except DivergedError as error:
            failure = error
    if not runs:
        assert failure is not None
        raise failure
    best = max(runs, key=lambda run: (not run.collapsed, run.objective))
    model.load_state_dict(best.state)
    return model, best


def _new_model(settings: Settings, start: Start) -> GaussianMixture:
    kind = covariance_type_named(settings.covariance_type)
    reg_covar = float(settings.reg_covar)
    model = GaussianMixture(
        int(settings.n_components), len(start.means), kind.covariance, prior=settings.prior, floor=reg_covar
    ).double()
    if settings.prior is not None:
        weights = None if start.weights is None else torch.tensor(start.weights)
        model.parts.initialise(torch.tensor(start.rows), weights)
    # The model's floors are relative to the squares of its scale, and reg_covar is absolute.
    model.parts.scale.fill_(1.0)
    least = torch.tensor(_LEAST_RELATIVE_VARIANCE * start.variances).clamp_min(reg_covar)
    unit = model.parts.floors
    model.parts.scale.copy_(torch.where(least > 0.0, least / unit, 1.0).sqrt())
    model.parts.centre.copy_(torch.tensor(start.means))
    return model


@torch.no_grad()
def _go_on_from(model: GaussianMixture, last: GaussianMixture) -> None:
    ours, theirs = dict(model.named_parameters()), dict(last.named_parameters())
    if {name: value.shape for name, value in ours.items()} != {n: value.shape for n, value in theirs.items()}:
        raise UsageError(
            "warm_start from a fit with other components, columns or covariances",
            fix="fit a new estimator, or set warm_start=False",
        )
    for name, value in ours.items():
        value.copy_(theirs[name])


@torch.no_grad()
def _set_start(
    settings: Settings, model: GaussianMixture, start: Start, random: np.random.RandomState
) -> None:
    given = (settings.weights_init, settings.means_init, settings.precisions_init)
    if any(value is None for value in given):
        start_mixture(model, start, start.responsibilities(random))
    if settings.weights_init is not None:
        weights = _given("weights_init", settings.weights_init, (model.components,))
        if bool((weights < 0.0).any()) or not math.isclose(weights.sum(), 1.0, abs_tol=1e-6):
            raise UsageError("weights_init are no probabilities", fix="let them sum to 1")
        model.logits.copy_(torch.tensor(weights).log().clamp_min(-700.0))
    if settings.means_init is not None:
        means = _given("means_init", settings.means_init, tuple(model.means.shape))
        model.means.copy_(torch.tensor(means))
    if settings.precisions_init is not None:
        covariance_type_named(settings.covariance_type).set_precisions(model, settings.precisions_init)


def _given(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    given = np.asarray(values, dtype=np.float64)
    if given.shape != shape or not np.isfinite(given).all():
        raise UsageError(f"{name} of shape {given.shape}", fix=f"give finite numbers of shape {shape}")
    return given
