"""A fitted model of a table, updated by new rows."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Mixture
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring import Ending, Limits
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.model import TableModel
from logpx.tables.model_units import as_modelled
from logpx.tables.reading.table import Table
from logpx.tables.sources import open_table
from logpx.tables.updating_passes import KeptPasses, Member, RowsOfUpdate, UpdateStopped, flat, matrices
from logpx.training import fit
from logpx.training.journal import Journal, journal_of
from logpx.training.run_state import digest

__all__ = ["TableUpdate", "table_statistics", "update_table"]

_LEAST_SECONDS, _USUAL_SECONDS = 1e-3, 60.0


@dataclass(frozen=True, kw_only=True, repr=False)
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
    ended : Ending
        What ended it. One that was interrupted has only begun to take the new rows in.
    """

    model: TableModel
    statistics: dict[str, Tensor]
    rows: int
    notes: list[str] = field(default_factory=list)
    ended: Ending = Ending.CONVERGED


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
    if not members:
        return {}
    table = rows if isinstance(rows, Table) else open_table(rows)
    return flat(KeptPasses(model=model, members=members, parts=[RowsOfUpdate(table)], seed=seed).total())


def update_table(
    model: TableModel,
    rows: Any,
    *,
    statistics: Mapping[str, Tensor] | None = None,
    old: Any = None,
    first_row: int = 0,
    passes: int = 1,
    max_time: float | None = None,
    max_steps: int | None = None,
    max_epochs: int | None = None,
    seed: int = 0,
    progress: Any = False,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint: Any = None,
    resume: Any = None,
    every: float = 30.0,
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
        How many seconds to train networks: 60 by default, without a limit where steps or epochs are given.
    max_steps, max_epochs
        How many steps or epochs to train each network. Without `max_time` the update can be repeated.
    seed
        Seed of noise and of training.
    progress
        Passed on to `logpx.training.fit`.
    should_stop
        Called before each batch and step; returning true ends the update in an orderly way.
    checkpoint, resume, every
        A folder in which the update is kept, one to go on with, and the seconds between checkpoints, as in
        `logpx.training.fit`. Model, options and tables must be those that it was begun with, of which the
        numbers of rows and the first 65,536 of them are compared.

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
    limits = Limits.of(max_time, max_steps, max_epochs, usual_seconds=_USUAL_SECONDS)
    journal = journal_of(checkpoint, resume, every, should_stop, eager=False)
    model, table = copy.deepcopy(model), open_table(rows)
    parts = [RowsOfUpdate(table, first_row)]
    if old is not None:
        parts = [RowsOfUpdate(open_table(old)), RowsOfUpdate(table, first_row)]
    members = _members(model)
    summed = {name: one for name, one in members.items() if _has_statistics(one)}
    trained = {name: one for name, one in members.items() if not _has_statistics(one)}
    notes, kept, count = [], dict[str, Any](), table.count_rows()
    with journal.held(flush=limits.unfinished_by_time):
        if journal.keeps:
            journal.identify(_identity(model, parts, passes, limits, seed), table.file)
        journal.limit(limits.seconds)
        endings = []
        try:
            if summed:
                kept = KeptPasses(
                    model=model,
                    members=summed,
                    parts=parts,
                    older=(statistics or {}) if old is None else None,
                    seed=seed,
                    journal=journal.part("passes"),
                    should_stop=should_stop,
                ).run(passes)
                steps = "one step" if passes == 1 else f"{passes} steps"
                notes.append(
                    f"{', '.join(summed)}: {steps} of EM on the statistics of old and new rows together"
                )
            if trained:
                training = _Training(
                    model=model,
                    parts=parts,
                    limits=limits,
                    seed=seed,
                    progress=progress,
                    should_stop=should_stop,
                    journal=journal,
                )
                endings = training.train(trained)
                alone = "the new rows alone; give the old ones, too, to keep to them"
                of = "old and new rows" if old is not None else alone
                notes.append(f"{', '.join(trained)}: trained on, on {of}")
        except UpdateStopped:
            endings = [Ending.INTERRUPTED]
    model = _without_reference(model, notes)
    return TableUpdate(
        model=model.eval(), statistics=flat(kept), rows=count, notes=notes, ended=Ending.last_of(endings)
    )


def _without_reference(model: TableModel, notes: list[str]) -> TableModel:
    """Return the model without what refers to the scores of the one before; note what stays as it was."""
    if isinstance(model.density, Mixture):
        notes.append("the weights of the models that are stacked stay as they were")
    if model.reference is not None or model.calibration is not None:
        # Their scores are those of the model before, and would make wrong p-values beside new ones.
        baselines: Any = dict(model.baselines.items())
        companions: Any = dict(model.companions.items())
        model = TableModel(model.schema, model.density, baselines, companions=companions)
        notes.append(
            "what anomalies are judged by, and the reference for their p-values, is left out: fit again to "
            "have it"
        )
    return model


def _identity(
    model: TableModel, parts: Sequence[RowsOfUpdate], passes: int, limits: Limits, seed: int
) -> dict[str, Any]:
    """Return what `Journal.identify` compares."""
    columns: dict[str, list[str]] = {name: [] for name in model.schema.modelled_names}
    for part in parts:
        _, x = next(matrices(model, part.table, list(_members(model).values())))
        for index, found in enumerate(columns.values()):
            found.append(digest([x[:, index]]))
    return {
        "arguments": {
            "the model": digest(list(model.state_dict().values())),
            "passes": passes,
            "max_steps": limits.steps,
            "max_epochs": limits.epochs,
            "seed": seed,
        },
        "data": {"rows": [[part.table.count_rows(), part.first_row] for part in parts]},
        "columns": columns,
    }


def _members(model: TableModel) -> dict[str, Member]:
    """Return the densities in table units that a model consists of, by name."""
    found: dict[str, Member] = {}
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


def _has_statistics(member: Member) -> bool:
    return hasattr(member.model, "statistics") and hasattr(member.model, "update")


@dataclass(frozen=True, kw_only=True)
class _Training:
    """How networks are trained on.

    Attributes
    ----------
    model, parts, limits, seed, progress, should_stop, journal
        As in `update_table`.
    """

    model: TableModel
    parts: Sequence[RowsOfUpdate]
    limits: Limits
    seed: int
    progress: Any
    should_stop: Callable[[], bool]
    journal: Journal

    def train(self, members: Mapping[str, Member]) -> list[Ending]:
        """Train networks on rows that are read into memory; return what ended each of them."""
        until, endings = time.monotonic() + self.limits.seconds - self.journal.before, []
        for number, member in enumerate(members.values()):
            rows = self._rows(member)
            journal = self.journal.part(f"network-{number}")
            # Reading the rows may have taken all of it: networks then stay about as they are.
            left = max(_LEAST_SECONDS, until - time.monotonic()) / (len(members) - number)
            seconds, _ = journal.allotted(left)
            trained = fit(
                member.model,
                rows,
                max_time=None if math.isinf(seconds) else seconds,
                seed=self.seed,
                progress=self.progress,
                should_stop=self.should_stop,
                checkpoint=journal,
                compile=self.limits.compiling("auto"),
                max_steps=self.limits.steps,
                max_epochs=self.limits.epochs,
            )
            endings.append(self.limits.ending(trained))
            if endings[-1] is Ending.INTERRUPTED:
                raise UpdateStopped
        return endings

    @torch.no_grad()
    def _rows(self, member: Member) -> Tensor:
        found = []
        for part in self.parts:
            for batch, x in matrices(self.model, part.table, [member]):
                noisy = x
                if isinstance(member, TableDensity):
                    first = part.first_row + batch.start
                    noisy = self.model.supports.dequantise(x, seed=self.seed, first_row=first)
                found.append(as_modelled(member, noisy, batch, self.model.schema.modelled_names))
        rows = torch.cat(found)
        return rows if isinstance(member, CellDensity) else rows.float()
