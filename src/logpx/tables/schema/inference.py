"""The schema of a table, inferred in one pass over its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from logpx.errors import DataError, UsageError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.table import Table
from logpx.tables.schema.kind_rules import choose_kind, pinned_kind
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.number_fields import number_fields
from logpx.tables.schema.overrides import pinned_columns
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.summaries import ColumnSummary, NumberSummary, TextSummary, summarise
from logpx.tables.sources import open_table

__all__ = ["infer_schema"]

_UNREAD = Column(name="", kind=Kind.DROP, reason="left out on request")
_PINNED = {"step", "offset", "uniform", "rounding", "lower", "upper", "atoms", "levels"}
_NOT_AS_NUMBERS = (Kind.CATEGORICAL, Kind.IDENTIFIER, Kind.TIMESTAMP)


def infer_schema(
    table: Any,
    overrides: Mapping[str, str | Kind | Column] | Schema | None = None,
    sample_rows: int = 200_000,
    seed: int = 0,
) -> Schema:
    """Infer the kind, support and grid of every column in one pass over a table, in constant memory.

    Counts, extremes and whole numbers are exact; distinct values, spread and grids come from a random sample
    of the rows. A kind that claims a support is chosen only on evidence, because a later row outside a
    claimed support has density 0.

    Parameters
    ----------
    table : Table or anything that `open_table` takes
        The table.
    overrides : dict of str to (str, Kind or Column), or Schema, optional
        The kinds of columns whose kind is given; fields set on a `Column` are used as they are.
    sample_rows : int
        How many rows to sample.
    seed : int
        Seed of the sample.

    Raises
    ------
    DataError
        If the table has fewer than two rows, cannot be read, or its values contradict an override; or if a
        text file has text among numbers, unless an override gives the column another kind.
    UsageError
        If an override names an unknown column or kind.

    Examples
    --------
    >>> schema = infer_schema({"n": [3, 1, 4, 1], "x": [0.5, -1.25, 3.5, 2.75]}, overrides={"x": "drop"})
    >>> [(column.name, str(column.kind), column.step) for column in schema.columns]
    [('n', 'integer', 1.0), ('x', 'drop', None)]
    """
    if sample_rows < 1:
        raise UsageError(f"a sample of {sample_rows} rows", fix="sample at least one row")
    table = table if isinstance(table, Table) else open_table(table)
    pinned = pinned_columns(overrides, table.names)
    read = _to_be_read(table, pinned)
    summaries, sampled = summarise(read, sample_rows, seed)
    rows = next(iter(summaries.values())).rows
    if rows < 2:
        raise DataError(
            "the table has one row, and a density needs at least two", file=table.file, fix="give more rows"
        )
    _refuse_text_among_numbers(table, [name for name in summaries if name not in pinned], summaries)
    columns = []
    for name in table.names:
        try:
            columns.append(_column(name, summaries.get(name), pinned.get(name)))
        except DataError as error:
            raise DataError(error.message, file=table.file, column=name, fix=error.fix) from None
    return Schema(columns=columns, rows=rows, sampled=sampled)


def _to_be_read(table: Table, pinned: Mapping[str, Column]) -> Table:
    types = dict(table.types)
    for name, column in pinned.items():
        if column.kind is Kind.DROP:
            del types[name]
        elif column.kind in _NOT_AS_NUMBERS:
            types[name] = ColumnType.TEXT if types[name] is ColumnType.NUMBER else types[name]
        elif column.kind.modelled and table.convertible:
            types[name] = ColumnType.NUMBER
    if not types:
        raise DataError("every column is left out", file=table.file, fix="keep at least one column")
    return Table(table.name, table.parts, types)


def _refuse_text_among_numbers(
    table: Table, names: Sequence[str], summaries: Mapping[str, ColumnSummary]
) -> None:
    """Raise if a column of numbers holds text, after a second pass that finds its row."""
    for name in names:
        summary = summaries[name]
        if table.convertible and isinstance(summary, TextSummary) and summary.mostly_numbers:
            for _ in table.select([name]).as_numbers().batches():
                pass


def _column(name: str, summary: ColumnSummary | None, pinned: Column | None) -> Column:
    if summary is None:
        return _UNREAD.model_copy(update={"name": name})
    if pinned is None or not pinned.kind.choosable:
        choice = choose_kind(name, summary)
    else:
        choice = pinned_kind(pinned, summary)
    fields: dict[str, Any] = {"kind": choice.kind, "reason": choice.reason}
    fields |= {"lower": choice.lower, "upper": choice.upper}
    fields["levels"] = None if choice.levels is None else list(choice.levels)
    if isinstance(summary, NumberSummary):
        if np.isfinite(summary.minimum):
            fields |= {"minimum": summary.minimum, "maximum": summary.maximum}
        fields["distinct"] = len(np.unique(summary.sample))
        if choice.kind.modelled:
            fields |= number_fields(summary, choice, pinned=pinned is not None)
    elif isinstance(summary, TextSummary):
        fields["distinct"] = len(summary.values)
    if pinned is not None:
        kept = pinned.model_fields_set & _PINNED
        fields |= {field: getattr(pinned, field) for field in kept}
    return Column(name=name, missing=summary.missing, value=choice.value, **fields)
