"""The distribution of a table's other columns, given values of some."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from logpx.distributions import Distribution, LowerBound
from logpx.distributions.seeding import BLOCK_ROWS, checked_count
from logpx.representations import Shown
from logpx.tables.arrow_columns import arrow_array, arrow_schema
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.conditioning.given import given_row
from logpx.tables.conditioning.rows import opened, partial_rows
from logpx.tables.effort import Effort
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.unseen_labels import UnseenLabels

__all__ = ["ConditionedModel"]

_BATCH_ROWS = 65536


class ConditionedModel(Shown):
    """The distribution of rows of a table in which some columns have given values.

    Parameters
    ----------
    schema
        The columns of the model.
    density
        The distribution of dequantised rows.
    values
        By column: numbers, labels, dates, or text as in a file.

    Raises
    ------
    UsageError
        If a column is unknown or not modelled, a value is one that its column cannot have, every column is
        given, or the density cannot condition on columns.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.tables import fit_table
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = fit_table({"a": x[:, 0], "b": x[:, 1]}, model="gaussian").model
    >>> model.condition({"a": 1.5}).sample(2)["a"].to_pylist()
    [1.5, 1.5]
    """

    def __init__(self, schema: Schema, density: Distribution, values: Mapping[str, Any]) -> None:
        self.schema, self.supports = schema, Supports.of(schema.modelled)
        self._row = given_row(schema, self.supports, dict(values))
        self._conditioner = Conditioner(density, self.supports)
        self._device = density._like().device
        self._values = dict(values)

    def _shown_parts(self) -> Mapping[str, object]:
        return {"given": self._values, "columns": self.schema.modelled_names, "kind": self.kind}

    @property
    def kind(self) -> str:
        """What log p is; see `ConditionalModel.kind`."""
        return self._conditioner.kind(torch.ones(len(self._row), dtype=torch.bool))

    def sample(self, n: int, seed: int = 0) -> pa.Table:
        """Draw rows with the given values; row i depends only on the seed and i."""
        form = arrow_schema(self.schema, self.supports)
        return pa.Table.from_batches(list(self.sample_table(n, seed)), schema=form)

    @torch.no_grad()
    def sample_table(self, n: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
        """Draw rows in batches."""
        n, form = checked_count(n), arrow_schema(self.schema, self.supports)
        blocks = (
            self._block(block, seed)[: n - start] for block, start in enumerate(range(0, n, BLOCK_ROWS))
        )
        while several := list(itertools.islice(blocks, _BATCH_ROWS // BLOCK_ROWS)):
            x = torch.cat(several).numpy(force=True)
            arrays = [
                arrow_array(values, column, own)
                for values, column, own in zip(x.T, self.schema.modelled, form.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=form)

    def log_prob(self, rows: Any, seed: int = 0, draws: int = 8, exactness: int | None = None) -> Tensor:
        """Return log p of the other columns of the rows of a table, given the values.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with all columns that are not given. Rows in which a given column
            has another value have log p minus infinity.
        seed, draws, exactness
            As in `TableModel.score`.

        Returns
        -------
        Tensor
            Shape ``(n,)``, float64, in nats: what `kind` says.
        """
        return self.log_prob_lower(rows, draws, seed, exactness).log_prob

    @torch.no_grad()
    def log_prob_lower(
        self, rows: Any, draws: int = 8, seed: int = 0, exactness: int | None = None
    ) -> LowerBound:
        """Return `log_prob` with its standard error, 0 where it is exact.

        It is a lower bound, unless `kind` is ``estimate``. The parameters are those of `log_prob`.
        """
        given = ~self._row.isnan()
        names = self.schema.modelled_names
        needed = [name for name, known in zip(names, given.tolist(), strict=True) if not known]
        table = opened(rows, self.schema, needed)
        everyone = torch.ones_like(given)
        density = self._conditioner.log_prob(~given)
        exact = self._conditioner.density.kind == "exact"
        effort = Effort.of(exact, self._conditioner.is_noisy(everyone), draws, exactness)
        log_prob, errors, there = [], [], [name for name in names if name in table.names]
        for batch, x in partial_rows(table, self.schema, there, UnseenLabels()):
            other = (given & ~x.isnan() & (x != self._row)).any(1)
            rows_given = torch.where(given, self._row, x).to(self._device)
            (bound,) = effort.bounds([density], self.supports, rows_given, seed, batch.start)
            log_prob.append(bound.log_prob.cpu().masked_fill(other, -torch.inf))
            errors.append(bound.standard_error.cpu().masked_fill(other, 0.0))
        return LowerBound(torch.cat(log_prob), torch.cat(errors))

    def _block(self, block: int, seed: int) -> Tensor:
        """Return a whole block of rows: fewer would round differently."""
        known = self._row.to(self._device).expand(BLOCK_ROWS, -1)
        noisy = self.supports.dequantise(known, seed=seed, first_row=block * BLOCK_ROWS)
        return torch.where(known.isnan(), self._conditioner.drawn(noisy, (seed, block)), known)
