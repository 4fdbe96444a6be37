"""From the cells of a batch to a matrix of numbers, or to an error that names the offending cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.errors import DataError
from logpx.suggestions import nearest_name
from logpx.tables.reading.column_types import ColumnType, labels
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.schema import Column, Schema

__all__ = ["modelled_part", "to_matrix", "whole_table"]


def modelled_part(table: Table, schema: Schema) -> Table:
    """Return the modelled columns of a table, with labels read as text and the others as numbers.

    Raises
    ------
    DataError
        If a column of numbers is stored as something else.
    """
    labelled = {column.name for column in schema.modelled if column.levels is not None}
    return table.select(schema.modelled_names).as_numbers(but=labelled)


def whole_table(table: Table, schema: Schema) -> Table:
    """Return all columns of a table, with the modelled ones read as in `modelled_part`.

    Raises
    ------
    DataError
        If a column of numbers is stored as something else.
    """
    return Table(table.name, table.parts, table.types | modelled_part(table, schema).types)


def to_matrix(
    batch: TableBatch, schema: Schema, *, missing: bool = False, unknown: bool = False
) -> npt.NDArray[np.float64]:
    """Return the modelled columns of a batch, in the order of the schema.

    Parameters
    ----------
    batch : TableBatch
        Rows of a table that has at least the modelled columns of the schema.
    schema : Schema
        Which columns are modelled.
    missing : bool
        Whether cells may be missing.
    unknown : bool
        Whether there may be labels that the schema does not know.

    Returns
    -------
    numpy.ndarray of shape (rows, len(schema.modelled))
        Finite float64 values: numbers, and codes of labels, from 0 in the order of the schema's levels. NaN
        is missing; the highest code plus one is a label that the schema does not know.

    Raises
    ------
    DataError
        For a column that cannot be modelled, an infinity, text among numbers, or a missing cell or unknown
        label that is not allowed; names file, row and column as far as they apply.

    Examples
    --------
    >>> from logpx.tables import infer_schema, open_table
    >>> table = open_table({"a": [1.5, 2.5, 1.0], "b": ["u", "u", "u"], "c": ["n", "y", "y"]})
    >>> [to_matrix(batch, infer_schema(table)).tolist() for batch in table.batches(rows=2)]
    [[[1.5, 0.0], [2.5, 1.0]], [[1.0, 1.0]]]
    """
    file = batch.locate(0)[0] if batch.rows else None
    schema.require_modelled(file)
    positions = {name: index for index, name in enumerate(batch.names)}
    matrix = np.empty((batch.rows, len(schema.modelled)))
    for index, column in enumerate(schema.modelled):
        if column.name not in positions:
            near = nearest_name(column.name, batch.names)
            raise DataError(
                "the table lacks this column, which the model needs",
                file=file,
                column=column.name,
                fix="add the column" if near is None else f"rename its column {near!r}",
            )
        matrix[:, index] = (
            _numbers(batch, column) if column.levels is None else _codes(batch, column, unknown)
        )
    # A finite sum has finite terms: only if it is not finite, look at every cell.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(matrix.sum())
    if suspicious:
        _refuse_first_bad_cell(matrix, batch, schema, missing)
    return matrix


def _numbers(batch: TableBatch, column: Column) -> npt.NDArray[np.float64]:
    if batch.columns.schema.field(column.name).type != ColumnType.NUMBER.arrow:
        raise DataError(
            "text where numbers were expected",
            file=batch.locate(0)[0] if batch.rows else None,
            column=column.name,
            fix="convert the column to numbers; if numbers have a decimal comma, write a point instead",
        )
    return batch.numbers(column.name)


def _codes(batch: TableBatch, column: Column, unknown: bool) -> npt.NDArray[np.float64]:
    levels = pa.array(column.levels)
    cells = labels(batch.columns.column(column.name))
    found = pc.index_in(cells, value_set=levels, skip_nulls=True)
    strange = pc.and_(pc.is_null(found), pc.is_valid(cells)).to_numpy(zero_copy_only=False)
    codes: npt.NDArray[np.float64] = pc.cast(found, pa.float64()).to_numpy(zero_copy_only=False).copy()
    if strange.any() and not unknown:
        row = int(np.flatnonzero(strange)[0])
        file, row_in_file = batch.locate(row)
        raise DataError(
            f"the label {cells[row].as_py()!r} is not among the {len(levels)} labels of the schema",
            file=file,
            row=row_in_file,
            column=column.name,
            fix="correct the cell, or add the label to the column's levels in the schema",
        )
    codes[strange] = len(levels)
    return codes


def _refuse_first_bad_cell(
    matrix: npt.NDArray[np.float64], batch: TableBatch, schema: Schema, missing: bool
) -> None:
    bad = np.argwhere(np.isinf(matrix) if missing else ~np.isfinite(matrix))
    if not len(bad):
        return
    row, index = int(bad[0, 0]), int(bad[0, 1])
    file, row_in_file = batch.locate(row)
    name = schema.modelled_names[index]
    if np.isnan(matrix[row, index]):
        message = "a missing cell, which this model does not allow"
        fix = "fill the cell or drop the row, or fit a model that integrates missing cells out: --model gmm"
    else:
        message = f"the value {matrix[row, index]:+g}, expected a finite number"
        fix = "correct the cell or drop the row"
    raise DataError(message, file=file, row=row_in_file, column=name, fix=fix)
