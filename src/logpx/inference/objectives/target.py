"""A log-density given as a function, and checks of what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from logpx.arguments import is_number
from logpx.errors import UsageError

__all__ = ["LogDensity", "checked_normaliser", "evaluate_log_density"]

LogDensity = Callable[[Tensor], Tensor]

_SHOWN = 6


def evaluate_log_density(log_density: LogDensity, x: Tensor, rows: torch.Size) -> Tensor:
    """Evaluate a log-density at points, and check that it returns one finite number per point.

    Parameters
    ----------
    log_density
        The function.
    x
        The points, shape ``(*rows, *event_shape)``.
    rows
        The leading shape.

    Raises
    ------
    UsageError
        If it is not a function of a tensor, returns anything but a tensor of shape `rows` (shape ``(n, 1)``
        would broadcast into n² numbers), or is not finite at a point, which is named.

    Examples
    --------
    >>> evaluate_log_density(lambda x: -x.abs().sum(-1), torch.ones(3, 2), torch.Size([3]))
    tensor([-2., -2., -2.])
    """
    if isinstance(log_density, torch.nn.Module) and hasattr(log_density, "log_prob"):
        raise UsageError(
            f"log_density is a {type(log_density).__name__}, where a function was expected",
            fix="pass its method: log_density=distribution.log_prob",
        )
    if not callable(log_density):
        raise UsageError(
            f"log_density is a {type(log_density).__name__}, where a function was expected",
            fix="pass a function of a tensor of points that returns one log-density per point",
        )
    value = log_density(x)
    if not isinstance(value, Tensor):
        raise UsageError(
            f"log_density returned a {type(value).__name__}, where a tensor was expected",
            fix="compute it with torch, so that gradients can pass through it",
        )
    if value.shape != rows:
        raise UsageError(
            f"log_density returned shape {tuple(value.shape)} for {tuple(x.shape)} points, "
            f"where {tuple(rows)} was expected",
            fix="return one number per point: sum over the last dimension, or squeeze it away",
        )
    if value.is_complex():
        raise UsageError(
            f"log_density returned {value.dtype}, where real numbers were expected",
            fix="return the real part of what it computes, if that is the log-density",
        )
    _check_finite(value, x)
    return value


def checked_normaliser(log_normaliser: float | Tensor) -> float | Tensor:
    """Return a log-normaliser after checking that it is one finite number.

    Raises
    ------
    UsageError
        If it is not.

    Examples
    --------
    >>> checked_normaliser(1.5)
    1.5
    """
    value = log_normaliser.detach() if isinstance(log_normaliser, Tensor) else log_normaliser
    number = value.dim() == 0 if isinstance(value, Tensor) else is_number(value)
    if not number or not math.isfinite(value):
        raise UsageError(
            f"log_normaliser is {log_normaliser!r}, where one finite number was expected",
            fix="give log Z in nats, or leave it out if it is unknown",
        )
    return log_normaliser


def _check_finite(value: Tensor, x: Tensor) -> None:
    lost = ~torch.isfinite(value.detach())
    if not lost.any():
        return
    number = int(lost.flatten().nonzero()[0])
    point = x.detach().reshape(value.numel(), -1)[number]
    shown = ", ".join(f"{float(entry):.6g}" for entry in point[:_SHOWN])
    more = ", ..." if len(point) > _SHOWN else ""
    found = float(value.detach().flatten()[number])
    raise UsageError(
        f"log_density is {found} at the point ({shown}{more}), and not finite at {int(lost.sum())} of "
        f"{value.numel()} points",
        row=number + 1,
        fix="give a density that is positive wherever the model draws; where its support is bounded, let the "
        "flow's transform begin with a map from it, such as Logit, or Inverse(Exp) for positive numbers"
        if found == -math.inf
        else "make log_density finite for every finite point",
    )
