"""The parts of a schema that a user pins before the rest is inferred."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from logpx.errors import UsageError
from logpx.suggestions import nearest_name, suggestion
from logpx.tables.reading.date_format import DateFormat
from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.schema.columns_option import choices, quoted_name
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.schema import Column, Schema

__all__ = ["parse_columns", "pinned_columns"]


def parse_columns(text: str) -> dict[str, Column]:
    """Read the value of ``--columns``: ``name=kind`` separated by commas.

    A bounded column may give its bounds as ``name=bounded:0:10``. The name is all text before the last
    equals sign. A name with commas or quotes, or with spaces at its ends, goes in double quotes, as in CSV:
    ``"a,b"=drop``. A column without a name is ``=drop``.

    Raises
    ------
    UsageError
        If a part does not have this form, or its kind is not one that a user can choose.

    Examples
    --------
    >>> {name: str(column.kind) for name, column in parse_columns("price=positive, zip=drop").items()}
    {'price': 'positive', 'zip': 'drop'}
    >>> list(parse_columns('"a,b"=drop,c=integer'))
    ['a,b', 'c']
    """
    columns: dict[str, Column] = {}
    for name, choice in choices(text):
        if name in columns:
            raise UsageError("--columns names this column twice", column=name, fix="name it once")
        columns[name] = _column(name, choice)
    return columns


def pinned_columns(
    overrides: Mapping[str, str | Kind | Column] | Schema | None, names: Sequence[str]
) -> dict[str, Column]:
    """Return the columns that overrides pin, by name.

    Parameters
    ----------
    overrides : dict of str to (str, Kind or Column), or Schema, optional
        A kind for each column to pin, or columns on which the fields to pin are set.
    names : sequence of str
        The columns of the table.

    Raises
    ------
    UsageError
        If the table has no such column, or there is no such kind.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, (Mapping, Schema)):
        raise UsageError(
            f"the kinds of columns are a {type(overrides).__name__}",
            fix='give a dictionary, such as columns={"zip": "drop"}',
        )
    if isinstance(overrides, Schema):
        pinned = {column.name: column for column in overrides.columns}
    else:
        pinned = {
            name: choice if isinstance(choice, Column) else _column(name, str(choice))
            for name, choice in overrides.items()
        }
    known = set(names)
    for name in pinned:
        if name not in known:
            raise UsageError(
                "there is no such column to give a kind to",
                column=name,
                fix=_suggested_name(name, names),
            )
    weighing = [name for name, column in pinned.items() if column.kind is Kind.WEIGHT]
    if len(weighing) > 1:
        raise UsageError(
            f"the columns {weighing[0]!r} and {weighing[1]!r} are both to weigh the rows",
            fix="give one of them another kind, such as drop",
        )
    return pinned


def _suggested_name(name: str, names: Sequence[str]) -> str:
    near = nearest_name(name, names)
    if near is not None and quoted_name(near) != near:
        return f"did you mean {quoted_name(near)}, with its quotes?"
    return suggestion(name, names)


def _column(name: str, choice: str) -> Column:
    word, *bounds = choice.split(":")
    choosable = [str(kind) for kind in Kind if kind.choosable]
    if word not in choosable:
        raise UsageError(
            f"{word!r} is not a kind of column",
            column=name,
            fix=suggestion(word, choosable),
        )
    kind = Kind(word)
    if kind is Kind.TIMESTAMP and bounds:
        return _dates(name, choice.partition(":")[2])
    if not bounds:
        # Without bounds a bounded column gets them from its values later, so validation has to wait.
        return Column.model_construct(name=name, kind=kind, _fields_set={"name", "kind"})
    try:
        lower, upper = (float(bound) for bound in bounds)
        if kind is not Kind.BOUNDED or not lower < upper or math.isinf(upper - lower):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{choice!r} does not give bounds",
            column=name,
            fix=f"write, for example, {quoted_name(name)}=bounded:0:10",
        ) from None
    return Column(name=name, kind=kind, lower=lower, upper=upper)


def _dates(name: str, text: str) -> Column:
    """Return a column of dates whose format the user gave."""
    try:
        dated = DateFormat(text).dated
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a format of dates: {error}",
            column=name,
            fix=f"write, for example, {name}=timestamp:%d/%m/%Y",
        ) from None
    notation = DateNotation(what="date" if dated else "time", format=text, unit="microsecond")
    return Column.model_construct(
        name=name, kind=Kind.TIMESTAMP, notation=notation, _fields_set={"name", "kind", "notation"}
    )
