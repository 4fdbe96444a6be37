"""The log-density to approximate, over unconstrained vectors: checked, vectorised, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.posteriors.parameters import Parameters

__all__ = ["Target"]

_SHOWN = 6
_PROBES = 64


class Target:
    r"""A function's log-density of unconstrained vectors, with the log abs(det) of its parameters' map.

    Parameters
    ----------
    log_density
        From parameters to the logarithm of a density that need not integrate to 1: a function of a tensor
        of points ``(n, size)``, or with `parameters` of a dictionary of tensors ``(n, *shape)``, that
        returns ``(n,)``; or, found by trying, the same for one point without the leading dimension.
    size
        The number of dimensions.
    parameters
        In its place, names and constraints.
    vectorised
        Whether the function takes many points; None finds out.

    Attributes
    ----------
    evaluations : int
        At how many points the gradient has been asked for.

    Raises
    ------
    UsageError
        If the function does not return one number per point, or nothing can be differentiated.
    """

    def __init__(
        self,
        log_density: Callable[[Any], Tensor],
        size: int | None = None,
        parameters: Parameters | None = None,
        vectorised: bool | None = None,
    ) -> None:
        if not callable(log_density):
            raise UsageError(
                f"log_density is a {type(log_density).__name__}, where a function was expected",
                fix="give a function from parameters to a log-density, in torch",
            )
        if (size is None) == (parameters is None):
            raise UsageError(
                "both or neither of dim and parameters", fix="give the one that fits the function"
            )
        if size is not None:
            check_count("dim", size)
        self.parameters = parameters
        self.size = parameters.size if parameters is not None else int(size or 0)
        self._function = log_density
        self.evaluations = 0
        self._validating = True
        self._vectorised = self._takes_many() if vectorised is None else vectorised
        self._check_gradient()
        self._validating = False

    def log_prob(self, u: Tensor) -> Tensor:
        """Return the log-density of vectors ``(n, size)`` in unconstrained space, shape ``(n,)``."""
        natural, ladj = self._both(u)
        return natural + ladj

    def without_jacobian(self, u: Tensor) -> Tensor:
        """Return the log-density in the parameters' natural units, shape ``(n,)``."""
        return self._both(u)[0]

    def value_and_gradient(self, u: Tensor, jacobian: bool = True) -> tuple[Tensor, Tensor]:
        """Return the log-density and its gradient, shapes ``(n,)`` and ``(n, size)``."""
        points = u.detach().requires_grad_()
        with torch.enable_grad():
            value = self.log_prob(points) if jacobian else self.without_jacobian(points)
            (slope,) = torch.autograd.grad(value.sum(), points)
        self.evaluations += len(u)
        return value.detach(), slope

    def natural(self, u: Tensor) -> Any:
        """Return what the function is given: points, or a dictionary of parameters."""
        return u if self.parameters is None else self.parameters.constrain(u)[0]

    def start(self, seed: int = 0) -> Tensor:
        """Return a point where the log-density is finite, shape ``(size,)``.

        Raises
        ------
        UsageError
            If there is none among zero and many random points.
        """
        generator = torch.Generator().manual_seed(seed)
        near = torch.randn(_PROBES, self.size, generator=generator, dtype=torch.float64)
        spread = torch.logspace(-1.0, 1.0, _PROBES, dtype=torch.float64)[:, None]
        points = torch.cat([torch.zeros(1, self.size, dtype=torch.float64), near * spread])
        with torch.no_grad():
            values = self.log_prob(points)
        good = values.isfinite()
        if not bool(good.any()):
            raise UsageError(
                f"log_density is {float(values[0])} at {self.describe(points[0])}, and not finite at "
                f"{len(points) - 1} random points around it",
                fix="make it finite around 0 (around 1 for positive parameters), or shift and scale the "
                "parameters",
            )
        if bool(good[0]):
            return points[0]
        return points[values.masked_fill(~good, -torch.inf).argmax()]

    def describe(self, u: Tensor) -> str:
        """Return a point in words, in its natural units."""
        natural = self.natural(u[None])
        if self.parameters is None:
            return f"the point ({_numbers(natural[0])})"
        return "the point " + ", ".join(f"{name} = {_numbers(value[0])}" for name, value in natural.items())

    def _both(self, u: Tensor) -> tuple[Tensor, Tensor]:
        given: Any = u
        ladj = u.new_zeros(len(u))
        if self.parameters is not None:
            given, ladj = self.parameters.constrain(u)
        value = self._call(given) if self._vectorised else torch.func.vmap(self._call)(given)
        if value.shape != (len(u),):
            raise UsageError(
                f"log_density returned shape {tuple(value.shape)} for {len(u)} points",
                fix="return one number per point: sum over all other dimensions",
            )
        return value.to(u.dtype), ladj

    def _call(self, given: Any) -> Tensor:
        # Torch's distributions refuse parameters that underflow, far from where the density is: there, what
        # is not finite is enough to turn back.
        with _validating(self._validating):
            try:
                value = self._function(given)
            except ValueError as error:
                if not self._validating or not any(
                    phrase in str(error) for phrase in ("satisfy the constraint", "within the support")
                ):
                    raise
                raise UsageError(
                    f"log_density refuses parameters: {' '.join(str(error).split())[:200]}",
                    fix="constrain those that are bounded: parameters={'p': Interval(0, 1), 's': Positive()}",
                ) from None
        if not isinstance(value, Tensor):
            raise UsageError(
                f"log_density returned a {type(value).__name__}, where a tensor was expected",
                fix="compute it with torch, so that gradients can pass through it",
            )
        return value

    def _takes_many(self) -> bool:
        # A number of points that no dimension of a parameter is likely to have.
        count = self.size + 7
        points = 0.1 * torch.randn(count, self.size, generator=torch.Generator().manual_seed(1)).double()
        given = self.natural(points)
        with torch.no_grad():
            try:
                values = self._call(given)
            except UsageError:
                raise
            except Exception:
                # What fails for many points may be written for one; if not, that call shows the error.
                return False
            if values.shape != (count,):
                return False
            alone = [self._call(self.natural(points[index : index + 1])) for index in range(2)]
        return all(
            one.shape == (1,) and torch.allclose(one[0], values[index], equal_nan=True)
            for index, one in enumerate(alone)
        )

    def _check_gradient(self) -> None:
        # Off zero, so that what lies outside of the support of a distribution shows.
        points = torch.randn(16, self.size, generator=torch.Generator().manual_seed(2)).double()
        natural, _ = self._both(points.requires_grad_())
        if not natural.requires_grad:
            raise UsageError(
                "the value of log_density has no gradient",
                fix="compute it from the parameters with torch alone: no .item(), .numpy() or .detach()",
            )


@contextmanager
def _validating(wanted: bool) -> Iterator[None]:
    before = Distribution._validate_args
    Distribution.set_default_validate_args(wanted and before)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def _numbers(value: Tensor) -> str:
    flat = value.detach().flatten()
    shown = ", ".join(f"{float(entry):.4g}" for entry in flat[:_SHOWN])
    return shown + (", ..." if len(flat) > _SHOWN else "")
