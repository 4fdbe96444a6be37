"""A mixture of normal distributions for particles, corrected by importance sampling."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.errors import DivergedError, LogpxError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import ConjugatePrior, GaussianMixture
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["fit_to_particles", "mixture_of_particles"]

_SIZES = (1, 2, 4, 8, 16, 32)
_HELD_OUT = 0.2
_WORTHWHILE = 0.01
_TURNS = 4
_DRAWS = 10_000
_LEAST = 1e-4
_FEWEST_PER_NUMBER = 3


def fit_to_particles(u: Tensor, target: Target, modes: int, seed: int) -> Distribution:
    """Return a mixture of normal distributions for equally weighted particles of a log-density.

    The number of components is that which makes held-out particles likeliest. Weights, means and covariances
    are then moved towards those of the posterior by draws of the mixture with their importance weights.

    Parameters
    ----------
    u
        Particles, shape ``(n, d)``.
    target
        The log-density.
    modes
        How many modes are known: this many components are tried, too.
    seed
        Of the split, the starts and the draws.

    References
    ----------
    Cappé, Douc, Guillin, Marin and Robert 2008, Adaptive importance sampling in general mixture classes.
    https://arxiv.org/abs/0710.4242
    """
    shares, means, factors = _parts_of_particles(u, modes, seed, target.meter.until)
    best, best_size = None, -math.inf
    for turn in range(_TURNS):
        q = _mixture(shares, means, factors)
        try:
            found = weigh(q, target, _DRAWS, seed + turn)
        except (DivergedError, UsageError, TimeIsUpError):
            break
        weights = found.smoothed
        size = float(1.0 / weights.square().sum())
        if not math.isfinite(size) or size < best_size:
            break
        best, best_size = q, size
        with torch.no_grad():
            own = torch.stack([part.log_prob(found.u).double() for part in q.components], 1)
            joint = weights[:, None] * torch.softmax(own + shares.log(), 1)
        shares, means, factors = _moved(joint, found.u, means, factors)
    return best if best is not None else _mixture(shares, means, factors)


def mixture_of_particles(u: Tensor, modes: int, seed: int, until: float = math.inf) -> Distribution:
    """Return the mixture of normal distributions that makes held-out particles ``(n, d)`` likeliest.

    Once time is up, by `time.monotonic`, no more components are tried.
    """
    return _mixture(*_parts_of_particles(u, modes, seed, until))


def _parts_of_particles(u: Tensor, modes: int, seed: int, until: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = u[torch.randperm(len(u), generator=generator)]
    centre, unit = rows.mean(0), rows.std(0).clamp_min(1e-12)
    rows = (rows - centre) / unit
    aside = round(_HELD_OUT * len(rows))
    held_out, training = rows[:aside], rows[aside:]
    numbers = u.shape[1] * (u.shape[1] + 3) / 2
    most = max(1, int(training.numel() / (_FEWEST_PER_NUMBER * numbers)))
    best, best_score = None, -math.inf
    for size in sorted({*_SIZES, min(modes, 64)}):
        if size < 1 or (size > most and size > 1):
            continue
        if best is not None and time.monotonic() > until:
            break
        model = GaussianMixture(size, u.shape[1], prior=ConjugatePrior(covariance_rows=0.1)).double()
        try:
            model.initialise_components(training, seed)
            expectation_maximisation(model, lambda: [(training, None)], max_iterations=100, tolerance=1e-4)
        except LogpxError:
            continue
        with torch.no_grad():
            score = float(model.log_prob(held_out).mean())
        if score > best_score + _WORTHWHILE:
            best, best_score = model, score
    if best is None:
        shares = torch.ones(1, dtype=torch.float64)
        factor = torch.eye(u.shape[1], dtype=torch.float64)
        return shares, centre[None], (unit[:, None] * factor)[None]
    with torch.no_grad():
        factors = torch.linalg.cholesky(best.covariances)
        return best.weights.double(), centre + unit * best.means, unit[:, None] * factors


def _mixture(shares: Tensor, means: Tensor, factors: Tensor) -> Mixture:
    parts = [normal(mean, factor) for mean, factor in zip(means, factors, strict=True)]
    return Mixture(parts, shares.tolist()).double()


def _moved(joint: Tensor, u: Tensor, means: Tensor, factors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, means and factors of the components after a step towards weighted draws."""
    shares = joint.sum(0).clamp_min(_LEAST)
    new_means, new_factors = [], []
    for weight, mean, factor in zip(joint.T, means, factors, strict=True):
        total = weight.sum().clamp_min(1e-300)
        effective = total.square() / weight.square().sum().clamp_min(1e-300)
        # A component that few draws speak for stays nearly what it was.
        trust = float(effective / (effective + 2.0 * len(mean) + 2.0))
        moved = (weight @ u) / total
        centred = u - moved
        covariance = (centred * (weight / total)[:, None]).mT @ centred
        covariance = trust * covariance + (1.0 - trust) * (factor @ factor.mT)
        grown, failed = torch.linalg.cholesky_ex(covariance)
        new_means.append(trust * moved + (1.0 - trust) * mean)
        new_factors.append(factor if int(failed) else grown)
    return shares / shares.sum(), torch.stack(new_means), torch.stack(new_factors)
