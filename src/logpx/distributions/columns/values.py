"""A column of a few hundred values on a grid, each with a mass of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from logpx.arguments import check_count, check_number
from logpx.distributions.columns.base import ColumnDistribution
from logpx.distributions.columns.features import HARMONICS, harmonics, piecewise_linear, quantiles
from logpx.distributions.columns.labels import share_of_new
from logpx.distributions.columns.logistic import log_mass
from logpx.distributions.columns.units import ColumnUnits
from logpx.errors import UsageError

__all__ = ["ValueColumn"]

_PSEUDO_ROWS = 0.5
_PIECES = 16
_LEAST_SCALE = 0.3
_REACH = 3.0


class ValueColumn(ColumnDistribution):
    r"""Values on a grid: a softmax over those that were seen, and a little mass for all others.

    The masses at the start are the shares of the training rows, and the network's numbers tilt them: with
    fewer `knots` than values smoothly, by a function that is piecewise linear in the rank. The mass for
    values that were not seen (Good's estimate of it) has power-law tails and ends at the bounds. Log p is
    that of the mass of a cell, divided by the step.

    Parameters
    ----------
    values
        The values that get a mass of their own, ascending, on the grid.
    step
        The step of the grid.
    lower, upper
        Where the outermost cells end; None for no end.
    knots
        How many numbers of a network tilt the masses; as many as values by default.
    periods
        Periods that a network sees the value's place in, such as 7 for days.

    Examples
    --------
    >>> column = ValueColumn([0.0, 1.0], lower=-0.5, upper=1.5)
    >>> column.initialise(torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64))
    >>> column.log_prob(torch.zeros(1, 2), torch.ones(1, dtype=torch.float64)).exp()
    tensor([0.5000])
    """

    points: Tensor
    base: Tensor
    tilts: Tensor
    table: Tensor
    log_new: Tensor
    place: Tensor

    def __init__(
        self,
        values: Sequence[float],
        step: float = 1.0,
        lower: float | None = None,
        upper: float | None = None,
        *,
        knots: int | None = None,
        periods: Sequence[float] = (),
    ) -> None:
        super().__init__()
        check_number("step", step, above=0.0)
        count = len(values)
        if count < 1 or any(b - a < 0.5 * step for a, b in pairwise(values)):
            raise UsageError(f"{count} values, not ascending by a step of {step:g}", fix="give each once")
        self.step, self.lower, self.upper, self.periods = step, lower, upper, list(periods)
        self.knots = count if knots is None else min(knots, count)
        check_count("knots", self.knots)
        self.outputs = self.knots
        self.pieces = min(_PIECES, count)
        self.inputs = self.knots + self.pieces + 2 * HARMONICS * len(self.periods)
        self.units = ColumnUnits(lower, upper)
        self.register_buffer("points", torch.tensor(list(values), dtype=torch.float64))
        self.register_buffer("base", torch.full((count,), -math.log(count), dtype=torch.float64))
        self.register_buffer("tilts", torch.zeros(self.knots, count))
        self.register_buffer("table", torch.zeros(count, self.inputs))
        self.register_buffer("log_new", torch.tensor(-math.log(1e3), dtype=torch.float64))
        self.register_buffer("place", torch.tensor([0.0, 1.0], dtype=torch.float64))

    def initialise(self, x: Tensor) -> None:
        """Count the values."""
        index, seen = self._index(x)
        counts = torch.bincount(index[seen], minlength=len(self.points)).double()
        if len(x) > 1:
            self.units.initialise(x)
        u = self.units(x)
        self.place[0] = u.mean()
        # Of unseen values, few are to lie beyond all seen ones, and none far.
        reach = float((u - u.mean()).max()) / _REACH
        self.place[1] = max(_LEAST_SCALE, min(float(u.std()), reach) if len(u) > 1 else 1.0)
        self.base.copy_(torch.log((counts + _PSEUDO_ROWS) / (counts.sum() + _PSEUDO_ROWS * len(counts))))
        self.log_new.fill_(math.log(share_of_new(counts)))
        self.tilts.copy_(_hats(self.base.exp(), self.knots))
        pieces = piecewise_linear(self.points, quantiles(x, self.pieces + 1))
        waves = harmonics(self.points, self.periods)
        self.table.copy_(torch.cat([self.tilts.T.double(), pieces, waves], 1))

    def _index(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest of the values, and whether it is the cell's own."""
        middles = (self.points[1:] + self.points[:-1]) / 2
        index = torch.searchsorted(middles, x.contiguous())
        return index, (x - self.points[index]).abs() <= 0.5 * self.step

    def embed(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the weights of values; one that was not seen counts as its nearest."""
        return functional.embedding(self._index(x)[0], self.table.to(weight.dtype) @ weight)

    def _log_masses(self, raw: Tensor) -> Tensor:
        return torch.log_softmax(raw @ self.tilts.to(raw.dtype) + self.base.to(raw.dtype), -1)

    def _cell(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ends of the cell of a value."""
        first = self.points[0]
        point = first + torch.round((x - first) / self.step) * self.step
        return point - self.step / 2, point + self.step / 2

    def _log_mass_of_new(self, x: Tensor) -> Tensor:
        left, right = (self.units(end) for end in self._cell(x))
        centre, scale = self.place.unbind()
        width = ((right - left) / scale).clamp_min(1e-300)
        return self.log_new + log_mass((left - centre) / scale, width)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the logarithm of the mass of the cell per step."""
        index, seen = self._index(x)
        own = self._log_masses(raw).gather(1, index[:, None])[:, 0] + torch.log1p(-self.log_new.exp()).to(
            raw.dtype
        )
        new = self._log_mass_of_new(x).to(raw.dtype)
        found = torch.where(seen, torch.logaddexp(own, new), new) - math.log(self.step)
        return torch.where(self._inside(x), found, -math.inf)

    def _inside(self, x: Tensor) -> Tensor:
        least = -math.inf if self.lower is None else self.lower
        most = math.inf if self.upper is None else self.upper
        return (x >= least) & (x <= most)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw values; the second uniform chooses between seen ones and all."""
        edges = self._log_masses(raw.double()).exp().cumsum(-1)[:, :-1]
        seen = self.points[(uniform[:, :1] >= edges).sum(-1)]
        share = self.log_new.exp()
        fresh = uniform[:, 1] < share
        if not bool(fresh.any()):
            return seen
        return torch.where(fresh, self._other(uniform[:, 0]), seen)

    def cdf(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return P(value ≤ x)."""
        masses = self._log_masses(raw.double()).exp()
        below = (masses * (self.points <= x[:, None] + 0.25 * self.step)).sum(-1)
        u = self.units(self._cell(x)[1])
        share = self.log_new.exp()
        return (1 - share) * below + share * torch.sigmoid((u - self.place[0]) / self.place[1])

    def quantile(self, raw: Tensor, level: float | Tensor) -> Tensor:
        """Return the smallest value whose cdf reaches a level, be it one that was seen or not."""
        share = self.log_new.exp()
        below = (1 - share) * self._log_masses(raw.double()).exp().cumsum(-1)
        others = share * torch.sigmoid(
            (self.units(self._cell(self.points)[1]) - self.place[0]) / self.place[1]
        )
        level = torch.as_tensor(level, dtype=torch.float64, device=raw.device)
        index = (below + others < level[..., None]).sum(-1)
        before = torch.cat([torch.zeros_like(below[:, :1]), below], 1).gather(1, index[:, None])[:, 0]
        seen = torch.cat([self.points, self.points.new_tensor([math.inf])])[index]
        return torch.minimum(seen, self._other((level - before) / share))

    def _other(self, level: Tensor) -> Tensor:
        """Return the quantile of the distribution of values that were not seen."""
        u = self.place[0] + self.place[1] * torch.logit(level, eps=1e-12)
        left, right = self._cell(self.units.inverse(u))
        middle = (left + right) / 2
        # The edge of an outermost cell may round to a point outside.
        least = -math.inf if self.lower is None else self.lower + self.step / 2
        most = math.inf if self.upper is None else self.upper - self.step / 2
        return middle.clamp(least, most)

    def expectation(self, raw: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the values that were seen."""
        return self._log_masses(raw.double()).exp() @ function(self.points)


def _hats(masses: Tensor, knots: int) -> Tensor:
    """Return functions that are 1 at one of some values, and fall to 0 at the next, linearly in the rank."""
    count = len(masses)
    if knots >= count:
        return torch.eye(count)
    rank = masses.cumsum(0) - masses / 2
    wanted = torch.linspace(0, 1, knots, dtype=masses.dtype, device=masses.device)
    chosen = {int((rank - place).abs().argmin()) for place in wanted}
    for index in masses.argsort(descending=True).tolist():
        if len(chosen) >= knots:
            break
        chosen.add(index)
    at = sorted(chosen)
    found = torch.zeros(knots, count)
    for number, index in enumerate(at):
        found[number, index] = 1.0
        if number:
            before = at[number - 1]
            share = (rank[before:index] - rank[before]) / (rank[index] - rank[before])
            found[number, before:index] = share.float()
            found[number - 1, before:index] = (1 - share).float()
    found[0, : at[0]] = 1.0
    found[len(at) - 1, at[-1] :] = 1.0
    return found
