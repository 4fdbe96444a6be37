"""``logpx drift``: whether the joint distribution of a table has moved."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model
from logpx.cli.options import Device, Json, ModelFolder, Quiet, Seed, TableSource
from logpx.cli.output import Output
from logpx.cli.requests import Request

__all__ = ["drift"]


def drift(
    model: ModelFolder,
    source: TableSource,
    alpha: Annotated[
        float, typer.Option("--alpha", metavar="A", help="How often a false alarm may happen, such as 0.01.")
    ] = 0.05,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether new rows come from the distribution of the rows that a model was fitted to.

    \b
    Examples:
      logpx drift model/ new.csv
      logpx drift model/ new.parquet --alpha 0.01 --json

    New rows are compared with rows that were set aside at the fit: the mean and the distribution of their
    log p, every column by itself, and every column given the others of its row. p-values are adjusted for
    the number of tests, and columns that have moved are named. Rows have to be independent of each other.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    subject, fitted = load_model(model, device, source)
    subject.drift(fitted, alpha, Request(source=source, seed=seed), out)
