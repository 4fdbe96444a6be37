"""``logpx fit``: a table in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logpx.cli.interruption import stop_on_signal
from logpx.cli.options import Device, Json, Overwrite, Quiet, Seed, TablePath
from logpx.cli.output import Output, nats
from logpx.cli.values import parse_duration
from logpx.errors import UsageError

if TYPE_CHECKING:
    from logpx.tables import Schema, Table, TableFitResult

__all__ = ["MODELS", "fit"]

#: What --model takes; named here so that --help needs no PyTorch.
MODELS = ("auto", "gaussian", "gmm", "nice", "realnvp", "maf", "iaf", "nsf")


def fit(
    table: TablePath,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="MODEL", help="The model folder to write.")
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help=f"{', '.join(MODELS[:-1])} or {MODELS[-1]}.")
    ] = "auto",
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAME=KIND,...",
            show_default=False,
            help="Kinds that override the inferred ones: continuous, positive, bounded (or bounded:0:10), "
            "integer, identifier, drop.",
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="FILE",
            show_default=False,
            help="A complete schema in place of an inferred one, such as the schema.json of another model.",
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            parser=parse_duration,
            show_default=False,
            help="About how long to take: 90s, 10m, 1h30m. One minute by default.",
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            "--validation",
            metavar="TABLE",
            show_default=False,
            help="Rows to choose the model by. By default some rows of the table are set aside.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Fit a density to a table and write a model folder.

    \b
    Examples:
      logpx fit table.csv -o model/
      logpx fit 'parts/*.parquet' -o model/ --time 10m
      logpx fit table.csv -o model/ --model nsf --columns price=positive,id=drop

    Columns are inspected first: their kinds, bounds and grids are shown, saved in the model folder, and can
    be overridden. With --model auto several models are fitted, and the best on rows set aside is kept. The
    first interrupt ends the fit and keeps the best model so far; a second one ends it at once and writes
    nothing.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    with stop_on_signal() as stop:
        from logpx.storage import check_target, save
        from logpx.tables import fit_table, open_table
        from logpx.tables.fitting.families import family_named

        if model != "auto":
            family_named(model)
        target = check_target(output, overwrite=overwrite)
        source = open_table(table)
        chosen_schema = _schema(source, columns, schema, seed)
        out.note_table(chosen_schema.describe())
        result = fit_table(
            source,
            model,
            schema=chosen_schema,
            validation=validation,
            max_time=time,
            seed=seed,
            report=out.note,
            progress=False if quiet else None,
            should_stop=stop.requested,
            device=device,
        )
        stop.cancel()
        metrics = {"source": table, **result.to_dict()}
        save(result.model, target, overwrite=overwrite, metrics=metrics)
    _summarise(out, output, result)
    out.document(
        {"model": str(target), "interrupted": stop.requested(), **metrics, "schema": _columns(chosen_schema)}
    )
    if stop.exit_code is not None:
        out.note("interrupted: the best model so far was saved")
    return stop.exit_code or 0


def _schema(source: Table, columns: str | None, schema: str | None, seed: int) -> Schema:
    from logpx.tables import Schema, infer_schema, parse_columns

    if schema is None:
        return infer_schema(source, None if columns is None else parse_columns(columns), seed=seed)
    if columns is not None:
        raise UsageError("both --schema and --columns were given", fix="put the kinds into the schema file")
    try:
        content = Path(schema).read_bytes()
    except OSError as error:
        message = f"the schema cannot be read: {error.strerror}"
        raise UsageError(message, file=schema, fix="correct the path") from error
    return Schema.from_json(content, file=schema)


def _columns(schema: Schema) -> list[dict[str, Any]]:
    return [column.model_dump(mode="json") for column in schema.columns]


def _summarise(out: Output, output: str, result: TableFitResult) -> None:
    for note in result.notes:
        out.note(f"note: {note}")
    chosen = result.chosen
    name = "log p(x)" if result.model.kind == "exact" else "log p(x), lower bound,"
    value = nats(chosen.validation, chosen.standard_error)
    what = f"{chosen.model} on {chosen.scales} scales" + (f" ({chosen.note})" if chosen.note else "")
    out.note(f"{output}: {what}")
    out.note(f"mean {name} of {result.validation_rows:,} rows set aside: {value} nats per row")
