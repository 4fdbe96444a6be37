"""``logpx anomalies``: the unusual rows of a table, how sure that is, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import (
    Device,
    Json,
    Keep,
    KeptNames,
    ModelFolder,
    Overwrite,
    Quiet,
    Seed,
    Source,
    WrittenTable,
)
from logpx.cli.output import Output
from logpx.cli.subject import Request

__all__ = ["anomalies"]


def anomalies(
    model: ModelFolder,
    source: Source,
    kept: KeptNames = None,
    output: WrittenTable = "-",
    fdr: Annotated[
        float | None,
        typer.Option(
            "--fdr",
            metavar="RATE",
            show_default=False,
            help="Select rows so that on average at most this share of them is of the usual kind. The "
            "default, with 0.05.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", show_default=False, help="Select the N rows of lowest log p."),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha",
            metavar="LEVEL",
            show_default=False,
            help="Select rows with a p-value of at most this.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Write every row, in the order of the table.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print the reasons of each row, too; with --all, find them first."),
    ] = False,
    keep: Keep = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the unusual rows of a table: which, how sure that is, and why.

    \b
    Examples:
      logpx anomalies model/ new.csv -o found.csv
      logpx anomalies model/ new.csv -o found.csv --fdr 0.1 --explain
      logpx anomalies model/ new.csv -o found.csv --top 100 --keep id,time
      logpx anomalies model/ new.csv -o found.csv --alpha 0.01
      logpx anomalies model/ new.parquet -o all.parquet --all

    The columns are row (counted from 1), p_value, log p as in logpx score, and reasons: the cells that are
    not to be expected given the rest, and what was. The most unusual rows come first. A p-value is the share
    of rows set aside when the model was fitted that are as unusual; among rows of the same kind at most 5 %
    have one of 0.05 or less, whatever the model. With --all, tables of any length are written in constant
    memory.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the rows")
    from logpx.detection.selection import selection_of

    selection = selection_of(fdr=fdr, top=top, alpha=alpha, everything=everything)
    subject, fitted = load_model(model, device)
    request = Request(
        source=source, output=output, seed=seed, overwrite=overwrite, keep=keep, kept=kept or ()
    )
    subject.anomalies(fitted, selection, explain or None, request, out)
