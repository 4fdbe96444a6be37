"""``logpx inspect``: what a fit would make of a table, before anything is fitted."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.options import (
    Columns,
    Decimal,
    Json,
    Missing,
    Overwrite,
    Quiet,
    SchemaFile,
    Seed,
    TableSource,
    from_home,
)
from logpx.cli.output import Output
from logpx.cli.requests import InspectRequest
from logpx.cli.subjects import subject_of

__all__ = ["inspect"]


def inspect(
    source: TableSource,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            callback=lambda value: None if value is None else from_home(value),
            help="Write the schema as JSON, to edit and to fit with --schema.",
        ),
    ] = None,
    columns: Columns = None,
    schema: SchemaFile = None,
    missing: Missing = None,
    decimal: Decimal = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show what a fit would make of a table, and everything that is wrong with it, before anything is fitted.

    \b
    Examples:
      logpx inspect table.csv
      logpx inspect table.csv -o schema.json
      logpx inspect table.csv --columns zip=categorical,id=drop
      logpx inspect table.csv --schema schema.json
      logpx inspect 'parts/*.parquet' --json

    Every column is shown with its kind, why it was chosen, and the words that pin the choice with --columns.
    All columns with a problem are named at once; the exit code is then 3, as that of a fit would be, and no
    schema is written. With --schema the rows are checked against that schema.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    request = InspectRequest(
        source=source,
        output=output,
        columns=columns or (),
        schema=schema,
        missing=missing,
        decimal=decimal,
        overwrite=overwrite,
        seed=seed,
    )
    return subject_of(source).inspect(request, out)
