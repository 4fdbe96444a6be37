"""Sums over all rows of a table that is longer than memory, by one process or several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Self

import torch
from torch import Tensor

from logpx.distributions import Moments
from logpx.errors import DataError
from logpx.inference.partial_sums import PartialSum, ShardSum, flattened, restored
from logpx.inference.shared_e_step import Batch, SummedRows, TimeIsUp
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

__all__ = [
    "HANDLERS",
    "MOMENTS",
    "STATISTICS",
    "RowSum",
    "Stopped",
    "StreamedRows",
    "TableSums",
    "table_sums",
]

#: What is summed: the statistics of an E-step, or count, mean and scatter.
STATISTICS, MOMENTS = "statistics", "moments"
# A stretch of the table belongs to one of so many shards. Each is added up by one process, and the sums of
# the shards are added in order: the result has the same bits for any number of processes.
_SHARDS = 64
_ROWS_AT_ONCE = 65536
# Several processes work for so long, and then tell the first how far they are.
_SECONDS_APART = 3.0
_ORDER, _TABLE, _COURSE = "sum of a table", "table", "course"


class Stopped(Exception):
    """A stop was asked for while a table was read."""


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

    def blocks(self, density: TableDensity, shard: int | None = None, skip: int = 0) -> Iterator[Batch]:
        """Yield the rows of a shard, or of all, in model units, with their weights, but for some batches."""
        supports = Supports.of(self.schema.modelled)
        stretches = self.stretches if shard is None else self.stretches[shard::_SHARDS]
        for stretch in stretches:
            weighing = Weighing.of(stretch, self.schema, self.given)
            for batch in stretch.batches(_ROWS_AT_ONCE):
                if skip > 0:
                    skip -= 1
                    continue
                x = torch.from_numpy(to_matrix(batch, self.schema, missing=density.allows_missing))
                noisy = supports.dequantise(x, seed=self.seed, first_row=batch.start)
                y = as_modelled(density, noisy, batch, self.schema.modelled_names)
                weights = None
                if weighing.by:
                    weights = self.unit * torch.from_numpy(weighing.weights(batch))
                yield y, weights

    @torch.no_grad()
    def summed(self, density: TableDensity, what: str, begun: Iterable[ShardSum]) -> Iterator[ShardSum]:
        """Add up shards, one after the other; yield how far it has come after each batch.

        Parameters
        ----------
        density
            The density.
        what
            `STATISTICS` or `MOMENTS`.
        begun
            What is known already of each shard.
        """
        for part in begun:
            now = part
            if not part.finished:
                for y, weights in self.blocks(density, part.number, skip=part.batches):
                    now = now.plus(_sum_of(density, what, y, weights))
                    yield now
                yield replace(now, finished=True)


_SUMS: dict[str, Callable[[Any, Tensor, Tensor | None], Any]] = {
    STATISTICS: lambda model, y, weights: model.statistics(y, weights),
    MOMENTS: lambda model, y, weights: Moments.of(y, weights, full=True),
}


@torch.no_grad()
def _like(density: TableDensity, what: str) -> RowSum:
    """Return a sum of the same kind, over a row of zeros."""
    return _sum_of(density, what, torch.zeros(1, *density.event_shape, dtype=torch.float64), None)


def _sum_of(density: TableDensity, what: str, y: Tensor, weights: Tensor | None) -> RowSum:
    return RowSum(_SUMS[what](density.model, y, weights), bool(y.isnan().any()))


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
    stops
        Asked between batches: whether to give up.
    helpers
        The other processes; None if this one is alone.
    """

    def __init__(
        self,
        rows: StreamedRows,
        density: TableDensity,
        stops: Callable[[], bool],
        helpers: _Helpers | None = None,
    ) -> None:
        self._rows, self._density = rows, density
        self._stops, self._helpers = stops, helpers
        self._found = PartialSum()
        self._begun: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None = None

    def total(self, deadline: float | None, pause: Callable[[], object]) -> Any:
        """Return the statistics of all rows."""
        return self.sum(STATISTICS, deadline, pause).value

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what is added up since a sum was begun."""
        return self._found.kept()

    def go_on(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Begin the next sum with what was kept of it."""
        self._begun = tensors, values

    def sum(
        self, what: str, deadline: float | None = None, pause: Callable[[], object] = lambda: None
    ) -> RowSum:
        """Return a sum over all rows, in the order of the shards.

        Parameters
        ----------
        what
            `STATISTICS` or `MOMENTS`.
        deadline
            A value of ``time.monotonic()`` at which to give up; None for none.
        pause
            Called between batches, when `kept` has all that is done; of several processes every few seconds.

        Raises
        ------
        TimeIsUp
            At the deadline.
        Stopped
            If a stop is asked for.
        """
        begun, self._begun = self._begun, None
        self._found = PartialSum()
        if begun is not None:
            self._found = PartialSum.of(*begun, _like(self._density, what))
        for parts in self._advance(what, deadline):
            for part in parts:
                self._found.take(part)
            if self._found.done == self._rows.shards:
                break
            pause()
            if self._stops():
                raise Stopped
            if deadline is not None and time.monotonic() > deadline:
                raise TimeIsUp
        assert isinstance(self._found.total, RowSum)
        return self._found.total

    def _parts(self, rank: int, size: int) -> list[ShardSum]:
        """Return what is known of the shards of a process that are not in the total."""
        own = range(rank, self._rows.shards, size)
        return [self._found.part(shard) for shard in own if shard >= self._found.done]

    def _advance(self, what: str, deadline: float | None) -> Iterator[Iterable[ShardSum]]:
        """Yield, again and again, how far the shards have come on which the processes work."""
        helpers = self._helpers
        size = 1 if helpers is None else helpers.team.size
        course = self._rows.summed(self._density, what, self._parts(0, size))
        if helpers is None:
            yield from ([part] for part in course)
            return
        like = ShardSum(number=0, sum=_like(self._density, what))
        begin = [self._parts(rank, size) for rank in range(1, size)]
        while True:
            left = _SECONDS_APART if deadline is None else min(_SECONDS_APART, deadline - time.monotonic())
            shares: list[list[Tensor]] = [[] for _ in range(1, size)]
            values = {
                "model": helpers.number,
                "what": what,
                "seconds": left,
                "table": helpers.described,
                "begin": [flattened(tuple(known), to) for known, to in zip(begin, shares, strict=False)],
            }
            parts, answers = helpers.team.together(
                _ORDER,
                values,
                state_of(self._density),
                partial(_worked, course, left, self._stops),
                shares=shares,
            )
            begin = []
            for found, tensors in answers:
                given = iter(tensors)
                parts += [restored(like, one, given) for one in found]
            yield parts


