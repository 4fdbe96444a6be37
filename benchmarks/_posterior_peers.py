"""Pyro's guides on the same log-densities, used as in its documentation: from 0, Adam at a fixed rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyro
import torch
from _posteriordb import Case, Outcome
from pyro import distributions
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormalizingFlow, init_to_value
from pyro.optim import ClippedAdam

from logpx.inference.pareto import k_hat, k_hat_limit, smoothed
from logpx.posteriors.target.parameters import Parameters

STEPS, PARTICLES, RATE, DRAWS = 10_000, 256, 1e-2, 10_000

Guide = Callable[[Callable[[], None], Callable[[Any], Any]], Any]


def inverse_autoregressive(size: int) -> Any:
    """Return the two layers of Kingma et al. 2016 in Pyro's classes."""
    layers = [
        distributions.transforms.affine_autoregressive(size, hidden_dims=[32, 32]),
        distributions.transforms.Permute(torch.arange(size).flip(0)),
        distributions.transforms.affine_autoregressive(size, hidden_dims=[32, 32]),
    ]
    return distributions.transforms.ComposeTransformModule(layers)


GUIDES: dict[str, Guide] = {
    "Pyro AutoMultivariateNormal": lambda model, start: AutoMultivariateNormal(model, init_loc_fn=start),
    "Pyro AutoNormalizingFlow": lambda model, start: AutoNormalizingFlow(model, inverse_autoregressive),
}


def approximations(case: Case, max_time: float) -> Iterator[Outcome | str]:
    """Yield the outcome of every guide, or its error message."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for name in GUIDES:
            try:
                yield approximate(case, name, max_time)
            except (RuntimeError, ValueError) as error:
                yield f"{name} | | {type(error).__name__}: {str(error).splitlines()[0]}"
    finally:
        torch.set_default_dtype(before)


def approximate(case: Case, name: str, max_time: float) -> Outcome:
    """Fit a guide until the steps or the time are used up."""
    parameters = Parameters(case.constraints)
    size = parameters.size

    def log_prob(u: torch.Tensor) -> torch.Tensor:
        values, ladj = parameters.constrain(u)
        return case.log_density(values) + ladj

    def model() -> None:
        # Its own density is masked: only the log-density counts.
        flat = distributions.Normal(torch.zeros(size), 1.0).to_event(1).mask(False)
        u = pyro.sample("u", flat)
        pyro.factor("log_density", log_prob(u.reshape(-1, size)).reshape(u.shape[:-1]))

    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    guide = GUIDES[name](model, partial(init_to_value, values={"u": torch.zeros(size)}))
    objective = Trace_ELBO(num_particles=PARTICLES, vectorize_particles=True, max_plate_nesting=0)
    training = SVI(model, guide, ClippedAdam({"lr": RATE, "clip_norm": 10.0}), objective)
    began = time.perf_counter()
    for step in range(STEPS):  # noqa: B007
        training.step()
        if time.perf_counter() - began > max_time:
            break
    seconds = time.perf_counter() - began
    with torch.no_grad():
        found = guide.get_posterior()
        u = found.sample((DRAWS,))
        log_weights = log_prob(u) - found.log_prob(u)
        log_weights = log_weights.masked_fill(~log_weights.isfinite(), -torch.inf)
        pool = case.columns(parameters.constrain(u)[0])
    shape = float(k_hat(log_weights[:, None])[0])
    verdict = "k-hat is good" if shape < k_hat_limit(DRAWS) else "k-hat is bad"
    weights = torch.softmax(smoothed(log_weights), 0)
    return Outcome(name, shape, verdict, pool, weights, PARTICLES * (step + 1), seconds)
