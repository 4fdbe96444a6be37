"""The schema of a table, inferred in one pass over its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from logpx.errors import DataError, UsageError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.table import Table
from logpx.tables.schema.grids import detect_grid
from logpx.tables.schema.kind_rules import KindChoice, choose_kind, mixed_kind, pinned_kind
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.overrides import pinned_columns
from logpx.tables.schema.problems import joined_errors
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.summaries import ColumnSummary, NumberSummary, TextSummary, summarise
from logpx.tables.sources import open_table

__all__ = ["infer_schema"]

_UNREAD = Column(name="", kind=Kind.DROP, reason="left out on request")
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
        If the table has fewer than two rows, cannot be read, or its values contradict overrides, of which all
        are named. Columns that cannot be modelled are part of the schema: see `Schema.require_modelled`.
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
    summaries, sampled, mixed = _summaries(read, pinned, sample_rows, seed)
    rows = next(iter(summaries.values())).rows
    if rows < 2:
        raise DataError(
            "the table has one row, and a density needs at least two", file=table.file, fix="give more rows"
        )
    columns: list[Column] = []
    errors: dict[str, DataError] = {}
    for name in table.names:
        try:
            columns.append(_column(name, summaries.get(name), pinned.get(name), mixed.get(name)))
        except DataError as error:
            errors[name] = error
    if errors:
        raise joined_errors(errors, table.file)
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


def _summaries(
    table: Table, pinned: Mapping[str, Column], sample_rows: int, seed: int
) -> tuple[dict[str, ColumnSummary], int, dict[str, DataError]]:
    """Return what one pass finds, how many rows it sampled, and by column what text is among its numbers."""
    mixed: dict[str, DataError] = {}
    given = {name for name, column in pinned.items() if column.kind.choosable}
    while True:
        # A column that begins with numbers and goes on with text is read again, as text.
        types = table.types | dict.fromkeys(mixed, ColumnType.TEXT)
        try:
            summaries, sampled = summarise(Table(table.name, table.parts, types), sample_rows, seed)
            break
        except DataError as error:
            name = error.column
            if not isinstance(name, str) or name in given or name in mixed or error.row is None:
                raise
            mixed[name] = error
    for name, summary in summaries.items():
        mostly = isinstance(summary, TextSummary) and summary.mostly_numbers
        if table.convertible and mostly and name not in given | mixed.keys():
            text = _first_text(table, name)
            if text is not None:
                mixed[name] = text
    units = len(mixed) > 1 and all(text.row == 1 for text in mixed.values())
    for text in mixed.values():
        text.message += "; if row 1 is a line of units, remove it" if units else ""
        # The file of a table of one file is told with the table.
        text.file = None if text.file == table.file else text.file
    return summaries, sampled, mixed


def _first_text(table: Table, name: str) -> DataError | None:
    """Return the error of the first cell of a column that is no number, after a second pass."""
    try:
        for _ in table.select([name]).as_numbers().batches():
            pass
    except DataError as error:
        return error
    return None


def _column(
    name: str, summary: ColumnSummary | None, pinned: Column | None, text: DataError | None
) -> Column:
    if summary is None:
        return _UNREAD.model_copy(update={"name": name})
    if text is not None and isinstance(summary, TextSummary):
        choice = mixed_kind(summary, text)
    elif pinned is None or not pinned.kind.choosable:
        choice = choose_kind(name, summary)
    else:
        choice = pinned_kind(pinned, summary)
    fields: dict[str, Any] = {"lower": choice.lower, "upper": choice.upper, "reason": choice.reason}
    fields["levels"] = None if choice.levels is None else list(choice.levels)
    if isinstance(summary, NumberSummary):
        if np.isfinite(summary.minimum):
            fields |= {"minimum": summary.minimum, "maximum": summary.maximum}
        fields["distinct"] = len(np.unique(summary.sample))
        if choice.kind.modelled:
            fields |= _grid_fields(summary, choice)
    elif isinstance(summary, TextSummary):
        fields["distinct"] = len(summary.values)
    if pinned is not None:
        kept = pinned.model_fields_set & {"step", "offset", "uniform", "rounding", "lower", "upper", "levels"}
        fields |= {field: getattr(pinned, field) for field in kept}
    return Column(name=name, kind=choice.kind, missing=summary.missing, value=choice.value, **fields)


def _grid_fields(summary: NumberSummary, choice: KindChoice) -> dict[str, Any]:
    grid = detect_grid(summary.sample)
    if grid is None:
        return {}
    if grid.step >= 1 and grid.whole and not summary.whole:
        # The sample happened to miss the rows with fractions.
        grid = replace(grid, uniform=False)
    where = f"on a grid of {grid.step:g}" if grid.uniform else f"that repeat, about {grid.step:g} apart"
    text = f"{choice.reason}; values {where}"
    fields = {"step": grid.step, "offset": grid.offset, "uniform": grid.uniform, "rounding": grid.rounding}
    return {**fields, "reason": text}
