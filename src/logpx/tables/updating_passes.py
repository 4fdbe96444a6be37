"""Steps of EM on the statistics of old and new rows of tables, of which what is done so far is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from logpx.errors import ModelFolderError, UsageError
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.model import TableModel
from logpx.tables.model_units import as_modelled
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.training.checkpoints import Moment, TrainingState
from logpx.training.journal import Journal
from logpx.training.kept_values import UpdateValues, checked_values

__all__ = ["KeptPasses", "Member", "RowsOfUpdate", "UpdateStopped", "flat", "matrices"]

#: A density in table units that is part of a model.
Member = TableDensity | CellDensity

_BATCH_ROWS = 65536
_MODEL, _SUM, _DONE = "model", "sum", "done"


class UpdateStopped(Exception):
    """A stop was asked for before all passes were done."""


@dataclass(frozen=True)
class RowsOfUpdate:
    """Rows that are summed.

    Attributes
    ----------
    table : Table
        The rows.
    first_row : int
        The number of the first, for its noise within cells.
    """

    table: Table
    first_row: int = 0


@dataclass(kw_only=True)
class KeptPasses:
    """Passes over rows, each of which sums statistics and makes an M-step.

    Attributes
    ----------
    model : TableModel
        The model, which is updated in place.
    members : dict
        The densities that it consists of, by name, as far as they have statistics.
    parts : list of RowsOfUpdate
        The rows, in parts that are summed one after the other.
    older : dict
        Statistics, by name, of older rows that are not among the parts.
    seed : int
        Seed of the noise within cells.
    journal : Journal
        Where the passes are kept, batch by batch; an interrupted one goes on where it was.
    should_stop : callable
        Asked after each batch.
    """

    model: TableModel
    members: Mapping[str, Member]
    parts: Sequence[RowsOfUpdate]
    older: Mapping[str, Tensor] | None = None
    seed: int = 0
    journal: Journal = field(default_factory=Journal)
    should_stop: Callable[[], bool] = lambda: False
    # Passes that are done, parts of the next one, batches of the next part, and batches in all.
    _passes: int = field(default=0, init=False)
    _place: int = field(default=0, init=False)
    _batches: int = field(default=0, init=False)
    _count: int = field(default=0, init=False)
    _done: dict[str, Any] = field(default_factory=dict, init=False)
    _sum: dict[str, Any] = field(default_factory=dict, init=False)

    @torch.no_grad()
    def run(self, passes: int) -> dict[str, Any]:
        """Make so many passes; return the statistics of all rows in the last one.

        Raises
        ------
        UpdateStopped
            If a stop was asked for.
        UsageError
            If there are neither older rows nor their statistics.
        """
        self._recall()
        while self._passes < passes:
            found = self.total()
            for name, member in self.members.items():
                member.model.update(found[name])  # type: ignore[operator]
            self._passes, self._place, self._done = self._passes + 1, 0, found
        self.journal.offer(self._count + 1, self._state, Moment.END)
        return self._done

    @torch.no_grad()
    def total(self) -> dict[str, Any]:
        """Return the statistics of all rows at the present parameters."""
        if not self._place:
            self._done = {}
        while self._place < len(self.parts):
            self._add(self.parts[self._place])
            found = self._sum
            if not self._place and self.older is not None:
                found = {name: filled(one, name, self.older) + one for name, one in found.items()}
            known = self._done
            self._done = {name: known[name] + one if known else one for name, one in found.items()}
            self._place, self._batches, self._sum = self._place + 1, 0, {}
        return self._done

    def _add(self, part: RowsOfUpdate) -> None:
        """Sum the rows of a part, from the batch at which the sum is."""
        for number, (batch, x) in enumerate(self._batches_of(part)):
            if number < self._batches:
                continue
            for name, one in self._statistics(part, batch, x).items():
                self._sum[name] = self._sum[name] + one if name in self._sum else one
            self._batches, self._count = number + 1, self._count + 1
            stops = self.should_stop()
            self.journal.offer(self._count, self._state, Moment.STOPPED if stops else Moment.STEP)
            if stops:
                raise UpdateStopped

    def _batches_of(self, part: RowsOfUpdate) -> Iterator[tuple[TableBatch, Tensor]]:
        return matrices(self.model, part.table, list(self.members.values()))

    def _statistics(self, part: RowsOfUpdate, batch: TableBatch, x: Tensor) -> dict[str, Any]:
        noisy = self.model.supports.dequantise(x, seed=self.seed, first_row=part.first_row + batch.start)
        names = self.model.schema.modelled_names
        return {
            name: member.model.statistics(as_modelled(member, noisy, batch, names))  # type: ignore[operator]
            for name, member in self.members.items()
        }

    @cached_property
    def _like(self) -> dict[str, Any]:
        """Statistics of one row, for their form."""
        batch, x = next(self._batches_of(self.parts[0]))
        return self._statistics(self.parts[0], batch, x[:1])

    def _state(self) -> TrainingState:
        tensors = {
            f"{_MODEL}/{name}/{key}": tensor.detach()
            for name, member in self.members.items()
            for key, tensor in member.model.state_dict().items()
        }
        tensors |= {f"{_SUM}/{key}": tensor for key, tensor in flat(self._sum).items()}
        tensors |= {f"{_DONE}/{key}": tensor for key, tensor in flat(self._done).items()}
        values = {"passes": self._passes, "part": self._place, "batches": self._batches, "count": self._count}
        return TrainingState(self._count, tensors, values)

    def _recall(self) -> None:
        state = self.journal.last()
        if state is None:
            return
        checked_values(UpdateValues, state.values, "the state of an update")
        values = state.values
        try:
            for name, member in self.members.items():
                member.model.load_state_dict(_below(f"{_MODEL}/{name}/", state.tensors))
            for kind, found in ((_SUM, self._sum), (_DONE, self._done)):
                kept = _below(f"{kind}/", state.tensors)
                if kept:
                    found |= {name: filled(one, name, kept) for name, one in self._like.items()}
        except (RuntimeError, UsageError) as error:
            raise ModelFolderError(
                f"what was kept is not the state of this update: {error}",
                fix="resume with the logpx that wrote it, or begin the update again",
            ) from error
        self._passes, self._place = values["passes"], values["part"]
        self._batches, self._count = values["batches"], values["count"]


def _below(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)}


def matrices(
    model: TableModel, table: Table, members: Sequence[Member]
) -> Iterator[tuple[TableBatch, Tensor]]:
    """Yield batches of a table with their cells as numbers, as far as the members take them.

    Raises
    ------
    DataError
        If the columns are not those of the model, or a cell has a label or value that it excludes.
    """
    model.schema.check(table.names, table.file)
    missing = all(member.allows_missing for member in members)
    for batch in modelled_part(table, model.schema).batches(_BATCH_ROWS):
        # Labels that the model does not know are an error: it has no place for them.
        x = to_matrix(batch, model.schema, missing=missing)
        yield batch, torch.from_numpy(x).to(model.device)


def flat(statistics: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of statistics by name."""
    return {f"{name}: {key}": tensor for name, one in statistics.items() for key, tensor in _leaves(one)}


def _leaves(statistics: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(statistics, Tensor):
        yield path, statistics
    elif isinstance(statistics, tuple | list):
        for index, part in enumerate(statistics):
            yield from _leaves(part, f"{path}.{index}")
    else:
        for one in dataclasses.fields(statistics):
            yield from _leaves(getattr(statistics, one.name), f"{path}.{one.name}".lstrip("."))


def filled(like: Any, name: str, tensors: Mapping[str, Tensor], path: str = "") -> Any:
    """Return statistics of the form of others, with the tensors that are kept under a name."""
    if isinstance(like, Tensor):
        found = tensors.get(f"{name}: {path}")
        if found is None or found.shape != like.shape:
            raise UsageError(
                "the model keeps no statistics of the rows that it was fitted to",
                fix="give these rows, too (--with old.parquet), or fit a model to all rows",
            )
        return found.to(like)
    if isinstance(like, tuple | list):
        return type(like)(filled(part, name, tensors, f"{path}.{index}") for index, part in enumerate(like))
    fields = {
        one.name: filled(getattr(like, one.name), name, tensors, f"{path}.{one.name}".lstrip("."))
        for one in dataclasses.fields(like)
    }
    return type(like)(**fields)
