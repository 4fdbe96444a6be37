"""The log-density to approximate, over unconstrained vectors; checked, vectorised and counted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.posteriors.target.costs import Meter
from logpx.posteriors.target.hints import Hints
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.vectorisation import over_points, validating

__all__ = ["Estimate", "Target"]

# Maps points (n, size) to their log-densities and gradients, or to estimates of them.
Estimate = Callable[[Tensor], tuple[Tensor, Tensor]]

_SHOWN = 6
_PROBES = 64


class Target:
    r"""A user's log-density as a function of unconstrained vectors, with the log abs(det) of the map.

    Parameters
    ----------
    log_density
        From parameters to the logarithm of a density that need not integrate to 1: a function of a tensor
        of points ``(n, size)``, or with `parameters` of a dictionary of tensors ``(n, *shape)``, that
        returns ``(n,)``; or the same for one point without the leading dimension.
    size
        The number of dimensions.
    parameters
        Names and constraints, instead of `size`.
    vectorised
        Whether the function takes many points; None finds out by trying.

    Attributes
    ----------
    meter : Meter
        Counts calls, points and gradients, on all rows of data or on a batch, and knows when time is up.
    hints : Hints
        Where the mass is expected.

    Raises
    ------
    UsageError
        If the function does not return one number per point, or cannot be differentiated.
    """

    def __init__(
        self,
        log_density: Callable[[Any], Tensor],
        size: int | None = None,
        parameters: Parameters | None = None,
        vectorised: bool | None = None,
    ) -> None:
        if (size is None) == (parameters is None):
            raise UsageError(
                "both or neither of dim and parameters", fix="give the one that fits the function"
            )
        if size is not None:
            check_count("dim", size)
        self.parameters = parameters
        self.size = parameters.size if parameters is not None else int(size or 0)
        self.meter = Meter()
        self.hints = Hints.none(self.size)
        self._validating = True
        self._function = self._over_points(log_density, vectorised)
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
        self.meter.gradients += len(u)
        return value.detach(), slope

    def estimates_near(self, point: Tensor) -> Estimate:
        """Return the function that training steps call for log-density and gradient near a point ``(size,)``.

        Here this is `value_and_gradient`; with large data it is an unbiased estimator of both.
        """
        return self.value_and_gradient

    def recentred(self, u: Tensor, shares: Tensor, widths: Tensor) -> Target:
        """Return the log-density with circles cut where there is least mass; itself, if that is no better.

        Parameters
        ----------
        u
            Points, shape ``(k, size)``.
        shares
            The mass around each, shape ``(k,)``.
        widths
            How far it spreads, shape ``(k, size)``.
        """
        if self.parameters is None or not bool((self.parameters.periods > 0.0).any()):
            return self
        found = copy.copy(self)
        found.parameters = self.parameters.recentred(u, shares, widths)
        found.hints = replace(self.hints, starts=found._around(self.hints.starts))
        return found

    @property
    def least_precision(self) -> Tensor:
        """One over the variance of a uniform number on each circle, 0 elsewhere, shape ``(size,)``."""
        if self.parameters is None:
            return torch.zeros(self.size, dtype=torch.float64)
        periods = self.parameters.periods
        return torch.where(periods > 0.0, 12.0 / periods.square(), 0.0)

    def eccentricity(self, u: Tensor) -> float:
        """Return how far from the middle of its window any of the points ``(k, size)`` lies, in periods."""
        if self.parameters is None:
            return 0.0
        periods = self.parameters.periods
        away = (self._around(u) - self.parameters.centres) / periods
        return float(away[:, periods > 0.0].abs().max()) if bool((periods > 0.0).any()) else 0.0

    def _around(self, u: Tensor) -> Tensor:
        """Return the same points in the middle of the windows of circles."""
        return u if self.parameters is None or not len(u) else self.parameters.unconstrain(self.natural(u))

    def natural(self, u: Tensor) -> Any:
        """Return what the user's function takes: points, or a dictionary of parameters."""
        return u if self.parameters is None else self.parameters.constrain(u)[0]

    def unconstrained(self, draws: Any) -> Tensor:
        """Return the vectors ``(n, size)`` of points in the form that `natural` returns.

        Raises
        ------
        UsageError
            If there are no draws, their shape is wrong, or one is not finite or violates its constraint.
        """
        if self.parameters is None:
            u = torch.as_tensor(draws).double()
            if u.dim() != 2 or u.shape[1] != self.size:
                raise UsageError(
                    f"draws have shape {tuple(u.shape)}", fix=f"give one row per draw: shape (n, {self.size})"
                )
        else:
            if not isinstance(draws, Mapping):
                raise UsageError(f"parameters given as a {type(draws).__name__}", fix="give a dictionary")
            given = {name: torch.as_tensor(value).double() for name, value in draws.items()}
            lengths = {name: given[name].shape[:1] for name in self.parameters.constraints if name in given}
            if len(set(lengths.values())) > 1 or torch.Size() in lengths.values():
                shown = {name: list(length) for name, length in lengths.items()}
                raise UsageError(f"the parameters differ in length: {shown}", fix="give one row per draw")
            u = self.parameters.unconstrain(given)
        lost = ~u.isfinite().all(1)
        if bool(lost.any()) or not len(u):
            what = f"draw {int(lost.nonzero()[0]) + 1} is not finite" if len(u) else "there are no draws"
            raise UsageError(what, fix="leave such draws out" if len(u) else "give one row per draw")
        return u

    def of_draws(self, draws: Any) -> Tensor:
        """Return the vectors of draws, as draws from the density of the vector: see `unconstrained`.

        They differ where several vectors stand for the same values, as on a circle.
        """
        u = self.unconstrained(draws)
        return u if self.parameters is None else self.parameters.spread(u, torch.Generator().manual_seed(0))

    def start(self, seed: int = 0) -> Tensor:
        """Return a point where the log-density is finite, shape ``(size,)``.

        Raises
        ------
        UsageError
            If neither zero nor any of many random points is one.
        """
        generator = torch.Generator().manual_seed(seed)
        near = torch.randn(_PROBES, self.size, generator=generator, dtype=torch.float64)
        spread = torch.logspace(-1.0, 1.0, _PROBES, dtype=torch.float64)[:, None]
        centre = self.hints.centre[None]
        points = torch.cat([centre, centre + self.hints.width * near * spread])
        with torch.no_grad():
            values = self.log_prob(points)
        good = values.isfinite()
        if not bool(good.any()):
            raise UsageError(
                f"log_density is {float(values[0])} at {self.describe(points[0])}, and not finite at "
                f"{len(points) - 1} random points around it",
                fix="make it finite around 0 (around 1 for positive parameters), or say where it is by "
                "starts=, bounds= or scale=",
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
        try:
            return self._both_at_once(u)
        except LinAlgError:
            # One matrix without a Cholesky factor makes the whole batch fail: find it, and give it density 0.
            if len(u) == 1:
                nothing = 0.0 * u.sum(1)
                return nothing - torch.inf, nothing
            values, ladjs = zip(*(self._both(half) for half in u.chunk(2)), strict=True)
            return torch.cat(values), torch.cat(ladjs)

    def _both_at_once(self, u: Tensor) -> tuple[Tensor, Tensor]:
        given: Any = u
        ladj = u.new_zeros(len(u))
        if self.parameters is not None:
            given, ladj = self.parameters.constrain(u)
        # Far from the mass, torch's distributions refuse parameters that underflow: a value that is not
        # finite is enough to turn back there.
        self.meter.check()
        with validating(self._validating):
            value = self._function(given)
        self.meter.count(len(u))
        if value.shape != (len(u),):
            raise UsageError(
                f"log_density returned shape {tuple(value.shape)} for {len(u)} points",
                fix="return one number per point: sum over all other dimensions",
            )
        return value.to(u.dtype), ladj

    def _over_points(
        self, log_density: Callable[[Any], Tensor], vectorised: bool | None
    ) -> Callable[[Any], Tensor]:
        return over_points(log_density, "log_density", self.natural, self.size, vectorised)

    def _check_gradient(self) -> None:
        # Away from zero, so that points outside a distribution's support show.
        points = torch.randn(16, self.size, generator=torch.Generator().manual_seed(2)).double()
        natural, _ = self._both(points.requires_grad_())
        if not natural.requires_grad:
            raise UsageError(
                "the value of log_density has no gradient",
                fix="compute it from the parameters with torch alone: no .item(), .numpy() or .detach()",
            )


def _numbers(value: Tensor) -> str:
    flat = value.detach().flatten()
    shown = ", ".join(f"{float(entry):.4g}" for entry in flat[:_SHOWN])
    return shown + (", ..." if len(flat) > _SHOWN else "")
