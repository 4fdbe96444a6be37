"""What rows must satisfy for a density to exist on them, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from logpx.errors import DataError
from logpx.tables.columns.supports import Supports
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import TableFamily
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.schema import Schema

__all__ = [
    "located_in",
    "require_enough_rows",
    "require_labels_allowed",
    "require_support",
]

# The grid of a long table is found in a sample of its rows, which may miss a few rows off the grid.
_FEW_OFF_GRID = 0.01
_SHOWN = 20


def require_enough_rows(rows: int, schema: Schema) -> None:
    """Raise if there are no more rows than columns: whatever their values, they then lie on a plane.

    Columns on a grid do not count, because their noise spans them, nor do labels.

    Raises
    ------
    DataError
        Naming both numbers.
    """
    supports = Supports.of(schema.modelled)
    smooth = supports.levels.count(None) - len(supports.gridded)
    if rows <= smooth:
        raise DataError(
            f"{rows} rows for {smooth} columns: no density exists unless there are more rows than columns",
            fix="give more rows, or leave columns out",
        )


def require_support(rows: Tensor, schema: Schema, file: object) -> None:
    """Raise if rows contradict the bounds or the grids that a schema claims.

    Parameters
    ----------
    rows : Tensor
        Shape ``(n, d)``, float64.
    schema : Schema
        The schema, possibly edited by a user.
    file
        The name of the table for messages.

    Raises
    ------
    DataError
        Naming the column and a value.
    """
    supports = Supports.of(schema.modelled).supports
    for column, support, values in zip(schema.modelled, supports, rows.T, strict=True):
        outside, off_grid = support.outside(values), support.off_grid(values)
        if bool(outside.any()):
            raise DataError(
                f"the value {values[outside][0].item():g} lies outside the bounds that the schema gives",
                file=file,
                column=column.name,
                fix="correct the cell, or the column's lower and upper in the schema",
            )
        if int(off_grid.sum()) > _FEW_OFF_GRID * len(values):
            raise DataError(
                f"the value {values[off_grid][0].item():g} is not on the grid of step {support.step:g} "
                "that the schema gives",
                file=file,
                column=column.name,
                fix="correct the column's step and offset in the schema, or remove them",
            )


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
