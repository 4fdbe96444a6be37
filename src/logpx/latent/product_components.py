"""Components of different kinds side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from logpx.distributions.conditional import Marginals
from logpx.distributions.missing import has_missing
from logpx.errors import DataError, UsageError
from logpx.latent.components import Components, EStep
from logpx.latent.statistics import ProductStatistics

__all__ = ["ProductComponents"]


class ProductComponents(Components):
    r""":math:`p_k(x) = \prod_i p_{ki}(x_{C_i})`: parts over disjoint columns, independent given k.

    Parameters
    ----------
    parts
        Components of any kind, with the same number K each.
    columns
        For each part, the columns of a row that it models, in its order; together all columns, each once.

    Raises
    ------
    UsageError
        If the parts do not fit together.

    Examples
    --------
    >>> from logpx.latent.bernoulli import BernoulliComponents
    >>> from logpx.latent.poisson import PoissonComponents
    >>> both = ProductComponents([PoissonComponents(2, 1), BernoulliComponents(2, 2)], [[1], [0, 2]])
    >>> both.log_prob(torch.tensor([[1.0, 7.0, 0.0]])).shape
    torch.Size([2, 1])
    """

    def __init__(self, parts: Sequence[Components], columns: Sequence[Sequence[int]]) -> None:
        listed = [list(own) for own in columns]
        every = sorted(column for own in listed for column in own)
        if (
            not parts
            or len({part.components for part in parts}) > 1
            or [part.features for part in parts] != [len(own) for own in listed]
            or every != list(range(len(every)))
        ):
            raise UsageError(
                f"columns {listed} of parts with {[part.features for part in parts]} columns and "
                f"{[part.components for part in parts]} components",
                fix="give parts with the same number of components, and name each column of a row once",
            )
        super().__init__(parts[0].components, len(every))
        self.parts = nn.ModuleList(parts)
        self.shared_at_first = max(part.shared_at_first for part in parts)
        self.columns = listed

    def __iter__(self) -> Iterator[tuple[Components, list[int]]]:
        """Go through the parts with their columns."""
        return zip(cast(Iterable[Components], self.parts), self.columns, strict=True)

    @property
    def free_parameters(self) -> int:
        """The sum over all parts."""
        return sum(part.free_parameters for part, _ in self)

    def log_prob(self, x: Tensor) -> Tensor:
        """Add up the log-densities of the parts, shape ``(K, n)``."""
        return torch.stack([part.log_prob(x[:, own]) for part, own in self]).sum(0)

    def e_step(self, x: Tensor, missing: bool) -> _ProductEStep:
        """Begin an E-step in every part."""
        return _ProductEStep(
            [(part.e_step(x[:, own], missing and has_missing(x[:, own])), own) for part, own in self]
        )

    def update(self, statistics: ProductStatistics) -> None:
        """M-step of every part."""
        for (part, _), own in zip(self, statistics.parts, strict=True):
            part.update(own)

    def log_prior(self) -> Tensor:
        """Add up the log-priors of the parts."""
        return torch.stack([part.log_prior() for part, _ in self]).sum()

    def initialise(self, x: Tensor) -> None:
        """Initialise every part.

        Raises
        ------
        DataError
            If a part cannot be initialised; the column is counted in the whole row.
        """
        for part, own in self:
            with _columns_named(own):
                part.initialise(x[:, own])

    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw the columns of every part."""
        return self._joined(lambda part, own: part.draw(chosen, generator))

    def draw_missing(self, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw the missing cells of every part."""
        return self._joined(lambda part, own: part.draw_missing(x[:, own], chosen, generator))

    def impute(self, x: Tensor, responsibilities: Tensor) -> Tensor:
        """Fill in the missing cells of every part."""
        return self._joined(lambda part, own: part.impute(x[:, own], responsibilities))

    def embedding(self, x: Tensor) -> Tensor:
        """Return the points of all parts side by side."""
        return torch.cat([part.embedding(x[:, own]) for part, own in self], 1)

    def marginal(self, columns: Sequence[int]) -> ProductComponents:
        """Return the marginals of the parts that have some of the columns."""
        wanted = list(columns)
        parts, places = [], []
        for part, own in self:
            here = [place for place, column in enumerate(wanted) if column in own]
            if here:
                parts.append(part.marginal([own.index(wanted[place]) for place in here]))
                places.append(here)
        return ProductComponents(parts, places)

    def condition(self, columns: Sequence[int], values: Tensor) -> ProductComponents:
        """Return the conditional distributions of the other columns, part by part."""
        known = list(columns)
        others = [column for column in range(self.features) if column not in set(known)]
        parts, places = [], []
        for part, own in self:
            left = [column for column in own if column not in set(known)]
            if not left:
                continue
            given = [place for place, column in enumerate(known) if column in own]
            if given:
                part = part.condition([own.index(known[place]) for place in given], values[given])
            parts.append(part)
            places.append([others.index(column) for column in left])
        return ProductComponents(parts, places)

    def conditional_marginals(self, x: Tensor, column: int, responsibilities: Tensor) -> Marginals:
        """Return the distributions of a column from the part that models it."""
        part, own = next(pair for pair in self if column in pair[1])
        return part.conditional_marginals(x[:, own], own.index(column), responsibilities)

    def expectations(self) -> Tensor:
        """Return the mean of every column under every component, shape ``(K, columns)``."""
        return self._joined(lambda part, own: part.expectations())

    def collapsed(self, statistics: ProductStatistics) -> list[str]:
        """Describe the collapsed components of every part."""
        each = [part.collapsed(own) for (part, _), own in zip(self, statistics.parts, strict=True)]
        return [problem for problems in each for problem in problems]

    def _joined(self, values: Callable[[Components, list[int]], Tensor]) -> Tensor:
        order = torch.tensor([column for _, own in self for column in own]).argsort()
        joined = torch.cat([values(part, own) for part, own in self], 1)
        return joined[:, order.to(joined.device)]


class _ProductEStep:
    def __init__(self, passes: Sequence[tuple[EStep, list[int]]]) -> None:
        self._passes = passes

    def log_prob(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for each, own in self._passes:
            with _columns_named(own):
                part = each.log_prob(x[:, own])
            total = part if total is None else total + part
        assert total is not None
        return total

    def add(self, shares: Tensor) -> None:
        for each, _ in self._passes:
            each.add(shares)

    def statistics(self) -> ProductStatistics:
        return ProductStatistics(tuple(each.statistics() for each, _ in self._passes))


@contextmanager
def _columns_named(own: list[int]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if isinstance(error.column, int):
            error.column = own[error.column]
        raise
