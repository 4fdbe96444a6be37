"""A likelihood for columns of different kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from logpx.distributions.likelihoods.base import CellDistribution, Likelihood
from logpx.errors import DataError, UsageError

__all__ = ["ProductLikelihood"]


class ProductLikelihood(Likelihood):
    """Likelihoods of disjoint columns of a row, side by side.

    Parameters
    ----------
    parts
        Likelihoods of vectors.
    columns
        For each part, the columns that it models; together all columns, each once.

    Raises
    ------
    UsageError
        If the parts do not fit the columns.

    Examples
    --------
    >>> from logpx.distributions.likelihoods import NormalLikelihood, PoissonLikelihood
    >>> both = ProductLikelihood([PoissonLikelihood(1), NormalLikelihood(2)], [[1], [0, 2]])
    >>> both(torch.zeros(4, both.outputs)).sample().shape
    torch.Size([4, 3])
    """

    def __init__(self, parts: Sequence[Likelihood], columns: Sequence[Sequence[int]]) -> None:
        listed = [list(own) for own in columns]
        every = sorted(column for own in listed for column in own)
        shapes = [part.event_shape for part in parts]
        if not parts or shapes != [(len(own),) for own in listed] or every != list(range(len(every))):
            raise UsageError(
                f"columns {listed} of likelihoods of shapes {shapes}",
                fix="give one vector likelihood for each list of columns, and name each column once",
            )
        super().__init__(len(every))
        self.parts = nn.ModuleList(parts)
        self.columns = listed

    def initialise(self, centre: Tensor, spread: Tensor) -> None:
        """Set the units of every part."""
        for part, own in zip(self._each, self.columns, strict=True):
            part.initialise(centre[own], spread[own])

    @property
    def outputs(self) -> int:
        """The numbers of all parts together."""
        return sum(part.outputs for part in self._each)

    @property
    def _each(self) -> list[Likelihood]:
        return [cast(Likelihood, part) for part in self.parts]

    def forward(self, raw: Tensor) -> CellDistribution:
        """Return p(x given z); see `Likelihood.forward`."""
        if not raw.dim() or raw.shape[-1] != self.outputs:
            raise UsageError(
                f"the decoder returns {raw.shape[-1] if raw.dim() else 'one'} numbers, "
                f"but {self.outputs} are needed",
                fix=f"let the last layer of the decoder return {self.outputs} numbers per row",
            )
        own = torch.split(raw, [part.outputs for part in self._each], -1)
        return _JoinedCells(
            [part(part_raw) for part, part_raw in zip(self._each, own, strict=True)], self.columns
        )

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells have values that their parts can produce."""
        result = torch.zeros_like(x, dtype=torch.bool)
        for part, own in zip(self._each, self.columns, strict=True):
            result[..., own] = part.possible(x[..., own])
        return result

    def check(self, x: Tensor) -> None:
        """Let every part check its columns."""
        for part, own in zip(self._each, self.columns, strict=True):
            try:
                part.check(x[..., own])
            except DataError as error:
                if isinstance(error.column, int):
                    error.column = own[error.column]
                raise


class _JoinedCells(CellDistribution):
    def __init__(self, parts: Sequence[CellDistribution], columns: Sequence[list[int]]) -> None:
        super().__init__((sum(len(own) for own in columns),))
        self._parts, self._columns = parts, columns
        self._order = torch.tensor([column for own in columns for column in own]).argsort()

    def log_prob_of_cells(self, x: Tensor) -> Tensor:
        pairs = zip(self._parts, self._columns, strict=True)
        return self._joined([part.log_prob_of_cells(x[..., own]) for part, own in pairs])

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._joined([part.sample(sample_shape) for part in self._parts])

    @property
    def mean(self) -> Tensor:
        return self._joined([part.mean for part in self._parts])

    def best_guess(self, weights: Tensor) -> Tensor:
        return self._joined([part.best_guess(weights) for part in self._parts])

    def _joined(self, values: list[Tensor]) -> Tensor:
        return torch.cat(values, -1)[..., self._order.to(values[0].device)]
