"""A column of numbers: a mixture of logistic distributions with power-law tails, a grid, and atoms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.columns.base import ColumnDistribution
from logpx.distributions.columns.features import HARMONICS, harmonics, piecewise_linear, quantiles
from logpx.distributions.columns.logistic import log_density, log_mass
from logpx.distributions.columns.units import ColumnUnits
from logpx.distributions.meta import evenly_spaced
from logpx.errors import UsageError

__all__ = ["NumberColumn"]

_PSEUDO_ROWS = 0.5
_PIECES = 24
# Quadrature points of a component, and how a quantile is found.
_NODES = 32
_BISECTIONS = 60
_FARTHEST_LOGIT = 30.0
# Of the narrowest component relative to the spread of all, and how far a network's numbers reach.
_NARROWEST = 12.0
_REACH = 8.0
# A logistic component is at most so many times as wide as the tails of the values: wider ones, which cost
# hardly any likelihood, would give a power law without a mean.
_WIDEST = 1.5
_LEAST_WIDEST = 0.2
# In steps of a grid, what lies on it is nearer to a point.
_ROUNDING = 1e-6
# How near a value is to an atom that is the atom, relative to it.
_AT_AN_ATOM = 2.0**-31
_LEAST_DISTANCE = 2.0**-499


class NumberColumn(ColumnDistribution):
    r"""Numbers between bounds: :math:`p(x) = \sum_k w_k \, p_k(u(x)) \, u'(x)` with logistic :math:`p_k`.

    In the units u of the column (`ColumnUnits`), logistic tails are power laws of x. On a grid log p is that
    of the mass of a cell divided by the step. Single values may hold mass of their own beside the continuum,
    which adds to that of the cell they are the point of. Without a grid log p refers there to the mass alone.

    Parameters
    ----------
    step
        The step of the grid; None for a density.
    lower, upper
        Where the density, or the outermost cell, ends; None for no end.
    offset
        A point of the grid.
    atoms
        Single values that hold mass, ascending.
    counted
        Those of them where log p refers to the mass alone, also where there is a grid.
    components
        The number of logistic distributions.
    uniform
        Whether every value lies on the grid. If not, a value's cell is one step around it.
    periods
        Periods that a network sees the value's place in, such as 86,400 for seconds.

    Examples
    --------
    >>> column = NumberColumn(lower=0.0)
    >>> x = torch.linspace(0.0, 1.0, 102, dtype=torch.float64)[1:-1]
    >>> column.initialise(x)
    >>> bool((column.log_prob(torch.zeros(1, column.outputs), x[50:51]).exp() - 1.0).abs() < 0.2)
    True
    """

    atoms: Tensor
    gates: Tensor
    centres: Tensor
    widths: Tensor
    pieces: Tensor
    origin: Tensor

    def __init__(
        self,
        step: float | None = None,
        lower: float | None = None,
        upper: float | None = None,
        *,
        offset: float = 0.0,
        atoms: Sequence[float] = (),
        counted: Sequence[float] = (),
        components: int = 10,
        uniform: bool = True,
        periods: Sequence[float] = (),
    ) -> None:
        super().__init__()
        check_count("components", components)
        if step is not None and not step > 0:
            raise UsageError(f"a grid of step {step}", fix="give a positive step, or none")
        if any(b <= a for a, b in zip(atoms, list(atoms)[1:], strict=False)):
            raise UsageError(f"atoms {list(atoms)}", fix="give each once, ascending")
        if set(counted) - set(atoms):
            raise UsageError(
                f"counted values {list(counted)} that are no atoms", fix="give them as atoms, too"
            )
        self.step, self.lower, self.upper, self.offset, self.uniform = step, lower, upper, offset, uniform
        self.counted = list(counted)
        self.components, self.periods = components, list(periods)
        self.gated = len(atoms) + 1 if len(atoms) else 0
        self.outputs = self.gated + 3 * components
        self.inputs = _PIECES + 2 + len(atoms) + 2 * HARMONICS * len(self.periods)
        self.units = ColumnUnits(lower, upper)
        self.register_buffer("atoms", torch.tensor(list(atoms), dtype=torch.float64))
        self.register_buffer("gates", torch.zeros(self.gated, dtype=torch.float64))
        self.register_buffer("centres", evenly_spaced(-2.0, 2.0, components))
        self.register_buffer("widths", torch.full((components,), 0.5, dtype=torch.float64))
        self.register_buffer("pieces", evenly_spaced(-3.0, 3.0, _PIECES + 1))
        self.register_buffer("origin", torch.tensor([0.0, 1.0], dtype=torch.float64))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no values can give, or None."""
        if not bool((self.widths > 0.0).all()):
            return "widths"
        return None if bool(self.origin.isfinite().all()) and bool(self.origin[1] > 0.0) else "origin"

    def initialise(self, x: Tensor) -> None:
        """Set the units, the components and the shares of the atoms from the column's values."""
        at = self._atom(x)
        rest = x[(at < 0) & self._inside(x)]
        if self.gated:
            counts = torch.bincount(at + 1, minlength=self.gated).double() + _PSEUDO_ROWS
            self.gates.copy_(torch.log(counts / counts.sum()))
        if len(rest) < 2:
            rest = x if len(x) > 1 else torch.cat([x - 1.0, x, x + 1.0])
            rest = rest[self._inside(rest)]
        if len(rest) < 2:
            return
        self.units.initialise(rest)
        u = self.units(rest)
        spread = float(u.std()) or 1.0
        self.origin.copy_(torch.stack([u.mean(), u.new_tensor(spread)]))
        self.pieces.copy_(quantiles(u, _PIECES + 1))
        count = self.components
        ordered = torch.sort(u)[0]
        places = (torch.arange(count, dtype=torch.float64) + 0.5) / count * (len(u) - 1)
        self.centres.copy_(ordered[places.round().long()])
        low, high = (
            ordered[(places + shift * len(u) / count).round().long().clamp(0, len(u) - 1)]
            for shift in (-1, 1)
        )
        # About the deviation of a logistic distribution that covers the distance to both neighbours.
        self.widths.copy_(((high - low) / 4).clamp_min(spread * 1e-3))

    @property
    def _on_grid(self) -> bool:
        return self.step is not None and self.uniform

    def _inside(self, x: Tensor) -> Tensor:
        least = -math.inf if self.lower is None else self.lower
        most = math.inf if self.upper is None else self.upper
        return (x > least) & (x < most) if self.step is None else (x >= least) & (x <= most)

    def _atom(self, x: Tensor) -> Tensor:
        """Return the number of the atom that a value is; -1 for none."""
        if not self.gated:
            return torch.full_like(x, -1, dtype=torch.int64)
        middles = (self.atoms[1:] + self.atoms[:-1]) / 2
        index = torch.searchsorted(middles, x.contiguous())
        near = (self.atoms.abs() * _AT_AN_ATOM).clamp_min(_LEAST_DISTANCE)
        if self._on_grid:
            near = torch.where(self._in_cells, (self.step or 0.0) / 2, near)
        return torch.where((x - self.atoms[index]).abs() <= near[index], index, -1)

    @property
    def _in_cells(self) -> Tensor:
        """Which atoms are points of the grid, or within a cell around any value."""
        if self.step is None:
            return torch.zeros_like(self.atoms, dtype=torch.bool)
        if not self.uniform:
            return ~self._counted
        places = (self.atoms - self.offset) / self.step
        return (places - places.round()).abs() <= _ROUNDING

    @property
    def _counted(self) -> Tensor:
        if self.step is None:
            return torch.ones_like(self.atoms, dtype=torch.bool)
        return torch.isin(self.atoms, self.atoms.new_tensor(self.counted))

    def embed(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the features of numbers times their weights."""
        u = self.units(x)
        line = ((u - self.origin[0]) / (3.0 * self.origin[1])).clamp(-5.0, 5.0)
        parts = [piecewise_linear(u, self.pieces), line[:, None], torch.ones_like(line)[:, None]]
        if self.gated:
            parts.append(
                (self._atom(x)[:, None] == torch.arange(len(self.atoms), device=x.device)).to(u.dtype)
            )
        if self.periods:
            parts.append(harmonics(x, self.periods))
        return torch.cat(parts, 1).to(weight.dtype) @ weight

    def _mixture(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-weights, centres and log-scales of the components, each ``(n, components)``."""
        logits, shifts, narrowing = raw[:, self.gated :].reshape(-1, 3, self.components).unbind(1)
        return torch.log_softmax(logits, -1), *self._marginal(shifts, narrowing)

    def _marginal(self, shifts: Tensor, narrowing: Tensor) -> tuple[Tensor, Tensor]:
        """Return centres and log-scales of components that start as those of the whole column."""
        centres = self.centres.to(shifts.dtype) + self.origin[1].to(shifts.dtype) * shifts
        widest = torch.maximum(self.widths, self._widest).log().to(shifts.dtype)
        return self._near_values(centres), self._bounded(
            self.widths.log().to(shifts.dtype), narrowing, widest
        )

    def _bounded(self, log_widths: Tensor, narrowing: Tensor, log_widest: Tensor) -> Tensor:
        """Return log-scales that a network changes, within limits."""
        least = math.log(float(self.origin[1])) - _NARROWEST
        changed = log_widths + _REACH * torch.tanh(narrowing / _REACH)
        return torch.minimum(changed.clamp_min(least), log_widest)

    def _near_values(self, centres: Tensor) -> Tensor:
        """Return centres that a network has moved, but no farther out than the tails of the values reach.

        Off the rows that it has seen, it may move some without a limit, at hardly any cost in likelihood: in
        units that are logarithms, their values have no mean, and hardly digits.
        """
        least, most = (self.pieces[[0, -1]] + self._widest * self.pieces.new_tensor([-1.0, 1.0])).tolist()
        return centres.clamp(least, most)

    @property
    def _widest(self) -> Tensor:
        """The largest scale of a component: about that of the values' tails on the sides without a bound."""
        below, above = self.pieces[3] - self.pieces[1], self.pieces[-2] - self.pieces[-4]
        if (self.lower is None) != (self.upper is None):
            # A bound is far away in the column's units, and says nothing of the other side.
            below = above = above if self.upper is None else below
        return _WIDEST * (torch.maximum(below, above) / math.log(3.0)).clamp_min(_LEAST_WIDEST)

    def _log_gates(self, raw: Tensor) -> Tensor:
        return torch.log_softmax(raw[:, : self.gated] + self.gates.to(raw.dtype), -1)

    def _continuum(self, raw: Tensor, x: Tensor) -> Tensor:
        log_weights, centres, log_scales = self._mixture(raw)
        inverse = torch.exp(-log_scales)
        if self.step is None:
            u = self.units(x).to(raw.dtype)
            each = log_density((u[:, None] - centres) * inverse) - log_scales
            return torch.logsumexp(log_weights + each, -1) + self.units.log_slope(x).to(raw.dtype)
        left, right = (self.units(end) for end in self._cell(x))
        width = (right - left).clamp_min(1e-300).to(raw.dtype)
        each = log_mass(
            (left.to(raw.dtype)[:, None] - centres) * inverse, _positive(width[:, None] * inverse)
        )
        return torch.logsumexp(log_weights + each, -1) - math.log(self.step)

    def _cell(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert self.step is not None
        point = x
        if self.uniform:
            point = self.offset + torch.round((x - self.offset) / self.step) * self.step
        return point - self.step / 2, point + self.step / 2

    def _last_cell(self, x: Tensor) -> Tensor:
        """Return the upper end of the cell of the last point that is not above a value."""
        assert self.step is not None
        point = self.offset + torch.floor((x - self.offset) / self.step + _ROUNDING) * self.step
        return point + self.step / 2

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log-density, the log-mass of the cell per step, or that of an atom."""
        inside = self._inside(x)
        centre = self.units.inverse(self.origin[0])
        found = self._continuum(raw, torch.where(inside, x, centre))
        found = torch.where(inside, found, -math.inf)
        if not self.gated:
            return found
        at, gates = self._atom(x), self._log_gates(raw)
        found = found + gates[:, 0]
        at_atom = at.clamp(min=0)
        own = gates.gather(1, at_atom[:, None] + 1)[:, 0]
        if self.step is not None:
            unit = math.log(self.step)
            own = torch.where(self._in_cells[at_atom], torch.logaddexp(own, found + unit), own)
            own = torch.where(self._counted[at_atom], own, own - unit)
        return torch.where(at >= 0, own, found)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw numbers: the first uniform chooses atom or component, the second the place."""
        raw = raw.double()
        chooser, x = uniform[:, 0], None
        if self.gated:
            gates = self._log_gates(raw).exp().cumsum(-1)
            choice = (chooser[:, None] >= gates[:, :-1]).sum(-1)
            x = self.atoms[(choice - 1).clamp_min(0)]
            chooser = (chooser / gates[:, 0]).clamp(max=1.0 - 1e-12)
        log_weights, centres, log_scales = self._mixture(raw)
        component = (chooser[:, None] >= log_weights.exp().cumsum(-1)[:, :-1]).sum(-1)[:, None]
        z = torch.logit(uniform[:, 1], eps=1e-15)
        u = centres.gather(1, component)[:, 0] + log_scales.gather(1, component)[:, 0].exp() * z
        drawn = self._snapped(self.units.inverse(u))
        return drawn if x is None else torch.where(choice > 0, x, drawn)

    def _snapped(self, x: Tensor) -> Tensor:
        if self.step is None:
            least = -math.inf if self.lower is None else math.nextafter(self.lower, math.inf)
            most = math.inf if self.upper is None else math.nextafter(self.upper, -math.inf)
            return x.clamp(least, most)
        left, right = self._cell(x)
        point = (left + right) / 2
        # The edges of the outermost cells may round to points outside.
        point = torch.where(self._inside(point), point, point + self.step * (x - point).sign())
        return point

    def cdf(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return P(value ≤ x)."""
        return self._distribution(raw.double())(x)

    def _distribution(self, raw: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the distribution function, with all that does not depend on the value found once."""
        log_weights, centres, log_scales = self._mixture(raw)
        weights, inverse = log_weights.exp(), torch.exp(-log_scales)
        gates = self._log_gates(raw).exp() if self.gated else None
        slack = _ROUNDING * (self.step or 0.0)

        def below(x: Tensor) -> Tensor:
            end = self._last_cell(x) if self._on_grid else x
            z = (self.units(end)[:, None] - centres).mul_(inverse)
            found: Tensor = (weights * z.sigmoid_()).sum(-1)
            if gates is None:
                return found
            at_atoms: Tensor = (gates[:, 1:] * (self.atoms <= (x + slack)[:, None])).sum(-1)
            return gates[:, 0] * found + at_atoms

        return below

    def quantile(self, raw: Tensor, level: float | Tensor) -> Tensor:
        """Return the smallest value whose cdf reaches a level, by bisection."""
        raw = raw.double()
        level = torch.as_tensor(level, dtype=torch.float64, device=raw.device).expand(len(raw))
        _, centres, log_scales = self._mixture(raw)
        # Gates move levels: the ends serve every level of the continuum that matters.
        reach = _FARTHEST_LOGIT * log_scales.exp()
        low, high = (centres - reach).amin(-1), (centres + reach).amax(-1)
        if self.gated:
            ends = self.units(self.atoms[[0, -1]])
            low, high = torch.minimum(low, ends[0] - 1.0), torch.maximum(high, ends[1])
        share_below = self._distribution(raw)
        for _ in range(_BISECTIONS):
            middle = low + (high - low) / 2
            below = share_below(self.units.inverse(middle)) < level
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        found = self._snapped(self.units.inverse(high)) if self._on_grid else self.units.inverse(high)
        if not self.gated:
            return found
        reached = torch.stack([share_below(atom.expand(len(raw))) for atom in self.atoms], 1)
        level = level[:, None]
        passed = (reached >= level) & (reached - self._log_gates(raw).exp()[:, 1:] < level)
        return torch.where(passed.any(1), self.atoms[passed.int().argmax(1)], found)

    def expectation(self, raw: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean between the extreme 1/64ths of each component, which keeps it finite."""
        raw = raw.double()
        log_weights, centres, log_scales = self._mixture(raw)
        z = torch.logit((torch.arange(_NODES, device=raw.device, dtype=torch.float64) + 0.5) / _NODES)
        u = centres[..., None] + log_scales.exp()[..., None] * z
        each = function(self._snapped(self.units.inverse(u).flatten())).view(u.shape).mean(-1)
        mean = (log_weights.exp() * each).sum(-1)
        if not self.gated:
            return mean
        gates = self._log_gates(raw).exp()
        return gates[:, 0] * mean + gates[:, 1:] @ function(self.atoms)


def _positive(width: Tensor) -> Tensor:
    # In float32 a cell may be so narrow that its width underflows.
    return width.clamp_min(torch.finfo(width.dtype).tiny)
