"""What a model can make nothing of, counted as a table is read: new labels, impossible values, no values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from logpx.representations import Shown
from logpx.suggestions import nearest_name
from logpx.wording import counted

__all__ = ["UnseenLabel", "UnseenLabels"]

_MOST = 1000
_SHOWN = 20


@dataclass(kw_only=True, repr=False)
class UnseenLabel(Shown):
    """A label that a model does not know.

    Attributes
    ----------
    column, label : str
        Where it was found, and what it is.
    rows : int
        In how many rows.
    file : str or None
        The file of the first of them.
    first_row : int
        Its number in that file, from 1.
    nearest : str or None
        A known label that is spelled nearly alike.
    """

    column: str
    label: str
    rows: int
    file: str | None
    first_row: int
    nearest: str | None

    def __str__(self) -> str:
        where = f"row {self.first_row}" + ("" if self.file is None else f" of {self.file}")
        rows = f"one row, {where}" if self.rows == 1 else f"{self.rows:,} rows, first in {where}"
        near = "" if self.nearest is None else f"; the model knows {self.nearest!r}"
        return f"column {self.column!r}: the label {self.label!r} is new to the model ({rows}){near}"


class UnseenLabels:
    """The labels of a table that a model does not know, in the order in which they were met.

    Values that are impossible to the model, and columns without any value, are noted beside them.

    Examples
    --------
    >>> unseen = UnseenLabels()
    >>> unseen.add("town", "rome", ["Rome", "Oslo"], 2, (None, 7))
    >>> print(unseen.notes()[0])
    column 'town': the label 'rome' is new to the model (2 rows, first in row 7); the model knows 'Rome'
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], UnseenLabel] = {}
        self._beyond = 0
        self._not_given: dict[str, tuple[int, str]] = {}
        self._has_values: dict[str, bool] = {}

    def add(
        self, column: str, label: str, known: list[str], rows: int, place: tuple[str | None, int]
    ) -> None:
        """Count rows with a label, given the file and the row of the first of them."""
        key = (column, label)
        if key in self._found:
            self._found[key].rows += rows
        elif len(self._found) >= _MOST:
            self._beyond += rows
        else:
            file, row = place
            self._found[key] = UnseenLabel(
                column=column,
                label=label,
                rows=rows,
                file=file,
                first_row=row,
                nearest=_nearest(label, known),
            )

    def add_not_given(self, column: str, rows: int, place: tuple[str | None, int]) -> None:
        """Count rows with a value that is impossible to the model, and that nothing is conditioned on."""
        file, row = place
        where = f"row {row}" + ("" if file is None else f" of {file}")
        before, first = self._not_given.get(column, (0, where))
        self._not_given[column] = (before + rows, first)

    def look_for_values(self, columns: Iterable[tuple[str, bool]]) -> None:
        """Take note of which columns have a value in some rows."""
        for column, there in columns:
            self._has_values[column] = self._has_values.get(column, False) or there

    @property
    def labels(self) -> list[UnseenLabel]:
        """The labels, up to a thousand."""
        return list(self._found.values())

    @property
    def without_values(self) -> list[str]:
        """The columns in which no row has a value."""
        return [column for column, there in self._has_values.items() if not there]

    def notes(self) -> list[str]:
        """Return one line for each of the first labels, and one for all others."""
        labels = self.labels
        lines = [str(label) for label in labels[:_SHOWN]]
        if len(labels) > _SHOWN:
            rest = sum(label.rows for label in labels[_SHOWN:]) + self._beyond
            more = len(labels) - _SHOWN
            which = (
                f"{more:,} or more other labels are" if self._beyond else counted(more, "other label", "are")
            )
            lines.append(f"{which} new to the model ({counted(rest, 'row')})")
        for column, (rows, where) in self._not_given.items():
            lines.append(
                f"column {column!r}: values that the model finds impossible count as not given "
                f"({counted(rows, 'row')}, first in {where})"
            )
        empty = [repr(column) for column in self.without_values]
        if empty:
            which = f"column {empty[0]}" if len(empty) == 1 else f"columns {', '.join(empty)}"
            lines.append(
                f"no row has a value in {which}: all that is said of rows rests on the other columns"
            )
        return lines


def _nearest(label: str, known: list[str]) -> str | None:
    folded = {level.casefold(): level for level in known}
    return folded.get(label.casefold()) or nearest_name(label, known)
