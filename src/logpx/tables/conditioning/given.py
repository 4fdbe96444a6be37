"""Values of columns that are given, the same for every row, as a user writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.suggestions import suggestion
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.columns import modelled_column
from logpx.tables.schema.label_index import LabelIndex
from logpx.tables.schema.schema import Column, Schema

__all__ = ["given_row", "is_given_value", "row_of", "values_of_options"]


def given_row(schema: Schema, supports: Supports, values: Mapping[str, Any]) -> Tensor:
    """Return a row of numbers and codes with the given values, and NaN in all other columns.

    Parameters
    ----------
    schema
        The columns of the model.
    supports
        Their bounds, grids and labels.
    values
        By column: numbers, text as in a file, dates, truth values.

    Returns
    -------
    Tensor
        Shape ``(d,)``, float64.

    Raises
    ------
    UsageError
        If there are no values; every column is given; a column is unknown or not modelled; or a value cannot
        be read, is missing, or is one that the column cannot have.
    """
    if not values:
        raise UsageError("no values are given", fix="give one, such as age=40")
    row = row_of(schema, supports, values)
    if not bool(row.isnan().any()):
        raise UsageError("every column is given, and nothing is left", fix="give fewer columns")
    return row


def row_of(schema: Schema, supports: Supports, values: Mapping[str, Any]) -> Tensor:
    """Return a row of numbers and codes with the given values, and NaN in all other columns.

    Parameters
    ----------
    schema, supports, values
        As in `given_row`, but there may be no values, or one for every column.

    Raises
    ------
    UsageError
        If a column is unknown or not modelled; or a value cannot be read, is missing, or is one that the
        column cannot have.
    """
    row = torch.full((len(schema.modelled),), torch.nan, dtype=torch.float64)
    for name, value in values.items():
        column = modelled_column(schema, name)
        place = schema.modelled_names.index(name)
        row[place] = _number(column, supports.supports[place], value)
    return row


def is_given_value(text: str, schema: Schema) -> bool:
    """Tell whether an option gives a value of a column, and does not name a table.

    Examples
    --------
    >>> from logpx.tables import Kind
    >>> schema = Schema(columns=[Column(name="age", kind=Kind.INTEGER)])
    >>> is_given_value("age=40", schema), is_given_value("rows.csv", schema)
    (True, False)
    """
    known = any(text.startswith(f"{name}=") for name in schema.names)
    return known or ("=" in text and not os.path.lexists(text))


def values_of_options(texts: Sequence[str], schema: Schema) -> dict[str, str]:
    """Return values by column of options like ``age=40``.

    Raises
    ------
    UsageError
        If one has no equals sign or nothing on one side of it, or a column is given twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, value = _parsed(text, schema)
        if name in values:
            raise UsageError("the column is given twice", column=name, fix="give one value")
        values[name] = value
    return values


def _parsed(text: str, schema: Schema) -> tuple[str, str]:
    """Return column and value; either may contain the equals sign."""
    places = [place for place, character in enumerate(text) if character == "="]
    known = [place for place in places if text[:place] in schema.names]
    place = known[0] if known else places[0] if places else -1
    if place < 1 or not text[place + 1 :].strip():
        raise UsageError(
            f"{text!r} gives no value of a column", fix="write --given column=value, such as --given age=40"
        )
    name = text[:place]
    return name if name in schema.names else name.strip(), text[place + 1 :]


def _number(column: Column, support: Support, value: Any) -> float:
    """Return the number or the code of a value that a column can have."""
    try:
        cells = pa.array(np.array([value]) if isinstance(value, np.generic) else [value])
    except (pa.ArrowException, TypeError, ValueError):
        raise _unread(column, value) from None
    in_text_file, reading = isinstance(value, str), column.reading
    if not reading.notation.takes(cells.type, in_text_file=in_text_file):
        raise _unread(column, value)
    read, unread = reading.read(cells, in_text_file=in_text_file)
    if unread[0]:
        raise _unread(column, value)
    if not read[0].is_valid:
        raise UsageError(
            f"the value {value!r} means a missing cell", column=column.name, fix="leave the column out"
        )
    if column.levels is not None:
        code = float(LabelIndex(column.levels).codes(read)[0])
        if code == len(column.levels):
            raise UsageError(
                f"the label {value!r} is unknown to the model",
                column=column.name,
                fix=suggestion(str(value), column.levels),
            )
        return code
    number = float(read[0].as_py())
    _check_possible(column, support, number, value)
    return number


def _unread(column: Column, value: Any) -> UsageError:
    return UsageError(
        f"the value {value!r} where {column.reading.notation.expected} was expected",
        column=column.name,
        fix="write the value as in the table that the model was fitted to",
    )


def _check_possible(column: Column, support: Support, number: float, value: Any) -> None:
    """Refuse values beyond the bounds or off the grid of a column."""
    x = torch.tensor([number], dtype=torch.float64)
    if not bool(x.isfinite()):
        raise UsageError(f"the value {value!r} is infinite", column=column.name, fix="give a finite number")
    if bool(support.outside(x)) or bool(support.on_an_open_end(x)):
        lower = "" if support.lower is None else _shown(column, support.lower)
        upper = "" if support.upper is None else _shown(column, support.upper)
        both = (
            f"from {lower} to {upper}" if lower and upper else f"above {lower}" if lower else f"below {upper}"
        )
        raise UsageError(
            f"the value {value!r} is not one that the column can have",
            column=column.name,
            fix=f"give a value {both}",
        )
    if bool(support.off_grid(x)):
        step = support.step or 0.0
        around = sorted({float(support.snap(x + shift)) for shift in (-0.5 * step, 0.5 * step)})
        near = " or ".join(_shown(column, point) for point in around)
        raise UsageError(
            f"the value {value!r} is off the column's grid of step {step:g}",
            column=column.name,
            fix=f"give {near}",
        )


def _shown(column: Column, number: float) -> str:
    text: str = column.write(np.array([number]), pa.string())[0].as_py()
    return text
