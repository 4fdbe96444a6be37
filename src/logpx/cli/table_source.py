"""What a command opens: a table with the kinds given for its columns, and columns given others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output
from logpx.cli.requests import FitRequest, InspectRequest, Request
from logpx.errors import UsageError

if TYPE_CHECKING:
    from logpx.tables import Inspection, Schema, Table, TableModel
    from logpx.tables.conditioning.conditional_model import ConditionalModel

__all__ = ["conditional_of", "inspected", "note_companion", "opened", "pins", "schema_file"]


def opened(
    source: str, out: Output, missing: Sequence[str] | None = None, decimal: str | None = None
) -> Table:
    """Open a table, and say what of it is skipped."""
    from logpx.tables import open_table

    table = open_table(source, missing=missing, decimal=decimal)
    for note in table.notes:
        out.note(f"note: {note}")
    return table


def pins(columns: Sequence[str]) -> dict[str, Any]:
    """Return the kinds that ``--columns`` gives."""
    from logpx.tables import parse_columns

    return {name: column for text in columns for name, column in parse_columns(text).items()}


def schema_file(request: FitRequest | InspectRequest) -> Schema | None:
    """Return the schema of a file, if one is named."""
    from logpx.tables import Schema

    if request.schema is None:
        return None
    if request.columns:
        raise UsageError("both --schema and --columns were given", fix="put the kinds into the schema file")
    try:
        content = Path(request.schema).read_bytes()
    except OSError as error:
        message = f"the schema cannot be read: {error.strerror}"
        raise UsageError(message, file=request.schema, fix="correct the path") from error
    return Schema.from_json(content, file=request.schema)


def inspected(source: Table, request: FitRequest) -> Inspection:
    """Return what is known of the columns of a table, with a schema file as it is."""
    from logpx.tables import Inspection, inspect_columns
    from logpx.tables.schema.weights import pinned_weight, schema_with_weight

    schema = schema_file(request)
    if schema is not None:
        if request.weights is not None:
            schema = schema_with_weight(schema, request.weights, source)
        schema.check(source.names, source.file)
        return Inspection(schema=schema, file=source.file)
    kinds = pins(request.columns)
    if request.weights is not None:
        kinds = pinned_weight(kinds, request.weights, source)
    return inspect_columns(source, kinds, seed=request.seed)


def conditional_of(model: TableModel, request: Request) -> ConditionalModel:
    """Return the model of the columns that are asked for, given those that are named."""
    from logpx.tables.conditioning.columns import parse_names

    if not request.target:
        raise UsageError("no target is named", fix="name the columns to predict, such as --target price")
    given = parse_names(request.given, model.schema) if request.given else None
    return model.conditional(parse_names(request.target, model.schema), given)


def note_companion(model: TableModel, purpose: str, out: Output) -> None:
    """Say if not the model itself answers, but another one that is kept beside it."""
    note = model.companion_note(purpose)
    if note is not None:
        out.note(f"note: {note}")
