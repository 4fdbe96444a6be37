"""``logpx sample``: new rows or images from a model."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import Device, Json, ModelFolder, Overwrite, Quiet, Seed, Written
from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.values import parse_count

__all__ = ["sample"]


def sample(
    model: ModelFolder,
    rows: Annotated[
        int, typer.Option("--rows", "-n", metavar="N", parser=parse_count, help="How many rows: 1000, 1e6.")
    ],
    output: Written = "-",
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="CLASS",
            show_default=False,
            help="Images: the class to draw, if the model has classes; by default each in turn.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE|FILE",
            show_default=False,
            help="Tables: draw given values of columns, such as age=40 (may be repeated); or given the rows "
            "of a table, of which each is drawn N times.",
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="TABLE",
            show_default=False,
            help="Tables: the rows that the model was fitted to; print how near to them the new rows are.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw new rows in the units of the table, or new images.

    \b
    Examples:
      logpx sample model/ -n 1000 -o samples.parquet
      logpx sample model/ -n 10
      logpx sample model/ -n 1e7 -o many.parquet --seed 7
      logpx sample model/ -n 100 --given age=40 --given 'sex=Female'
      logpx sample model/ -n 5 --given rows.csv -o drawn.csv
      logpx sample model/ -n 1000 -o samples.csv --check train.csv
      logpx sample model/ -n 64 -o samples.png

    The first rows do not depend on how many are drawn. Memory use does not grow with the number of rows.
    Given cells come out as they were given; all else is drawn from its joint distribution given them,
    missing cells of given rows, too. With --check, exact copies of training rows, distances from the nearest
    one and how well log p tells training rows from others are printed: numbers, not a promise of privacy.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the rows")
    subject, fitted = load_model(model, device)
    request = Request(output=output, seed=seed, overwrite=overwrite, given=given or (), check=check)
    subject.sample(fitted, rows, label, request, out)
