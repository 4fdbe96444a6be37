"""Expectation maximisation: one algorithm for every model that supports it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from logpx.errors import DivergedError
from logpx.inference.squarem import Extrapolation

__all__ = ["Batches", "EMModel", "EMResult", "expectation_maximisation"]

Batches = Callable[[], Iterable[tuple[Tensor, Tensor | None]]]

# Rounding of sums over many rows; anything more is a fall.
_ROUNDING = 1e-9
# How many iterations in a row without a jump have to agree that accelerated EM has converged.
_PLAIN = 4


@runtime_checkable
class EMModel(Protocol):
    """What EM needs from a model: statistics that can be added, an update from them, and a log-prior."""

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Any:
        """E-step: expected sufficient statistics of rows, with their ``log_likelihood`` and ``weight``."""

    def update(self, statistics: Any) -> None:
        """M-step: set the parameters from the statistics."""

    def log_prior(self) -> Tensor:
        """Log-density of the prior at the parameters, up to a constant."""


@dataclass(kw_only=True)
class EMResult:
    """The result of a run of EM.

    Attributes
    ----------
    log_likelihood : float
        Weighted mean of log p(x) over the rows, at the model's present parameters, in nats.
    history : list of float
        The penalised mean log-likelihood before each M-step; it never falls.
    converged : bool
        Whether the remaining gain fell below the tolerance.
    largest_fall : float
        The largest fall of the penalised mean log-likelihood from one iteration to the next, beyond
        rounding; 0 unless the model's M-step fails to maximise the expectation of its E-step.
    statistics : object
        The statistics of the last E-step, at the model's present parameters.
    """

    log_likelihood: float = float("-inf")
    history: list[float] = field(default_factory=list)
    converged: bool = False
    largest_fall: float = 0.0
    statistics: Any = None

    @property
    def penalised(self) -> float:
        """The last penalised mean log-likelihood, in nats per row."""
        return self.history[-1] if self.history else float("-inf")


@torch.no_grad()
def expectation_maximisation(
    model: EMModel,
    batches: Batches,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-6,
    deadline: float | None = None,
    accelerate: bool = False,
    callback: Callable[[int, float], bool | None] | None = None,
) -> EMResult:
    r"""Alternate E- and M-steps until hardly any gain remains.

    Gains shrink by a nearly constant factor r, so that after a gain g about :math:`g\,r / (1 - r)` is left
    (Aitken 1926; Böhning et al. 1994). EM ends when that and g itself are less than the tolerance times the
    larger of 1 and the absolute mean log-likelihood per row; accelerated EM also needs four iterations in a
    row without a jump.

    Parameters
    ----------
    model
        Fitted in place, starting from its parameters.
    batches
        Called once per iteration; yields (rows, weights or None). One batch or many give the same result.
    max_iterations
        The most iterations.
    tolerance
        Relative, per row; below 0, all iterations are run.
    deadline
        A value of ``time.monotonic()`` at which EM ends, after the batch that it is at. An E-step under way
        is abandoned, unless it is the first: the model keeps the parameters of the last M-step.
    accelerate
        Extrapolate the parameters of a torch module after every second iteration (SQUAREM). A jump that does
        not raise the likelihood is undone, so that EM stays monotone.
    callback
        Called with the iteration and the penalised mean log-likelihood; returning true ends EM.

    Returns
    -------
    EMResult
        Its log-likelihood is that of the final parameters, not of those before the last M-step, unless the
        deadline fell between the two.

    Raises
    ------
    DivergedError
        If there are no rows, or the log-likelihood is not finite.
    """
    result = EMResult()
    extrapolation = Extrapolation(model) if accelerate and isinstance(model, nn.Module) else None
    gain, plain = math.inf, 0
    while True:
        # Without a first E-step nothing would be known of the model.
        until = deadline if result.history else None
        try:
            total, penalised = _e_step(model, batches, until)
        except _TimeIsUp:
            if extrapolation is not None and extrapolation.pending:
                extrapolation.judge(worse=True)
            return result
        except (DivergedError, RuntimeError):
            if extrapolation is None or not extrapolation.pending:
                raise
            total, penalised = None, -math.inf
        jumped = False
        if extrapolation is not None and extrapolation.pending:
            worse = not penalised >= result.penalised - _ROUNDING * abs(result.penalised)
            extrapolation.judge(worse)
            jumped = not worse
            if worse:
                try:
                    total, penalised = _e_step(model, batches, until)
                except _TimeIsUp:
                    return result
        result.statistics = total
        result.log_likelihood = float(total.log_likelihood) / float(total.weight)
        previous = result.penalised
        result.history.append(penalised)
        last, gain = gain, penalised - previous
        scale = max(1.0, abs(penalised))
        if gain < -_ROUNDING * scale:
            result.largest_fall = max(result.largest_fall, -gain)
        # Only gains of plain EM predict the next ones, and the first after a jump repairs its errors.
        plain = 0 if jumped else plain + 1
        small = (_to_come(last, gain) if plain > 1 else gain) < tolerance * scale
        if extrapolation is not None:
            extrapolation.resting = small
        result.converged = small and (extrapolation is None or plain >= _PLAIN)
        late = deadline is not None and time.monotonic() > deadline
        stop = callback is not None and bool(callback(len(result.history) - 1, penalised))
        if result.converged or late or stop or len(result.history) > max_iterations:
            return result
        model.update(total)
        if extrapolation is not None:
            extrapolation.step()


class _TimeIsUp(Exception):
    """An E-step was abandoned."""


def _e_step(model: EMModel, batches: Batches, deadline: float | None) -> tuple[Any, float]:
    total = None
    for rows, weights in batches():
        if deadline is not None and time.monotonic() > deadline:
            raise _TimeIsUp
        part = model.statistics(rows, weights)
        total = part if total is None else total + part
    if total is None or not float(total.weight) > 0.0:
        raise DivergedError(
            "EM was given no rows", fix="give at least one row that has a value and a weight above 0"
        )
    weight = float(total.weight)
    penalised = (float(total.log_likelihood) + float(model.log_prior())) / weight
    if not math.isfinite(penalised):
        raise DivergedError(
            "the log-likelihood of EM is not finite",
            fix="scale the columns, use fewer components, or give a prior",
        )
    return total, penalised


def _to_come(last: float, gain: float) -> float:
    """Return the likelihood still to gain, predicted from two gains, and no less than the last one."""
    if not math.isfinite(gain) or gain <= 0.0:
        return gain
    if not math.isfinite(last) or gain >= last:
        return math.inf
    return max(gain, gain * gain / (last - gain))
