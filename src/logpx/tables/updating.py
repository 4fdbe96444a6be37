"""A fitted model of a table, updated by new rows."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Mixture
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.model import TableModel
from logpx.tables.model_units import as_modelled
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.sources import open_table
from logpx.training import fit

__all__ = ["TableUpdate", "table_statistics", "update_table"]

_BATCH_ROWS = 65536
_LEAST_SECONDS = 1e-3
_Member = TableDensity | CellDensity


@dataclass(frozen=True, repr=False)
class TableUpdate(Shown):
    """The result of an update.

    Attributes
    ----------
    model : TableModel
        The updated model; the given one is as it was.
    statistics : dict of str to Tensor
        The statistics of all rows so far that the next update starts from.
    rows : int
        The number of new rows.
    notes : list of str
        What was done with each part of the model.
    """

    model: TableModel
    statistics: dict[str, Tensor]
    rows: int
    notes: list[str] = field(default_factory=list)


@torch.no_grad()
def table_statistics(model: TableModel, rows: Any, seed: int = 0) -> dict[str, Tensor]:
    """Return the sufficient statistics of the rows of a table under a model, in constant memory.

    Parameters
    ----------
    model
        A model of a table; what of it has no statistics (a network) is left out.
    rows
        Anything that `open_table` takes, or a `Table`.
    seed
        Seed of the noise within cells, which depends on the row's number.

    Returns
    -------
    dict of str to Tensor
        In float64, for `update_table`.
    """
    members = {name: one for name, one in _members(model).items() if _has_statistics(one)}
    found = _summed(model, members, rows, seed) if members else {}
    return _flat(found)


def update_table(
    model: TableModel,
    rows: Any,
    *,
    statistics: Mapping[str, Tensor] | None = None,
    old: Any = None,
    first_row: int = 0,
    passes: int = 1,
    max_time: float | None = None,
    seed: int = 0,
    progress: Any = False,
) -> TableUpdate:
    """Update a model by new rows, which may be a table of any length where only statistics are needed.

    The maps of the columns stay as they are. Models that EM fits (Gaussians, mixtures, probabilistic PCA,
    factor analysis) are updated from the statistics of old and new rows together: the first pass is the step
    of EM that all rows together would make from this start. For a Gaussian without missing cells that is its
    fit to all rows. Further passes find the statistics of the new rows anew, and of the old ones if they are
    given; if not, theirs stay, which is incremental EM. Networks are trained on, on the old rows too if they
    are given.

    Parameters
    ----------
    model
        The model.
    rows
        The new rows: anything that `open_table` takes, or a `Table`.
    statistics
        Those of the old rows, of `table_statistics` or of an earlier update.
    old
        The old rows, if they are still there; their statistics are then found from them.
    first_row
        The number of old rows, from which the new ones are counted on, for their noise within cells.
    passes
        How many steps of EM to make.
    max_time
        How many seconds to train networks, 60 by default.
    seed
        Seed of noise and of training.
    progress
        Passed on to `logpx.training.fit`.

    Returns
    -------
    TableUpdate
        The updated model.

    Raises
    ------
    DataError
        If the columns are not those of the model, or a cell has a label or value that the model excludes.
    UsageError
        If the model needs statistics of the old rows, and there are neither these nor the rows.

    References
    ----------
    Neal and Hinton 1998, A view of the EM algorithm that justifies incremental, sparse, and other variants.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.tables import fit_table
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = fit_table({"a": x[:400, 0], "b": x[:400, 1]}, model="gaussian").model
    >>> kept = table_statistics(model, {"a": x[:400, 0], "b": x[:400, 1]})
    >>> update_table(model, {"a": x[400:, 0], "b": x[400:, 1]}, statistics=kept).rows
    100
    """
    check_count("passes", passes)
    if model.schema.weight is not None:
        raise UsageError(
            "a model whose rows were weighted is not updated, for what is kept of them is not",
            column=model.schema.weight,
            fix="fit again to all rows: logpx fit … --weights",
        )
    model, table = copy.deepcopy(model), open_table(rows)
    older = None if old is None else open_table(old)
    members = _members(model)
    summed = {name: one for name, one in members.items() if _has_statistics(one)}
    trained = {name: one for name, one in members.items() if not _has_statistics(one)}
    notes, kept, count = [], dict[str, Any](), table.count_rows()
    if summed:
        for _ in range(passes):
            new = _summed(model, summed, table, seed, first_row)
            if older is None:
                before = {name: _filled(new[name], name, statistics or {}) for name in summed}
            else:
                before = _summed(model, summed, older, seed)
            kept = {name: before[name] + new[name] for name in summed}
            for name, member in summed.items():
                member.model.update(kept[name])  # type: ignore[operator]
        steps = "one step" if passes == 1 else f"{passes} steps"
        notes.append(f"{', '.join(summed)}: {steps} of EM on the statistics of old and new rows together")
    if trained:
        _train(model, trained, [one for one in (older, table) if one is not None], max_time, seed, progress)
        alone = "the new rows alone; give the old ones, too, to keep to them"
        of = "old and new rows" if older is not None else alone
        notes.append(f"{', '.join(trained)}: trained on, on {of}")
    if isinstance(model.density, Mixture):
        notes.append("the weights of the models that are stacked stay as they were")
    if model.reference is not None or model.calibration is not None:
        # Their scores are those of the model before, and would make wrong p-values beside new ones.
        baselines: Any = dict(model.baselines.items())
        companions: Any = dict(model.companions.items())
        model = TableModel(model.schema, model.density, baselines, companions=companions)
        notes.append("the reference for p-values of anomalies is left out: fit again to have one")
    return TableUpdate(model.eval(), _flat(kept), count, notes)


def _members(model: TableModel) -> dict[str, _Member]:
    """Return the densities in table units that a model consists of, by name."""
    found: dict[str, _Member] = {}
    companions = [(f"{name} beside", one) for name, one in model.companions.items()]
    every = [("density", model.density), *model.baselines.items(), *companions]
    for name, one in [part for named in every for part in _parts(*named)]:
        if not isinstance(one, TableDensity | CellDensity):
            raise UsageError(f"a {type(one).__name__} is not updated", fix="fit the model again to all rows")
        found[name] = one
    return found


def _parts(name: str, density: Any) -> list[tuple[str, Any]]:
    """Return the densities that one is made of, with names."""
    if not isinstance(density, Mixture):
        return [(name, density)]
    return [(f"{name} {index}", one) for index, one in enumerate(density.components)]


def _has_statistics(member: _Member) -> bool:
    return hasattr(member.model, "statistics") and hasattr(member.model, "update")


@torch.no_grad()
def _summed(
    model: TableModel, members: Mapping[str, _Member], rows: Any, seed: int, first_row: int = 0
) -> dict[str, Any]:
    """Return the statistics of all rows under each of the members."""
    found: dict[str, Any] = {}
    names = model.schema.modelled_names
    for batch, x in _matrices(model, rows, list(members.values())):
        noisy = model.supports.dequantise(x, seed=seed, first_row=first_row + batch.start)
        for name, member in members.items():
            part = member.model.statistics(as_modelled(member, noisy, batch, names))  # type: ignore[operator]
            found[name] = part if name not in found else found[name] + part
    return found


def _matrices(
    model: TableModel, rows: Any, members: Sequence[_Member]
) -> Iterator[tuple[TableBatch, Tensor]]:
    table = rows if isinstance(rows, Table) else open_table(rows)
    model.schema.check(table.names, table.file)
    missing = all(member.allows_missing for member in members)
    for batch in modelled_part(table, model.schema).batches(_BATCH_ROWS):
        # Labels that the model does not know are an error: it has no place for them.
        x = to_matrix(batch, model.schema, missing=missing)
        yield batch, torch.from_numpy(x).to(model.device)


def _train(
    model: TableModel,
    members: Mapping[str, _Member],
    tables: Sequence[Table],
    max_time: float | None,
    seed: int,
    progress: Any,
) -> None:
    """Train networks on, on rows that are read into memory."""
    until = time.monotonic() + (60.0 if max_time is None else max_time)
    for number, member in enumerate(members.values()):
        parts, first = [], 0
        for table in tables:
            for batch, x in _matrices(model, table, [member]):
                noisy = x
                if isinstance(member, TableDensity):
                    noisy = model.supports.dequantise(x, seed=seed, first_row=first + batch.start)
                with torch.no_grad():
                    parts.append(as_modelled(member, noisy, batch, model.schema.modelled_names))
            first += table.count_rows()
        rows = torch.cat(parts)
        rows = rows if isinstance(member, CellDensity) else rows.float()
        # Reading the rows may have taken all of it: networks then stay about as they are.
        left = max(_LEAST_SECONDS, until - time.monotonic()) / (len(members) - number)
        fit(member.model, rows, max_time=left, seed=seed, progress=progress)


def _flat(statistics: Mapping[str, Any]) -> dict[str, Tensor]:
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


def _filled(like: Any, name: str, tensors: Mapping[str, Tensor], path: str = "") -> Any:
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
        return type(like)(_filled(part, name, tensors, f"{path}.{index}") for index, part in enumerate(like))
    fields = {
        one.name: _filled(getattr(like, one.name), name, tensors, f"{path}.{one.name}".lstrip("."))
        for one in dataclasses.fields(like)
    }
    return type(like)(**fields)
