"""One column of a flow given all others: where no closed form integrates it out, quadrature does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.distributions.conditional import Marginals, mixed
from logpx.errors import UsageError
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.families.families import FAMILIES

__all__ = ["QuadratureDensity", "integrable"]

# Nodes over the whole range, and then twice where the integrand is large between the nodes so far.
_NODES, _FINER = 129, (65, 33)
_DRAWS = 1024
_LEAST_ROOT = 1e-9
# Beyond the draws of the model, in units of their range.
_BEYOND = 0.5
_MOST_ROWS = 100_000


def integrable(density: Distribution) -> tuple[Distribution, bool]:
    """Return a density of table units that integrates single missing cells out, and whether by quadrature.

    Parameters
    ----------
    density
        The density of a table model.
    """
    members = list(density.components) if isinstance(density, Mixture) else [density]
    if all(member.allows_missing for member in members):
        return density, False
    adapted = [
        QuadratureDensity(member.columns, member.model).eval()
        if isinstance(member, TableDensity) and not member.allows_missing
        else member
        for member in members
    ]
    for member in adapted:
        if not isinstance(member, TableDensity | CellDensity) or member.kind != "exact":
            raise UsageError(
                "the model has no distribution of single columns given the others",
                fix=f"fit a flow, or one that has: {FAMILIES.fix(lambda family: family.allows_missing)}",
            )
    if not isinstance(density, Mixture):
        return adapted[0], True
    return Mixture(adapted, torch.softmax(density.logits.detach(), 0).tolist()).eval(), True


class QuadratureDensity(TableDensity):
    """Rows in table units, of which one cell may be missing: it is integrated out by the trapezoidal rule.

    The nodes lie over the range of draws of the model, and more densely where the integrand is large. What
    results is an estimate, good as long as the conditional distribution is smooth between nodes.

    Parameters
    ----------
    columns, model
        As in `TableDensity`.

    Examples
    --------
    >>> import math, torch
    >>> from logpx.distributions import FullNormal
    >>> from logpx.tables import ColumnScales, Support
    >>> columns = ColumnScales.standard([[-1.0, -1.0], [1.0, 1.0]], [Support(), Support()])
    >>> density = QuadratureDensity(columns, FullNormal(2).double())
    >>> without = density.log_prob(torch.tensor([[math.nan, 0.0]])).item()
    >>> round(without, 4)  # As of the standard normal that remains.
    -0.9189
    """

    def __init__(self, columns: object, model: Distribution) -> None:
        super().__init__(columns, model)  # type: ignore[arg-type]
        self.allows_missing = True

    @property
    def has_closed_marginals(self) -> bool:
        """True: `conditional_marginals` answers, by quadrature."""
        return True

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in table units of the cells that are there: shape ``(n,)``, float64."""
        y, ladj = self.in_model_units(x)
        found = self._whole(y.nan_to_num())
        missing = y.isnan()
        if bool((missing.sum(1) > 1).any()):
            raise UsageError(
                "several cells of a row are missing, and quadrature is for one", fix="fit a mixture"
            )
        for column in missing.any(0).nonzero().flatten().tolist():
            own = missing[:, column]
            nodes, log_prob = self._nodes(y[own], column)
            found[own] = torch.logsumexp(log_prob + _log_widths(nodes), 1)
        return torch.where(torch.isneginf(ladj), ladj, found + ladj)

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of the one target column given the others, in table units: shape ``(n,)``, float64."""
        return Distribution.conditional_log_prob(self, x, target)

    def conditional_marginals(
        self, rows: Sequence[Tensor], weights: Tensor, columns: Sequence[int]
    ) -> list[Marginals]:
        """Return the distribution of each of some columns given all others, as `TableDensity` does."""
        units = [self.in_model_units(x)[0] for x in rows]
        found = []
        for column in columns:
            parts = [_NodeMarginals(*self._nodes(y, column)) for y in units]
            found.append(self.columns.marginals(mixed(parts, weights), column))
        return found

    @cached_property
    def _ranges(self) -> Tensor:
        """The ends of the nodes of each column, ``(2, d)``: of draws, and some more."""
        with torch.no_grad():
            draws = self.model.sample(_DRAWS, seed=0).double()
        low, high = draws.amin(0), draws.amax(0)
        return torch.stack([low - _BEYOND * (high - low), high + _BEYOND * (high - low)])

    def _nodes(self, y: Tensor, column: int) -> tuple[Tensor, Tensor]:
        """Return nodes of a column for every row, ascending, and the joint log-density there: ``(n, G)``."""
        low, high = self._ranges[:, column]
        share = torch.linspace(0.0, 1.0, _NODES, dtype=torch.float64, device=y.device)
        nodes = (low + (high - low) * share).expand(len(y), -1)
        log_prob = self._at(y, column, nodes)
        for count in _FINER:
            finer = _between(nodes, log_prob, count)
            nodes = torch.cat([nodes, finer], 1)
            log_prob = torch.cat([log_prob, self._at(y, column, finer)], 1)
            nodes, order = nodes.sort(1)
            log_prob = log_prob.gather(1, order)
        return nodes, log_prob

    def _at(self, y: Tensor, column: int, nodes: Tensor) -> Tensor:
        """Return the joint log-density of rows with each of their nodes in a column, shape ``(n, G)``."""
        rows = y.repeat_interleave(nodes.shape[1], 0)
        rows[:, column] = nodes.flatten().to(rows)
        return self._whole(rows).view(nodes.shape)

    def _whole(self, y: Tensor) -> Tensor:
        parts = [self.model.log_prob(part).double() for part in torch.split(y, _MOST_ROWS)]
        return torch.cat(parts) if parts else y.new_zeros(0, dtype=torch.float64)


def _between(nodes: Tensor, log_prob: Tensor, count: int) -> Tensor:
    """Return more nodes, ``(n, count)``, as dense as the cube root of the integrand.

    Where its curvature is in proportion to it, this makes the error of the trapezoidal rule least.
    """
    widths = nodes.diff(dim=1)
    root = torch.exp((log_prob - log_prob.amax(1, keepdim=True)) / 3.0).nan_to_num()
    # Something for every interval, so that there is a place for all.
    shares = (root[:, 1:] + root[:, :-1] + _LEAST_ROOT) * widths
    shares = shares / shares.sum(1, keepdim=True)
    ends = shares.cumsum(1)
    places = (torch.arange(count, dtype=torch.float64, device=nodes.device) + 0.5) / count
    which = torch.searchsorted(ends, places.expand(len(nodes), -1).contiguous()).clamp_max(
        widths.shape[1] - 1
    )
    own = shares.gather(1, which)
    within = (places - (ends.gather(1, which) - own)) / own
    return nodes.gather(1, which) + widths.gather(1, which) * within.clamp(0.0, 1.0)


def _log_widths(nodes: Tensor) -> Tensor:
    """Return the logarithms of the weights of the trapezoidal rule, shape ``(n, G)``."""
    steps = nodes.diff(dim=1)
    zero = torch.zeros_like(nodes[:, :1])
    return (0.5 * (torch.cat([zero, steps], 1) + torch.cat([steps, zero], 1))).log()


class _NodeMarginals(Marginals):
    """Distributions whose density is known at nodes and linear between them."""

    def __init__(self, nodes: Tensor, log_prob: Tensor) -> None:
        self.nodes = nodes
        density = torch.exp(log_prob - log_prob.amax(1, keepdim=True))
        shares = 0.5 * (density[:, 1:] + density[:, :-1]) * nodes.diff(dim=1)
        self._cdf = torch.cat([torch.zeros_like(nodes[:, :1]), shares.cumsum(1)], 1)
        self._cdf = self._cdf / self._cdf[:, -1:].clamp_min(1e-300)

    def cdf(self, x: Tensor) -> Tensor:
        """Return the probabilities of values up to some, both of shape ``(n, m)``."""
        return _interpolated(self.nodes, self._cdf, x.double())

    def quantiles(self, levels: Tensor) -> Tensor:
        """Return the quantiles at levels of shape ``(q,)``: shape ``(n, q)``."""
        return _interpolated(self._cdf, self.nodes, levels.to(self.nodes).expand(len(self.nodes), -1))

    def expectation(self, function: object) -> Tensor:
        """Return the mean of a function of the values: shape ``(n,)``."""
        middle = 0.5 * (self.nodes[:, 1:] + self.nodes[:, :-1])
        values = function(middle.flatten()).view(middle.shape)  # type: ignore[operator]
        mean: Tensor = (values * self._cdf.diff(dim=1)).sum(1)
        return mean


def _interpolated(at: Tensor, values: Tensor, x: Tensor) -> Tensor:
    """Return piecewise linear functions, one for every row, of points of shape ``(n, m)``."""
    place = torch.searchsorted(at.contiguous(), x.contiguous()).clamp(1, at.shape[1] - 1)
    low, high = at.gather(1, place - 1), at.gather(1, place)
    share = ((x - low) / (high - low).clamp_min(1e-300)).clamp(0.0, 1.0)
    return values.gather(1, place - 1) * (1.0 - share) + values.gather(1, place) * share
