"""Whether importance weights can be trusted: the tail shape of the largest weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.errors import UsageError

__all__ = ["ends_flat", "k_hat", "k_hat_limit", "smoothed", "unseen_share"]

_FEWEST = 5
# In nats: weights so alike need no tail to be trusted.
_ALIKE = 1e-6


def k_hat(log_weights: Tensor) -> Tensor:
    r"""Return the shape k of a generalised Pareto distribution fitted to the largest weights.

    The weights have finite moments up to 1/k. Below `k_hat_limit`, estimates can be trusted; above, they miss
    rare large weights. If all weights that are not 0 are equal, as for an exact posterior, there is no tail,
    and k is minus infinity. Weights that tie with the threshold do not belong to the tail.

    Parameters
    ----------
    log_weights
        Shape ``(K, ...)``, up to an additive constant.

    Returns
    -------
    Tensor
        Shape ``(...)``, float64; NaN if there are fewer than 21 draws, so that the tail has fewer than five,
        or a log-weight is NaN, or all are minus infinity; plus infinity if one is that, or fewer than five
        exceed the threshold. Neither is below the limit.

    Notes
    -----
    The numbers are those of ArviZ, which says plus infinity for weights that are all equal, too, and for too
    few draws. Where only the largest ones tie and others are smaller, both say plus infinity: a tail that is
    cut off, such as of weights that were clipped or of a chain that stays where it is, is no reason to trust.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance sampling; Zhang and Stephens
    2009, A new and efficient estimation method for the generalized Pareto distribution.
    https://arxiv.org/abs/1507.02646

    Examples
    --------
    >>> k_hat(torch.zeros(100, 1))
    tensor([-inf], dtype=torch.float64)
    """
    if not log_weights.dim() or not len(log_weights):
        raise UsageError(f"log-weights of shape {tuple(log_weights.shape)}", fix="give shape (K, ...), K ≥ 1")
    flat = log_weights.detach().double().reshape(len(log_weights), -1)
    found = [_shape(column) for column in flat.T]
    return torch.stack(found).view(log_weights.shape[1:]) if found else flat.new_empty(log_weights.shape[1:])


def k_hat_limit(draws: int) -> float:
    """Return the limit below which `k_hat` must be for a number of draws: 0.7, and less for few draws.

    Examples
    --------
    >>> round(k_hat_limit(100), 2), k_hat_limit(100_000)
    (0.5, 0.7)
    """
    return min(1.0 - 1.0 / math.log10(max(draws, 2)), 0.7)


def smoothed(log_weights: Tensor) -> Tensor:
    """Return log-weights with the largest replaced by quantiles of the fitted distribution, in order.

    None exceeds the largest original weight; without a tail to fit, all stay as they are.

    Parameters
    ----------
    log_weights
        Shape ``(K,)``.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance sampling.
    https://arxiv.org/abs/1507.02646

    Examples
    --------
    >>> smoothed(torch.zeros(100)).unique()
    tensor([0.], dtype=torch.float64)
    """
    weights = log_weights.detach().double()
    if not bool(torch.isfinite(_shape(weights))):
        return weights
    order = weights.argsort()
    highest = weights[order[-1]]
    threshold, excess = _exceeding(weights[order] - highest)
    shape, scale = _pareto(excess)
    tail = len(excess)
    places = (torch.arange(tail, dtype=weights.dtype, device=weights.device) + 0.5) / tail
    steps = -torch.log1p(-places)
    drawn = scale * (torch.expm1(shape * steps) / shape if float(shape) != 0.0 else steps)
    result = weights.clone()
    result[order[-tail:]] = highest + (threshold + drawn).log().clamp_max(0.0)
    return result


def ends_flat(log_weights: Tensor, within: float = _ALIKE) -> bool:
    """Return whether as many draws as make a tail share the largest weight, up to so many nats.

    `k_hat` of such weights is plus infinity unless all are equal, since they may have been clipped. Where
    they were not, and draws are independent, there are no larger ones to come.

    Parameters
    ----------
    log_weights
        Shape ``(K,)``.
    within
        In nats.

    Examples
    --------
    >>> ends_flat(torch.arange(1000.0).clamp_max(800.0)), ends_flat(torch.arange(1000.0))
    (True, False)
    """
    weights = log_weights.detach().double()
    tail = _tail(len(weights))
    if tail < _FEWEST or not bool(weights.max().isfinite()):
        return False
    return bool(weights.topk(tail + 1).values[-1] > weights.max() - within)


def unseen_share(log_weights: Tensor) -> float:
    """Return how much of the mean weight lies in weights larger than any that was drawn, as the tail says.

    A mean of few large weights is most often too small, and its standard error, found from the same weights,
    too: neither knows of weights that were not drawn. The fitted tail does.

    Parameters
    ----------
    log_weights
        Shape ``(K,)``.

    Returns
    -------
    float
        In units of the mean weight; 0 if the largest weights are equal, infinity if their tail has no mean or
        cannot be fitted.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance sampling.
    https://arxiv.org/abs/1507.02646

    Examples
    --------
    >>> unseen_share(torch.zeros(100))
    0.0
    """
    weights = log_weights.detach().double()
    if ends_flat(weights):
        return 0.0
    shape = float(_shape(weights))
    if not shape < 1.0:
        return math.inf
    values = weights.sort().values
    threshold, excess = _exceeding(values - values[-1])
    scale, count = float(_pareto(excess)[1]), len(excess)
    # The quantile beyond which one in all the tail's draws lies, and the mean beyond it.
    steps = math.log(count)
    quantile = scale * (math.expm1(shape * steps) / shape if shape else steps)
    beyond = float(threshold) + quantile + (scale + shape * quantile) / (1.0 - shape)
    return beyond / float((values - values[-1]).exp().sum())


def _tail(count: int) -> int:
    return min(math.ceil(0.2 * count), math.ceil(3.0 * math.sqrt(count)))


def _shape(log_weights: Tensor) -> Tensor:
    infinite = log_weights.new_tensor(math.inf)
    if _tail(len(log_weights)) < _FEWEST or bool(log_weights.isnan().any() | log_weights.isneginf().all()):
        return log_weights.new_tensor(math.nan)
    if bool(log_weights.isposinf().any()):
        return infinite
    values = log_weights.sort().values
    rounding = 64 * torch.finfo(values.dtype).eps * max(1.0, abs(float(values[-1])))
    _, excess = _exceeding(values - values[-1])
    # The largest are equal up to the rounding of the log-weights themselves: there is no tail to be seen.
    if not len(excess) or not bool(excess[-1] > rounding):
        spread = values[-1] - values[values > -math.inf][0]
        return -infinite if bool(spread <= max(rounding, _ALIKE)) else infinite
    return infinite if len(excess) < _FEWEST else _pareto(excess)[0]


def _exceeding(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tail's threshold, and by how much weights exceed it, from sorted log-weights up to 0."""
    least = math.log(torch.finfo(values.dtype).tiny)
    threshold = values[-_tail(len(values)) - 1].clamp_min(least)
    return threshold.exp(), values[values > threshold].exp() - threshold.exp()


def _pareto(excess: Tensor) -> tuple[Tensor, Tensor]:
    """Return shape and scale by the estimate of Zhang and Stephens; the shape has a weak prior at 0.5."""
    count = len(excess)
    points = 30 + int(math.sqrt(count))
    grid = torch.arange(1, points + 1, dtype=excess.dtype, device=excess.device)
    quartile = excess[int(count / 4.0 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - torch.sqrt(points / (grid - 0.5))) / (3.0 * quartile)
    shapes = torch.log1p(-theta[:, None] * excess).mean(1)
    profile = count * (torch.log(-theta / shapes) - shapes - 1.0)
    weights = torch.softmax(profile, 0)
    best = (weights * theta).sum()
    shape = torch.log1p(-best * excess).mean()
    return (shape * count + 0.5 * 10.0) / (count + 10.0), -shape / best
