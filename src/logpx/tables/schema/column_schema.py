"""What is known about one column of a table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from logpx.representations import Shown
from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.reading.missing_words import MissingWords
from logpx.tables.reading.notation import LabelNotation, Notation
from logpx.tables.reading.number_notation import NumberNotation
from logpx.tables.reading.reading import Reading
from logpx.tables.reading.stored_types import type_named
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.label_cells import label_cells

__all__ = ["Column"]

_LONGEST = 40


class Column(Shown, BaseModel):
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
    atoms : list of float
        Single values without a grid that hold mass of their own, ascending.
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
    notes : list of str
        What a reader of the schema should look at.
    stored : str, optional
        The Arrow type in which the cells of the table were stored; None for a text file.
    notation : LabelNotation, NumberNotation or DateNotation, optional
        How cells are written. By default, plain numbers, or labels.
    missing_words : MissingWords
        The words that mean a missing cell.

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
    atoms: list[float] = []
    minimum: float | None = None
    maximum: float | None = None
    missing: int = Field(default=0, ge=0)
    distinct: int = Field(default=0, ge=0)
    value: float | str | bool | None = None
    levels: list[str] | None = None
    reason: str = ""
    notes: list[str] = []
    stored: str | None = None
    notation: Annotated[LabelNotation | NumberNotation | DateNotation, Field(discriminator="form")] | None = (
        None
    )
    missing_words: MissingWords = MissingWords()

    def _shown_parts(self) -> Mapping[str, object]:
        cells = {name: cell for name, cell in self.describe().items() if cell and name != "column"}
        return {"name": self.name, **cells}

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Column:
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.kind is Kind.BOUNDED and (self.lower is None or self.upper is None):
            raise ValueError("a bounded column needs both lower and upper")
        return self

    @model_validator(mode="after")
    def _atoms_in_order(self) -> Column:
        atoms = self.atoms
        in_order = all(a < b for a, b in pairwise(atoms))
        within = all(_within(atom, self.lower, self.upper) for atom in atoms)
        if not (in_order and within):
            raise ValueError(f"atoms {atoms} are not different, ascending and within the bounds")
        return self

    @model_validator(mode="after")
    def _levels_differ(self) -> Column:
        levels = self.levels
        if levels is not None and (len(levels) < 2 or len(set(levels)) < len(levels)):
            raise ValueError("a categorical column needs two or more different levels")
        return self

    @property
    def periods(self) -> list[float]:
        """The periods of days, weeks and years in the units of a column of dates; else none."""
        return self._notation.periods if isinstance(self._notation, DateNotation) else []

    @property
    def modelled(self) -> bool:
        """Whether the column is part of the density."""
        return self.kind.modelled

    @property
    def reading(self) -> Reading:
        """How cells of the column are read, in whatever table."""
        return Reading(notation=self._notation, missing=self.missing_words)

    @property
    def _notation(self) -> Notation:
        if self.levels is not None or self.kind is Kind.CATEGORICAL:
            return LabelNotation()
        if self.notation is not None:
            return self.notation
        return DateNotation() if self.kind is Kind.TIMESTAMP else NumberNotation()

    @property
    def stored_type(self) -> pa.DataType | None:
        """The Arrow type of cells; None for a text file, or a type in which no new cells can be written."""
        return None if self.stored is None else type_named(self.stored)

    def write(self, values: npt.NDArray[np.float64], cells: pa.Array | pa.DataType) -> pa.Array:
        """Return numbers, or codes of labels, as cells like others, or of a type.

        Parameters
        ----------
        values : numpy.ndarray of shape (n,)
            Values as in a model's matrix.
        cells : pyarrow.Array or pyarrow.DataType
            Cells of the column whose type and labels the new ones share, or only the type.
        """
        if self.levels is not None:
            return label_cells(pa.array(self.levels).take(pa.array(values.astype(np.int64))), cells)
        stored, notation = cells if isinstance(cells, pa.DataType) else cells.type, self._notation
        if self.kind is Kind.POSITIVE and isinstance(notation, NumberNotation):
            # Rounding to the digits of other cells must not end at 0, which is no value of the column.
            values = np.maximum(values, notation.smallest(stored))
        return notation.write(values, stored)

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

    @property
    def measure(self) -> str:
        """What log p of a cell refers to: the mass of a label, a density, mass per step of a grid, of atoms.

        Examples
        --------
        >>> Column(name="n", kind=Kind.INTEGER, atoms=[0.0]).measure
        'a density per step of 1, with masses at 0'
        """
        if self.levels is not None:
            return "the mass of labels"
        step = self.kind.step if self.step is None else self.step
        parts = ["a density" if step is None else f"a density per step of {step:.12g}"]
        if isinstance(self._notation, DateNotation):
            parts[0] += f" in {self._notation.what}s by the {self._notation.unit}"
        if self.atoms:
            parts.append(f"with masses at {', '.join(f'{atom:.12g}' for atom in self.atoms)}")
        return ", ".join(parts)

    @property
    def pin(self) -> str:
        """What ``--columns`` takes to give the column this kind; of one that is refused, the first way out.

        Examples
        --------
        >>> Column(name="share", kind=Kind.BOUNDED, lower=0.0, upper=1.0).pin
        'bounded:0:1'
        """
        if self.refusal is not None:
            return self.remedies[0]
        if self.kind is Kind.BOUNDED:
            return f"{self.kind}:{self.lower:.15g}:{self.upper:.15g}"
        if self.kind is Kind.TIMESTAMP and isinstance(self.notation, DateNotation) and self.notation.pinnable:
            return f"{self.kind}:{self.notation.format}"
        return str(self.kind if self.kind.choosable else Kind.DROP)

    def describe(self) -> dict[str, str]:
        """Return the column as strings for a table to print."""
        support = ""
        if self.minimum is not None and self.maximum is not None:
            support = f"{self.minimum:g} … {self.maximum:g}"
            if isinstance(self._notation, DateNotation):
                ends = self._notation.write(np.array([self.minimum, self.maximum]), pa.string())
                support = " … ".join(ends.to_pylist())
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


def _within(value: float, lower: float | None, upper: float | None) -> bool:
    return (lower is None or lower <= value) and (upper is None or value <= upper)
