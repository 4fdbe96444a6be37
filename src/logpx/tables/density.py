"""Densities over rows in the table's own units: dequantised and in model units, or cells as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from logpx.distributions import Distribution, LowerBound, Mixture
from logpx.distributions.checked_methods import of_rows
from logpx.distributions.conditional import Marginals, mixed
from logpx.distributions.seeding import part_seed
from logpx.errors import UsageError
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.wording import counted

__all__ = [
    "CellDensity",
    "HasBound",
    "ObservedRange",
    "TableDensity",
    "bound_on_noise",
    "has_bound_alone",
    "impossible_cells",
    "needs_noise",
]


class _Imputes(Protocol):
    """A model that can fill in missing cells."""

    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells, with the best guess for each or with draws from their joint conditional."""


class HasBound(Protocol):
    """What has log p of rows, or a bound of it, and knows its error."""

    def log_prob_lower(
        self, x: Tensor, draws: int | None = None, seed: int = 0, *, first: int | Tensor = 0
    ) -> LowerBound:
        """Return log p with its standard error; `first` is the number of the first row."""


@runtime_checkable
class HasBoundOnNoise(Protocol):
    """What finds by itself what does not depend on the noise of rows."""

    def bound_on_noise(self, x: Tensor) -> _Bound:
        """Return what gives the bound of rows, shape ``(n, d)``, on some noise, as `bound_on_noise` does."""


# The least and the most value of each column; infinite where nothing is known.
ObservedRange = tuple[Sequence[float], Sequence[float]]
# Returns the bound of dequantised rows, given draws of z, a seed and the number of the first row.
_Bound = Callable[[Tensor, int | None, int, int | Tensor], LowerBound]


def _check_columns(model: Distribution, columns: int) -> None:
    if model.event_shape != (columns,):
        raise UsageError(
            f"a model of rows of shape {tuple(model.event_shape)} for {counted(columns, 'column')}",
            fix="give a model of as many columns",
        )


