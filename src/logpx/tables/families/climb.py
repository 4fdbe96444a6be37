"""EM within a time limit: on as many rows as the time allows, with an eye on the clock between chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.inference import EMResult, expectation_maximisation
from logpx.latent import LatentMixture, LinearGaussian

__all__ = ["Climb", "climb"]

# Up to this many numbers (cells times components) an E-step takes milliseconds.
_FEW_NUMBERS = 200_000
_PROBE_ROWS = 256
_PROBE_NUMBERS = 2_000_000
_LEAST_ROWS = 2000
# Fewer iterations than this on all rows are worth less than these on a part of them.
_ITERATIONS = 6
_SECONDS_PER_CHUNK = 0.1


@dataclass(frozen=True)
class Climb:
    """How far EM came.

    Attributes
    ----------
    result : EMResult
        What EM returned.
    remark : str
        What was cut short for lack of time; empty if nothing was.
    """

    result: EMResult
    remark: str


@torch.no_grad()
def climb(
    model: LatentMixture | LinearGaussian,
    rows: Tensor,
    deadline: float,
    start: Callable[[Tensor], object] | None = None,
    *,
    max_iterations: int,
    tolerance: float,
    accelerate: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Climb:
    """Run EM until it converges or time is up.

    Parameters
    ----------
    model
        Fitted in place.
    rows
        In random order, shape ``(n, d)``, float64.
    deadline
        A value of ``time.monotonic()``. If some six iterations on all rows would take longer, EM is given the
        first rows only, at least 2,000.
    start
        Sets the parameters that EM starts from, given the rows; None keeps those of the model.
    max_iterations, tolerance, accelerate
        As in `logpx.inference.expectation_maximisation`.
    should_stop
        Asked after each iteration.
    """
    seconds = _seconds_per_row(model, rows, start is not None)
    affordable = int((deadline - time.monotonic()) / (seconds * _ITERATIONS)) if seconds else len(rows)
    part = rows[: max(_LEAST_ROWS, affordable)]
    if start is not None:
        start(part)
    size = len(part) if seconds is None else max(_probe_rows(rows), int(_SECONDS_PER_CHUNK / seconds))

    def batches() -> Iterator[tuple[Tensor, None]]:
        return ((chunk, None) for chunk in torch.split(part, size))

    result = expectation_maximisation(
        model,
        batches,
        max_iterations=max_iterations,
        tolerance=tolerance,
        accelerate=accelerate,
        deadline=deadline,
        callback=lambda *_: should_stop(),
    )
    remarks = []
    iterations = max(1, len(result.history) - 1)
    if not result.converged and iterations < max_iterations and time.monotonic() > deadline:
        remarks.append(f"stopped by the time limit after {iterations} iteration{'s' * (iterations > 1)}")
    if len(part) < len(rows):
        remarks.append(f"fitted to a sample of {len(part):,} rows")
    return Climb(result, "; ".join(remarks))


def _seconds_per_row(model: LatentMixture | LinearGaussian, rows: Tensor, fresh: bool) -> float | None:
    """Return what a row of an E-step costs, from a few of them; None if there is too little to measure."""
    if rows.numel() * model.components <= _FEW_NUMBERS:
        return None
    if fresh:
        mixture = model.normal if isinstance(model, LinearGaussian) else model
        mixture.parts.initialise(rows)
    probe = rows[: _probe_rows(rows)]
    model.statistics(probe)
    began = time.monotonic()
    model.statistics(probe)
    return max(time.monotonic() - began, 1e-9) / len(probe)


def _probe_rows(rows: Tensor) -> int:
    """Return fewer rows the more columns there are, whose products cost most."""
    return max(16, min(_PROBE_ROWS, _PROBE_NUMBERS // rows.shape[1] ** 2))
