"""The mean log-likelihood of rows, with its standard error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.training.batches import Batch
from logpx.training.broken_layer import broken_layer

__all__ = ["Score", "evaluate"]

EVALUATION_ROWS = 4096


@dataclass(frozen=True)
class Score:
    """A mean log-likelihood over rows, in nats.

    Parameters
    ----------
    mean
        The weighted mean log-likelihood.
    error
        Its standard error; infinite for a single row.
    bad_row
        The index, counted from 0, of the first row whose log-likelihood is not finite; None if all are.
    bad_layer
        The layer of the model that first returned a non-finite number for that row, if any.
    """

    mean: float
    error: float
    bad_row: int | None = None
    bad_layer: str | None = None


@torch.no_grad()
def evaluate(model: Distribution, batches: Iterable[Batch]) -> Score:
    """Return the mean log-likelihood of all rows, in the model's evaluation mode.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> x = torch.tensor([[0.0], [2.0]])
    >>> evaluate(StandardNormal(1), [Batch(x, torch.arange(2))])
    Score(mean=-1.9189..., error=1.0..., bad_row=None, bad_layer=None)
    """
    training = model.training
    model.eval()
    try:
        return _score(model, batches)
    finally:
        model.train(training)


def _score(model: Distribution, batches: Iterable[Batch]) -> Score:
    values, weights, bad_row, bad_layer = [], [], None, None
    for batch in batches:
        log_prob = model.log_prob(batch.x, batch.context).double()
        finite = torch.isfinite(log_prob)
        if bad_row is None and not bool(finite.all()):
            bad = batch.where(~finite)
            bad_row = int(bad.rows[0].item())
            bad_layer = broken_layer(model, partial(model.log_prob, bad.x[:1], _first(bad.context)))
        values.append(log_prob)
        weights.append(torch.ones_like(log_prob) if batch.weights is None else batch.weights.double())
    value, weight = torch.cat(values), torch.cat(weights)
    share = weight / weight.sum()
    mean = (share * value).sum()
    if len(value) == 1:
        return Score(mean.item(), math.inf, bad_row, bad_layer)
    variance = (share * share * (value - mean).square()).sum() * len(value) / (len(value) - 1)
    return Score(mean.item(), math.sqrt(variance.item()), bad_row, bad_layer)


def _first(context: Tensor | None) -> Tensor | None:
    return None if context is None else context[:1]
