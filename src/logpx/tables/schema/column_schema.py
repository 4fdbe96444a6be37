"""What is known about one column of a table."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from logpx.tables.schema.kinds import Kind

__all__ = ["Column"]

_LONGEST = 40


class Column(BaseModel):
    """One column of a table: its kind, its support, its grid, and why these were chosen.

    Parameters
    ----------
    name : str
        The column's name in the table.
    kind : Kind
        What the column holds.
    step : float, optional
        The step of the grid that the values lie on; None for values without a grid.
    offset : float
        The grid is ``offset + k * step`` for whole k.
    uniform : bool
        Whether every observed value lies on that grid. If not, ``step`` is the width below which repeated
        values cannot be told apart from a spike, and values must not be rounded to the grid.
    rounding : float
        How far from the grid a value may have been written, where values were rounded after a shift.
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
    levels : list of str, optional
        The labels of a categorical column, in the order of their codes; None if there are too many. Of a
        column of mixed text and numbers, the labels that it would have if it was categorical.
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
    rounding: float = Field(default=0.0, ge=0)
    lower: float | None = None
    upper: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    missing: int = Field(default=0, ge=0)
    distinct: int = Field(default=0, ge=0)
    value: float | str | bool | None = None
    levels: list[str] | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Column:
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.kind is Kind.BOUNDED and (self.lower is None or self.upper is None):
            raise ValueError("a bounded column needs both lower and upper")
        return self

    @model_validator(mode="after")
    def _levels_differ(self) -> Column:
        levels = self.levels
        if levels is not None and (len(levels) < 2 or len(set(levels)) < len(levels)):
            raise ValueError("a categorical column needs two or more different levels")
        return self

    @property
    def modelled(self) -> bool:
        """Whether the column is part of the density."""
        return self.kind.modelled

    @property
    def refusal(self) -> str | None:
        """Why this column can be neither modelled nor ignored, or None if it can."""
        if self.kind is Kind.CATEGORICAL and self.levels is None:
            return "too many different labels to be modelled"
        return self.kind.refusal

    @property
    def remedies(self) -> list[str]:
        """The kinds that a user may give the column if it is refused."""
        if self.kind is Kind.MIXED and self.levels is not None:
            return [str(Kind.CATEGORICAL), str(Kind.DROP)]
        return [str(Kind.DROP)]

    def describe(self) -> dict[str, str]:
        """Return the column as strings for a table to print."""
        support = "" if self.minimum is None else f"{self.minimum:g} … {self.maximum:g}"
        if self.value is not None:
            support = f"{self.value}"
        if self.levels is not None:
            support = ", ".join(self.levels)
            support = support if len(support) <= _LONGEST else support[: _LONGEST - 1] + "…"
        return {
            "column": self.name,
            "kind": str(self.kind),
            "grid": "" if self.step is None else f"{self.step:g}",
            "range": support,
            "missing": str(self.missing),
            "distinct": str(self.distinct),
            "why": self.reason,
        }
