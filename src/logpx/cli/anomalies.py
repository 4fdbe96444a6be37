"""``logpx anomalies``: the unusual rows of a table, how sure that is, and why."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from logpx.cli.folder import is_model_folder, load_model, to_stdout
from logpx.cli.options import (
    Columns,
    Decimal,
    Device,
    Json,
    Keep,
    KeptNames,
    Missing,
    Overwrite,
    Quiet,
    Seed,
    WrittenTable,
    from_home,
)
from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.subjects import subject_of
from logpx.errors import UsageError

__all__ = ["anomalies"]


def anomalies(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            callback=from_home,
            help="A model folder written by logpx fit; or a table, to find unusual rows among its own.",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]", show_default=False, help="The table to look at, as in logpx score."
        ),
    ] = None,
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
        typer.Option("--top", metavar="N", show_default=False, help="Select the N rows of lowest score."),
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
    columns: Columns = None,
    missing: Missing = None,
    decimal: Decimal = None,
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
      logpx anomalies table.csv -o found.csv
      logpx anomalies table.csv -o found.csv --columns zip=categorical --missing -999

    The columns are row (counted from 1), p_value, score, log p as in logpx score, and reasons: the cells that
    are not to be expected given the rest, and what was. The most unusual rows come first: by the score, which
    is low if log p or an ensemble of robust mixtures that the fit has kept finds a row unusual.

    A p-value is the share of rows set aside when the model was fitted that are as unusual; among rows of the
    same kind at most 5 % have one of 0.05 or less, whatever the model. With --all, tables of any length are
    written in constant memory.

    Without a model, unusual rows are found among the rows of one table, which may hold many: each row is
    scored by small robust mixtures that have not seen it, and its p-value is an estimate without guarantee.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the rows")
    from logpx.detection.selection import selection_of

    selection = selection_of(fdr=fdr, top=top, alpha=alpha, everything=everything)
    names = list(kept or ())
    request = Request(source=source or "", output=output, seed=seed, overwrite=overwrite, keep=keep)
    # Before a second table there is a model, and no folder of tables: what is missing then is the model.
    if is_model_folder(model) or (source is not None and not keep and not os.path.isfile(model)):
        if source is None:
            raise UsageError("no table was given", fix="name the table to look at behind the model")
        for option, value in (("--columns", columns), ("--missing", missing), ("--decimal", decimal)):
            if value:
                raise UsageError(
                    f"{option} is for a table without a model", fix=f"leave {option} out, or fit with it"
                )
        subject, fitted = load_model(model, device, source)
        subject.anomalies(fitted, selection, explain or None, replace(request, kept=names), out)
        return
    names = [] if source is None else [source, *names]
    request = replace(
        request, source=model, kept=names, columns=columns or (), missing=missing, decimal=decimal
    )
    request.check_kept()
    subject_of(model).own_anomalies(selection, explain or None, request, out)
