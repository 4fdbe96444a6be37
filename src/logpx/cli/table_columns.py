"""What stands beside the numbers in the output of a command: kept cells, row numbers, surprisals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logpx.cli.requests import Request
from logpx.errors import UsageError
from logpx.suggestions import suggestion

if TYPE_CHECKING:
    import pyarrow as pa

    from logpx.tables import Table, TableModel
    from logpx.tables.kept_cells import KeptCells

__all__ = ["beside", "cells_of", "is_numbered", "kept_names", "surprisals"]


def is_numbered(kept: KeptCells | None, request: Request) -> bool:
    """Tell whether rows are numbered: in files, unless the table has such a column itself."""
    return request.output != "-" and (kept is None or "row" not in kept.schema.names)


def surprisals(model: TableModel, source: Table, request: Request) -> Iterator[Mapping[str, Any]]:
    """Yield how surprising each cell is given the others, if that is asked for."""
    if not request.each_cell:
        yield from itertools.repeat({})
    names = [f"{name}_surprisal" for name in model.schema.modelled_names]
    for found in model.surprisal_batches(source, seed=request.seed, draws=request.draws):
        yield dict(zip(names, found.T.numpy(force=True), strict=True))


def kept_names(source: Table, texts: Sequence[str]) -> list[str]:
    """Return the columns that ``--keep`` names, apart or with commas between them."""
    names = [name for text in texts for name in ([text] if text in source.names else text.split(","))]
    for name in names:
        if name not in source.names:
            raise UsageError(
                f"the table has no column {name!r} to keep", fix=suggestion(name, list(source.names))
            )
    return names


def beside(kept: KeptCells | None, others: pa.Schema) -> pa.Schema:
    """Return the columns of an output: what is kept, and then the others."""
    return others if kept is None else kept.beside(others)


def cells_of(kept: KeptCells | None, rows: int = 65536) -> Iterator[Mapping[str, Any]]:
    """Yield the kept cells batch by batch, or nothing each time."""
    return itertools.repeat({}) if kept is None else kept.batches(rows)
