"""Angles: numbers on a circle, and one unconstrained number for each, with a soft cut opposite the mass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.arguments import check_number
from logpx.errors import UsageError
from logpx.posteriors.target.constraints import Constraint, Stacked

__all__ = ["Circular", "recentred"]

# The half period in units of the softness of the cut: a copy of a mode one period away has a weight of
# exp(-20), and a copy of one halfway to the cut of exp(-10): no verdict can see them.
_SHARPNESS = 20.0
_CUTS = 256


class Circular(Constraint):
    r"""Numbers on a circle, such as angles or times of day: one period, at whose seam nothing ends.

    The density has to be periodic: the same at both ends. The unconstrained number v stands for the value
    that it leaves when whole periods P are taken off. Its density is that of the value times a window
    w(v) = σ((v − c + P/2) / s) − σ((v − c − P/2) / s) around a centre c, whose copies, a period apart, sum to
    1: so the integral is exactly that over the circle. `posterior` puts c where the mass is, so that a mode
    at the seam is one mode, in the middle of the window.

    Parameters
    ----------
    lower, upper
        The ends of the period; values lie in ``[lower, upper)``. By default an angle in radians.
    shape
        The shape of the parameter.

    Examples
    --------
    >>> angle = Circular(0.0, 360.0)
    >>> angle.constrain(torch.tensor([[-10.0], [370.0]]))[0]
    tensor([350.,  10.])
    """

    def __init__(
        self, lower: float = -math.pi, upper: float = math.pi, shape: int | Sequence[int] = ()
    ) -> None:
        super().__init__(shape)
        check_number("lower", lower)
        check_number("upper", upper)
        if not lower < upper:
            raise UsageError(f"a circle from {lower} to {upper}", fix="give a lower end below the upper")
        self.lower, self.upper = float(lower), float(upper)
        self.period = self.upper - self.lower
        self._centres = torch.full((self.size,), 0.5 * (self.lower + self.upper), dtype=torch.float64)

    @property
    def periods(self) -> Tensor:
        """The period of each unconstrained number, shape ``(size,)``."""
        return torch.full((self.size,), self.period, dtype=torch.float64)

    @property
    def centres(self) -> Tensor:
        """The middle of the window of each unconstrained number, shape ``(size,)``."""
        return self._centres

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Take whole periods off; the second number is the log of the window."""
        x = self.lower + torch.remainder(u - self.lower, self.period)
        # The remainder of a tiny negative number is rounded to the period.
        x = torch.where(x < self.upper, x, self.lower)
        return x.reshape(len(u), *self.shape), self.log_window(u)

    def log_window(self, u: Tensor) -> Tensor:
        """Return the log of the window, shape ``(n,)``."""
        half = torch.as_tensor(_SHARPNESS, dtype=u.dtype)
        away = (u - self.centres.to(u)) * (2.0 * _SHARPNESS / self.period)
        # sinh(h) / (cosh(v) + cosh(h)), without overflow.
        low = torch.logaddexp(torch.logaddexp(away, -away), torch.logaddexp(half, -half))
        log_window = half + torch.log(-torch.expm1(-2.0 * half)) - low
        return log_window.sum(1)

    @property
    def circle(self) -> tuple[float, float]:
        """The ends of the period."""
        return self.lower, self.upper

    def unconstrain(self, x: Tensor) -> Tensor:
        """Return the number in the middle of the window; values outside of the period are taken round."""
        start = self.centres.to(x) - 0.5 * self.period
        return start + torch.remainder(x.reshape(len(x), -1) - start, self.period)

    def spread(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Move draws ``(n, size)`` by whole periods, so that they follow the window."""
        uniform = torch.rand(u.shape, generator=generator, dtype=torch.float64).to(u)
        shift = torch.logit(uniform, eps=1e-12) * (0.5 * self.period / _SHARPNESS)
        start = self.centres.to(u) + shift - 0.5 * self.period
        return start + torch.remainder(u - start, self.period)

    def repeated(self, count: int) -> Circular:
        """Return one constraint for several values: each has a cut of its own."""
        return Circular(self.lower, self.upper, (count, *self.shape))

    def with_cut_away_from(self, u: Tensor, shares: Tensor, widths: Tensor) -> Circular:
        """Return the same circle, cut where there is least of a mass.

        Parameters
        ----------
        u
            Where the mass lies, shape ``(k, size)``.
        shares
            How much lies at each place, shape ``(k,)``.
        widths
            How far it spreads around it, shape ``(k, size)``.
        """
        cuts = self.period * torch.arange(_CUTS, dtype=torch.float64) / _CUTS
        off = cuts[:, None, None] - u.double()
        off = torch.remainder(off + 0.5 * self.period, self.period) - 0.5 * self.period
        least = 0.25 * self.period / _SHARPNESS
        # Heavy tails, so that one cut is the farthest.
        mass = (shares[:, None] / (1.0 + (off / widths.clamp_min(least)).square())).sum(1)
        found = Circular(self.lower, self.upper, self.shape)
        found._centres = cuts[mass.argmin(0)] + 0.5 * self.period
        return found

    def __repr__(self) -> str:
        """Show the ends and the shape."""
        return f"Circular({self.lower:g}, {self.upper:g}, {self.shape})"


def recentred(constraint: Constraint, u: Tensor, shares: Tensor, widths: Tensor) -> Constraint:
    """Return a constraint with its circles cut where there is least of a mass; others as they are."""
    if isinstance(constraint, Stacked) and bool((constraint.periods > 0.0).any()):
        inner: Constraint = constraint.constraint.repeated(constraint.count)
        return recentred(inner, u, shares, widths)
    if isinstance(constraint, Circular):
        return constraint.with_cut_away_from(u, shares, widths)
    return constraint
