"""How a column is read: its notation and its missing words, found in its first cells or given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.errors import DataError
from logpx.tables.reading.cell_text import text_of, workable
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.reading.date_recognition import ambiguous_date, dates_of_most, recognised_dates
from logpx.tables.reading.missing_words import MissingWords
from logpx.tables.reading.notation import LabelNotation, Notation, with_nulls
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.number_recognition import (
    NumberForms,
    is_shaped_like_a_number,
    number_forms,
    with_digits,
)

__all__ = ["Reading", "notation_of_most", "recognised_readings"]

_LARGEST_SAMPLE = 4096
_GROUPED = re.compile(r"[0-9]{1,3}\.[0-9]{3}")


_USUAL = MissingWords()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a column is read.

    Attributes
    ----------
    notation : Notation
        What its cells are.
    missing : MissingWords
        The words that mean a missing cell.
    note : str
        What the reader of a schema should know about the choice.
    doubt : DataError or None
        Why the cells cannot be read without more information.
    known : bool
        Whether the first cells said anything about the notation.
    """

    notation: Notation
    missing: MissingWords = _USUAL
    note: str = ""
    doubt: DataError | None = None
    known: bool = True

    def read(self, cells: pa.Array, *, in_text_file: bool) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        """Return cells as numbers or labels, and which of them have a value that cannot be read.

        Missing cells and those that cannot be read are null.
        """
        cells = workable(cells)
        numbers = self._missing_values
        values = self.notation.read_at_once(cells) if in_text_file else None
        if values is not None:
            values = _without(values, numbers)
            return values, np.zeros(len(values), dtype=np.bool_)
        present = self.present(cells, in_text_file=in_text_file)
        values = self.notation.read(with_nulls(cells, _valid(cells) & ~present))
        unread = present & ~_valid(values)
        return _without(values, numbers), unread

    @property
    def _missing_values(self) -> npt.NDArray[np.float64]:
        """The words for a missing cell as numbers, which dates are, too, in whatever type they are stored."""
        words = self.missing.words
        if words and isinstance(self.notation, DateNotation):
            dates = self.notation.read(pa.array(words, pa.string())).drop_null()
            return np.asarray(dates.to_numpy(zero_copy_only=False), dtype=np.float64)
        return self.missing.numbers if self.notation.holds_numbers else np.empty(0)

    def present(self, cells: pa.Array, *, in_text_file: bool) -> npt.NDArray[np.bool_]:
        """Return which cells have a value."""
        valid: npt.NDArray[np.bool_] = pc.is_valid(cells).to_numpy(zero_copy_only=False)
        stored = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
        if pa.types.is_floating(stored):
            valid = valid & ~pc.is_null(cells, nan_is_null=True).to_numpy(zero_copy_only=False)
        kind = ColumnType.of(stored)
        if kind is ColumnType.OTHER or (kind is not ColumnType.TEXT and not self.missing.words):
            return valid
        present: npt.NDArray[np.bool_] = valid & ~self.missing.found(
            text_of(cells), in_text_file=in_text_file
        )
        return present


def _valid(values: pa.Array) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return valid


def _without(values: pa.Array, numbers: npt.NDArray[np.float64]) -> pa.Array:
    if not len(numbers):
        return values
    found = pc.is_in(values, value_set=pa.array(numbers, pa.float64()))
    return with_nulls(values, found.to_numpy(zero_copy_only=False))


def recognised_readings(
    head: Mapping[str, pa.Array],
    missing: Mapping[str, MissingWords],
    *,
    in_text_file: bool,
    delimiter: str | None,
    decimal: str | None,
) -> dict[str, Reading]:
    """Return how every column is read, from the first rows of a table.

    Parameters
    ----------
    head : dict of str to pyarrow.Array
        The first cells of every column, as stored.
    missing : dict of str to MissingWords
        The words of every column.
    in_text_file : bool
        Whether cells are text of a text file, where numbers are not declared.
    delimiter : str or None
        What is between the fields of a text file.
    decimal : str or None
        The decimal mark, if the user gave it.
    """
    readings: dict[str, Reading] = {}
    open_forms: dict[str, tuple[NumberForms, pa.Array]] = {}
    for name, cells in head.items():
        words = missing[name]
        found = _recognised(name, cells, words, in_text_file, decimal)
        if isinstance(found, NumberForms):
            open_forms[name] = (found, _sample(cells, words, in_text_file))
        else:
            readings[name] = replace(found, missing=words)
    settled: set[str] = {
        forms.possible[0].decimal for forms, _ in open_forms.values() if len(forms.possible) == 1
    }
    settled |= {decimal} if decimal else set()
    for name, (forms, text) in open_forms.items():
        readings[name] = replace(_chosen(forms, text, settled, delimiter), missing=missing[name])
    return {name: readings[name] for name in head}


def _sample(cells: pa.Array, words: MissingWords, in_text_file: bool) -> pa.Array:
    """Return distinct cells with a value, as text."""
    cells = workable(cells)
    present = Reading(notation=LabelNotation(), missing=words).present(cells, in_text_file=in_text_file)
    return pc.unique(text_of(cells.filter(pa.array(present))).slice(0, 16 * _LARGEST_SAMPLE))


