"""Forward KL: an approximation fitted further by maximum likelihood, to draws from the posterior."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import DiagonalNormal, Distribution, Flow, StandardNormal
from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError
from logpx.posteriors.approximations.families import SphericalT, normal, units_of
from logpx.training import fit
from logpx.transforms import Affine, Transform, TriangularAffine

__all__ = ["ForwardKLFit", "minimise_forward_kl"]

_HELD_OUT = 0.2
_PER_DIMENSION = 10
_DEPENDENT = 1e-7
_ROUNDS = 50


@dataclass(frozen=True)
class ForwardKLFit:
    """The result of fitting a distribution to draws by maximum likelihood.

    Attributes
    ----------
    distribution : Distribution
        The fitted distribution; the original one if the held-out draws are no likelier under the fit.
    gain : float
        How much the fit lowered the forward KL divergence on the held-out draws, in nats; 0 if it did not.
    steps : int
        Training steps; 0 with a closed form.
    """

    distribution: Distribution
    gain: float
    steps: int


def minimise_forward_kl(
    q: Distribution, u: Tensor, seed: int = 0, max_time: float | None = None, max_steps: int | None = None
) -> ForwardKLFit:
    r"""Fit a distribution further to draws, by minimising the forward divergence.

    .. math:: KL(p \| q) = E_p[\log p(u) - \log q(u)]

    Only the mean of log q(u) depends on q. A fifth of the draws is held out for stopping; copies of a draw
    stay together. Normal distributions take the moments of the other draws; normal distributions with the
    tails of Student's t keep these where they make the draws likelier; all others are fitted by gradient
    descent.

    Parameters
    ----------
    q
        The distribution, in float64; it is not changed.
    u
        Draws, shape ``(n, d)``, finite.
    seed
        Of the split of the draws, and of the descent.
    max_time
        The most seconds.
    max_steps
        The most training steps; by default chosen by the number of draws.

    Raises
    ------
    UsageError
        If there are fewer than 10 (d + 1) distinct draws, or they do not vary.

    Examples
    --------
    >>> u = 3.0 + 2.0 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
    >>> found = minimise_forward_kl(normal(torch.zeros(1), torch.eye(1)), u)
    >>> found.gain > 4.0, found.distribution.transform.factor.round(decimals=1)
    (True, tensor([[2.]], dtype=torch.float64))
    """
    train, held_out = _divided(u, checked_seed(seed))
    closed_form = _closed_form_of(q)
    found: Distribution
    if closed_form is not None:
        found, steps = closed_form(q, train), 0
    else:
        found = copy.deepcopy(q)
        result = fit(
            found,
            train,
            held_out,
            noise=0.0,
            seed=seed,
            max_time=max_time,
            max_steps=max_steps,
            progress=False,
        )
        steps = result.history[-1].step
    with torch.no_grad():
        gain = float((found.log_prob(held_out) - q.log_prob(held_out)).mean())
    return ForwardKLFit(found, gain, steps) if gain > 0.0 else ForwardKLFit(q, 0.0, steps)


def _moments(q: Flow, u: Tensor) -> Flow:
    """Return the normal distribution with the mean and covariance of the draws."""
    return normal(u.mean(0), _factor(u - u.mean(0)))


@torch.no_grad()
def _expectation_maximisation(q: Any, u: Tensor) -> Flow:
    """Return the t distribution of highest likelihood with the same degrees, or the normal if it is likelier.

    References
    ----------
    Liu and Rubin 1995, ML estimation of the t distribution.
    """
    degrees, size = float(q.base.degrees), u.shape[1]
    gaussian = _moments(q, u)
    noise, units = SphericalT(size, degrees).double(), gaussian.transform
    for _ in range(_ROUNDS):
        weights = (degrees + size) / (degrees + units.forward(u)[0].square().sum(1))
        mean = weights @ u / weights.sum()
        units = units_of(mean, _factor(weights.sqrt()[:, None] * (u - mean)))
    return max(Flow(noise, units), gaussian, key=lambda each: float(each.log_prob(u).mean()))


def _independent_moments(q: Flow, u: Tensor) -> Flow:
    """Return the normal distribution with the means and variances of the draws."""
    moments = DiagonalNormal(u.shape[1]).double()
    moments.update(moments.statistics(u))
    affine = Affine(u.shape[1]).double()
    affine.load_state_dict({"shift": moments.mean, "log_scale": moments.log_scale})
    return Flow(q.base, affine.requires_grad_(False))


# By the types of the noise and of the map from it to draws.
_CLOSED_FORMS: dict[tuple[type[Distribution], type[Transform]], Callable[[Any, Tensor], Flow]] = {
    (StandardNormal, TriangularAffine): _moments,
    (StandardNormal, Affine): _independent_moments,
    (SphericalT, TriangularAffine): _expectation_maximisation,
}


def _closed_form_of(q: Distribution) -> Callable[[Any, Tensor], Flow] | None:
    return _CLOSED_FORMS.get((type(q.base), type(q.transform))) if isinstance(q, Flow) else None


def _factor(centred: Tensor) -> Tensor:
    """Return the Cholesky factor of the mean square, computed with all dimensions on the same scale."""
    scale = centred.square().mean(0).sqrt()
    scaled = centred / scale
    factor, failed = torch.linalg.cholesky_ex(scaled.mT @ scaled / len(scaled))
    if int(failed) or float(factor.diagonal().min()) < _DEPENDENT:
        raise UsageError(
            "a dimension of the draws is a linear combination of others",
            fix="give draws of the whole posterior",
        )
    result: Tensor = scale[:, None] * factor
    return result


def _divided(u: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return the draws to fit to, and those held out; copies of a draw, as in chains, stay together."""
    different, which = torch.unique(u, dim=0, return_inverse=True)
    fewest = _PER_DIMENSION * (u.shape[1] + 1)
    if len(different) < fewest:
        raise UsageError(
            f"{len(different)} different draws of {u.shape[1]} dimensions", fix=f"give {fewest} or more"
        )
    constant = different.std(0) <= 1e-14 * different.abs().amax(0)
    if bool(constant.any()):
        raise UsageError(
            f"draws do not vary in dimension {int(constant.nonzero()[0])} of the unconstrained vector",
            fix="give draws of the whole posterior",
        )
    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed))
    aside = torch.isin(which, order[: int(_HELD_OUT * len(different))])
    return u[~aside], u[aside]
