"""From the cells of a batch to a matrix of numbers, or to an error that names the offending cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx.errors import DataError
from logpx.suggestions import nearest_name
from logpx.tables.reading.missing_words import MissingWords
from logpx.tables.reading.reading import Reading
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.label_index import LabelIndex
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.unseen_labels import UnseenLabels
from logpx.wording import counted

__all__ = ["modelled_part", "to_matrix", "whole_table"]


def modelled_part(table: Table, schema: Schema) -> Table:
    """Return the modelled columns of a table, read as the schema says.

    Raises
    ------
    DataError
        If a column is stored as something that cannot be read so.
    """
    return _read_by(table.select(schema.modelled_names), schema)


def whole_table(table: Table, schema: Schema) -> Table:
    """Return all columns of a table, with the modelled ones read as in `modelled_part`.

    Raises
    ------
    DataError
        If a column is stored as something that cannot be read so.
    """
    return _read_by(table, schema)


def _read_by(table: Table, schema: Schema) -> Table:
    """Return a table read as a schema says; words that the user opened it with mean missing cells, too."""
    readings = {}
    for column in schema.modelled:
        own, opened = column.reading, table.readings[column.name].missing
        words = tuple(dict.fromkeys([*own.missing.words, *opened.words]))
        usual = own.missing.usual and opened.usual
        missing = MissingWords(usual=usual, words=words).without(column.levels or ())
        readings[column.name] = replace(own, missing=missing)
    return table.read_as(readings)


def to_matrix(
    batch: TableBatch, schema: Schema, *, missing: bool = False, unseen: UnseenLabels | None = None
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
    unseen : UnseenLabels, optional
        Where labels that the schema does not know are counted; by default they are an error. Columns without
        any value are noted there, too.

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
        matrix[:, index] = _numbers(batch, column) if column.levels is None else _codes(batch, column, unseen)
    # A finite sum has finite terms: only if it is not finite, look at every cell.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(matrix.sum())
    if suspicious:
        _refuse_first_bad_cell(matrix, batch, schema, missing)
    if unseen is not None:
        there = [not suspicious or not bool(np.isnan(own).all()) for own in matrix.T]
        unseen.look_for_values(zip(schema.modelled_names, there, strict=True))
    return matrix


def _reading(batch: TableBatch, column: Column) -> Reading:
    """Return how a column of a batch is read: as the schema says, with the words of the table."""
    own, opened = column.reading, batch.readings[column.name]
    return opened if opened.notation == own.notation else own


def _numbers(batch: TableBatch, column: Column) -> npt.NDArray[np.float64]:
    reading, stored = _reading(batch, column), batch.stored.schema.field(column.name).type
    if not reading.notation.takes(stored, in_text_file=batch.undeclared(column.name)):
        raise DataError(
            f"{stored} where {reading.notation.expected} was expected",
            file=batch.locate(0)[0] if batch.rows else None,
            column=column.name,
            fix="convert the column, or fit a model to a table in which it is stored so",
        )
    return batch.numbers(column.name, reading)


def _codes(batch: TableBatch, column: Column, unseen: UnseenLabels | None) -> npt.NDArray[np.float64]:
    levels = column.levels or []
    cells = batch.read(column.name, _reading(batch, column))
    codes = LabelIndex(levels).codes(cells)
    strange = np.flatnonzero(codes == len(levels))
    if not len(strange):
        return codes
    if unseen is None:
        file, row_in_file = batch.locate(int(strange[0]))
        label = cells[int(strange[0])].as_py()
        raise DataError(
            f"the label {label!r} is not among the {counted(len(levels), 'label')} of the schema",
            file=file,
            row=row_in_file,
            column=column.name,
            fix="correct the cell, or add the label to the column's levels in the schema",
        )
    labels, first, counts = np.unique(
        np.array(cells.take(pa.array(strange)).to_pylist(), dtype=object).astype(str),
        return_index=True,
        return_counts=True,
    )
    for place in np.argsort(first):
        row = int(strange[first[place]])
        unseen.add(column.name, str(labels[place]), levels, int(counts[place]), batch.locate(row))
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
