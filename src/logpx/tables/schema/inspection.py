"""What is found out about a table before anything is fitted: its schema, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from logpx.errors import DataError
from logpx.markup import card, html_table
from logpx.representations import Shown
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.problems import joined_errors, refusal_of, refusal_of_one
from logpx.tables.schema.schema import Schema

__all__ = ["Inspection"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Inspection(Shown):
    """The schema of a table, the problems of all columns, and what else a user should know.

    Attributes
    ----------
    schema : Schema
        What is known about every column, with reasons.
    file : str or None
        The name of the table in messages.
    errors : dict of str to DataError
        By column, what cannot be read, or contradicts the kind that it was given.
    beyond : tuple of DataError
        What is wrong with several columns together, such as one that is the sum of others.
    notes : tuple of str
        What a user should look at, but need not.

    Examples
    --------
    >>> from logpx.tables import inspect_columns
    >>> found = inspect_columns({"zip": ["a1", "b2"] * 9, "n": [3, 1, 4] * 6})
    >>> found.pins
    {'zip': 'categorical', 'n': 'integer'}
    >>> found.option, found.problems
    ('--columns zip=categorical,n=integer', [])
    """

    schema: Schema
    file: str | None = None
    errors: Mapping[str, DataError] = field(default_factory=dict)
    beyond: tuple[DataError, ...] = ()
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Show the columns and what is wrong with them in a notebook."""
        problems = [{"to settle before a fit": str(problem)} for problem in self.problems]
        first = f"{self.schema.rows:,} rows, {len(self.schema.columns):,} columns"
        return card("Inspection", first, html_table(self.schema.describe()), html_table(problems))

    @property
    def problems(self) -> list[DataError]:
        """Everything that a fit would refuse, column by column and in their order; empty if nothing."""
        found = []
        for column in self.schema.columns:
            error = self.errors.get(column.name) or refusal_of_one(column)
            if error is not None:
                found.append(
                    DataError(
                        error.message,
                        file=error.file or self.file,
                        row=error.row,
                        column=column.name,
                        fix=error.fix,
                    )
                )
        if not found:
            nothing = refusal_of(self.schema.columns, self.file)
            found += [] if nothing is None else [nothing]
        return [*found, *self.beyond]

    def require_clean(self) -> None:
        """Raise what a fit would refuse, as one error.

        Raises
        ------
        DataError
            Naming all columns, and what to do about them.
        """
        if not self.errors:
            self.schema.require_modelled(self.file)
        else:
            refused = {column.name: refusal_of_one(column) for column in self.schema.columns}
            others = {name: error for name, error in refused.items() if error is not None}
            raise joined_errors({**others, **self.errors}, self.file)
        for error in self.beyond:
            raise error

    @property
    def pins(self) -> dict[str, str]:
        """By column, the kind that pins its decision, as ``--columns`` takes it."""
        return {column.name: column.pin for column in self.schema.columns}

    @property
    def option(self) -> str:
        """The option that pins the kinds of all columns, to be pasted into a shell."""
        return columns_option(self.pins)

    @property
    def left_out(self) -> str | None:
        """One line that names the columns that are not part of the density; None if all are."""
        left_out = [one for one in self.schema.columns if not one.modelled and one.refusal is None]
        if not left_out:
            return None
        named = ", ".join(f"{column.name!r} ({column.kind})" for column in left_out)
        return f"left out, {len(left_out):,} of {len(self.schema.columns):,} columns: {named}"

    def describe(self) -> list[dict[str, str]]:
        """Return one dictionary of strings per column, to print as a table."""
        found = []
        for row, pin in zip(self.schema.describe(), self.pins.values(), strict=True):
            why = row.pop("why")
            found.append({**row, "pin": pin, "why": why})
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        fields = ("message", "file", "row", "column", "fix")
        return {
            "file": self.file,
            "rows": self.schema.rows,
            "sampled": self.schema.sampled,
            "schema": [column.model_dump(mode="json") for column in self.schema.columns],
            "problems": [{name: getattr(error, name) for name in fields} for error in self.problems],
            "notes": list(self.notes),
            "left_out": [one.name for one in self.schema.columns if not one.modelled and one.refusal is None],
            "pins": self.pins,
            "option": self.option,
        }
