"""The contract of a scale: a monotone map of one column from the table's units to model space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.errors import DataError
from logpx.tables.scales.sample import Sample
from logpx.tables.scales.tails import compress, expand

__all__ = ["LIMIT", "Scale"]

# Two rows in a billion of a normal column lie beyond it.
LIMIT = 6.0


class Scale(nn.Module, Configured, ABC):
    """An increasing map of one column, standardised on its training values, with its log-derivative.

    A scale is a curve (the subclass), then centre and spread, then power-law tails beyond ``limit`` standard
    deviations (`logpx.tables.scales.tails`). All parameters are float64 buffers and stay float64 when the
    module is moved to another dtype: a density in the table's units needs the full precision.

    Attributes
    ----------
    centre, spread : Tensor
        Mean and standard deviation of the curve's values in training, scalars.
    limit : Tensor
        Standard deviations beyond which the power-law tails begin; infinity for none.
    """

    class_prefix = "scales."

    centre: Tensor
    spread: Tensor
    limit: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._number("centre", 0.0)
        self._number("spread", 1.0)
        self._number("limit", LIMIT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return model-space values and the log-derivative dy/dx, both float64 of the shape of ``x``.

        Outside the support of the map, the value is finite and the log-derivative minus infinity.
        """
        curve, log_slope = self._curve(x.to(torch.float64))
        y, log_tail = compress((curve - self.centre) / self.spread, self.limit)
        return y, log_slope - self.spread.log() + log_tail

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return values in table units, always inside the support, and the log-derivative dx/dy."""
        v, log_tail = expand(y.to(torch.float64), self.limit)
        x, log_slope = self._curve_inverse(self.centre + self.spread * v)
        return x, log_slope + self.spread.log() + log_tail

    @abstractmethod
    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of the curve and the logarithm of its slope."""

    @abstractmethod
    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the argument at which the curve has a value, and the logarithm of the inverse's slope."""

    def _standardise(self, sample: Sample, limit: float) -> Self:
        """Set centre, spread and limit from the training values; the last step of every ``fit``."""
        curve, log_slope = self._curve(torch.from_numpy(sample.values).to(self.centre.device))
        if not (torch.isfinite(curve).all() and torch.isfinite(log_slope).all()):
            raise DataError("values outside the support of the scale", fix="widen the declared bounds")
        centre, spread = sample.mean_and_deviation(curve.numpy(force=True))
        if not spread > 0:
            raise DataError(
                "the values are too close to each other to be told apart", fix="leave the column out"
            )
        self.centre.fill_(centre)
        self.spread.fill_(spread)
        self.limit.fill_(limit)
        return self

    def _number(self, name: str, value: float) -> None:
        self.register_buffer(name, torch.full((), value, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def keep_dtype(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(keep_dtype, recurse)  # type: ignore[no-any-return,no-untyped-call]

    def extra_repr(self) -> str:
        """Return the fitted centre and spread for ``print``."""
        if self.centre.is_meta:
            return ""
        return f"centre={float(self.centre):.6g}, spread={float(self.spread):.6g}"
