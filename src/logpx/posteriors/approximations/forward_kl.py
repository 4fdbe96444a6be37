"""Forward KL: an approximation fitted further, by maximum likelihood of draws from the posterior."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor

from logpx.distributions import DiagonalNormal, Distribution, FullNormal, StandardNormal
from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError
from logpx.posteriors.approximations.heavy_tails import SphericalT
from logpx.posteriors.moved import Moved
from logpx.training import fit

__all__ = ["Likeliest", "likeliest"]

_HELD_OUT = 0.2
_PER_DIMENSION = 10
_DEPENDENT = 1e-7
_ROUNDS = 50


@dataclass(frozen=True)
class Likeliest:
    """What maximum likelihood of draws has made of a distribution.

    Attributes
    ----------
    distribution : Distribution
        The fitted one; the one given where the draws that were held out are no likelier by it.
    gain : float
        By how much the fit has lowered the forward KL divergence on the draws held out, in nats; 0 where
        it did not.
    steps : int
        Training steps; 0 where there is a closed form.
    """

    distribution: Distribution
    gain: float
    steps: int


def likeliest(
    q: Distribution, u: Tensor, seed: int = 0, max_time: float | None = None, max_steps: int | None = None
) -> Likeliest:
    r"""Fit a distribution to draws, from where it is, by the lowest forward divergence.

    .. math:: KL(p \| q) = E_p[\log p(u) - \log q(u)]

    Only the mean of log q(u) depends on q. A fifth of the draws, copies of one another together, is held out
    to stop on. Normal distributions get the moments of the others; those that were given the tails of
    Student's t keep them where draws are likelier with them; all else descends by gradients.

    Parameters
    ----------
    q
        The distribution, which is left as it is.
    u
        Draws, shape ``(n, d)``, finite.
    seed
        Of the division of draws, and of the descent.
    max_time
        The most seconds.
    max_steps
        The most training steps; by default as many as suit the number of draws.

    Raises
    ------
    UsageError
        If there are fewer than 10 (d + 1) different draws, or they do not vary.

    Examples
    --------
    >>> u = 3.0 + 2.0 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
    >>> q = Moved(StandardNormal(1).double(), torch.zeros(1), torch.eye(1))
    >>> found = likeliest(q, u)
    >>> found.gain > 4.0, found.distribution.factor.round(decimals=1)
    (True, tensor([[2.]], dtype=torch.float64))
    """
    train, held_out = _divided(u, checked_seed(seed))
    moved = q if isinstance(q, Moved) else Moved(q, u.new_zeros(u.shape[1]), torch.eye(u.shape[1]).to(u))
    found, steps = _fitted(moved.inside, moved, train, _Effort(held_out, seed, max_time, max_steps))
    with torch.no_grad():
        gain = float((found.log_prob(held_out) - q.log_prob(held_out)).mean())
    return Likeliest(found, gain, steps) if gain > 0.0 else Likeliest(q, 0.0, steps)


@dataclass(frozen=True)
class _Effort:
    """What a descent stops on."""

    held_out: Tensor
    seed: int
    max_time: float | None
    max_steps: int | None


@singledispatch
def _fitted(inside: Distribution, q: Moved, u: Tensor, effort: _Effort) -> tuple[Moved, int]:
    """Return the likeliest of the family that q is of, and the training steps: here by gradients."""
    size = u.shape[1]
    # In a wrapper: a flow that has been trained is not to take the scale of its first rows again.
    model = Moved(copy.deepcopy(inside), u.new_zeros(size), torch.eye(size).to(u))
    result = fit(
        model,
        q.within(u),
        q.within(effort.held_out),
        noise=0.0,
        seed=effort.seed,
        max_time=effort.max_time,
        max_steps=effort.max_steps,
        progress=False,
    )
    return Moved(model.inside, q.shift, q.factor), result.history[-1].step


@_fitted.register(StandardNormal)
@_fitted.register(FullNormal)
def _normal(inside: StandardNormal | FullNormal, q: Moved, u: Tensor, effort: _Effort) -> tuple[Moved, int]:
    return Moved(StandardNormal(u.shape[1]).double(), u.mean(0), _factor(u - u.mean(0))), 0


@_fitted.register
def _t(inside: SphericalT, q: Moved, u: Tensor, effort: _Effort) -> tuple[Moved, int]:
    # By EM: Liu and Rubin 1995, ML estimation of the t distribution, with its degrees of freedom fixed.
    degrees, size = float(inside.degrees), u.shape[1]
    normal = Moved(StandardNormal(size).double(), u.mean(0), _factor(u - u.mean(0)))
    found = Moved(inside, normal.shift, normal.factor)
    for _ in range(_ROUNDS):
        weights = (degrees + size) / (degrees + found.within(u).double().square().sum(1))
        mean = weights @ u / weights.sum()
        found = Moved(inside, mean, _factor(weights.sqrt()[:, None] * (u - mean)))
    return max(found, normal, key=lambda each: float(each.log_prob(u).mean())), 0


@_fitted.register
def _independent(inside: DiagonalNormal, q: Moved, u: Tensor, effort: _Effort) -> tuple[Moved, int]:
    found = copy.deepcopy(inside)
    found.update(found.statistics(q.within(u)))
    return Moved(found, q.shift, q.factor), 0


def _factor(centred: Tensor) -> Tensor:
    """Return the Cholesky factor of the mean square, found in units in which dimensions are alike."""
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
    """Return the draws to learn from, and those held out; copies, which chains hold, stay together."""
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
