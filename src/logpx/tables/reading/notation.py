"""How the cells of a column are written: what turns them into numbers or labels, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from logpx.tables.reading.cell_text import is_text, text_of, trimmed, values_of
from logpx.tables.reading.column_types import ColumnType

__all__ = ["LabelNotation", "Notation"]


class Notation(BaseModel, ABC):
    """How the cells of a column are written; part of the schema, so that other tables are read alike.

    `read` turns stored cells into what models need: float64, or text for labels. Missing words are gone by
    then, and what cannot be read becomes null. `write` turns a model's numbers into cells.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    holds_numbers: ClassVar[bool] = True

    @abstractmethod
    def type(self, stored: pa.DataType) -> ColumnType:
        """Return what a column stored so holds in this notation."""

    @abstractmethod
    def takes(self, stored: pa.DataType, *, in_text_file: bool) -> bool:
        """Tell whether cells stored so can be written in this notation."""

    @abstractmethod
    def read(self, cells: pa.Array) -> pa.Array:
        """Return stored cells as numbers or labels, null where a cell is null or cannot be read."""

    def read_at_once(self, cells: pa.Array) -> pa.Array | None:
        """Return cells of a text file as numbers if no cell needs a closer look, or None."""
        return None

    @abstractmethod
    def write(self, values: npt.NDArray[np.float64], stored: pa.DataType) -> pa.Array:
        """Return numbers as cells that are stored so."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What a cell should be, for messages."""

    @property
    def meaning(self) -> str:
        """How cells are written, for the reason of a column; empty if it goes without saying."""
        return ""


class LabelNotation(Notation):
    """Labels: cells of any type as text, without surrounding spaces."""

    holds_numbers: ClassVar[bool] = False

    form: Literal["label"] = "label"

    def type(self, stored: pa.DataType) -> ColumnType:
        """Return text, booleans or what has no text form."""
        kind = ColumnType.of(stored)
        return ColumnType.TEXT if kind in (ColumnType.NUMBER, ColumnType.TIMESTAMP) else kind

    def takes(self, stored: pa.DataType, *, in_text_file: bool) -> bool:
        """Take everything."""
        return True

    def read(self, cells: pa.Array) -> pa.Array:
        """Return cells as text."""
        return text_of(cells)

    def write(self, values: npt.NDArray[np.float64], stored: pa.DataType) -> pa.Array:
        """Refuse: codes of labels are turned into labels by the schema, which knows them."""
        raise TypeError("labels are not written as numbers")

    @property
    def expected(self) -> str:
        """A label."""
        return "a label"


def readable_text(cells: pa.Array) -> pa.Array | None:
    """Return cells as trimmed text if they are stored as text, perhaps in a dictionary, or None."""
    cells = values_of(cells)
    return trimmed(cells) if is_text(cells.type) else None


def with_nulls(values: pa.Array, gone: npt.NDArray[np.bool_]) -> pa.Array:
    """Return an array with the marked cells set to null."""
    return values.take(pa.array(np.arange(len(values)), mask=gone)) if gone.any() else values
