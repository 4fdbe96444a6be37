"""``logpx predict``: the distribution of some columns of a table, given others."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import (
    Device,
    Draws,
    GivenColumns,
    Json,
    Keep,
    KeptNames,
    ModelFolder,
    Overwrite,
    Quiet,
    Seed,
    TableSource,
    WrittenTable,
)
from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.values import parse_levels

__all__ = ["predict"]


def predict(
    model: ModelFolder,
    source: TableSource,
    kept: KeptNames = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COLUMNS",
            show_default=False,
            help="The columns to predict: price, or a,b. A name with a comma goes in double quotes. May be "
            "repeated.",
        ),
    ] = None,
    quantiles: Annotated[
        str,
        typer.Option("--quantiles", metavar="LEVELS", help="Levels of quantiles, above 0 and below 1."),
    ] = "0.05,0.5,0.95",
    given: GivenColumns = None,
    output: WrittenTable = "-",
    draws: Draws = 4,
    keep: Keep = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe the distribution of some columns of every row, given the others.

    \b
    Examples:
      logpx predict model/ new.csv --target price -o predicted.csv
      logpx predict model/ new.csv --target price --quantiles 0.1,0.9 --given cut,carat
      logpx predict model/ new.csv --target price,cut -o predicted.parquet --keep id

    For numbers and dates the columns are price_mean and price_quantile_0.05 and so on; for labels
    cut_predicted, the most probable one, and cut_probability_Fair and so on. Target columns of the table are
    not looked at and may be absent. Missing cells of given columns are integrated out.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the predictions")
    levels = parse_levels(quantiles)
    subject, fitted = load_model(model, device, source)
    request = Request(
        source=source,
        output=output,
        seed=seed,
        draws=draws,
        overwrite=overwrite,
        keep=keep,
        kept=kept or (),
        target=target or (),
        given=given or (),
    )
    subject.predict(fitted, levels, request, out)
