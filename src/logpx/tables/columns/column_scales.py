"""All modelled columns of a table: from table units to model units, with the log abs(det)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions.conditional import MappedMarginals, Marginals
from logpx.errors import DataError, UsageError
from logpx.tables.columns.support import Support
from logpx.tables.scales import Scale

__all__ = ["ColumnScales"]

# Small enough for a column's temporaries to stay in cache, large enough to hide the cost of a call.
_ROWS_AT_ONCE = 16384


class ColumnScales(nn.Module, Configured):
    """One scale per modelled column, with its support and grid.

    Parameters
    ----------
    scales : sequence of Scale
        The map of each column.
    supports : sequence of Support
        Bounds, grid and atoms of each column, in the table's units.
    held_out : sequence of dict, optional
        For each column, the held-out nats per row of the scales that were compared.

    Examples
    --------
    >>> x = np.random.default_rng(0).lognormal(0.0, 1.0, (500, 2))
    >>> columns = ColumnScales.fit(x, [Support(lower=0.0), Support(lower=0.0)])
    >>> y, ladj = columns(torch.from_numpy(x))
    >>> y.shape, ladj.shape, bool((columns.inverse(y) - torch.from_numpy(x)).abs().max() < 1e-9)
    (torch.Size([500, 2]), torch.Size([500]), True)
    """

    def __init__(
        self,
        scales: Sequence[Scale],
        supports: Sequence[Support],
        held_out: Sequence[dict[str, float]] | None = None,
    ) -> None:
        super().__init__()
        if len(scales) != len(supports):
            raise UsageError(
                f"{len(scales)} scales and {len(supports)} supports", fix="give one of each per column"
            )
        self.scales = nn.ModuleList(scales)
        self.supports = list(supports)
        self.held_out = [dict(scores) for scores in held_out or [{}] * len(scales)]

    @classmethod
    def fit(
        cls,
        x: Any,
        supports: Sequence[Support],
        *,
        seed: int = 0,
        names: Sequence[str] | None = None,
        weights: NDArray[np.float64] | None = None,
        like: Sequence[Scale] | None = None,
    ) -> Self:
        """Return columns whose scales are chosen by held-out likelihood.

        Parameters
        ----------
        x : array of shape (n, d)
            Training rows as in the table; NaN is missing.
        supports : sequence of Support
            Bounds, grid and atoms of each column.
        seed : int
            Seed of the folds and of the dequantisation.
        names : sequence of str, optional
            The columns' names, for errors.
        weights : array of shape (n,), optional
            How much each row counts, above 0; by default all count alike.
        like : sequence of Scale, optional
            For each column a scale whose kind is taken without a comparison.

        Raises
        ------
        DataError
            If a value is infinite, or a column has fewer than two distinct values.
        """
        values = _matrix(x, supports)
        scales, held_out = [], []
        for index, support in enumerate(supports):
            with _named(names, index):
                known = None if like is None else like[index]
                scale, scores = support.chosen_scale(*_present(values[:, index], weights), seed, known)
            scales.append(scale)
            held_out.append(scores)
        return cls(scales, supports, held_out)

    @classmethod
    def standard(
        cls,
        x: Any,
        supports: Sequence[Support],
        *,
        seed: int = 0,
        names: Sequence[str] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Return columns that are only centred and scaled, so that linear relations stay linear.

        The maps are linear over the training range and a quarter beyond it, at least to 6 standard
        deviations; only there do the power-law tails of `Scale` begin. Next to bounds they bend, so that all
        mass lies within. Columns with few values on a grid, spikes or atoms get the map that gives these
        their shares of the rows.

        Parameters
        ----------
        x : array of shape (n, d)
            Training rows as in the table.
        supports, seed, names, weights
            As in `fit`.
        """
        return cls._each(
            x, supports, names, weights, lambda support, *some: support.standard_scale(*some, seed)
        )

    @classmethod
    def quick(
        cls,
        x: Any,
        supports: Sequence[Support],
        *,
        seed: int = 0,
        names: Sequence[str] | None = None,
        weights: NDArray[np.float64] | None = None,
        standard: Sequence[Scale] | None = None,
    ) -> Self:
        """Return columns that are centred and scaled, some with bounds after a logarithm that fits better.

        Parameters
        ----------
        x, supports, seed, names, weights
            As in `fit`.
        standard : sequence of Scale, optional
            The scales of `standard`, if they are known.
        """
        if standard is None:
            standard = list(cls.standard(x, supports, seed=seed, names=names, weights=weights))
        known = iter(standard)
        return cls._each(
            x, supports, names, weights, lambda support, *some: support.quick_scale(*some, seed, next(known))
        )

    @classmethod
    def _each(
        cls,
        x: Any,
        supports: Sequence[Support],
        names: Sequence[str] | None,
        weights: NDArray[np.float64] | None,
        scale_of: Callable[[Support, NDArray[np.float64], NDArray[np.float64] | None], Scale],
    ) -> Self:
        values = _matrix(x, supports)
        scales = []
        for index, support in enumerate(supports):
            with _named(names, index):
                scales.append(scale_of(support, *_present(values[:, index], weights)))
        return cls(scales, supports)

    def __iter__(self) -> Iterator[Scale]:
        """Go through the scales of the columns."""
        return iter(cast(Sequence[Scale], self.scales))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return model-space rows and their log abs(det).

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Rows in the table's units, dequantised by `Supports`; NaN is missing.

        Returns
        -------
        y : Tensor of shape (n, d)
            float64.
        ladj : Tensor of shape (n,)
            float64, for the cells that are not missing; minus infinity if a value is outside the support of
            its scale. At an atom it refers to the mass, elsewhere to the density.
        """
        parts = [self._forward(part) for part in torch.split(x.to(torch.float64), _ROWS_AT_ONCE)]
        if len(parts) == 1:
            return parts[0]
        return torch.cat([y for y, _ in parts]), torch.cat([ladj for _, ladj in parts])

    def inverse(self, y: Tensor, *, snap: bool = True) -> Tensor:
        """Return rows in the table's units; the maps end at the columns' bounds.

        Parameters
        ----------
        y : Tensor of shape (n, d)
            Rows in model space.
        snap : bool
            Whether to return the values that dequantised ones stand for: points of the grid, atoms.
        """
        parts = [self._inverse(part, snap) for part in torch.split(y.to(torch.float64), _ROWS_AT_ONCE)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def marginals(self, found: Marginals, index: int) -> Marginals:
        """Return distributions of a column in model units as those of the column in the table's own.

        Parameters
        ----------
        found : Marginals
            Distributions in model units; codes of labels have none, and stay as they are.
        index : int
            The number of the column.
        """
        if found.probabilities is not None:
            return found
        scale = self.scales[index]
        return MappedMarginals(
            found,
            lambda own: scale(own.flatten())[0].view(own.shape),
            lambda own: scale.inverse(own.flatten())[0].view(own.shape),  # type: ignore[operator]
        )

    def report(self, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return each column's name, the class of its scale, and the held-out nats of the candidates."""
        return [
            {
                "column": index if names is None else names[index],
                "scale": type(scale).__name__,
                "held_out": dict(self.held_out[index]),
            }
            for index, scale in enumerate(self.scales)
        ]

    def cells_forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return model-space rows and the log-derivative of each cell, 0 where it is missing, ``(n, d)``."""
        parts = [self._cells_forward(part) for part in torch.split(x.to(torch.float64), _ROWS_AT_ONCE)]
        if len(parts) == 1:
            return parts[0]
        return torch.cat([y for y, _ in parts]), torch.cat([each for _, each in parts])

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, each = self._cells_forward(x)
        ladj = x.new_zeros(len(x))
        for log_derivative in each.unbind(1):
            ladj = ladj + log_derivative
        return y, ladj

    def _cells_forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, each = torch.empty_like(x), torch.empty_like(x)
        for index, column in enumerate(x.T.contiguous()):
            missing = column.isnan()
            if bool(missing.any()):
                # Neither value nor slope of a missing cell counts, so the scale is given its own centre.
                centre, _ = self.scales[index].inverse(column.new_zeros(1))  # type: ignore[operator]
                value, log_derivative = self.scales[index](torch.where(missing, centre, column))
                value, log_derivative = value.masked_fill(missing, torch.nan), log_derivative * ~missing
            else:
                value, log_derivative = self.scales[index](column)
            y[:, index] = value
            each[:, index] = log_derivative + self.supports[index].log_width(column)
        return y, each

    def _inverse(self, y: Tensor, snap: bool) -> Tensor:
        x = torch.empty_like(y)
        for index, column in enumerate(y.T.contiguous()):
            value, _ = self.scales[index].inverse(column)  # type: ignore[operator]
            x[:, index] = self.supports[index].snap(value) if snap else value
        return x


def _matrix(x: Any, supports: Sequence[Support]) -> NDArray[np.float64]:
    values = np.array(x, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(supports):
        raise DataError(
            f"data of shape {values.shape}, expected (rows, {len(supports)})",
            fix="give one support per column",
        )
    return values


def _present(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the values that are there, and their weights."""
    missing = np.isnan(values)
    if not missing.any():
        return values, weights
    return values[~missing], None if weights is None else weights[~missing]


@contextmanager
def _named(names: Sequence[str] | None, index: int) -> Iterator[None]:
    """Name the column in an error about its values."""
    try:
        yield
    except DataError as error:
        column = index if names is None else names[index]
        raise DataError(error.message, row=error.row, column=column, fix=error.fix) from error
