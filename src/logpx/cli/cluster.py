"""``logpx cluster``: the component of a mixture that each row of a table belongs to."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import (
    Device,
    Draws,
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

__all__ = ["cluster"]


def cluster(
    model: ModelFolder,
    source: TableSource,
    kept: KeptNames = None,
    output: WrittenTable = "-",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every cluster.")
    ] = False,
    draws: Draws = 8,
    keep: Keep = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the cluster of every row of a table, and how probable it is.

    \b
    Examples:
      logpx cluster model/ table.csv -o clusters.csv
      logpx cluster model/ table.csv -o clusters.parquet --probabilities

    Clusters are the components of the mixture, numbered from 0. The columns are cluster (the most probable
    one) and probability (of that cluster given the row); with --probabilities also probability_0,
    probability_1 and so on. Rows with missing cells are assigned by the cells that are present.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the clusters")
    subject, fitted = load_model(model, device, source)
    request = Request(
        source=source,
        output=output,
        seed=seed,
        draws=draws,
        overwrite=overwrite,
        keep=keep,
        kept=kept or (),
    )
    subject.cluster(fitted, probabilities, request, out)
