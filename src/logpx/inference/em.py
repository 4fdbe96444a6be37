"""Expectation maximisation, one algorithm for every model that has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from logpx.errors import DivergedError

__all__ = ["EMModel", "EMResult", "expectation_maximisation"]

Batches = Callable[[], Iterable[tuple[Tensor, Tensor | None]]]


@runtime_checkable
class EMModel(Protocol):
    """What EM needs of a model: statistics that add up, an update from them, and the log-prior."""

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Any:
        """E-step: expected sufficient statistics of rows, with their ``log_likelihood`` and ``weight``."""

    def update(self, statistics: Any) -> None:
        """M-step."""

    def log_prior(self) -> Tensor:
        """Log-density of the prior at the parameters, up to a constant."""


@dataclass
class EMResult:
    """What happened in a run of EM.

    Attributes
    ----------
    log_likelihood : float
        Weighted mean of log p(x) over the rows, at the parameters that the model now has, in nats.
    history : list of float
        The penalised mean log-likelihood before each M-step; never falls.
    converged : bool
        Whether the gain per row fell below the tolerance.
    """

    log_likelihood: float = float("-inf")
    history: list[float] = field(default_factory=list)
    converged: bool = False


@torch.no_grad()
def expectation_maximisation(
    model: EMModel,
    batches: Batches,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-5,
    deadline: float | None = None,
) -> EMResult:
    """Alternate E- and M-steps until the mean penalised log-likelihood gains less than the tolerance per row.

    Parameters
    ----------
    model
        Fitted in place, from the parameters that it has.
    batches
        Called once per iteration; yields (rows, weights or None). One batch or many give the same result.
    max_iterations
        The most iterations.
    tolerance
        Smallest gain, in nats per row, worth another iteration.
    deadline
        A value of ``time.monotonic()`` after which no iteration starts.

    Returns
    -------
    EMResult
        Its log-likelihood is that of the parameters returned, not of those before the last M-step.

    Raises
    ------
    DivergedError
        If the log-likelihood is not finite.
    """
    result = EMResult()
    previous = float("-inf")
    while True:
        total = None
        for rows, weights in batches():
            part = model.statistics(rows, weights)
            total = part if total is None else total + part
        if total is None:
            raise DivergedError("EM was given no rows", fix="give at least one row")
        weight = float(total.weight)
        result.log_likelihood = float(total.log_likelihood) / weight
        penalised = result.log_likelihood + float(model.log_prior()) / weight
        if not torch.isfinite(torch.tensor(penalised)):
            raise DivergedError(
                "the log-likelihood of EM is not finite",
                fix="scale the columns, use fewer components, or a prior (prior_rows > 0)",
            )
        result.history.append(penalised)
        result.converged = penalised - previous < tolerance
        late = deadline is not None and time.monotonic() > deadline
        if result.converged or late or len(result.history) > max_iterations:
            return result
        previous = penalised
        model.update(total)
