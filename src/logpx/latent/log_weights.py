r"""Bounds from log-weights :math:`\log w_k = \log p(x, z_k) - \log q(z_k \mid x)`, for K draws of z from q.

All functions take log-weights of shape ``(K, ...)`` and reduce the first dimension. The mean of the weights
is an unbiased estimate of p(x), whatever q is; by Jensen's inequality its logarithm is on average too low
an estimate of log p(x).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.errors import UsageError

__all__ = [
    "ciwae",
    "dreg",
    "effective_sample_size",
    "elbo",
    "iwae",
    "iwae_error",
    "jackknife",
    "miwae",
    "stl",
]


def elbo(log_weights: Tensor) -> Tensor:
    """Return the evidence lower bound in nats: the mean of the log-weights.

    Examples
    --------
    >>> elbo(torch.tensor([[0.0], [2.0]]))
    tensor([1.])
    """
    return _checked(log_weights).mean(0)


def iwae(log_weights: Tensor) -> Tensor:
    """Return the importance-weighted bound in nats: the log of the mean of the weights.

    Its expectation does not fall with K, and is at most log p(x).

    References
    ----------
    Burda, Grosse and Salakhutdinov 2016, Importance weighted autoencoders, equation 8.
    https://arxiv.org/abs/1509.00519

    Examples
    --------
    >>> iwae(torch.tensor([[0.0], [2.0]]))
    tensor([1.4338])
    """
    return torch.logsumexp(_checked(log_weights), 0) - math.log(len(log_weights))


def miwae(log_weights: Tensor, groups: int) -> Tensor:
    """Return the mean of the importance-weighted bounds of equal groups of draws.

    Parameters
    ----------
    log_weights
        Shape ``(K, ...)``.
    groups
        How many groups; 1 is `iwae`, K is `elbo`.

    Raises
    ------
    UsageError
        If the groups cannot be equal.

    References
    ----------
    Rainforth et al. 2018, Tighter variational bounds are not necessarily better.
    https://arxiv.org/abs/1802.04537

    Examples
    --------
    >>> miwae(torch.tensor([[0.0], [2.0], [0.0], [2.0]]), groups=2)
    tensor([1.4338])
    """
    count = len(_checked(log_weights))
    if groups < 1 or count % groups:
        raise UsageError(f"{groups} groups of {count} draws", fix=f"give a divisor of {count}")
    grouped = log_weights.reshape(groups, count // groups, *log_weights.shape[1:])
    return iwae(grouped.transpose(0, 1)).mean(0)


def ciwae(log_weights: Tensor, share: float) -> Tensor:
    """Return a convex combination of `elbo`, with weight `share`, and `iwae`.

    References
    ----------
    Rainforth et al. 2018, Tighter variational bounds are not necessarily better.
    https://arxiv.org/abs/1802.04537

    Examples
    --------
    >>> ciwae(torch.tensor([[0.0], [2.0]]), share=0.5)
    tensor([1.2169])
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"share is {share}", fix="give a number from 0 to 1")
    return share * elbo(log_weights) + (1.0 - share) * iwae(log_weights)


def dreg(log_weights: Tensor, z: Tensor) -> Tensor:
    r"""Return the value of `iwae`, with the doubly reparameterised gradient.

    The gradient of everything that z does not depend on (the decoder) is that of `iwae`; the gradient through
    z is weighted by :math:`\tilde w_k^2`, and unbiased if the parameters of q are detached inside log q. Its
    variance does not grow with K.

    Parameters
    ----------
    log_weights
        Shape ``(K, *batch)``, with the parameters of q detached inside log q(z given x).
    z
        The draws behind the log-weights, shape ``(K, *batch, q)``, reparameterised.

    References
    ----------
    Tucker et al. 2019, Doubly reparameterized gradient estimators for Monte Carlo objectives, equation 8.
    https://arxiv.org/abs/1810.04152
    """
    normalised = torch.softmax(_checked(log_weights), 0).detach()
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * normalised.unsqueeze(-1))  # type: ignore[no-untyped-call]
    surrogate = (normalised * log_weights).sum(0)
    return surrogate + (iwae(log_weights) - surrogate).detach()


def stl(log_weights: Tensor) -> Tensor:
    """Return the value of `elbo`, with the sticking-the-landing gradient, which omits the score of q.

    Parameters
    ----------
    log_weights
        Shape ``(K, *batch)``, with the parameters of q detached inside log q(z given x), so that only the
        path through z is left. The variance of that gradient vanishes as q becomes exact.

    References
    ----------
    Roeder, Wu and Duvenaud 2017, Sticking the landing.
    https://arxiv.org/abs/1703.09194

    Examples
    --------
    >>> stl(torch.tensor([[0.0], [2.0]]))
    tensor([1.])
    """
    return elbo(log_weights)


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""Return how many equal weights would say as much, between 1 and K: :math:`(\sum w)^2 / \sum w^2`.

    It cannot see regions that no draw has hit.

    References
    ----------
    Kong 1992, A note on importance sampling using standardized weights.

    Examples
    --------
    >>> effective_sample_size(torch.tensor([[0.0], [0.0], [-99.0]]))
    tensor([2.])
    """
    return torch.exp(2.0 * torch.logsumexp(_checked(log_weights), 0) - torch.logsumexp(2.0 * log_weights, 0))


def iwae_error(log_weights: Tensor) -> Tensor:
    """Return the standard error of `iwae` by the delta method; NaN for one draw, 0 where all weights are 0.

    Examples
    --------
    >>> iwae_error(torch.tensor([[0.0], [0.0]]))
    tensor([0.])
    """
    count = len(_checked(log_weights))
    if count == 1:
        return torch.full_like(log_weights[0], math.nan)
    spread = (count * torch.softmax(log_weights, 0) - 1.0).square().sum(0) / (count - 1)
    return (spread / count).sqrt().masked_fill(log_weights.isneginf().all(0), 0.0)


def jackknife(log_weights: Tensor) -> Tensor:
    r"""Return `iwae` with the leading term of its bias removed.

    :math:`K L_K - (K - 1) \, \overline{L_{K-1}}`, where the mean leaves out each draw in turn. It is an
    estimate, not a bound, and meaningful only if no weight dominates: if one does, and for a single draw, it
    is `iwae`.

    References
    ----------
    Nowozin 2018, Debiasing evidence approximations: on importance-weighted autoencoders and jackknife
    variational inference.
    https://openreview.net/forum?id=HyZoi-WRb

    Examples
    --------
    >>> log_weights = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    >>> bool(jackknife(log_weights) > iwae(log_weights))
    True
    """
    count = len(_checked(log_weights))
    bound = iwae(log_weights)
    if count == 1:
        return bound
    normalised = torch.softmax(log_weights, 0)
    without = torch.logsumexp(log_weights, 0) + torch.log1p(-normalised) - math.log(count - 1)
    corrected = count * bound - (count - 1) * without.mean(0)
    return torch.where(normalised.amax(0) < 0.5, corrected, bound)


def _checked(log_weights: Tensor) -> Tensor:
    if not log_weights.dim() or not len(log_weights):
        raise UsageError(
            f"log-weights of shape {tuple(log_weights.shape)}", fix="give shape (K, ...), with K ≥ 1"
        )
    return log_weights
