"""The scale of a column in which single values hold mass among others that do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.special import log_ndtr, ndtri

from logpx.errors import DataError, UsageError
from logpx.tables.dequantisation import AtomCells
from logpx.tables.scales.normal import normal_mass
from logpx.tables.scales.scale import Scale

__all__ = ["Atoms"]

_LOG_NORMALISER = 0.5 * math.log(2 * math.pi)
_NEWTON_STEPS = 6
# Model units beyond which nothing changes: the power-law tails of scales reach the largest floats before.
_FARTHEST = 1000.0
# The distribution function at the end of an outermost cell, in place of 0.
_LEAST = 1e-300
# Worth half a row, so that a value that no training row has is not impossible.
_PSEUDO_ROWS = 0.5


class Atoms(Scale):
    r"""Map a distribution function with jumps, spread over the cells of the atoms, to normal quantiles.

    With :math:`a_k` the masses of the atoms, c the mass of all other values and s their scale, the
    distribution function is :math:`c\,\Phi(s(x))` plus the masses of the atoms below x. In the narrow cell of
    an atom it rises linearly by the atom's mass. A standard normal in model units thus gives each atom its
    exact mass, and a density to all other values.

    Parameters
    ----------
    inner : Scale
        The scale of the other values.
    atoms : sequence of float
        The values that hold mass, ascending.

    Attributes
    ----------
    masses : Tensor
        Shape ``(len(atoms) + 1,)``: the jump at each atom, then the mass of the smooth part.

    Examples
    --------
    >>> from logpx.tables.scales import Log
    >>> values = np.array([0.0] * 60 + [1.0, 2.0, 4.0, 8.0] * 10)
    >>> scale = Atoms.fit(values, inner=Log.fit(values[values > 0], bound=0.0), atoms=[0.0])
    >>> cell = scale.cells.spread(torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 1.0]))
    >>> [round(share, 2) for share in torch.special.ndtr(scale(cell)[0]).tolist()]
    [0.0, 0.6]
    """

    masses: Tensor

    def __init__(self, inner: Scale, atoms: Sequence[float]) -> None:
        super().__init__()
        self.inner = inner
        self.cells = AtomCells(atoms)
        if not len(atoms) or not self.cells.apart:
            raise UsageError(f"the atoms {list(atoms)}", fix="give different values in ascending order")
        count = len(atoms) + 1
        self.register_buffer("masses", torch.full((count,), 1 / count, dtype=torch.float64))
        self.limit.fill_(math.inf)

    @classmethod
    def fit(cls, x: Any, weights: Any = None, *, inner: Scale, atoms: Sequence[float]) -> Self:
        """Return the scale of training values.

        Parameters
        ----------
        x : array of shape (n,)
            Training values, as in the table or with the atoms spread over their cells.
        weights : array of shape (n,), optional
            The weight of each row.
        inner : Scale
            The scale fitted to all values but the atoms.
        atoms : sequence of float
            The values that hold mass, ascending.

        Raises
        ------
        DataError
            If a value is not finite.
        """
        values = torch.from_numpy(np.asarray(x, dtype=np.float64).flatten())
        if not torch.isfinite(values).all():
            raise DataError("a value that is not finite", fix="drop the row or fill the cell")
        scale = cls(inner, atoms)
        # The last place, -1, is that of the other values.
        places = scale.cells.index(values) % len(scale.masses)
        counts = torch.bincount(places, minlength=len(scale.masses)).double()
        if weights is not None:
            # Of as many rows as tell as much: pseudo-rows must not drown in large weights, nor rows in them.
            mass = torch.from_numpy(np.asarray(weights, dtype=np.float64).flatten())
            counts = torch.bincount(places, weights=mass, minlength=len(scale.masses))
            counts = counts * float(mass.sum() / mass.square().sum())
        rows = counts + _PSEUDO_ROWS
        shares = rows / rows.sum()
        # What the scale of the other values leaves to the cells of the atoms counts towards the atoms.
        left, right = (normal_mass(inner(end)[0]) for end in (scale.cells.left, scale.cells.right))
        others = shares[-1] / (1 - (right - left).sum().clamp(max=0.5))
        masses = torch.cat([(shares[:-1] - others * (right - left)).clamp(min=_LEAST), others[None]])
        scale.masses.copy_(masses / masses.sum())
        return scale

    def _curve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        edges = self._edges()
        at = self.cells.index(x)
        cell = at.clamp(min=0)
        left, right = self.cells.left.to(x.device), self.cells.right.to(x.device)
        width = self.cells.width.to(x.device)[cell]
        share = ((x - left[cell]) / width).clamp(0.0, 1.0)
        mass = edges.masses[cell]
        below = (edges.below[cell] + mass * share).clamp(min=_LEAST).log()
        above = (edges.above[cell] + mass * (1 - share)).clamp(min=_LEAST).log()
        value, log_slope = self.inner(x)
        value = value.clamp(-_FARTHEST, _FARTHEST)
        passed = torch.searchsorted(right, x.detach().contiguous())
        log_other = self.masses[-1].log()
        inside = at >= 0
        y = _normal_quantile(
            torch.where(
                inside, below, torch.logaddexp(edges.jumps_below[passed], log_other + log_ndtr(value))
            ),
            torch.where(
                inside, above, torch.logaddexp(edges.jumps_above[passed], log_other + log_ndtr(-value))
            ),
        )
        of_cell = (mass / width).log() + _LOG_NORMALISER
        of_others = log_other - value.square() / 2 + log_slope
        return y, torch.where(inside, of_cell, of_others) + y.square() / 2

    def _curve_inverse(self, value: Tensor) -> tuple[Tensor, Tensor]:
        edges = self._edges()
        value = value.clamp(-_FARTHEST, _FARTHEST)
        left, right = self.cells.left.to(value.device), self.cells.right.to(value.device)
        first = _normal_quantile(edges.below.clamp(min=_LEAST).log(), (edges.above + edges.masses).log())
        last = _normal_quantile((edges.below + edges.masses).log(), edges.above.clamp(min=_LEAST).log())
        passed = torch.searchsorted(last, value.detach().contiguous())
        cell = passed.clamp(max=len(left) - 1)
        inside = (passed < len(left)) & (value >= first[cell])
        width, mass = self.cells.width.to(value.device)[cell], edges.masses[cell]
        from_left = ((normal_mass(value) - edges.below[cell]) / mass).clamp(0.0, 1.0)
        from_right = ((normal_mass(-value) - edges.above[cell]) / mass).clamp(0.0, 1.0)
        of_cell = torch.where(value < 0, left[cell] + width * from_left, right[cell] - width * from_right)
        log_other = self.masses[-1].log()
        z = _normal_quantile(
            _log_difference(log_ndtr(value), edges.jumps_below[passed]) - log_other,
            _log_difference(log_ndtr(-value), edges.jumps_above[passed]) - log_other,
        )
        x, log_slope = self.inner.inverse(z)
        # Where a stretch is empty, because values end at the atom, the cell takes its place.
        ends = left.new_full((1,), math.inf)
        least = torch.cat([-ends, torch.nextafter(right, left)])[passed]
        most = torch.cat([torch.nextafter(left, right), ends])[passed]
        x = torch.minimum(torch.maximum(x, least), most)
        log_cell = (width / mass).log() - _LOG_NORMALISER
        log_others = log_slope + z.square() / 2 - log_other
        log_slope = torch.where(inside, log_cell, log_others) - value.square() / 2
        return torch.where(inside, self.cells.within(of_cell, cell), x), log_slope

    def _edges(self) -> _Edges:
        """Return the distribution function at the cells of the atoms."""
        device, other, atoms = self.masses.device, self.masses[-1], self.masses[:-1]
        left, _ = self.inner(self.cells.left.to(device))
        right, _ = self.inner(self.cells.right.to(device))
        none = atoms.new_zeros(1)
        # Both sums are kept, so that neither tail is a difference from one.
        jumps_below = torch.cat([none, atoms.cumsum(0)])
        jumps_above = torch.cat([atoms.flip(0).cumsum(0).flip(0), none])
        return _Edges(
            below=jumps_below[:-1] + other * normal_mass(left),
            above=jumps_above[1:] + other * normal_mass(-right),
            masses=atoms + other * (normal_mass(right) - normal_mass(left)),
            jumps_below=jumps_below.log(),
            jumps_above=jumps_above.log(),
        )


@dataclass(frozen=True, kw_only=True)
class _Edges:
    """The mass below, above and in each cell, and the logarithms of the atoms' mass around each stretch."""

    below: Tensor
    above: Tensor
    masses: Tensor
    jumps_below: Tensor
    jumps_above: Tensor


def _log_difference(whole: Tensor, part: Tensor) -> Tensor:
    """Return log(exp(whole) - exp(part)) for a part of the whole, up to rounding."""
    return whole + torch.log1p(-torch.exp((part - whole).clamp(max=0.0))).clamp(min=math.log(_LEAST))


def _normal_quantile(below: Tensor, above: Tensor) -> Tensor:
    """Return the normal quantile, given the logarithms of a probability and of its complement."""
    nearer = below < above
    target = torch.where(nearer, below, above).clamp(max=0.0)
    with torch.no_grad():
        y = torch.where(
            target > -300, ndtri(target.exp().clamp(min=_LEAST)), -(-2 * target).clamp(min=0.0).sqrt()
        )
        for _ in range(_NEWTON_STEPS):
            y = _newton(y, target)
    # The last step carries the derivative.
    y = _newton(y, target)
    return torch.where(nearer, y, -y)


def _newton(y: Tensor, target: Tensor) -> Tensor:
    log_mass = log_ndtr(y)
    log_density = -y.square() / 2 - _LOG_NORMALISER
    result: Tensor = y - (log_mass - target) * (log_mass - log_density).exp()
    return result
