"""What is known about a table: one `Column` for each of its columns, in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from logpx.errors import DataError
from logpx.tables.kinds import Kind
from logpx.tables.suggestions import nearest_name

__all__ = ["Column", "Schema"]


class Column(BaseModel):
    """One column of a table: its kind, its support, its grid, and why these were chosen.

    Parameters
    ----------
    name : str
        The column's name in the table.
    kind : Kind
        What the column holds.
    step : float, optional
        The step of the grid that the values lie on. None for values without one.
    offset : float
        The grid is ``offset + k * step`` for whole k.
    uniform : bool
        Whether every observed value lies on that grid. If not, ``step`` is the width below which repeated
        values cannot be told from a spike, and values must not be rounded to the grid.
    lower, upper : float, optional
        Bounds of the values, None if unbounded. The cell of a value on a grid reaches half a step further.
    minimum, maximum : float, optional
        The smallest and largest finite value observed.
    missing : int
        How many cells were missing.
    distinct : int
        How many distinct values were seen in the rows sampled for the schema.
    value : float or str or bool, optional
        The value of a constant column.
    reason : str
        Why this kind was chosen, in one plain sentence.

    Examples
    --------
    >>> Column(name="price", kind=Kind.POSITIVE, step=0.01, lower=0.0).modelled
    True
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    kind: Kind
    step: float | None = Field(default=None, gt=0)
    offset: float = 0.0
    uniform: bool = True
    lower: float | None = None
    upper: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    missing: int = Field(default=0, ge=0)
    distinct: int = Field(default=0, ge=0)
    value: float | str | bool | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Column:
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.kind is Kind.BOUNDED and (self.lower is None or self.upper is None):
            raise ValueError("a bounded column needs both lower and upper")
        return self

    @property
    def modelled(self) -> bool:
        """Whether the column is part of the density."""
        return self.kind.modelled

    def describe(self) -> dict[str, str]:
        """Return the column as strings for a table to print."""
        support = "" if self.minimum is None else f"{self.minimum:g} … {self.maximum:g}"
        if self.value is not None:
            support = f"{self.value}"
        return {
            "column": self.name,
            "kind": str(self.kind),
            "grid": "" if self.step is None else f"{self.step:g}",
            "range": support,
            "missing": str(self.missing),
            "distinct": str(self.distinct),
            "why": self.reason,
        }


class Schema(BaseModel):
    """The columns of a table, in order, as they were inferred or pinned.

    Parameters
    ----------
    columns : list of Column
        Every column of the table, the ones that are not modelled included.
    rows : int
        How many rows the schema was inferred from.
    sampled : int
        How many of them were sampled for distinct values and grids.
    format_version : int
        The version of this file format.

    Examples
    --------
    >>> x = Column(name="x", kind=Kind.CONTINUOUS)
    >>> schema = Schema(columns=[Column(name="id", kind=Kind.IDENTIFIER), x])
    >>> schema.modelled_names
    ['x']
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    format_version: Literal[1] = 1
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
        return columns

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

    def describe(self) -> list[dict[str, str]]:
        """Return one dictionary of strings per column, for a table to print."""
        return [column.describe() for column in self.columns]

    def to_json(self) -> str:
        """Return the schema as JSON text, one that `from_json` reads back equal."""
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
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"not a schema: {where + ': ' if where else ''}{first['msg']}",
                file=file,
                fix="correct the file, or let logpx infer the schema again",
            ) from None

    def require_modelled(self, file: object = None) -> None:
        """Raise unless every column can be modelled or left out, and at least one is modelled.

        Raises
        ------
        DataError
            Naming the first column that is refused, and what to do about it.
        """
        for column in self.columns:
            if column.kind.refusal is not None:
                why = f" ({column.reason})" if column.reason else ""
                raise DataError(
                    f"{column.kind.refusal}{why}",
                    file=file,
                    column=column.name,
                    fix=f"leave it out with --columns {column.name}=drop, or convert it to numbers",
                )
        if not self.modelled:
            raise DataError(
                "no column is left to model",
                file=file,
                fix="a density needs at least one numeric column that varies",
            )

    def check(self, names: Sequence[str], file: object = None) -> None:
        """Raise unless a table with these columns fits the schema; their order does not matter.

        Columns that are not modelled may be absent. A column that the schema does not know is an error,
        because log p(x) would silently leave it out.

        Raises
        ------
        DataError
            Naming the column that is lacking or unknown.
        """
        present = set(names)
        for name in self.modelled_names:
            if name not in present:
                near = nearest_name(name, [other for other in names if other not in self.names])
                hint = "add the column" if near is None else f"rename its column {near!r}"
                raise DataError(
                    "the table lacks this column, which the model needs",
                    file=file,
                    column=name,
                    fix=f"{hint}, or fit a model without it",
                )
        known = set(self.names)
        for name in names:
            if name not in known:
                raise DataError(
                    "the model does not know this column",
                    file=file,
                    column=name,
                    fix="remove the column, or fit a model that includes it",
                )