def _worked(
    course: Iterator[ShardSum], seconds: float, stops: Callable[[], bool] = lambda: False
) -> list[ShardSum]:
    """Go on with a sum for some seconds, or to its end; return how far each shard has come."""
    until, found = time.monotonic() + seconds, {}
    for part in course:
        found[part.number] = part
        if stops() or time.monotonic() > until:
            break
    return list(found.values())


@contextmanager
def table_sums(
    rows: StreamedRows, density: TableDensity, stops: Callable[[], bool] = lambda: False
) -> Iterator[TableSums]:
    """Have all processes read a table for sums over its rows, for as long as they are needed.

    Parameters
    ----------
    rows, density, stops
        As for `TableSums`.
    """
    team = current_team()
    described = None if team is None else rows.described
    if team is None or described is None:
        yield TableSums(rows, density, stops)
        return
    with team.models(density) as number:
        helpers = None
        if number is not None:
            helpers = _Helpers(team=team, number=number, described=described)
        yield TableSums(rows, density, stops, helpers)


def _carry_out(worker: Worker, order: Order) -> Message:
    values, kept = order.values, worker.kept[order.values["model"]]
    density: Any = worker.model(order)
    if _TABLE not in kept:
        kept[_TABLE] = StreamedRows.of(values["table"])
    rows, what = kept[_TABLE], values["what"]
    if values["begin"]:
        given, pattern = iter(order.share), ShardSum(number=0, sum=_like(density, what))
        begun = [restored(pattern, one, given) for one in values["begin"][worker.rank - 1]]
        kept[_COURSE] = rows.summed(density, what, begun)
    tensors: list[Tensor] = []
    return flattened(tuple(_worked(kept[_COURSE], values["seconds"])), tensors), tensors


#: What carries out the orders of sums over a table.
HANDLERS: dict[str, Handler] = {_ORDER: _carry_out}
