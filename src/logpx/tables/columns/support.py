"""The values that a column can have: its bounds, its grid, and the values that hold mass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from logpx.configuration import Configured
from logpx.errors import DataError, UsageError
from logpx.scoring import Noise
from logpx.tables.dequantisation import NO_ATOMS, AtomCells, dequantise, quantise, reflect
from logpx.tables.scales import Atoms, CellHistogram, Scale, SoftClip, Standard, choose_scale
from logpx.tables.scales.choice import curved_scale, log_likelihoods
from logpx.tables.scales.sample import Array
from logpx.tables.scales.scale import LIMIT

__all__ = ["Support"]

_ROUNDING = 1e-3
# Up to this many different values on a grid, each has its own mass.
_FEW_VALUES = 20
_ROWS_FOR_A_VALUE = 5
_MOST_CELLS = 2.0**50
# A spike is a value with a share of all rows, and this many times that of a normal distribution's mode.
_SPIKE_SHARE = 0.02
_SPIKE_HEIGHT = 4.0
# Points between the extremes, in place of values where atoms are all that was seen.
_STAND_INS = 9
_QUICK_ROWS = 1000


class Support(Configured):
    """Bounds, grid and atoms of one column, in the table's units.

    All values lie between the bounds. On a grid, a value stands for the cell of one step around it. Without
    a grid, values have a density, and the atoms, single values that hold mass, have very narrow cells.

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
    atoms : sequence of float
        The values that hold mass, ascending.

    Raises
    ------
    UsageError
        If the bounds are not finite and in order, no point of the grid lies between them, the step is not
        positive, or atoms are not in order and within the bounds.

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
        atoms: Sequence[float] = (),
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
        self.atoms = list(atoms)
        self.cells = AtomCells(self.atoms) if self.atoms else NO_ATOMS
        first, last = self._ends
        if first is not None and last is not None and first > last:
            raise UsageError(
                f"no point of the grid of step {step:g} lies between {lower:g} and {upper:g}",
                fix="widen the bounds, or correct the step and the offset",
            )
        if self.atoms and not self._has_sound_atoms:
            raise UsageError(
                f"the atoms {self.atoms}", fix="give different values in ascending order, within the bounds"
            )

    @property
    def _has_sound_atoms(self) -> bool:
        each = self.cells.atoms
        return bool(each.isfinite().all()) and self.cells.apart and not bool(self.outside(each).any())

    @property
    def noisy(self) -> bool:
        """Whether noise is added to values: over the cells of a grid or of atoms."""
        return self.step is not None or bool(self.atoms)

    @property
    def extent(self) -> tuple[float | None, float | None]:
        """The bounds of dequantised values: the cell of a value on a grid reaches half a step beyond it."""
        half = self.step / 2 if self.step is not None and self.uniform else 0.0
        lower, upper = self._ends
        return None if lower is None else lower - half, None if upper is None else upper + half

    @property
    def _ends(self) -> tuple[float | None, float | None]:
        """The first and the last possible value: points of the grid, if there is one."""
        lower, upper = self.lower, self.upper
        if self.step is None or not self.uniform:
            return lower, upper
        slack = _ROUNDING + self.rounding / self.step
        if lower is not None:
            lower = self.offset + math.ceil((lower - self.offset) / self.step - slack) * self.step
        if upper is not None:
            upper = self.offset + math.floor((upper - self.offset) / self.step + slack) * self.step
        return lower, upper

    @property
    def whole(self) -> bool:
        """Whether values are rounded to whole numbers."""
        on_grid = self.step is not None and self.uniform
        return on_grid and float(self.step or 0.0).is_integer() and float(self.offset).is_integer()

    def chosen_scale(
        self, values: Array, weights: Array | None, seed: int, like: Scale | None = None
    ) -> tuple[Scale, dict[str, float]]:
        """Return the scale with the highest held-out likelihood, and the nats of all compared scales.

        If only few values occur, each gets its share of the rows, without any comparison. Values count by
        their weights, if there are any. Nothing is compared, either, where a scale `like` another is wanted.
        """
        if self.atoms:
            known = like.inner if isinstance(like, Atoms) else None
            inner, scores = self._others.chosen_scale(*self._without_atoms(values, weights), seed, known)
            return Atoms.fit(values, weights, inner=inner, atoms=self.atoms), scores
        if self._few(values):
            return self._histogram(values, weights), {}
        lower, upper = self._ends
        return choose_scale(
            values,
            weights,
            lower=lower,
            upper=upper,
            step=self.step,
            offset=self.offset if self.uniform else None,
            seed=seed,
            like=like,
        )

    def standard_scale(self, values: Array, weights: Array | None, seed: int) -> Scale:
        """Return a scale that is linear over the range of dequantised values and a quarter beyond it.

        Next to bounds it bends. Where only few values occur, or single ones hold much of the mass, no linear
        map is of use: the scale then gives each value its share of the rows.
        """
        if self.atoms:
            inner = self._others.standard_scale(*self._without_atoms(values, weights), seed)
            return Atoms.fit(values, weights, inner=inner, atoms=self.atoms)
        if self._few(values) or self._spiked(values):
            return self._histogram(values, weights)
        noisy = self._noisy(values, seed)
        lower, upper = self.extent
        scale: Scale
        if lower is None and upper is None:
            scale = Standard.fit(noisy.numpy(), weights, limit=math.inf)
        else:
            scale = SoftClip.fit(
                noisy.numpy(),
                weights,
                inner=Standard.fit,
                lower=lower,
                upper=upper,
                least_width=(self.step or 0.0) / 2,
                limit=math.inf,
            )
        scale.limit.fill_(max(LIMIT, 1.25 * float(scale(noisy)[0].abs().max())))
        return scale

    def quick_scale(self, values: Array, weights: Array | None, seed: int, standard: Scale) -> Scale:
        """Return the known standard scale, or for a column with bounds a curved one that fits better."""
        if isinstance(standard, Atoms):
            others, rest = self._others, self._without_atoms(values, weights)
            inner = others.quick_scale(*rest, seed, standard.inner)
            return Atoms.fit(values, weights, inner=inner, atoms=self.atoms)
        if isinstance(standard, CellHistogram) or self.extent == (None, None):
            return standard
        noisy = self._noisy(values[:_QUICK_ROWS], seed).numpy()
        own = None if weights is None else weights[:_QUICK_ROWS]
        try:
            curved = curved_scale(noisy, own, *self.extent)
        except DataError:  # These are all alike.
            return standard
        fits = [
            float(np.average(log_likelihoods(each, noisy), weights=own))
            for each in (standard, curved)
            if each is not None
        ]
        return curved if curved is not None and fits[1] > fits[0] else standard

    def _noisy(self, values: Array, seed: int) -> Tensor:
        exact = torch.from_numpy(values)
        if not self.noisy:
            return exact
        return self.dequantise(exact, Noise(seed).uniform(len(exact), (), exact))

    @property
    def _others(self) -> Support:
        """The support of the values that are no atoms."""
        return Support(
            self.lower, self.upper, self.step, self.offset, uniform=self.uniform, rounding=self.rounding
        )

    def _without_atoms(self, values: Array, weights: Array | None) -> tuple[Array, Array | None]:
        others = self.cells.index(torch.from_numpy(values)).numpy() < 0
        rest = values[others]
        if len(rest) < 2 or rest.min() == rest.max():
            low, high = float(values.min()), float(values.max())
            return np.linspace(low, high, _STAND_INS + 2)[1:-1], None
        return rest, None if weights is None else weights[others]

    def _histogram(self, values: Array, weights: Array | None) -> Scale:
        assert self.step is not None
        lower, upper = self.extent
        return CellHistogram.fit(
            values, weights, step=self.step, offset=self.offset, lower=lower, upper=upper
        )

    def _has_cells(self, values: Array) -> bool:
        """Whether values are on a grid that float64 resolves."""
        return self.step is not None and self.uniform and bool((abs(values / self.step) < _MOST_CELLS).all())

    def _few(self, values: Array) -> bool:
        """Whether the values are few, and each is frequent or all that are possible are few."""
        if self.step is None or not self._has_cells(values):
            return False
        lower, upper = self.extent
        possible = math.inf if lower is None or upper is None else (upper - lower) / self.step
        frequent = len(np.unique(values)) <= min(_FEW_VALUES, len(values) / _ROWS_FOR_A_VALUE)
        return frequent or possible < _FEW_VALUES + 0.5

    def _spiked(self, values: Array) -> bool:
        """Whether single values on a grid are far more frequent than under a normal distribution."""
        if not self._has_cells(values):
            return False
        _, counts = np.unique(values, return_counts=True)
        if counts.max() < _ROWS_FOR_A_VALUE:
            return False
        spread = float(values.std())
        normal = (self.step or 0.0) / (math.sqrt(2 * math.pi) * spread) if spread > 0 else 1.0
        return float(counts.max()) / len(values) > max(_SPIKE_SHARE, _SPIKE_HEIGHT * normal)

    def dequantise(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return values spread over their cells by uniforms in [0, 1); values outside stay outside.

        On a grid a cell is one step wide, or what of it lies within the bounds; the cells of atoms are very
        narrow. Other values stay as they are.
        """
        if not self.noisy:
            return x
        other = x
        if self.step is not None:
            beyond = x - _clip(x, self.lower, self.upper)
            other = reflect(dequantise(x, self.step, noise), *self.extent)
            other = torch.where(beyond == 0, other, x + self.step * beyond.sign())
        return (
            torch.where(self.cells.index(x) >= 0, self.cells.spread(x, noise), other) if self.atoms else other
        )

    def log_width(self, x: Tensor) -> Tensor:
        """Return the logarithm of the width of the atom's cell that a dequantised value lies in; 0 for none.

        Added to a log-density, it makes it the logarithm of a mass.
        """
        return self.cells.log_width(x) if self.atoms else torch.zeros_like(x)

    def outside(self, x: Tensor) -> Tensor:
        """Return which values are beyond the bounds, a boolean of the shape of x; False for missing ones."""
        return (x != _clip(x, self.lower, self.upper)) & ~x.isnan()

    def off_grid(self, x: Tensor) -> Tensor:
        """Return which values are off the grid, up to rounding errors; none if the grid is not uniform."""
        if self.step is None or not self.uniform:
            return torch.zeros_like(x, dtype=torch.bool)
        tolerance = _ROUNDING * self.step + self.rounding + 4 * torch.finfo(x.dtype).eps * x.abs()
        off = (x - quantise(x, self.step, self.offset)).abs() > tolerance
        return off & (self.cells.index(x) < 0) if self.atoms else off

    def on_an_open_end(self, x: Tensor) -> Tensor:
        """Return which values without a grid lie on a bound that is no atom: there the density ends."""
        if self.step is not None:
            return torch.zeros_like(x, dtype=torch.bool)
        ends = x.new_tensor([end for end in (self.lower, self.upper) if end is not None])
        at_an_end = (x[..., None] == ends).any(-1)
        return at_an_end & (self.cells.index(x) < 0) if self.atoms else at_an_end

    def snap(self, x: Tensor) -> Tensor:
        """Return the values that dequantised ones stand for: atoms, points of the grid, or themselves."""
        own = x
        if self.step is not None and self.uniform:
            # The edge of a cell that ends at a bound may round to the next point.
            own = _clip(quantise(x, self.step, self.offset), *self._ends)
        own = _clip(own, self.lower, self.upper)
        return torch.where(self.cells.index(x) >= 0, self.cells.collected(x), own) if self.atoms else own


def _clip(x: Tensor, lower: float | None, upper: float | None) -> Tensor:
    return x if lower is None and upper is None else x.clamp(lower, upper)
