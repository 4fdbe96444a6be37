"""What is known about a table: one `Column` for each of its columns, in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from logpx.errors import DataError
from logpx.markup import card, html_table
from logpx.representations import Shown
from logpx.suggestions import nearest_name
from logpx.tables.reading.names import is_frame_index
from logpx.tables.schema.column_schema import Column
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.problems import refusal_of

__all__ = ["Column", "Schema"]

_COLUMNS = "columns"


class Schema(Shown, BaseModel):
    """The columns of a table, in order, as inferred or pinned.

    Parameters
    ----------
    columns : list of Column
        Every column of the table, including those that are not modelled.
    rows : int
        How many rows the schema was inferred from.
    sampled : int
        How many of them were sampled for distinct values and grids.
    format_version : int
        The version of this file format.

    Examples
    --------
    >>> from logpx.tables import Kind
    >>> x = Column(name="x", kind=Kind.CONTINUOUS)
    >>> schema = Schema(columns=[Column(name="id", kind=Kind.IDENTIFIER), x])
    >>> schema.modelled_names
    ['x']
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    format_version: Literal[2] = 2
    columns: list[Column]
    rows: int = Field(default=0, ge=0)
    sampled: int = Field(default=0, ge=0)

    @field_validator("columns")
    @classmethod
    def _names_differ(cls, columns: list[Column]) -> list[Column]:
        seen: set[str] = set()
        for column in columns:
            if column.name in seen:
                raise ValueError(f"two columns are named {column.name!r}")
            seen.add(column.name)
        if sum(column.kind is Kind.WEIGHT for column in columns) > 1:
            raise ValueError("more than one column weighs the rows")
        return columns

    def _shown_parts(self) -> Mapping[str, object]:
        return {"columns": self.names, "rows": self.rows}

    def _repr_html_(self) -> str:
        """Show the columns in a notebook."""
        return card("Schema", f"{len(self.columns):,} columns", html_table(self.describe()))

    @cached_property
    def names(self) -> list[str]:
        """The names of all columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def modelled(self) -> list[Column]:
        """The columns that are part of the density, in order."""
        return [column for column in self.columns if column.modelled]

    @cached_property
    def modelled_names(self) -> list[str]:
        """The names of the columns that are part of the density, in order."""
        return [column.name for column in self.modelled]

    @cached_property
    def weight(self) -> str | None:
        """The name of the column that says how much each row counts; None if all count alike."""
        return next((column.name for column in self.columns if column.kind is Kind.WEIGHT), None)

    def describe(self) -> list[dict[str, str]]:
        """Return one dictionary of strings per column, to print as a table."""
        return [column.describe() for column in self.columns]

    def to_json(self) -> str:
        """Return the schema as JSON text, which `from_json` turns into an equal schema."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, file: object = None) -> Schema:
        """Read a schema from JSON text.

        Raises
        ------
        DataError
            If the text is not JSON or not a schema; names the field that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            column, where = _place_of(first["loc"], text)
            raise DataError(
                f"not a schema: {where + ': ' if where else ''}{first['msg']}",
                file=file,
                column=column,
                fix="correct the file, or let logpx infer the schema again",
            ) from None

    def require_modelled(self, file: object = None) -> None:
        """Raise unless every column can be modelled or left out, and at least one is modelled.

        Raises
        ------
        DataError
            Naming all columns that are refused, and what to do about them.
        """
        error = refusal_of(self.columns, file)
        if error is not None:
            raise error

    def check(self, names: Sequence[str], file: object = None, needed: Sequence[str] | None = None) -> None:
        """Raise unless a table with these columns fits the schema; their order does not matter.

        Columns that are not needed may be absent: by default, those that are not modelled. A column that the
        schema does not know is an error, because log p(x) would silently leave it out; but for the index of a
        data frame.

        Raises
        ------
        DataError
            Naming the column that is missing or unknown.
        """
        present = set(names)
        for name in self.modelled_names if needed is None else needed:
            if name not in present:
                near = nearest_name(name, [other for other in names if other not in self.names])
                hint = "add the column" if near is None else f"rename its column {near!r}"
                raise DataError(
                    "the table lacks this column, which "
                    + ("the model needs" if needed is None else "is asked for"),
                    file=file,
                    column=name,
                    fix=f"{hint}, or fit a model without it"
                    if needed is None
                    else f"{hint}, or say which columns are given",
                )
        known = set(self.names)
        for name in names:
            if name not in known and not is_frame_index(name):
                raise DataError(
                    "the model does not know this column",
                    file=file,
                    column=name,
                    fix="remove the column, or fit a model that includes it",
                )


def _place_of(path: Sequence[str | int], text: str | bytes) -> tuple[str | None, str]:
    """Return the column and the field that the path of an error in JSON text leads to."""
    if len(path) > 1 and path[0] == _COLUMNS and isinstance(path[1], int):
        content: Any = json.loads(text)
        column = content[_COLUMNS][path[1]]
        name = column.get("name") if isinstance(column, dict) else None
        if isinstance(name, str):
            return name, ".".join(map(str, path[2:]))
        return None, ".".join([f"column {path[1] + 1} of the list", *map(str, path[2:])])
    return None, ".".join(map(str, path))
