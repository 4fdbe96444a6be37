"""Fits with a prior, which maximise the log-likelihood plus the log-prior of the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from logpx.distributions import Distribution
from logpx.errors import DivergedError, UsageError
from logpx.training.batches import Batch

__all__ = ["LogPrior", "checked_log_prior", "climb_posterior"]

LogPrior = Callable[[Distribution], Tensor]

_ITERATIONS = 1000
_SLOPE = 1e-7


def checked_log_prior(log_prior: LogPrior, model: Distribution) -> LogPrior:
    """Return a log-prior after checking that it gives one finite number with a gradient for a model.

    Raises
    ------
    UsageError
        If it does not at the model's present parameters.
    """
    if not callable(log_prior):
        raise UsageError(
            f"the prior is a {type(log_prior).__name__}",
            fix="give a function from the model to the log-density of its parameters, or for a Gaussian "
            "mixture a logpx.latent.ConjugatePrior",
        )
    with torch.enable_grad():
        value = log_prior(model)
    if not isinstance(value, Tensor) or value.numel() != 1:
        shown = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(f"the prior returned {shown}", fix="return one number: sum over all parameters")
    if not bool(value.isfinite().all()):
        raise UsageError(
            f"the log-prior is {float(value)} at the model's parameters",
            fix="start from parameters that the prior allows",
        )
    if not value.requires_grad:
        raise UsageError(
            "the log-prior does not depend on any trained parameter",
            fix="compute it with torch from the model's own parameters",
        )
    return lambda given: log_prior(given).reshape(())


def climb_posterior(
    model: Distribution, blocks: Callable[[], Iterable[Batch]], rows: float, log_prior: LogPrior
) -> bool:
    """Maximise log-likelihood plus log-prior over all rows at once; return whether the gradient vanished.

    Uses the limited-memory method of Broyden, Fletcher, Goldfarb and Shanno, from the present parameters.

    Parameters
    ----------
    model
        Fitted in place.
    blocks
        Returns an iterator over all rows each time it is called.
    rows
        The total weight of the rows.
    log_prior
        The log-prior, in nats.

    Raises
    ------
    DivergedError
        If the sum does not stay finite; the parameters are then restored to the start.

    References
    ----------
    Nocedal and Wright 2006, Numerical optimization, chapter 7.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in parameters]
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=_ITERATIONS,
        max_eval=2 * _ITERATIONS,
        history_size=30,
        tolerance_grad=_SLOPE,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> float:
        optimiser.zero_grad()
        penalty = -log_prior(model) / rows
        torch.autograd.backward(penalty)
        total = float(penalty.detach())
        for block in blocks():
            log_prob = model.log_prob(block.x, block.context)
            weighted = log_prob if block.weights is None else log_prob * block.weights
            part = -weighted.sum() / rows
            torch.autograd.backward(part)
            total += float(part.detach())
        return total

    take: Any = optimiser.step
    final = take(loss)
    slope = max((float(p.grad.abs().max()) for p in parameters if p.grad is not None), default=0.0)
    optimiser.zero_grad()
    if not math.isfinite(float(loss())) or not math.isfinite(float(final)):
        _restore(parameters, start)
        raise DivergedError(
            "the log-likelihood plus the log-prior does not stay finite",
            fix="give a prior that is finite for all parameters, and proper where the data are uninformative",
        )
    optimiser.zero_grad()
    return slope < math.sqrt(_SLOPE)


@torch.no_grad()
def _restore(parameters: list[nn.Parameter], start: list[Tensor]) -> None:
    for parameter, value in zip(parameters, start, strict=True):
        parameter.copy_(value)