class TableDensity(Distribution):
    r"""Rows x in table units, :math:`\log p(x) = \log p_y(y(x)) + \sum_j \log |dy_j / dx_j|`.

    Column maps run in float64, whatever the precision of the model: numbers of nine digits and columns with
    a spread of 1e-6 both keep their resolution.

    Parameters
    ----------
    columns
        The maps of the columns to model units.
    model
        The distribution of rows in model units.

    Attributes
    ----------
    levels : list of (int or None)
        For each column the number of its labels; None if it holds numbers.
    supports : list of Support
        The supports of the columns.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> from logpx.tables import ColumnScales, Support
    >>> columns = ColumnScales.standard([[-10.0], [10.0]], [Support()])
    >>> TableDensity(columns, StandardNormal(1)).log_prob(torch.zeros(1, 1))
    tensor([-3.2215], dtype=torch.float64)
    """

    def __init__(self, columns: ColumnScales, model: Distribution) -> None:
        super().__init__(model.event_shape)
        _check_columns(model, len(columns.scales))
        self.columns = columns
        self.model = model
        self.allows_missing = model.allows_missing
        self.supports = columns.supports
        self.levels = Supports(columns.supports).levels

    @property
    def kind(self) -> str:
        """Whether the model's log-density is ``exact`` or a ``lower bound``."""
        return self.model.kind

    @of_rows
    def in_model_units(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows in model units, in the model's dtype, and the log abs(det) of the maps, in float64.

        A label that the model does not know has probability 0: it is replaced by a missing cell, and the log
        abs(det) is minus infinity.
        """
        y, ladj = self.columns.forward(x)
        for column, levels in enumerate(self.levels):
            if levels is not None:
                strange = y[:, column] >= levels
                y[:, column] = y[:, column].masked_fill(strange, math.nan)
                ladj = ladj.masked_fill(strange, -math.inf)
        return y.to(self.model._like().dtype), ladj

    @of_rows
    def impossible_cells(self, x: Tensor) -> Tensor:
        """Return which cells of rows in table units are outside the support of their column, ``(n, d)``."""
        found = []
        for scale, levels, values in zip(self.columns.scales, self.levels, x.double().mT, strict=True):
            _, log_derivative = scale(values)
            found.append(torch.isneginf(log_derivative) if levels is None else values >= levels)
        return torch.stack(found, 1) & ~x.isnan()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density of dequantised rows in nats, in table units: shape ``(n,)``, float64.

        A row outside the support of a column has log-density minus infinity.
        """
        y, ladj = self.in_model_units(x)
        return torch.where(torch.isneginf(ladj), ladj, self.model.log_prob(y).double() + ladj)

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return the model's lower bound in table units, with its standard error: float64."""
        y, ladj = self.in_model_units(x)
        bound, error = self.model.log_prob_lower(y, draws, seed, first=first)
        impossible = torch.isneginf(ladj)
        return LowerBound(
            torch.where(impossible, ladj, bound.double() + ladj), error.double().masked_fill(impossible, 0.0)
        )

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of the target columns given the others, in table units: shape ``(n,)``, float64.

        A target cell outside the support of its column has log-density minus infinity.
        """
        y, each = self._cells_in_model_units(x)
        return self._conditional(y, each, target)

    def given_and_conditional_log_prob(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p of the other columns, and `conditional_log_prob` of the target ones, both ``(n,)``."""
        y, each = self._cells_in_model_units(x)
        ladj = each.masked_fill(target, 0.0).sum(1)
        known = y.masked_fill(target, math.nan)
        given = torch.where(torch.isneginf(ladj), ladj, self.model.log_prob(known).double() + ladj)
        return given, self._conditional(y, each, target)

    def _conditional(self, y: Tensor, each: Tensor, target: Tensor) -> Tensor:
        ladj = each.masked_fill(~target, 0.0).sum(1)
        found = self.model.conditional_log_prob(y, target).double()
        return torch.where(torch.isneginf(ladj), ladj, found + ladj)

    def _cells_in_model_units(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `in_model_units` with the log-derivative of each cell, shape ``(n, d)``."""
        y, each = self.columns.cells_forward(x)
        for column, levels in enumerate(self.levels):
            if levels is not None:
                strange = y[:, column] >= levels
                y[:, column] = y[:, column].masked_fill(strange, math.nan)
                each[:, column] = each[:, column].masked_fill(strange, -math.inf)
        return y.to(self.model._like().dtype), each

    @property
    def has_closed_marginals(self) -> bool:
        """Whether `conditional_marginals` answers."""
        return hasattr(self.model, "conditional_marginals")

    def conditional_marginals(
        self, rows: Sequence[Tensor], weights: Tensor, columns: Sequence[int]
    ) -> list[Marginals]:
        """Return the distribution of each of some columns given the others, for every row, in table units.

        Parameters
        ----------
        rows
            The same rows with several draws of noise, each of shape ``(n, d)``.
        weights
            Those of the draws, shape ``(n, draws)``.
        columns
            The numbers of the columns.
        """
        units = [self.in_model_units(x)[0] for x in rows]
        found = []
        for column in columns:
            parts = [self.model.conditional_marginals(y, column) for y in units]  # type: ignore[operator]
            found.append(self.columns.marginals(mixed(parts, weights), column))
        return found

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows in table units, shape ``(n, d)``, float64; columns on a grid are not yet rounded."""
        return self.columns.inverse(self.model.sample(n, seed=seed), snap=False)

    def completed(self, x: Tensor, seed: int | None, observed: ObservedRange | None = None) -> Tensor:
        """Return rows with missing cells filled in: drawn with a seed, or the best guesses without one.

        A best guess is the mean in model units, whatever was observed.
        """
        y, _ = self.in_model_units(x)
        filled = _filled(self.model, y, seed)
        return torch.where(x.isnan(), self.columns.inverse(filled, snap=False), x)


class CellDensity(Distribution):
    """Rows in table units under a model of cells as they are: masses of cells on grids, of atoms and labels.

    Rows may as well be dequantised, for a cell is found by any number in it.

    Parameters
    ----------
    supports
        Bounds, grids, atoms and labels of the columns.
    model
        The distribution of rows.

    Examples
    --------
    >>> from logpx.distributions import OrderAgnostic
    >>> from logpx.distributions.columns import NumberColumn
    >>> model = OrderAgnostic([NumberColumn(1.0)], width=8, blocks=1)
    >>> density = CellDensity([Support(step=1.0)], model).eval()
    >>> x = torch.tensor([[3.0], [3.3]])
    >>> bool(density.log_prob(x)[0] == density.log_prob(x)[1])
    True
    """

    def __init__(self, supports: Sequence[Support], model: Distribution) -> None:
        super().__init__(model.event_shape)
        _check_columns(model, len(supports))
        self.supports = list(supports)
        self.model = model
        self.allows_missing = model.allows_missing

    @property
    def kind(self) -> str:
        """Whether the model's log p is ``exact`` or a ``lower bound``."""
        return self.model.kind

    def cells(self, x: Tensor) -> Tensor:
        """Return the values whose cells numbers lie in, float64; unknown labels stay."""
        return Supports(self.supports).cells(x)

    def impossible_cells(self, x: Tensor) -> Tensor:
        """Return which cells of rows in table units are outside the support of their column, ``(n, d)``."""
        found = [
            torch.zeros_like(column, dtype=torch.bool)
            if isinstance(support, Labels)
            else support.outside(column) | support.on_an_open_end(column)
            for support, column in zip(self.supports, self.cells(x).unbind(-1), strict=True)
        ]
        return torch.stack(found, -1)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p in nats: of masses per step on grids, of masses at atoms: ``(n,)``, float64."""
        return self.model.log_prob(self.cells(x)).double()

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return log p, or the model's lower bound of it, with its standard error: float64."""
        bound, error = self.model.log_prob_lower(self.cells(x), draws, seed, first=first)
        return LowerBound(bound.double(), error.double())

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of target columns given the others, in the units of `log_prob`: ``(n,)``, float64."""
        return self.model.conditional_log_prob(self.cells(x), target).double()

    @property
    def has_closed_marginals(self) -> bool:
        """Whether `conditional_marginals` answers."""
        return hasattr(self.model, "conditional_marginals")

    def conditional_marginals(
        self, rows: Sequence[Tensor], weights: Tensor, columns: Sequence[int]
    ) -> list[Marginals]:
        """Return the distribution of each of some columns given the others, whatever the noise.

        The parameters are those of `TableDensity.conditional_marginals`.
        """
        cells = self.cells(rows[0])
        return [self.model.conditional_marginals(cells, column) for column in columns]  # type: ignore[operator]

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows in table units, shape ``(n, d)``, float64."""
        return self.model.sample(n, seed=seed).double()

    def completed(self, x: Tensor, seed: int | None, observed: ObservedRange | None = None) -> Tensor:
        """Return rows with missing cells filled in: drawn with a seed, or the best guesses without one.

        A best guess is the mean, for which values beyond the observed ones count as the nearest of these:
        power-law tails may have none.
        """
        cells = self.cells(x)
        if seed is not None or observed is None or not self.has_closed_marginals:
            return torch.where(x.isnan(), _filled(self.model, cells, seed).double(), x)
        found = x.double().clone()
        for column, support in enumerate(self.supports):
            gone = x[:, column].isnan()
            if not bool(gone.any()):
                continue
            (marginals,) = self.conditional_marginals([cells[gone]], x.new_ones(int(gone.sum()), 1), [column])
            if isinstance(support, Labels):
                found[gone, column] = marginals.mean.double()  # type: ignore[attr-defined]
            else:
                least, most = (ends[column] for ends in observed)
                found[gone, column] = marginals.expectation(
                    lambda values, low=least, high=most: values.clamp(low, high)  # type: ignore[misc]
                ).double()
        return found


def _filled(model: Distribution, x: Tensor, seed: int | None) -> Tensor:
    imputing = cast(_Imputes, model)
    return imputing.impute(x) if seed is None else imputing.impute(x, draws=1, seed=seed)[0]


def needs_noise(density: Distribution) -> bool:
    """Return whether log p of a density in table units depends on noise within the cells of grids and atoms.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal
    >>> needs_noise(CellDensity([Support(step=1.0)], StandardNormal(1))), needs_noise(StandardNormal(1))
    (False, True)
    """
    members = density.components if isinstance(density, Mixture) else [density]
    return not all(isinstance(member, CellDensity) for member in members)


def has_bound_alone(density: Distribution, supports: Supports) -> bool:
    """Return whether what is known of log p of rows is a lower bound, for the density or for its noise."""
    return density.kind != "exact" or (bool(supports.noisy) and needs_noise(density))


def bound_on_noise(density: HasBound, x: Tensor) -> _Bound:
    """Return what gives the bound of rows on some noise, with all that does not depend on it found once.

    Parameters
    ----------
    density
        A density in table units.
    x
        The rows as they are in the table, shape ``(n, d)``; the noisy ones are several copies of them.
    """
    if isinstance(density, Mixture):
        members = [bound_on_noise(member, x) for member in density.components]

        def bound(noisy: Tensor, draws: int | None, seed: int, first: int | Tensor) -> LowerBound:
            each = (member(noisy, draws, part_seed(seed, k), first) for k, member in enumerate(members))
            return density.mixed(list(each))

        return bound
    if isinstance(density, CellDensity) and density.kind == "exact":
        exact = density.log_prob_lower(x)
        return lambda noisy, draws, seed, first: LowerBound(
            *(part.repeat(len(noisy) // max(len(x), 1)) for part in exact)
        )
    if isinstance(density, HasBoundOnNoise):
        return density.bound_on_noise(x)
    return lambda noisy, draws, seed, first: density.log_prob_lower(noisy, draws, seed, first=first)


def impossible_cells(density: Distribution, x: Tensor) -> Tensor:
    """Return which cells are outside the support of their column under every component of a density."""
    members = density.components if isinstance(density, Mixture) else [density]
    able = (TableDensity, CellDensity)
    found = [member.impossible_cells(x) for member in members if isinstance(member, able)]
    return torch.stack(found).all(0) if found else torch.zeros_like(x, dtype=torch.bool)
