"""How a user's function is called: with many points or one, and with or without torch's own checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from logpx.errors import UsageError
from logpx.suggestions import suggestion

__all__ = ["over_points", "validating"]


@contextmanager
def validating(wanted: bool) -> Iterator[None]:
    """Turn the argument checks of torch's distributions off, or leave them as they are."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(wanted and before)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def over_points(
    function: Callable[..., Tensor],
    name: str,
    natural: Callable[[Tensor], Any],
    size: int,
    vectorised: bool | None = None,
    *example: Any,
) -> Callable[..., Tensor]:
    """Return a function of many points: the one given, with its errors named, or mapped over points.

    Parameters
    ----------
    function
        Takes parameters in their own units, and perhaps further arguments that are the same for all points;
        returns ``(n, ...)`` for n points, or ``(...)`` for one.
    name
        The function's name in error messages.
    natural
        From unconstrained vectors ``(n, size)`` to parameters.
    size
        The length of the vector.
    vectorised
        Whether it takes many points; None finds out by trying.
    example
        Further arguments to try it with.

    Raises
    ------
    UsageError
        If it is not a function; later, if it does not return a tensor, or a distribution refuses its
        parameters.

    Examples
    --------
    >>> squares = over_points(lambda x: x @ x, "log_density", lambda u: u, 3)
    >>> squares(torch.ones(2, 3))
    tensor([3., 3.])
    """
    if not callable(function):
        raise UsageError(
            f"{name} is a {type(function).__name__}, where a function was expected",
            fix="give a function from parameters to a log-density, in torch",
        )

    def checked(theta: Any, *rest: Any) -> Tensor:
        with _refusals_named(name, theta):
            value: Any = function(theta, *rest)
        if not isinstance(value, Tensor):
            raise UsageError(
                f"{name} returned a {type(value).__name__}, where a tensor was expected",
                fix="compute it with torch, so that gradients can pass through it",
            )
        return value

    if vectorised is None:
        vectorised = _takes_many(lambda theta: checked(theta, *example), natural, size)
    if vectorised:
        return checked

    def mapped(theta: Any, *rest: Any) -> Tensor:
        try:
            return torch.func.vmap(lambda one: checked(one, *rest))(theta)
        except RuntimeError as error:
            if not str(error).startswith("vmap:"):
                raise
            raise UsageError(
                f"{name} takes one point, and cannot be mapped over many: {str(error)[6:].split('. ')[0]}",
                fix="write it for many points, each tensor with a leading dimension; or without .item(), and "
                "with torch.where in place of if",
            ) from None

    return mapped


@contextmanager
def _refusals_named(name: str, theta: Any) -> Iterator[None]:
    """Turn errors about parameters that do not exist, or that distributions refuse, into what to do."""
    try:
        yield
    except KeyError as error:
        wanted = error.args[0] if error.args else None
        if not isinstance(theta, Mapping) or not isinstance(wanted, str) or wanted in theta:
            raise
        raise UsageError(
            f"{name} asks for the parameter {wanted!r}, which is not among those given",
            fix=suggestion(wanted, list(theta)),
        ) from None
    except ValueError as error:
        if isinstance(error, UsageError) or not any(
            phrase in str(error) for phrase in ("satisfy the constraint", "within the support")
        ):
            raise
        raise UsageError(
            f"{name} refuses parameters: {' '.join(str(error).split())[:200]}",
            fix="constrain those that are bounded: parameters={'p': Interval(0, 1), 's': Positive()}",
        ) from None


def _takes_many(function: Callable[[Any], Tensor], natural: Callable[[Tensor], Any], size: int) -> bool:
    # A number of points that no dimension of a parameter is likely to have.
    count = size + 7
    points = 0.1 * torch.randn(count, size, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        try:
            values = function(natural(points))
        except UsageError:
            raise
        except Exception:
            # A function that fails for many points may be written for one; if not, that call shows the error.
            return False
        if not values.dim() or len(values) != count:
            return False
        alone = [function(natural(points[index : index + 1])) for index in range(2)]
    return all(
        one.shape == (1, *values.shape[1:]) and torch.allclose(one[0], values[index], equal_nan=True)
        for index, one in enumerate(alone)
    )
