"""``logpx impute``: a table with its missing cells filled in."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import (
    Device,
    Json,
    ModelFolder,
    Overwrite,
    Quiet,
    Resume,
    Seed,
    Shard,
    TableSource,
    WrittenParts,
)
from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.table_parts import parts_asked_for

__all__ = ["impute"]


def impute(
    model: ModelFolder,
    source: TableSource,
    output: WrittenParts = "-",
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            min=1,
            show_default=False,
            help="Completed tables to draw, written one after another and numbered in a column draw. By "
            "default, one table with the best guess for each cell.",
        ),
    ] = None,
    shard: Shard = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill in the missing cells of a table.

    \b
    Examples:
      logpx impute model/ holes.csv -o filled.parquet
      logpx impute model/ holes.csv -o filled.parquet --draws 20
      logpx impute model/ 'parts/*.parquet' -o filled/ --shard 3/16 --resume

    Cells that are present stay as they are. Every missing cell is filled in from its conditional distribution
    given the other cells of its row: with its mean on the column's own scale (after a logarithm that is a
    median; of autoregressive, the mean in the column's units), kept within the range of the fitted values, or
    with the most probable label. With --draws, all missing cells of a row are drawn
    jointly, and the spread between the tables is the uncertainty. The distribution is exact, except for a
    vae, where importance sampling approximates it. Any model of a table with missing cells will do, however
    it was chosen. Where -o is a folder, each file of the table becomes a part of it, as in logpx score.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the rows")
    parts = parts_asked_for(output, shard, resume)
    subject, fitted = load_model(model, device, source)
    request = Request(source=source, output=output, seed=seed, overwrite=overwrite, model=model, parts=parts)
    subject.impute(fitted, draws, request, out)
