"""Mixtures whose columns can be left out, given and filled in, whatever kinds they are of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_count, generator_of
from logpx.errors import DataError, UsageError
from logpx.latent.components import Components
from logpx.latent.imputation import best_cells, drawn_cells, embedded
from logpx.latent.initialisation import initial_responsibilities
from logpx.latent.mixture import LatentMixture
from logpx.transforms.base import check_event

__all__ = ["ColumnwiseMixture"]

# What share of every row the start of EM divides equally among the components.
_SHARED_AT_FIRST = 0.05


class ColumnwiseMixture(LatentMixture):
    """A mixture that gives marginals, conditionals and missing cells.

    Parameters
    ----------
    parts
        The components.
    weight_rows
        How many rows the weight of each component has beforehand.
    """

    allows_constants = True

    def __init__(self, parts: Components, weight_rows: float = 0.0) -> None:
        super().__init__(parts, weight_rows)

    @abstractmethod
    def blank(self, columns: Sequence[int]) -> Self:
        """Return a mixture of some of the columns, in that order, whose parameters are yet to be set."""

    def marginal(self, columns: Sequence[int]) -> Self:
        """Return the distribution of some columns, in that order.

        Raises
        ------
        UsageError
            If there is no such column, none is named, or one twice.
        """
        chosen = self._columns("columns", columns)
        return self._filled(chosen, self.parts.select(chosen), self.logits)

    @torch.no_grad()
    def condition(self, columns: Sequence[int], values: Any) -> Self:
        """Return the distribution of the other columns, given values of some.

        Parameters
        ----------
        columns
            The columns that are known.
        values
            Shape ``(columns,)``. A value that is not known is NaN.

        Returns
        -------
        ColumnwiseMixture
            Over the other columns, in their order.

        Raises
        ------
        UsageError
            If the columns or the shape of the values make no sense, no column is left, or the values cannot
            occur.
        """
        known = self._columns("columns", columns)
        size = self.event_shape[0]
        given = torch.as_tensor(values, dtype=torch.float64, device=self.logits.device)
        given = given[None] if given.dim() == 0 else given
        others = [column for column in range(size) if column not in set(known)]
        if given.shape != (len(known),) or not others:
            raise UsageError(
                f"values of shape {tuple(given.shape)} for {len(known)} of {size} columns",
                fix="give one value per column named, and leave at least one column out",
            )
        there = (~given.isnan()).nonzero().flatten().tolist()
        if not there:
            return self.marginal(others)
        x = given.new_full((1, size), torch.nan)
        x[0, known] = given
        joint = self._joint(x)[:, 0]
        if not bool(joint.isfinite().any()):
            raise UsageError(f"the values {given.tolist()} cannot occur", fix="give values of the columns")
        parts = self.parts.condition([known[place] for place in there], given[there])
        left = [column for column in range(size) if column not in {known[place] for place in there}]
        parts = parts.select([left.index(column) for column in others])
        return self._filled(others, parts, torch.log_softmax(joint, 0))

    @torch.no_grad()
    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells: with the best guess of each, or with draws from their joint conditional.

        Parameters
        ----------
        x
            Rows with NaN for missing cells, shape ``(n, D)``. Cells that are there are returned as they are.
        draws
            How many completed tables to draw. None fills in conditional means of real columns and of
            counts, and the most probable value of each other cell.
        seed
            Of the draws; None for torch's global generator.

        Returns
        -------
        Tensor
            Shape ``(n, D)``, or ``(draws, n, D)``.

        Raises
        ------
        UsageError
            If the shape is another, or the number of draws is below 1.
        """
        check_event(x, self.event_shape)
        if x.dim() != 2:
            raise UsageError(f"rows of shape {tuple(x.shape)}", fix=f"give shape (n, {self.event_shape[0]})")
        shares = self.responsibilities(x.double())
        if draws is None:
            return best_cells(self.parts, x, shares)
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="draw once or more, or leave draws out")
        generator = None if seed is None else generator_of(seed)
        device = x.device if generator is None else torch.device("cpu")
        uniform = torch.rand(draws, len(x), 1, generator=generator, device=device, dtype=torch.float64)
        chosen = (uniform >= shares.to(device).cumsum(1)[:, :-1]).sum(-1)
        rows = drawn_cells(self.parts, x.repeat(draws, 1), chosen.flatten(), generator)
        return rows.view(draws, *x.shape)

    @torch.no_grad()
    def initialise_components(self, x: Tensor, seed: int = 0, start: str | None = None) -> None:
        """Set units, floor and prior from rows, and start EM by assigning them to components.

        Clusters are sought among one number per level rather than codes. A small part of every row goes to
        all components: a value that no row of a cluster has would otherwise stay impossible in it for good.

        Parameters
        ----------
        x
            Rows, or a sample of them, shape ``(n, D)``.
        seed
            Different seeds give different starts.
        start
            One of `logpx.latent.STARTS`; None takes each of the best in turn with the seed.

        Raises
        ------
        DataError
            If there are fewer rows than components, a column has no value, or a value cannot occur.
        """
        rows = x.double()
        there = ~rows.isnan().all(1)
        if int(there.sum()) < self.components:
            raise DataError(
                f"{int(there.sum())} rows with a value, to be divided among {self.components} components",
                fix="give more rows, or fewer components",
            )
        # Rows without a value are kept until here, so that an error counts as the user does.
        self.parts.initialise(rows)
        rows = rows[there]
        shares = initial_responsibilities(embedded(self.parts, rows), self.components, seed, start)
        shares = torch.lerp(shares, torch.full_like(shares, 1.0 / self.components), _SHARED_AT_FIRST)
        self.maximise_assigned(rows, shares)

    @torch.no_grad()
    def _filled(self, columns: Sequence[int], parts: Components, logits: Tensor) -> Self:
        result = self.blank(columns).to(self.logits)
        result.parts.load_state_dict(parts.state_dict())
        result.logits.copy_(logits)
        return result
