"""What rows must satisfy for a density to exist on them, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import TableFamily
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.problems import joined_errors
from logpx.tables.schema.schema import Column, Schema

__all__ = [
    "leaving_out",
    "located_in",
    "require_labels_allowed",
    "require_support",
    "support_errors",
]

# The grid of a long table is found in a sample of its rows, which may miss a few rows off the grid.
_FEW_OFF_GRID = 0.01
_SHOWN = 20


def leaving_out(names: Sequence[str]) -> str:
    """Return the fix that leaves columns out, to be pasted."""
    return f"leave {'it' if len(names) == 1 else 'them'} out: {columns_option(dict.fromkeys(names, 'drop'))}"


def support_errors(rows: Tensor, schema: Schema) -> dict[str, DataError]:
    """Return by column how rows contradict the bounds or the grids that a schema claims.

    Parameters
    ----------
    rows : Tensor
        Shape ``(n, d)``, float64.
    schema : Schema
        The schema, possibly edited by a user.
    """
    supports = Supports.of(schema.modelled).supports
    found = {
        column.name: _contradiction(values, column, support)
        for column, support, values in zip(schema.modelled, supports, rows.T, strict=True)
    }
    return {name: error for name, error in found.items() if error is not None}


def require_support(rows: Tensor, schema: Schema, file: object) -> None:
    """Raise if rows contradict the bounds or the grids that a schema claims.

    Parameters
    ----------
    rows, schema
        As in `support_errors`.
    file
        The name of the table for messages.

    Raises
    ------
    DataError
        Naming every column that is contradicted, and a value.
    """
    errors = support_errors(rows, schema)
    if errors:
        raise joined_errors(errors, file)


def _contradiction(values: Tensor, column: Column, support: Support) -> DataError | None:
    outside, off_grid = support.outside(values), support.off_grid(values)
    if bool(outside.any()):
        return DataError(
            f"the value {values[outside][0].item():g} lies outside the bounds that the schema gives",
            column=column.name,
            fix="correct the cell, or give the column wider bounds: in its schema, or "
            f"with --columns {column.name}=bounded:LOWER:UPPER; {column.name}=continuous claims none",
        )
    ends = support.on_an_open_end(values)
    if bool(ends.any()):
        return DataError(
            f"the value {values[ends][0].item():g} lies on a bound that the schema gives, where "
            "the density ends, and is not among the column's atoms",
            column=column.name,
            fix="add the value to the column's atoms in the schema, or widen the bounds",
        )
    if int(off_grid.sum()) > _FEW_OFF_GRID * len(values):
        return DataError(
            f"the value {values[off_grid][0].item():g} is not on the grid of step {support.step:g} "
            "that the schema gives",
            column=column.name,
            fix="correct the column's step and offset in the schema, or remove them",
        )
    return None


def require_labels_allowed(schema: Schema, families: Sequence[TableFamily], file: object) -> None:
    """Raise if there are labels, but no family can model them.

    Raises
    ------
    DataError
        Naming all columns of labels.
    """
    labelled = [column.name for column in schema.modelled if column.levels is not None]
    if labelled and not any(family.allows_labels for family in families):
        named = ", ".join(map(repr, labelled[:_SHOWN])) + (", …" if len(labelled) > _SHOWN else "")
        one = len(labelled) == 1
        others = FAMILIES.fix(lambda family: family.allows_labels)
        left_out = columns_option(dict.fromkeys(labelled, str(Kind.DROP)))
        raise DataError(
            f"{'the column holds' if one else f'the columns {named} hold'} labels, "
            f"which {families[0].name} cannot model",
            file=file,
            column=labelled[0] if one else None,
            fix=f"take {others}"
            + (f", or leave them out with {left_out}" if len(labelled) < len(schema.modelled) else ""),
        )


@contextmanager
def located_in(file: str | None) -> Iterator[None]:
    """Name the file in an error about the values of its columns."""
    try:
        yield
    except DataError as error:
        error.file = error.file or file
        raise