def _recognised(
    name: str, cells: pa.Array, words: MissingWords, in_text_file: bool, decimal: str | None
) -> Reading | NumberForms:
    kind = ColumnType.of(cells.type)
    if kind is ColumnType.TIMESTAMP:
        return Reading(notation=_of_stored_dates(cells.type))
    if kind is ColumnType.NUMBER:
        return Reading(notation=NumberNotation())
    if kind is not ColumnType.TEXT or pa.types.is_dictionary(cells.type):
        return Reading(notation=LabelNotation())
    plain = NumberNotation()
    if (
        in_text_file
        and decimal is None
        and len(cells)
        and not words.words
        and plain.read_at_once(cells) is not None
    ):
        first = cells[0].as_py()
        if first[:1].isdigit() and not _GROUPED.fullmatch(first):
            return Reading(notation=with_digits(plain, cells))
    text = _sample(cells, words, in_text_file)
    if not len(text):
        # An empty column of a text file may hold numbers further down.
        notation = NumberNotation() if in_text_file else LabelNotation()
        return Reading(notation=notation, known=not in_text_file)
    forms = number_forms(text)
    if forms is not None and decimal is not None:
        fitting = tuple(form for form in forms.possible if form.decimal == decimal or _whole(form, text))
        forms = NumberForms(fitting) if fitting else None
    if forms is not None and (in_text_file or not forms.possible[0].plain):
        return forms
    if forms is None and in_text_file and decimal is None and not plain.read(text).null_count:
        return Reading(notation=plain)
    dates = None if forms is not None else recognised_dates(text)
    if dates is None:
        return Reading(notation=LabelNotation())
    other = ambiguous_date(text, dates)
    return (
        Reading(notation=dates)
        if other is None
        else Reading(notation=dates, doubt=_either_date(name, text, dates, other))
    )


def _whole(form: NumberNotation, text: pa.Array) -> bool:
    """Tell whether no cell has a decimal mark of this notation."""
    return not pc.any(pc.match_substring(text, form.decimal)).as_py() and not form.grouping


def _of_stored_dates(stored: pa.DataType) -> DateNotation:
    if pa.types.is_time(stored):
        return DateNotation(what="time", unit="microsecond")
    return DateNotation(what="duration" if pa.types.is_duration(stored) else "date", unit="microsecond")


def _chosen(forms: NumberForms, text: pa.Array, settled: set[str], delimiter: str | None) -> Reading:
    """Return the reading of numbers whose decimal mark other columns or the delimiter may settle."""
    first, *others = forms.possible
    if not others:
        return Reading(notation=with_digits(first, text))
    point, comma = first, others[0]
    both = f"{forms.example!r} reads as {_number(point, forms.example)} or as {_number(comma, forms.example)}"
    if settled == {","}:
        return Reading(notation=with_digits(comma, text), note=f"{both}: other columns have a decimal comma")
    if point.plain:
        return Reading(notation=with_digits(point, text))
    if settled == {"."}:
        return Reading(notation=with_digits(point, text), note=f"{both}: other columns have a decimal point")
    if delimiter == ",":
        # In a file whose fields are separated by commas, hardly anyone writes decimal commas.
        return Reading(
            notation=with_digits(point, text),
            note=f"{both}: taken for a thousands mark; --decimal , makes it a decimal comma",
        )
    doubt = DataError(
        f"the comma may be a decimal comma or mark thousands: {both}",
        fix="give --decimal , for a decimal comma, or --decimal . for thousands marks (in Python decimal=)",
    )
    return Reading(notation=with_digits(comma, text), doubt=doubt)


def _number(form: NumberNotation, cell: str) -> str:
    return f"{form.read(pa.array([cell]))[0].as_py():.15g}"


def _either_date(name: str, text: pa.Array, found: DateNotation, other: str) -> DataError:
    return DataError(
        f"day and month cannot be told apart: {text[0].as_py()!r} and all other dates fit "
        f"{found.format} and {other}",
        fix=f"choose one: --columns '{name}=timestamp:{found.format}' or "
        f"--columns '{name}=timestamp:{other}'",
    )


def notation_of_most(cells: Sequence[str]) -> Notation | None:
    """Return the notation of numbers or dates that more than half of distinct cells have, or None.

    Examples
    --------
    >>> notation_of_most(["1", "2.5", "oops"]).expected, notation_of_most(["a", "b", "1"]) is None
    ('a number', True)
    """
    few = cells[:_LARGEST_SAMPLE]
    numbers = [cell for cell in few if is_shaped_like_a_number(cell)]
    if 2 * len(numbers) > len(few):
        forms = number_forms(pa.array(numbers))
        return NumberNotation() if forms is None else forms.possible[0]
    digits = [cell for cell in few if any(letter.isdigit() for letter in cell)]
    return dates_of_most(pa.array(digits)) if 2 * len(digits) > len(few) else None
