"""The values that a column can have: its bounds and its grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.tables.dequantisation import quantise
from logpx.tables.scales import Scale, Standard, choose_scale
from logpx.tables.scales.sample import Array
from logpx.tables.scales.scale import LIMIT

__all__ = ["Support"]

_ROUNDING = 1e-3


class Support(Configured):
    """Bounds and grid of one column, in the table's units.

    Parameters
    ----------
    lower, upper : float, optional
        Bounds of the values; None if there is none.
    step : float, optional
        Step of the grid that the values lie on; None for values without a grid.
    offset : float
        The grid is ``offset + k * step`` for whole k.
    uniform : bool
        Whether values may be rounded to that grid. If not, the step is only a width to dequantise over.
    rounding : float
        How far from the grid a value may have been written.

    Raises
    ------
    UsageError
        If the bounds are not finite and in order, or the step is not positive.

    Examples
    --------
    >>> support = Support(lower=0.0, step=1.0)
    >>> support.extent
    (-0.5, None)
    """

    def __init__(
        self,
        lower: float | None = None,
        upper: float | None = None,
        step: float | None = None,
        offset: float = 0.0,
        *,
        uniform: bool = True,
        rounding: float = 0.0,
    ) -> None:
        bounds = [bound for bound in (lower, upper) if bound is not None]
        if not all(map(math.isfinite, [*bounds, offset])) or (len(bounds) == 2 and bounds[0] >= bounds[1]):
            raise UsageError(f"bounds {lower} and {upper}", fix="give finite bounds, the lower one first")
        if step is not None and not (math.isfinite(step) and step > 0):
            raise UsageError(f"a grid of step {step}", fix="give a positive step, or none")
        self.lower = lower
        self.upper = upper
        self.step = step
        self.offset = offset
        self.uniform = uniform
        self.rounding = rounding

    @property
    def extent(self) -> tuple[float | None, float | None]:
        """The bounds of dequantised values: the cell of a value reaches half a step beyond it."""
        half = 0.0 if self.step is None else self.step / 2
        lower = None if self.lower is None else self.lower - half
        return lower, None if self.upper is None else self.upper + half

    @property
    def whole(self) -> bool:
        """Whether values are rounded to whole numbers."""
        on_grid = self.step is not None and self.uniform
        return on_grid and float(self.step or 0.0).is_integer() and float(self.offset).is_integer()

    def chosen_scale(self, values: Array, seed: int) -> tuple[Scale, dict[str, float]]:
        """Return the scale with the highest held-out likelihood, and the nats of all compared scales."""
        return choose_scale(
            values,
            lower=self.lower,
            upper=self.upper,
            step=self.step,
            offset=self.offset if self.uniform else None,
            seed=seed,
        )

    def standard_scale(self, values: Array) -> Scale:
        """Return a scale that is linear over the range of dequantised values and a quarter beyond it."""
        scale = Standard.fit(values, limit=math.inf)
        scale.limit.fill_(max(LIMIT, 1.25 * float(scale(torch.from_numpy(values))[0].abs().max())))
        return scale

    def outside(self, x: Tensor) -> Tensor:
        """Return which values are beyond the bounds, a boolean of the shape of x; False for missing ones."""
        return (x != _clip(x, self.lower, self.upper)) & ~x.isnan()

    def off_grid(self, x: Tensor) -> Tensor:
        """Return which values are off the grid, up to rounding errors; none if the grid is not uniform."""
        if self.step is None or not self.uniform:
            return torch.zeros_like(x, dtype=torch.bool)
        tolerance = _ROUNDING * self.step + self.rounding + 4 * torch.finfo(x.dtype).eps * x.abs()
        return (x - quantise(x, self.step, self.offset)).abs() > tolerance

    def snap(self, x: Tensor) -> Tensor:
        """Return values moved to the nearest point of the grid, if there is one, and within the bounds."""
        if self.step is not None and self.uniform:
            x = quantise(x, self.step, self.offset)
        return _clip(x, self.lower, self.upper)

    def clip(self, x: Tensor) -> Tensor:
        """Return dequantised values moved to within their extent."""
        return _clip(x, *self.extent)


def _clip(x: Tensor, lower: float | None, upper: float | None) -> Tensor:
    return x if lower is None and upper is None else x.clamp(lower, upper)
