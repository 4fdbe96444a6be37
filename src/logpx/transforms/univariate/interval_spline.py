"""The monotone rational-quadratic spline of an interval, for slopes that are bounded: the fewest operators.

`logpx.transforms.univariate.rational_quadratic` is the same for any knots and slopes.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["interval_spline"]


def interval_spline(
    x: Tensor,
    interval: tuple[float, float],
    knots: Tensor,
    slopes: Tensor,
    *,
    inverse: bool,
    straight: bool,
) -> tuple[Tensor, Tensor]:
    """Evaluate a spline that maps an interval onto itself and continues linearly, element by element.

    Parameters
    ----------
    x
        Any shape.
    interval
        Its ends.
    knots
        Positions and values at the knots, ends included, shape ``(2, knots, *x.shape)``.
    slopes
        At the knots, shape ``(knots, *x.shape)``.
    inverse
        Whether to apply the inverse function.
    straight
        Whether the slopes at both ends are 1.

    Returns
    -------
    y, log_derivative : Tensor
        Of the shape of `x`.

    Examples
    --------
    >>> knots = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1).expand(2, 3, 2)
    >>> interval_spline(
    ...     torch.tensor([0.5, 3.0]), (-1.0, 1.0), knots, torch.ones(3, 2), inverse=False, straight=True
    ... )
    (tensor([0.5000, 3.0000]), tensor([0., 0.]))
    """
    # Before any arithmetic: a branch that is not taken must not produce a NaN gradient either.
    inside = x.clamp(*interval)
    beyond = x - inside
    searched = knots.detach()[int(inverse), 1:-1]
    number = (inside.detach() >= searched).sum(0)
    ends = torch.stack([number, number + 1])
    places = knots.gather(1, ends.expand(2, *ends.shape))
    (left, right), (bottom, top) = (pair.unbind(0) for pair in places.unbind(0))
    start, end = slopes.gather(0, ends).unbind(0)
    piece = _Piece((left, right), (bottom, top), (start, end))
    if inverse:
        root = piece.root(inside)
        with torch.no_grad():
            # One Newton step, so that `forward` gives back y as it rounds it. The root carries the gradient.
            value, derivative = piece.forward(root)
            step = (inside - value) / derivative
            step = torch.maximum(torch.minimum(root + step, right), left) - root
        y = root + step
        log_derivative = -piece.derivative(y).log()
    else:
        y, derivative = piece.forward(inside)
        log_derivative = derivative.log()
    if straight:
        return y + beyond, log_derivative
    edge = torch.where(beyond > 0.0, end, start)
    return torch.addcdiv(y, beyond, edge) if inverse else torch.addcmul(y, beyond, edge), log_derivative


class _Piece:
    """The bin that contains each element, by its ends and the slopes there."""

    def __init__(
        self, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], slopes: tuple[Tensor, Tensor]
    ) -> None:
        (left, right), (bottom, top), (start, end) = x, y, slopes
        self.left, self.right, self.bottom, self.top = left, right, bottom, top
        self.start, self.end = start, end
        self.width, self.height = right - left, top - bottom
        self.slope = self.height / self.width

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Distances to both ends, each from its own difference, so that nothing is lost near an end.
        position, rest = (x - self.left) / self.width, (self.right - x) / self.width
        rising = torch.addcmul(self.start * rest, self.slope, position)
        falling = torch.addcmul(self.end * position, self.slope, rest)
        return position, rest, rising, falling

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and derivative."""
        position, rest, rising, falling = self._parts(x)
        rise, fall = position * rising, rest * falling
        total = rise + fall
        upper = rise > fall
        share = torch.where(upper, -fall, rise) / total
        y = torch.addcmul(torch.where(upper, self.top, self.bottom), share, self.height)
        ratio = self.slope / total
        return y, ratio * ratio * torch.addcmul(position * falling, rest, rising)

    def derivative(self, x: Tensor) -> Tensor:
        """Return the derivative alone."""
        position, rest, rising, falling = self._parts(x)
        ratio = self.slope / torch.addcmul(position * rising, rest, falling)
        return ratio * ratio * torch.addcmul(position * falling, rest, rising)

    def root(self, y: Tensor) -> Tensor:
        """Return the root of the bin's quadratic; `rational_quadratic` finds it for slopes of any size."""
        rise, fall = (y - self.bottom) / self.height, (self.top - y) / self.height
        tilt = torch.addcmul(self.start * fall, self.end, rise, value=-1.0)
        twice = 2.0 * self.slope
        up, down = twice * rise, twice * fall
        root = torch.addcmul(tilt * tilt, up, down).sqrt()
        rising = tilt >= 0.0
        # Where branches meet, a minimum or an absolute value has a gradient of its own; a choice has none.
        reach = torch.where(rising, tilt, -tilt) + root
        span = torch.where(rising, up, down)
        # The distance to the nearer end, as a fraction of the width: to the left end if `near`.
        shorter = span < reach
        near = shorter == rising
        part = torch.where(shorter, span, reach) / (reach + span)
        return torch.addcmul(
            torch.where(near, self.left, self.right), torch.where(near, part, -part), self.width
        )
