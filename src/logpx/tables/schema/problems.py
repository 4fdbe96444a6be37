"""Columns that are not modelled: those to ask the user about, all at once, and those that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logpx.errors import DataError
from logpx.suggestions import alternatives
from logpx.tables.schema.column_schema import Column
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.wording import counted

__all__ = ["joined_errors", "left_out_notes", "refusal_of", "refusal_of_one"]

_SHOWN = 20


def refusal_of(columns: Sequence[Column], file: object = None) -> DataError | None:
    """Return one error for all columns that can neither be modelled nor be left out; None if there are none.

    Parameters
    ----------
    columns : sequence of Column
        All columns of a table.
    file
        The name of the table for messages.
    """
    refused = [column for column in columns if column.refusal is not None]
    if not refused:
        return _nothing_left(columns, file)
    option = _way_out(refused, modelled=any(column.modelled for column in columns))
    if len(refused) == 1:
        error = refusal_of_one(refused[0])
        assert error is not None
        error.file = None if file is None else str(file)
        error.fix = error.fix if option else _NO_WAY_OUT
        return error
    lines = [
        f"{column.name!r}: {_why(column)}: {'; '.join([alternatives(column.remedies), *column.notes])}"
        for column in refused[:_SHOWN]
    ]
    if len(refused) > _SHOWN:
        lines.append(f"and {len(refused) - _SHOWN:,} more")
    return DataError(
        "\n  ".join([f"{counted(len(refused), 'column')} cannot be modelled as they are:", *lines]),
        file=file,
        fix=f"correct or convert them, or use {option}" if option else _NO_WAY_OUT,
    )


_NO_WAY_OUT = "give a table that has a column of numbers or of labels that repeat"


def _why(column: Column) -> str:
    return f"{column.refusal} ({column.reason})" if column.reason else str(column.refusal)


def _way_out(refused: Sequence[Column], *, modelled: bool) -> str | None:
    """Return an option with which the table can be modelled, or None if there is none."""
    kinds = {column.name: str(Kind.DROP) for column in refused}
    if not modelled:
        kinds |= {c.name: str(Kind.CATEGORICAL) for c in refused if str(Kind.CATEGORICAL) in c.remedies}
        if set(kinds.values()) == {str(Kind.DROP)}:
            return None
    return columns_option(kinds)


def refusal_of_one(column: Column) -> DataError | None:
    """Return the error of a column that can neither be modelled nor be left out; None of any other."""
    if column.refusal is None:
        return None
    remedies = alternatives([columns_option({column.name: kind}) for kind in column.remedies])
    fix = "; ".join([f"correct or convert it, or use {remedies}", *column.notes])
    return DataError(_why(column), column=column.name, fix=fix)


def _nothing_left(columns: Sequence[Column], file: object) -> DataError | None:
    if any(column.modelled for column in columns):
        return None
    shown = "; ".join(_left_out(column) for column in columns[:_SHOWN])
    more = "" if len(columns) <= _SHOWN else f"; and {len(columns) - _SHOWN:,} more"
    return DataError(
        f"no column is left to model: {shown}{more}",
        file=file,
        fix="a density needs at least one column that varies: "
        "give another table, or give a column another kind with --columns",
    )


def _left_out(column: Column) -> str:
    meaning, reason = column.kind.meaning, column.reason
    why = f"{meaning} ({reason})" if reason and reason != meaning else meaning
    return f"column {column.name!r} is left out: {why}"


def left_out_notes(columns: Sequence[Column]) -> list[str]:
    """Return what the user should know about columns that are not modelled."""
    left_out = [column for column in columns if not column.modelled]
    notes = [_left_out(column) for column in left_out]
    if any(column.kind is not Kind.CONSTANT for column in left_out):
        notes.append("log p is that of the other columns")
    return notes


def joined_errors(errors: Mapping[str, DataError], file: object) -> DataError:
    """Return one error that says what errors about columns say."""
    if len(errors) == 1:
        ((name, error),) = errors.items()
        return DataError(error.message, file=error.file or file, row=error.row, column=name, fix=error.fix)
    lines = [f"{name!r}: {error.message}: {error.fix}" for name, error in list(errors.items())[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"and {len(errors) - _SHOWN:,} more")
    return DataError(
        "\n  ".join([f"{counted(len(errors), 'column')} cannot be read or modelled as they are:", *lines]),
        file=file,
        fix="correct the kinds of these columns, or the cells",
    )
