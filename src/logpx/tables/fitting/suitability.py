"""Which families can model a table: by its rows, columns, labels and missing cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from logpx.errors import DataError
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import QuickFamily, TableFamily
from logpx.tables.families.mixtures import GaussianFamily
from logpx.tables.schema.schema import Schema
from logpx.wording import counted

__all__ = ["Nature", "suitable_families"]

# Of fewer rows than this, the scores of different families differ by chance.
_A_HANDFUL = 20


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What a table asks of a family.

    Attributes
    ----------
    rows : int
        The number of training rows.
    columns : int
        The number of modelled columns.
    numbers : int
        How many of them hold numbers: whatever their values, no more rows than these lie on a plane, up to
        the noise of columns on a grid, which may be as narrow as one part in a million.
    labels, holes : bool
        Whether columns hold labels, or cells are missing.
    few : bool
        Whether rows are too few to set any aside.
    conditional : bool
        Whether the model is to answer for some columns given others.
    """

    rows: int
    columns: int
    numbers: int
    labels: bool
    holes: bool
    few: bool
    conditional: bool = False

    @classmethod
    def of(cls, schema: Schema, rows: int, *, holes: bool, few: bool) -> Nature:
        """Return the nature of a table with a schema."""
        columns = len(schema.modelled)
        numbers = sum(column.levels is None for column in schema.modelled)
        labels = numbers < columns
        return cls(rows=rows, columns=columns, numbers=numbers, labels=labels, holes=holes, few=few)

    @property
    def wide(self) -> bool:
        """Whether there are no more rows than columns of numbers."""
        return self.rows <= self.numbers

    def refuses(self, family: TableFamily) -> str | None:
        """Return what a family needs that the table does not have; None if it suits."""
        if self.labels and not family.allows_labels:
            return "a table without labels"
        if self.holes and not family.allows_missing:
            return "a table without missing cells"
        if self.conditional and not family.allows_missing:
            return "no conditions on columns"
        if family.least_features > self.columns:
            return f"{counted(family.least_features, 'column')} or more"
        if self.wide and family.needs_many_rows:
            return (
                f"more rows than columns, and there are {counted(self.rows, 'row')} for "
                f"{counted(self.numbers, 'column')}"
            )
        return None


def suitable_families(name: str, nature: Nature, file: str | None) -> tuple[list[TableFamily], list[str]]:
    """Return the families that a name stands for and that suit, and notes on those that are left out.

    Where the families that ``auto`` stands for need more rows, it stands for those that do not.

    Raises
    ------
    DataError
        If a named family does not suit; names those that do.
    """
    named = FAMILIES.named(name)
    if len(named) == 1:
        reason = nature.refuses(named[0])
        if reason is not None:
            raise DataError(
                f"{name} needs {reason}", file=file, fix=_fix(lambda family: nature.refuses(family) is None)
            )
        return list(named), []
    frugal = nature.few or nature.wide
    tried = [family for family in FAMILIES.values() if _trusted(family, nature)] if frugal else named
    kept = [family for family in tried if nature.refuses(family) is None]
    left_out = [family.name for family in named if family not in tried]
    notes = []
    if left_out:
        why = f"for which {counted(nature.rows, 'row', 'are')} too few"
        if nature.wide:
            why = (
                f"which need more rows than columns ({counted(nature.rows, 'row')}, "
                f"{counted(nature.numbers, 'column')})"
            )
        notes.append(f"not tried: {', '.join(left_out)}, {why}")
    return kept, notes


def _trusted(family: TableFamily, nature: Nature) -> bool:
    """Return whether a quick family is to be trusted with few rows, or no more than columns."""
    if nature.rows < _A_HANDFUL:
        return isinstance(family, GaussianFamily)
    return isinstance(family, QuickFamily) and not family.needs_many_rows


def _fix(able: Callable[[TableFamily], bool]) -> str:
    return f"take {FAMILIES.fix(able)}, or give more rows or fewer columns"
