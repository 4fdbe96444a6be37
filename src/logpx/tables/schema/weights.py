"""How much each row of a table counts, as one of its columns says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from logpx.errors import DataError, UsageError
from logpx.suggestions import suggestion
from logpx.tables.reading.notation import Notation
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.matrix import modelled_part
from logpx.tables.schema.schema import Column, Schema

__all__ = ["pinned_weight", "row_weights", "schema_with_weight", "weighed_part"]

Array = npt.NDArray[np.float64]


def pinned_weight(columns: Mapping[str, Any] | None, name: str, table: Table) -> dict[str, Any]:
    """Return kinds of columns of which one says how much each row counts.

    Parameters
    ----------
    columns
        The kinds that are given besides.
    name
        The column of weights.
    table
        The table.

    Raises
    ------
    UsageError
        If there is no such column, or it is given another kind.
    """
    _require_known(name, table)
    columns = dict(columns or {})
    own = columns.get(name)
    kind = own.kind if isinstance(own, Column) else own
    if kind not in (None, Kind.WEIGHT):
        raise UsageError(
            f"the column is to weigh the rows, and to be {kind}", column=name, fix="leave one of the two out"
        )
    return columns | {name: str(Kind.WEIGHT)}


def schema_with_weight(schema: Schema, name: str, table: Table) -> Schema:
    """Return a schema in which a column says how much each row counts, whatever it was before.

    Raises
    ------
    UsageError
        If there is no such column, or another one weighs the rows.
    """
    _require_known(name, table)
    if schema.weight not in (None, name):
        raise UsageError(
            f"the schema says that {schema.weight!r} weighs the rows", column=name, fix="correct one of them"
        )
    weight = Column(name=name, kind=Kind.WEIGHT, reason=Kind.WEIGHT.meaning)
    others = [column for column in schema.columns if column.name != name]
    place = schema.names.index(name) if name in schema.names else len(others)
    return schema.model_copy(update={"columns": [*others[:place], weight, *others[place:]]})


def _require_known(name: str, table: Table) -> None:
    if name not in table.names:
        raise UsageError(
            "there is no such column to weigh the rows",
            file=table.file,
            column=name,
            fix=suggestion(name, table.names),
        )


def weighed_part(table: Table, schema: Schema) -> Table:
    """Return the modelled columns of a table and, if the table has it, the column that weighs the rows."""
    part = modelled_part(table, schema)
    name = schema.weight
    if name is None or name not in table.names:
        return part
    reading = table.readings[name]
    notation: Notation = reading.notation
    if not isinstance(notation, NumberNotation):
        notation = NumberNotation()
    return table.select([*part.names, name]).read_as(
        {**part.readings, name: replace(reading, notation=notation)}
    )


def row_weights(batch: TableBatch, schema: Schema) -> Array | None:
    """Return how much each row of a batch of `weighed_part` counts; None if all count alike.

    Returns
    -------
    numpy.ndarray of shape (rows,) or None
        Finite and at least 0.

    Raises
    ------
    DataError
        If a weight is missing, infinite, negative or no number; names file, row and column.
    """
    name = schema.weight
    if name is None or name not in batch.names:
        return None
    weights = np.array(batch.numbers(name))
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0.0)))
    if len(wrong):
        row, value = int(wrong[0]), float(weights[wrong[0]])
        file, row_in_file = batch.locate(row)
        what = "missing" if np.isnan(value) else f"{value:g}"
        raise DataError(
            f"the weight is {what}, where a finite number of 0 or more was expected",
            file=file,
            row=row_in_file,
            column=name,
            fix="correct the cell; a weight of 0 leaves the row out",
        )
    return weights


def no_weight_left(schema: Schema, file: object) -> DataError:
    """Return the error of a table in which no row counts."""
    name = schema.weight
    return DataError(
        "every weight is 0, so that no row is left",
        file=file,
        column=name,
        fix="correct the weights, or leave the column out: " + columns_option({str(name): str(Kind.DROP)}),
    )
