"""The model of a table: rows in, log p(x) in the table's own units out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_count, checked_seed
from logpx.errors import DataError, UsageError
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.evaluation import Comparison, Evaluation
from logpx.tables.reading.sources import open_table
from logpx.tables.reading.table import Table
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.schema import Schema
from logpx.training.means import RunningMean

__all__ = ["ScoredBatch", "TableModel"]

_LARGEST_INTEGER = 2.0**63 - 1024
_BATCH_ROWS = 65536
_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class ScoredBatch:
    """The scores of consecutive rows.

    Attributes
    ----------
    start : int
        The number of rows before the batch.
    log_prob : ndarray of float64
        Exact log p(x), or its lower bound, in nats; one number per row.
    standard_error : ndarray of float64 or None
        Standard error of the bound's estimate; None where log p(x) is exact.
    """

    start: int
    log_prob: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64] | None


class TableModel(Configured, nn.Module):
    r"""A distribution over the rows of a table, in the table's own units.

    Columns on a grid of step s are dequantised: with u uniform over exactly one cell around the value,
    :math:`E_u \log p(x + u) \le \log \frac{1}{s} P(\text{cell})`. What is reported for such a table is that
    lower bound, as a density per unit of the table; for whole numbers (s = 1) it bounds the log-probability
    itself.

    Parameters
    ----------
    schema
        The columns of the table; a `Schema` or its JSON values.
    density
        The fitted distribution of dequantised rows.
    baselines
        Simple distributions of the same rows by name, fitted to the same training rows, for `evaluate`.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.tables import fit_table
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = fit_table(x, model="gaussian").model
    >>> model.kind, model.log_prob(x[:3]).shape
    ('exact', torch.Size([3]))
    """

    def __init__(
        self,
        schema: Schema | Mapping[str, Any],
        density: Distribution,
        baselines: Mapping[str, Distribution] | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema if isinstance(schema, Schema) else Schema.from_json(json.dumps(dict(schema)))
        self._arguments["schema"] = json.loads(self.schema.to_json())
        self.density = density
        self.baselines = nn.ModuleDict(dict(baselines or {}))
        self.supports = Supports([Support.of(column) for column in self.schema.modelled])

    @property
    def kind(self) -> str:
        """What the reported numbers are: ``exact``, or ``lower bound`` where a column is on a grid."""
        return "lower bound" if self.supports.gridded else "exact"

    def log_prob(self, rows: Any, seed: int = 0, draws: int = 8) -> Tensor:
        """Return log p of the rows of a table, a frame or an array; see `score` for files larger than memory.

        Returns
        -------
        Tensor
            Shape ``(n,)``, float64, in nats: exact, or a lower bound, as `kind` says.
        """
        scored = [batch.log_prob for batch in self.score(rows, seed, draws)]
        return torch.from_numpy(np.concatenate(scored))

    @torch.no_grad()
    def score(self, rows: Any, seed: int = 0, draws: int = 8) -> Iterator[ScoredBatch]:
        """Score a table of any length in memory that does not grow with it.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        seed
            Seed of the dequantisation noise; a row's noise depends on the seed and its number alone.
        draws
            How many noises the bound is averaged over; unused where log p is exact.

        Raises
        ------
        DataError
            If the table lacks a column of the model or has one more, or a cell cannot be scored.
        """
        draws = self._draws(draws)
        for start, x in self._matrices(rows):
            values = torch.stack(
                [self._log_prob(self.density, x, seed, start, draw) for draw in range(draws)]
            )
            error = None
            if self.supports.gridded:
                spread = values.std(0) if draws > 1 else torch.full_like(values[0], torch.nan)
                error = (spread / draws**0.5).numpy(force=True)
            yield ScoredBatch(start, values.mean(0).numpy(force=True), error)

    @torch.no_grad()
    def evaluate(self, rows: Any, seed: int = 0, draws: int = 1) -> Evaluation:
        """Return the mean log p per row and its standard error, beside the baselines on the same noise."""
        draws = self._draws(draws)
        names = list(self.baselines)
        own, outside = RunningMean(), 0
        others = {name: RunningMean() for name in names}
        gains = {name: RunningMean() for name in names}
        for start, x in self._matrices(rows):
            noisy = [
                self.supports.dequantise(x, seed=seed, first_row=start, draw=draw) for draw in range(draws)
            ]
            log_prob = torch.stack([self.density.log_prob(each) for each in noisy]).mean(0)
            own.add(log_prob)
            outside += int(torch.isneginf(log_prob).sum())
            for name in names:
                baseline: Any = self.baselines[name]
                other = torch.stack([baseline.log_prob(each) for each in noisy]).mean(0)
                others[name].add(other)
                gains[name].add(log_prob - other)
        baselines = {
            name: Comparison(
                others[name].value, others[name].standard_error, gains[name].value, gains[name].standard_error
            )
            for name in names
        }
        return Evaluation(own.value, own.standard_error, self.kind, own.count, outside, baselines)

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> pa.Table:
        """Draw synthetic rows as a table; row i depends only on the seed and i."""
        batches = list(self.sample_table(n, seed))
        return pa.Table.from_batches(batches, schema=self.arrow_schema)

    @torch.no_grad()
    def sample_table(self, n: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
        """Draw synthetic rows in batches: modelled columns on their grids and within their bounds."""
        n = checked_count(n)
        if checked_seed(seed) < 0:
            raise UsageError(f"the seed is {seed}", fix="give a seed of 0 or more")
        for start in range(0, n, _BATCH_ROWS):
            wanted = min(_BATCH_ROWS, n - start)
            blocks = [self._sample_block(start + row, seed) for row in range(0, wanted, _BLOCK_ROWS)]
            x = self.supports.snap(torch.cat(blocks)[:wanted]).numpy(force=True)
            arrays = [_stored(x[:, index], field.type) for index, field in enumerate(self.arrow_schema)]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)

    def _sample_block(self, start: int, seed: int) -> Tensor:
        # Always a whole block: arithmetic on other numbers of rows would round differently.
        key = np.random.SeedSequence(entropy=seed, spawn_key=(start // _BLOCK_ROWS,)).generate_state(
            1, np.uint64
        )
        return self.density.sample(_BLOCK_ROWS, seed=int(key[0]) >> 1)

    @property
    def arrow_schema(self) -> pa.Schema:
        """Names and types of sampled columns: whole numbers where the column holds them, else float64."""
        return pa.schema(
            [
                (column.name, pa.int64() if column.kind is Kind.INTEGER and support.whole else pa.float64())
                for column, support in zip(self.schema.modelled, self.supports.supports, strict=True)
            ]
        )

    def _draws(self, draws: int) -> int:
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="use at least one draw")
        return draws if self.supports.gridded else 1

    def _log_prob(self, density: Distribution, x: Tensor, seed: int, start: int, draw: int) -> Tensor:
        return density.log_prob(self.supports.dequantise(x, seed=seed, first_row=start, draw=draw))

    def _matrices(self, rows: Any) -> Iterator[tuple[int, Tensor]]:
        table = rows if isinstance(rows, Table) else open_table(self._with_names(rows))
        self.schema.check(table.names, table.file)
        device = self.density._like().device
        for batch in table.select(self.schema.modelled_names).as_numbers().batches(_BATCH_ROWS):
            yield batch.start, torch.from_numpy(to_matrix(batch, self.schema)).to(device)

    def _with_names(self, rows: Any) -> Any:
        """Give the columns of an array, which has no names, those of the model, by position."""
        if not isinstance(rows, (np.ndarray, Tensor)):
            return rows
        names = self.schema.modelled_names
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise DataError(
                f"an array of shape {tuple(rows.shape)}, where the model has {len(names)} columns",
                fix=f"give one column for each of {', '.join(names)}, in this order",
            )
        return {name: rows[:, index] for index, name in enumerate(names)}


def _stored(values: npt.NDArray[np.float64], form: pa.DataType) -> pa.Array:
    if pa.types.is_integer(form):
        # The tails of a model know no largest integer.
        values = values.clip(-_LARGEST_INTEGER, _LARGEST_INTEGER)
    return pa.array(values).cast(form)
