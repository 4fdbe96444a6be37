"""Rows of a table for a report: some of them, where they stand, and as columns that can be plotted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import LogpxError
from logpx.scoring import Evaluation, NatsPerRow, Tally
from logpx.tables import FAMILIES, Table, TableModel, open_table
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort
from logpx.tables.families.family import QuickFamily
from logpx.tables.fitting.rows import divided_rows
from logpx.tables.reading.date_notation import MICROSECONDS, DateNotation
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.unseen_labels import UnseenLabels

__all__ = ["SourceRows", "TableRowsSample", "plottable", "sample_of", "scored", "source_rows"]

_NEW_LABEL = "a new label"


@dataclass(frozen=True, kw_only=True)
class TableRowsSample:
    """Some rows of a table.

    Attributes
    ----------
    x : Tensor
        Shape ``(n, d)``, float64, in table units: codes of labels, NaN where a cell is missing.
    table : Table
        The table.
    total : int
        How many rows the table has.
    notes : list of str
        Labels that are new to the model.
    """

    x: Tensor
    table: Table
    total: int
    notes: list[str] = field(default_factory=list)


def sample_of(table: Table, model: TableModel, most: int, seed: int) -> TableRowsSample:
    """Return uniformly drawn rows of a table, in the table's order.

    Raises
    ------
    DataError
        If the columns are not those of the model, or a cell cannot be read.
    """
    model.schema.check(table.names, table.file)
    generator, unseen = np.random.default_rng([9_001, seed]), UnseenLabels()
    missing = model.density.allows_missing
    kept, keys, total = np.empty((0, len(model.schema.modelled))), np.empty(0), 0
    for batch in modelled_part(table, model.schema).batches():
        x = to_matrix(batch, model.schema, missing=missing, unseen=unseen)
        kept = np.concatenate([kept, x])
        keys = np.concatenate([keys, generator.random(batch.rows)])
        total += batch.rows
        if len(keys) > 4 * most:
            kept, keys = _smallest(kept, keys, most)
    kept, _ = _smallest(kept, keys, most)
    return TableRowsSample(x=torch.from_numpy(kept), table=table, total=total, notes=unseen.notes())


def _smallest(
    kept: npt.NDArray[np.float64], keys: npt.NDArray[np.float64], most: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    chosen = np.sort(np.argsort(keys, kind="stable")[:most])
    return kept[chosen], keys[chosen]


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """Rows of the table that a model was fitted to.

    Attributes
    ----------
    training, aside : Tensor or None
        Rows to fit to and rows to choose by, shape ``(n, d)``; None if there are none, or it is not known
        which they were.
    rows : TableRowsSample
        Some of all.
    seen : bool
        Whether the model was fitted to the rows to choose by, too, once it was chosen: no rows are then left
        that it has not seen.
    """

    training: Tensor | None
    aside: Tensor | None
    rows: TableRowsSample
    seen: bool = False


def source_rows(model: TableModel, metrics: Mapping[str, Any], most: int) -> SourceRows | None:
    """Return rows of the table that a model was fitted to, divided as they were; None if it is not there.

    The table has to have the columns and the number of rows of the fit.
    """
    source, seed = metrics.get("source"), metrics.get("seed")
    if not isinstance(source, str) or source == "-" or not isinstance(seed, int):
        return None
    if not os.path.exists(source):
        return None
    try:
        table = open_table(source)
        rows = sample_of(table, model, most, seed)
        if rows.total != metrics.get("rows"):
            return None
        training, aside = _divided(table, model.schema, metrics, seed, model.density.allows_missing)
    except LogpxError:
        return None
    return SourceRows(
        training=None if training is None else training[:most],
        aside=None if aside is None else aside[:most],
        rows=rows,
        seen=aside is not None and _fitted_again(metrics),
    )


def _fitted_again(metrics: Mapping[str, Any]) -> bool:
    """Return whether the chosen model, or a member of the stack, was fitted to all rows in the end."""
    members = str((metrics.get("chosen") or {}).get("model", "")).split(" + ")
    return any(isinstance(FAMILIES.get(name), QuickFamily) for name in members)


def _divided(
    table: Table, schema: Schema, metrics: Mapping[str, Any], seed: int, missing: bool
) -> tuple[Tensor | None, Tensor | None]:
    divided = divided_rows(table, None, schema, seed, missing=missing)
    counts = (len(divided.training), len(divided.held_out))
    # Otherwise there was a table of its own to choose by, or no row was set aside.
    if counts != (metrics.get("train_rows"), metrics.get("validation_rows")):
        return None, None
    return divided.training, divided.held_out


@torch.no_grad()
def scored(model: TableModel, x: Tensor, seed: int = 0) -> tuple[Tensor, Evaluation]:
    """Return log p of rows with one draw of noise, and the means beside baselines on the same noise."""
    baselines: dict[str, Distribution] = dict(model.baselines.items())  # type: ignore[arg-type]
    noisy = bool(model.supports.noisy) and needs_noise(model.density)
    effort = Effort.of(model.density.kind == "exact", noisy, 1, None)
    tally = Tally(list(baselines), NatsPerRow())
    found = effort.bounds([model.density, *baselines.values()], model.supports, x, seed, 0)
    own, *others = (bound.log_prob for bound in found)
    tally.add(own, dict(zip(baselines, others, strict=True)))
    return own, tally.evaluation(model.kind, 1 if noisy else None, None)


def plottable(schema: Schema, x: Tensor) -> dict[str, npt.NDArray[Any]]:
    """Return rows in table units as columns of numbers, labels or dates."""
    found: dict[str, npt.NDArray[Any]] = {}
    for column, values in zip(schema.modelled, x.numpy().T, strict=True):
        notation = column.reading.notation
        if column.levels is not None:
            labels = np.array([*column.levels, _NEW_LABEL, None], dtype=object)
            codes = np.where(np.isnan(values), len(labels) - 1, values).astype(np.int64)
            found[column.name] = labels[codes]
        elif isinstance(notation, DateNotation) and notation.what == "date" and notation.unit in MICROSECONDS:
            ticks = np.where(np.isnan(values), 0.0, values) * MICROSECONDS[notation.unit]
            moments = np.rint(ticks).astype("datetime64[us]")
            found[column.name] = np.where(np.isnan(values), np.datetime64("NaT", "us"), moments)
        else:
            found[column.name] = values
    return found
