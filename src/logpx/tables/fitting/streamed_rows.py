"""Sums over all rows of a table that is longer than memory, by one process or several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from logpx.distributions import Moments
from logpx.errors import DataError
from logpx.inference.shared_e_step import Batch, SummedRows, TimeIsUp, flattened, restored
from logpx.processes.messages import Message
from logpx.processes.team import Team, current_team, state_of
from logpx.processes.worker import Handler, Order, Worker
from logpx.tables.columns.supports import Supports
from logpx.tables.density import TableDensity
from logpx.tables.fitting.weighing import Weighing
from logpx.tables.model_units import as_modelled
from logpx.tables.reading.table import Table
from logpx.tables.schema.matrix import to_matrix
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.weights import Array, weighed_part
from logpx.tables.sources import open_table

__all__ = ["HANDLERS", "MOMENTS", "STATISTICS", "RowSum", "StreamedRows", "TableSums", "table_sums"]

#: What is summed: the statistics of an E-step, or count, mean and scatter.
STATISTICS, MOMENTS = "statistics", "moments"
# A stretch of the table belongs to one of so many shards. Each is added up by one process, and the sums of
# the shards are added in order: the result has the same bits for any number of processes.
_SHARDS = 64
_ROWS_AT_ONCE = 65536
_ORDER, _TABLE = "sum of a table", "table"


@dataclass(frozen=True)
class RowSum:
    """A sum over rows.

    Attributes
    ----------
    value : object
        The sum: statistics of the model, or `Moments`.
    holes : bool
        Whether any cell was missing.
    """

    value: Any
    holes: bool

    def __add__(self, other: RowSum) -> RowSum:
        """Return the sum over the rows of both."""
        return RowSum(self.value + other.value, self.holes or other.holes)


@dataclass(frozen=True, kw_only=True)
class StreamedRows:
    """All rows of a table, which are read whenever they are asked for.

    Attributes
    ----------
    table : Table
        The table.
    schema : Schema
        Its columns.
    seed : int
        Seed of the noise within cells, which depends on the row's number.
    given : numpy.ndarray or None
        The weight of each row, where no column says so.
    unit : float
        What weights are multiplied by.
    """

    table: Table
    schema: Schema
    seed: int
    given: Array | None = None
    unit: float = 1.0

    @cached_property
    def stretches(self) -> list[Table]:
        """The stretches of the table that can be read alone: files, or row groups of Parquet files."""
        return weighed_part(self.table, self.schema).divided()

    @property
    def shards(self) -> int:
        """Into how many shards the table is divided."""
        return min(_SHARDS, len(self.stretches))

    @property
    def described(self) -> dict[str, Any] | None:
        """What another process needs to read the same rows; None if it cannot."""
        files = [part.file for part in self.table.parts]
        if self.given is not None or not all(file is not None and os.path.isfile(file) for file in files):
            return None
        return {
            "source": os.path.abspath(self.table.name),
            "schema": self.schema.to_json(),
            "seed": self.seed,
            "unit": self.unit,
            "before": [part.rows_before for part in self.stretches],
        }

    @classmethod
    def of(cls, described: dict[str, Any]) -> Self:
        """Return the rows that another process has described.

        Raises
        ------
        DataError
            If the table is another one here.
        """
        source = described["source"]
        found = cls(
            table=open_table(source),
            schema=Schema.from_json(described["schema"]),
            seed=described["seed"],
            unit=described["unit"],
        )
        if [part.rows_before for part in found.stretches] != described["before"]:
            raise DataError(
                "the table has other rows for this process than for the first",
                file=source,
                fix="give all processes the same files, and do not change them during a fit",
            )
        return found

    def blocks(self, density: TableDensity, shard: int | None = None) -> Iterator[Batch]:
        """Yield the rows of a shard, or of all, in model units, with their weights."""
        supports = Supports.of(self.schema.modelled)
        stretches = self.stretches if shard is None else self.stretches[shard::_SHARDS]
        for stretch in stretches:
            weighing = Weighing.of(stretch, self.schema, self.given)
            for batch in stretch.batches(_ROWS_AT_ONCE):
                x = torch.from_numpy(to_matrix(batch, self.schema, missing=density.allows_missing))
                noisy = supports.dequantise(x, seed=self.seed, first_row=batch.start)
                y = as_modelled(density, noisy, batch, self.schema.modelled_names)
                weights = None
                if weighing.by:
                    weights = self.unit * torch.from_numpy(weighing.weights(batch))
                yield y, weights

    @torch.no_grad()
    def summed(
        self, density: TableDensity, what: str, shard: int, stops: Callable[[], bool] = lambda: False
    ) -> RowSum | None:
        """Return the sum over the rows of a shard; None if it stops before.

        Parameters
        ----------
        density
            The density.
        what
            `STATISTICS` or `MOMENTS`.
        shard
            The number of the shard.
        stops
            Asked before each batch.
        """
        total = None
        for y, weights in self.blocks(density, shard):
            if stops():
                return None
            part = RowSum(_SUMS[what](density.model, y, weights), bool(y.isnan().any()))
            total = part if total is None else total + part
        return total


_SUMS: dict[str, Callable[[Any, Tensor, Tensor | None], Any]] = {
    STATISTICS: lambda model, y, weights: model.statistics(y, weights),
    MOMENTS: lambda model, y, weights: Moments.of(y, weights, full=True),
}


@dataclass(frozen=True, kw_only=True)
class _Helpers:
    """The processes that compute for this one.

    Attributes
    ----------
    team : Team
        The processes.
    number : int
        The density's number in orders.
    described : dict
        What they need to read the table.
    """

    team: Team
    number: int
    described: dict[str, Any]


class TableSums(SummedRows):
    """Sums over all rows of a table under a density, by all processes that there are.

    Parameters
    ----------
    rows
        The rows.
    density
        The density, whose parameters are those of the moment.
    check
        Called between batches; may raise.
    helpers
        The other processes; None if this one is alone.
    """

    def __init__(
        self,
        rows: StreamedRows,
        density: TableDensity,
        check: Callable[[], None],
        helpers: _Helpers | None = None,
    ) -> None:
        self._rows, self._density = rows, density
        self._check, self._helpers = check, helpers

    def total(self, deadline: float | None) -> Any:
        """Return the statistics of all rows."""
        return self.sum(STATISTICS, deadline).value

    def sum(self, what: str, deadline: float | None = None) -> RowSum:
        """Return a sum over all rows, in the order of the shards.

        Parameters
        ----------
        what
            `STATISTICS` or `MOMENTS`.
        deadline
            A value of ``time.monotonic()`` at which to give up; None for none.

        Raises
        ------
        TimeIsUp
            At the deadline.
        """
        size = 1 if self._helpers is None else self._helpers.team.size
        total = None
        for first in range(0, self._rows.shards, size):
            for found in self._round(what, first, deadline):
                if found is None:
                    raise TimeIsUp
                total = found if total is None else total + found
        assert total is not None
        return total

    def _round(self, what: str, first: int, deadline: float | None) -> list[RowSum | None]:
        """Return the sums of a shard for each process, as far as there are any left."""

        def own() -> RowSum | None:
            return self._rows.summed(self._density, what, first, lambda: self._is_late(deadline))

        if self._helpers is None:
            return [own()]
        left = None if deadline is None else deadline - time.monotonic()
        values = {
            "model": self._helpers.number,
            "what": what,
            "first": first,
            "seconds": left,
            "table": self._helpers.described,
        }
        mine, answers = self._helpers.team.together(_ORDER, values, state_of(self._density), own)
        answers = answers[: self._rows.shards - first - 1]
        if mine is None or any(one is None for one, _ in answers):
            return [None]
        return [mine, *(restored(mine, one, iter(tensors)) for one, tensors in answers)]

    def _is_late(self, deadline: float | None) -> bool:
        self._check()
        return deadline is not None and time.monotonic() > deadline


@contextmanager
def table_sums(
    rows: StreamedRows, density: TableDensity, check: Callable[[], None] = lambda: None
) -> Iterator[TableSums]:
    """Have all processes read a table for sums over its rows, for as long as they are needed.

    Parameters
    ----------
    rows, density, check
        As for `TableSums`.
    """
    team = current_team()
    described = None if team is None else rows.described
    if team is None or described is None:
        yield TableSums(rows, density, check)
        return
    with team.models(density) as number:
        helpers = None
        if number is not None:
            helpers = _Helpers(team=team, number=number, described=described)
        yield TableSums(rows, density, check, helpers)


def _carry_out(worker: Worker, order: Order) -> Message:
    values, kept = order.values, worker.kept[order.values["model"]]
    density: Any = worker.model(order)
    if _TABLE not in kept:
        kept[_TABLE] = StreamedRows.of(values["table"])
    rows, shard = kept[_TABLE], values["first"] + worker.rank
    if shard >= rows.shards:
        return None, []
    until = None if values["seconds"] is None else time.monotonic() + values["seconds"]
    found = rows.summed(
        density, values["what"], shard, lambda: until is not None and time.monotonic() > until
    )
    tensors: list[Tensor] = []
    return (None if found is None else flattened(found, tensors)), tensors


#: What carries out the orders of sums over a table.
HANDLERS: dict[str, Handler] = {_ORDER: _carry_out}
