"""From the cells of a batch to a matrix of numbers, or to the error that names the cell in the way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logpx.errors import DataError
from logpx.suggestions import nearest_name
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.table import Batch
from logpx.tables.schema.schema import Schema

__all__ = ["to_matrix"]


def to_matrix(batch: Batch, schema: Schema) -> npt.NDArray[np.float64]:
    """Return the modelled columns of a batch, in the order of the schema.

    Parameters
    ----------
    batch : Batch
        Rows of a table that has at least the modelled columns of the schema.
    schema : Schema
        Which columns are modelled.

    Returns
    -------
    numpy.ndarray of shape (rows, len(schema.modelled))
        Finite float64 values.

    Raises
    ------
    DataError
        For a column that cannot be modelled yet, a missing cell, an infinity or text; names file, row and
        column as far as they apply.

    Examples
    --------
    >>> from logpx.tables import infer_schema, open_table
    >>> table = open_table({"a": [1.5, 2.5, 1.0], "b": ["u", "u", "u"], "c": [3, 5, 7]})
    >>> [to_matrix(batch, infer_schema(table)).tolist() for batch in table.batches(rows=2)]
    [[[1.5, 3.0], [2.5, 5.0]], [[1.0, 7.0]]]
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
        if batch.columns.schema.types[positions[column.name]] != ColumnType.NUMBER.arrow:
            raise DataError(
                "text where numbers were expected",
                file=file,
                column=column.name,
                fix="convert the column to numbers; if numbers have a decimal comma, write a point instead",
            )
        matrix[:, index] = batch.numbers(column.name)
    # A sum is finite exactly where all its terms are, unless it overflows; only then look at every cell.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(matrix.sum())
    if suspicious:
        _refuse_first_bad_cell(matrix, batch, schema)
    return matrix


def _refuse_first_bad_cell(matrix: npt.NDArray[np.float64], batch: Batch, schema: Schema) -> None:
    bad = np.argwhere(~np.isfinite(matrix))
    if not len(bad):
        return
    row, index = int(bad[0, 0]), int(bad[0, 1])
    file, row_in_file = batch.locate(row)
    name = schema.modelled_names[index]
    if np.isnan(matrix[row, index]):
        message = "a missing cell, and missing cells are not modelled yet"
        fix = f"drop or fill the rows with missing cells, or leave the column out with --columns {name}=drop"
    else:
        message = f"the value {matrix[row, index]:+g}, expected a finite number"
        fix = "correct the cell or drop the row"
    raise DataError(message, file=file, row=row_in_file, column=name, fix=fix)
