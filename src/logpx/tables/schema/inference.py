"""The schema of a table, inferred in one pass over its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from logpx.errors import DataError, UsageError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.date_notation import MICROSECONDS, DateNotation, coarsest_unit
from logpx.tables.reading.missing_words import USUAL_WORDS, MissingWords
from logpx.tables.reading.notation import LabelNotation, Notation
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.reading import notation_of_most
from logpx.tables.reading.table import Table
from logpx.tables.schema.codes import code_note
from logpx.tables.schema.country_codes import NAMIBIA, are_country_codes
from logpx.tables.schema.ends import never_negative
from logpx.tables.schema.inspection import Inspection
from logpx.tables.schema.kind_rules import choose_kind, mixed_kind, pinned_kind
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.number_fields import number_fields
from logpx.tables.schema.number_like_labels import number_like_note
from logpx.tables.schema.overrides import pinned_columns
from logpx.tables.schema.problems import joined_errors
from logpx.tables.schema.schema import Column, Schema
from logpx.tables.schema.sentinels import date_sentinel_notes, missing_word_notes, sentinel_notes
from logpx.tables.schema.summaries import ColumnSummary, NumberSummary, TextSummary, summarise
from logpx.tables.sources import open_table
from logpx.wording import counted

__all__ = ["infer_schema", "inspect_columns"]

_UNREAD = (Kind.DROP, Kind.WEIGHT)
_WHOLE_DATES = DateNotation(format="%Y%m%d", unit="day")
_FIRST_DATE, _LAST_DATE = 1800_01_01, 2199_12_31
_FEWEST_DATES = 3
_AS_LABELS = (Kind.CATEGORICAL, Kind.IDENTIFIER)
_PINNED = {"step", "offset", "uniform", "rounding", "lower", "upper", "atoms", "levels"}


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
    inspection = inspect_columns(table, overrides, sample_rows, seed)
    if inspection.errors:
        raise joined_errors(inspection.errors, inspection.file)
    return inspection.schema


def inspect_columns(
    table: Any,
    overrides: Mapping[str, str | Kind | Column] | Schema | None = None,
    sample_rows: int = 200_000,
    seed: int = 0,
) -> Inspection:
    """Infer the schema of a table, and collect what is wrong with each of its columns.

    The parameters are those of `infer_schema`. A column whose values contradict the kind that it was given
    appears in the schema as it would without it, beside its error.

    Raises
    ------
    DataError
        If the table has fewer than two rows, or its file cannot be read.
    UsageError
        If an override names an unknown column or kind.

    Examples
    --------
    >>> found = inspect_columns({"n": [3, 1, 4, 1], "x": [0.5, -1.25, 3.5, 2.75]}, {"x": "positive"})
    >>> [(problem.column, problem.message) for problem in found.problems]
    [('x', 'the smallest value is -1.25, so the column is not positive')]
    """
    if sample_rows < 1:
        raise UsageError(f"a sample of {counted(sample_rows, 'row')}", fix="sample at least one row")
    table = table if isinstance(table, Table) else open_table(table)
    pinned = pinned_columns(overrides, table.names)
    errors: dict[str, DataError] = {}
    read = _to_be_read(table, pinned, errors)
    summaries, sampled, mixed = _summaries(read, pinned, (sample_rows, seed), errors)
    rows = next(iter(summaries.values())).rows
    if rows < 2:
        raise DataError(
            "the table has one row, and a density needs at least two", file=table.file, fix="give more rows"
        )
    columns: list[Column] = []
    for name in table.names:
        own = None if name in errors and name not in mixed else pinned.get(name)
        try:
            columns.append(_column(name, summaries.get(name), own, read, mixed.get(name)))
        except DataError as error:
            errors[name] = error
            columns.append(_column(name, summaries.get(name), None, read, mixed.get(name)))
    return Inspection(
        schema=Schema(columns=columns, rows=rows, sampled=sampled),
        file=table.file,
        errors={name: errors[name] for name in table.names if name in errors},
    )


def _to_be_read(table: Table, pinned: Mapping[str, Column], errors: dict[str, DataError]) -> Table:
    """Return the columns to read, as the user or their first cells say; doubts are added to the errors."""
    kept = [name for name in table.names if name not in pinned or pinned[name].kind not in _UNREAD]
    if not kept:
        raise DataError("every column is left out", file=table.file, fix="keep at least one column")
    readings = {}
    for name in kept:
        reading = table.readings[name]
        column = pinned.get(name)
        notation = reading.notation if column is None else _pinned_notation(column, reading.notation)
        doubtful = column is None or notation is reading.notation
        if reading.doubt is not None and doubtful and notation.holds_numbers:
            errors[name] = reading.doubt
        if notation.takes(table.stored.field(name).type, in_text_file=table.undeclared(name)):
            readings[name] = replace(reading, notation=notation)
    return table.select(kept).read_as(readings)


def _summaries(
    table: Table, pinned: Mapping[str, Column], sample: tuple[int, int], errors: dict[str, DataError]
) -> tuple[dict[str, ColumnSummary], int, dict[str, DataError]]:
    """Return what one pass finds, how many rows it sampled, and by column what text is among its numbers.

    A column that cannot be read as the user says is read as text, and added to the errors.
    """
    mixed: dict[str, DataError] = {}
    unread: set[str] = set()
    given = {name for name, column in pinned.items() if column.kind.choosable}
    while True:
        # A column that begins with numbers and goes on with text is read again, as text.
        again = [*mixed, *unread]
        as_text = {name: replace(table.readings[name], notation=LabelNotation()) for name in again}
        try:
            summaries, sampled = summarise(table.read_as(as_text), *sample)
            break
        except DataError as error:
            name = error.column
            if not isinstance(name, str) or name in again or error.row is None:
                raise
            if name in given:
                unread.add(name)
                errors[name] = error
            else:
                mixed[name] = error
    for name, summary in summaries.items():
        if table.undeclared(name) and isinstance(summary, TextSummary) and name not in given | mixed.keys():
            notation = notation_of_most(list(summary.values))
            text = None if notation is None else _first_text(table, name, notation)
            if text is not None:
                mixed[name] = text
    units = len(mixed) > 1 and all(text.row == 1 for text in mixed.values())
    for text in mixed.values():
        text.message += "; if row 1 is a line of units, remove it" if units else ""
        # The file of a table of one file is told with the table.
        text.file = None if text.file == table.file else text.file
    return summaries, sampled, mixed


def _first_text(table: Table, name: str, notation: Notation) -> DataError | None:
    """Return the error of the first cell of a column that is not in a notation, after a second pass."""
    reading = replace(table.readings[name], notation=notation)
    try:
        for batch in table.select([name]).read_as({name: reading}).batches():
            batch.read(name)
    except DataError as error:
        return error
    return None


def _pinned_notation(pinned: Column, found: Notation) -> Notation:
    """Return how a column is read whose kind is given."""
    if pinned.kind in _AS_LABELS:
        return LabelNotation()
    if pinned.kind is Kind.TIMESTAMP:
        if pinned.notation is not None:
            return pinned.notation.model_copy(update={"unit": "microsecond"})
        if isinstance(found, NumberNotation) and found.plain:
            return _WHOLE_DATES.model_copy(update={"unit": "microsecond"})
        return found
    if not pinned.kind.modelled or isinstance(found, NumberNotation):
        return found
    return pinned.notation if isinstance(pinned.notation, NumberNotation) else NumberNotation()


def _column(
    name: str, summary: ColumnSummary | None, pinned: Column | None, table: Table, text: DataError | None
) -> Column:
    if summary is None:
        kind = Kind.DROP if pinned is None else pinned.kind
        return Column(name=name, kind=kind, reason=kind.meaning)
    notes = [note for note in [table.readings[name].note] if note]
    notation, missing = table.readings[name].notation, table.readings[name].missing
    if isinstance(summary, TextSummary):
        missing = _with_namibia(name, summary, missing, notes)
    elif isinstance(summary, NumberSummary):
        if pinned is None and isinstance(notation, NumberNotation) and _are_whole_dates(summary):
            notation, summary = _WHOLE_DATES, _as_days(summary)
        elif isinstance(notation, DateNotation):
            notation, summary = _in_longest_units(notation, summary)
    if text is not None and isinstance(summary, TextSummary):
        choice = mixed_kind(summary, text)
        notes += [hint for hint in [str(text.fix).partition("; ")[2]] if hint]
    elif pinned is None or not pinned.kind.choosable:
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
        if pinned is None and (hint := code_note(name, notation, summary)):
            notes.append(hint)
        if choice.kind.modelled:
            fields |= number_fields(summary, choice, pinned=pinned is not None)
            if notation.meaning:
                fields["reason"] += f"; {notation.meaning}"
            if isinstance(notation, NumberNotation):
                fields |= _ends_of_digits(notation, fields)
    elif isinstance(summary, TextSummary):
        fields["distinct"] = len(summary.values)
        if pinned is None and text is None and (hint := number_like_note(summary)):
            notes.append(hint)
    if choice.kind.modelled and isinstance(summary, NumberSummary | TextSummary):
        # Whoever took the usual words away knows that they are labels.
        known = () if missing.usual else USUAL_WORDS
        if isinstance(summary, NumberSummary) and isinstance(notation, DateNotation):
            notes += date_sentinel_notes(name, summary, notation)
        else:
            notes += sentinel_notes(name, summary, known)
    if choice.kind is Kind.TIMESTAMP and isinstance(notation, DateNotation):
        fields |= _ends_of_time(notation, summary)
    if pinned is not None:
        kept = pinned.model_fields_set & _PINNED
        fields |= {field: getattr(pinned, field) for field in kept}
    value = choice.value
    if value is not None and isinstance(notation, DateNotation):
        value = notation.write(np.array([value]), pa.string())[0].as_py()
    written = None if notation == NumberNotation() else notation
    assert written is None or isinstance(written, NumberNotation | DateNotation | LabelNotation)
    written = None if isinstance(written, LabelNotation) else written
    stored = None if table.in_text_file else str(table.stored.field(name).type)
    return Column(
        name=name, missing=summary.missing, value=value, notes=notes, notation=written,
        stored=stored, missing_words=missing, **fields,
    )  # fmt: skip


def _with_namibia(name: str, summary: TextSummary, missing: MissingWords, notes: list[str]) -> MissingWords:
    """Return the missing words of a column of labels: without NA, if it is the code of a country."""
    count = summary.words.get(NAMIBIA, 0)
    if count and missing.usual and are_country_codes(summary.values):
        summary.values[NAMIBIA] = count
        summary.missing -= count
        summary.words = {word: found for word, found in summary.words.items() if word != NAMIBIA}
        notes.append(
            f"all labels are codes of countries, so 'NA' ({counted(count, 'cell')}) is the label "
            "of Namibia, and no "
            "missing cell"
        )
        missing = missing.without([NAMIBIA])
    usual = {word: count for word, count in summary.words.items() if word in USUAL_WORDS}
    notes += missing_word_notes(name, usual)
    return missing


def _are_whole_dates(summary: NumberSummary) -> bool:
    """Tell whether whole numbers are dates written as 20230623; chance explains hardly three of them."""
    if not summary.whole or not _FIRST_DATE <= summary.minimum <= summary.maximum <= _LAST_DATE:
        return False
    distinct = np.unique(summary.sample)
    return len(distinct) >= _FEWEST_DATES and not _WHOLE_DATES.read(pa.array(distinct)).null_count


def _as_days(summary: NumberSummary) -> NumberSummary:
    def days(values: Any) -> Any:
        return _WHOLE_DATES.read(pa.array(values)).to_numpy(zero_copy_only=False)

    low, high = days(np.array([summary.minimum, summary.maximum])).tolist()
    return replace(summary, type=ColumnType.TIMESTAMP, minimum=low, maximum=high, sample=days(summary.sample))


def _in_longest_units(notation: DateNotation, summary: NumberSummary) -> tuple[DateNotation, NumberSummary]:
    """Return a notation and a summary in the longest unit of which all values are multiples."""
    unit = notation.period or coarsest_unit(summary.divisor)
    notation = notation.model_copy(update={"unit": unit})
    if not np.isfinite(summary.minimum):
        return notation, summary
    low, high = notation.counted(np.array([summary.minimum, summary.maximum])).tolist()
    return notation, replace(summary, minimum=low, maximum=high, sample=notation.counted(summary.sample))


def _ends_of_digits(notation: NumberNotation, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the largest number of as many digits as all cells have, with zeros in front."""
    largest = 10.0**notation.width - 1.0
    if not notation.width or fields["upper"] is not None or fields["maximum"] > largest:
        return {}
    digits = "one digit" if notation.width == 1 else f"{notation.width} digits"
    return {"upper": largest, "reason": f"{fields['reason']}; written with {digits}"}


def _ends_of_time(notation: DateNotation, summary: ColumnSummary) -> dict[str, float]:
    """Return the bounds of times of day, and of durations without a sign or of which none is negative."""
    if notation.what == "duration":
        counted = isinstance(summary, NumberSummary) and never_negative(summary)
        return {"lower": 0.0} if counted or notation.format is not None else {}
    if notation.what != "time":
        return {}
    return {"lower": 0.0, "upper": float(notation.counted(np.array([MICROSECONDS["day"]]))[0]) - 1.0}
