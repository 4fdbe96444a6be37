"""Online EM: an M-step after every batch, from a running average of statistics."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from logpx.arguments import check_number
from logpx.errors import DivergedError, UsageError
from logpx.inference.em import Batches, EMModel, EMResult

__all__ = ["online_expectation_maximisation"]


@torch.no_grad()
def online_expectation_maximisation(
    model: EMModel,
    batches: Batches,
    *,
    passes: int = 1,
    exponent: float = 0.7,
    delay: float = 1.0,
    deadline: float | None = None,
) -> EMResult:
    r"""Update a model after every batch, from statistics averaged over the batches so far.

    The statistics of batch t, per row, have the weight :math:`\gamma_t = (t + d)^{-\alpha}` and the average
    before them :math:`1 - \gamma_t`; the first batch has the weight 1. Unlike EM over all rows this is not
    monotone, but one pass over a long table gets far.

    Parameters
    ----------
    model
        Fitted in place, starting from its parameters.
    batches
        Called once per pass; yields (rows, weights or None). A batch should have many more rows than there
        are components.
    passes
        The number of passes over all batches.
    exponent
        α, above 0.5 and at most 1, so that the average converges.
    delay
        d, 0 or more: how slowly the first batches are forgotten.
    deadline
        A value of ``time.monotonic()`` after which no batch is used.

    Returns
    -------
    EMResult
        Its history holds the mean log-likelihood of each batch before its update, in nats per row.

    Raises
    ------
    UsageError
        If the exponent, the delay or the number of passes is out of range.
    DivergedError
        If there are no rows, or the log-likelihood is not finite.

    References
    ----------
    Cappé and Moulines 2009, Online expectation-maximization algorithm for latent data models.
    https://arxiv.org/abs/0712.4273

    Examples
    --------
    >>> from logpx.latent import GaussianMixture
    >>> x = torch.randn(4000, 2).double()
    >>> mixture = GaussianMixture(components=2, features=2).double()
    >>> mixture.initialise_components(x[:500])
    >>> result = online_expectation_maximisation(mixture, lambda: ((part, None) for part in x.split(500)))
    >>> len(result.history)
    8
    """
    check_number("exponent", exponent)
    check_number("delay", delay)
    if not 0.5 < exponent <= 1.0 or delay < 0.0 or passes < 1:
        raise UsageError(
            f"exponent {exponent}, delay {delay} and {passes} passes",
            fix="give an exponent above 0.5 and at most 1, a delay of 0 or more, and one pass or more",
        )
    result = EMResult()
    average: Any = None
    whole = 0.0
    for number in range(passes):
        seen = 0.0
        for rows, weights in batches():
            if deadline is not None and time.monotonic() > deadline and average is not None:
                return result
            part = model.statistics(rows, weights)
            weight = float(part.weight)
            if not weight > 0.0:
                continue
            result.log_likelihood = float(part.log_likelihood) / weight
            if not math.isfinite(result.log_likelihood):
                raise DivergedError(
                    "the log-likelihood of a batch is not finite",
                    fix="scale the columns, use larger batches, or give a prior",
                )
            step = (len(result.history) + 1.0 + delay) ** -exponent
            result.history.append(result.log_likelihood)
            seen += weight
            part = part * (1.0 / weight)
            average = part if average is None else average * (1.0 - step) + part * step
            # A prior is weighed against rows: those of a whole pass, or those seen so far in the first one.
            model.update(average * (whole if number else seen))
        whole = seen
    if average is None:
        raise DivergedError("EM was given no rows", fix="give at least one row")
    result.statistics = average
    return result
