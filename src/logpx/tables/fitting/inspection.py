"""A look at a table before anything is fitted: what a fit would model, leave out, and refuse."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from logpx.errors import DataError, UsageError
from logpx.tables.columns.supports import Supports
from logpx.tables.fitting.notes import notes_on
from logpx.tables.fitting.redundancy import redundancy, standardised
from logpx.tables.fitting.requirements import support_errors
from logpx.tables.fitting.rows import read_rows, with_noise
from logpx.tables.fitting.suitability import Nature, suitable_families
from logpx.tables.reading.table import Table
from logpx.tables.schema.inference import inspect_columns
from logpx.tables.schema.inspection import Inspection
from logpx.tables.schema.schema import Schema
from logpx.tables.sources import open_table

__all__ = ["inspect_table"]

_SECONDS = 5.0
# More say nothing new about what depends on what.
_MOST_NUMBERS = 2_000_000
# What a reason is a reason for.
_DECIDED = ("kind", "lower", "upper", "step")


def inspect_table(
    source: Any,
    *,
    columns: Mapping[str, Any] | None = None,
    schema: Schema | None = None,
    missing: Any = None,
    decimal: str | None = None,
    seed: int = 0,
) -> Inspection:
    """Look at a table as `fit_table` does before it fits, and say all that is wrong with it at once.

    Parameters
    ----------
    source
        Anything that `open_table` takes.
    columns, schema, missing, decimal, seed
        As in `fit_table`.

    Returns
    -------
    Inspection
        The schema with its reasons, the problems of all columns, notes, and the kinds that pin each decision.

    Raises
    ------
    DataError
        If the file cannot be read as a table.
    UsageError
        If an argument is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.random.default_rng(0).normal(size=(2, 200))
    >>> found = inspect_table({"a": a, "b": b, "total": a + b})
    >>> [(problem.column, problem.message) for problem in found.problems]
    [('total', 'the column is a linear combination of other columns')]
    """
    if schema is not None and columns:
        raise UsageError(
            "both a schema and columns were given", fix="put the kinds into the schema, or leave it out"
        )
    table = open_table(source, missing=missing, decimal=decimal)
    if schema is not None:
        schema.check(table.names, table.file)
    found = inspect_columns(table, columns if schema is None else schema, seed=seed)
    if schema is not None and not found.errors:
        # The schema itself, with what inference would not find again.
        inferred = inspect_columns(table, seed=seed).schema
        found = replace(found, schema=_with_reasons(schema, inferred, found.schema))
    found = replace(found, notes=tuple(table.notes))
    return found if found.problems else _with_rows(found, table, seed)


def _with_reasons(schema: Schema, inferred: Schema, pinned: Schema) -> Schema:
    """Return a schema that says why each column is as it is: the one in a file may have been edited."""
    by_values = {column.name: column for column in inferred.columns}
    by_user = {column.name: column.reason for column in pinned.columns}
    columns = []
    for column in schema.columns:
        known = by_values.get(column.name)
        reason = by_user.get(column.name, column.reason)
        if known is not None and all(getattr(known, name) == getattr(column, name) for name in _DECIDED):
            reason = known.reason
        columns.append(column.model_copy(update={"reason": reason}))
    return schema.model_copy(update={"columns": columns})


def _with_rows(found: Inspection, table: Table, seed: int) -> Inspection:
    """Return an inspection with what only whole rows can tell."""
    schema = found.schema
    rows, count = read_rows(table, schema, seed, missing=True)
    errors = support_errors(rows, schema)
    holes = bool(rows.isnan().any())
    nature = Nature.of(schema, len(rows), holes=holes, few=False)
    notes = [*found.notes, *notes_on(schema, rows)]
    if len(rows) < count:
        notes.append(f"looked at a uniform sample of {len(rows):,} of the {count:,} rows")
    beyond: tuple[DataError, ...] = ()
    if not errors:
        _, others = suitable_families("auto", nature, table.file)
        error = None if nature.wide else _redundancy(schema, rows, seed)
        notes += others
        beyond = () if error is None else (error,)
    return replace(found, errors=errors, notes=tuple(notes), beyond=beyond)


def _redundancy(schema: Schema, rows: Tensor, seed: int) -> DataError | None:
    numbers = [place for place, column in enumerate(schema.modelled) if column.levels is None]
    if not numbers:
        return None
    part = rows[: max(10 * len(numbers), _MOST_NUMBERS // len(schema.modelled))]
    noisy = with_noise(part, Supports.of(schema.modelled), seed).noisy[:, numbers]
    names = [schema.modelled_names[place] for place in numbers]
    return redundancy(standardised(noisy), names, None, time.monotonic() + _SECONDS)
