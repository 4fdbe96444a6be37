"""``logpx update``: a fitted model, brought up to date by new rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from logpx.cli.fitting import Fitting
from logpx.cli.interruption import stop_on_signal
from logpx.cli.options import (
    CheckpointEvery,
    Device,
    Json,
    ModelFolder,
    Overwrite,
    Quiet,
    Seed,
    TableSource,
    from_home,
)
from logpx.cli.output import Output
from logpx.cli.requests import UpdateRequest
from logpx.cli.values import parse_duration

__all__ = ["update"]


def update(
    model: ModelFolder,
    source: TableSource,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FOLDER", callback=from_home, help="The model folder to write."
        ),
    ],
    old: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="OLD",
            show_default=False,
            help="The table that the model was fitted to, if it is still there.",
        ),
    ] = None,
    passes: Annotated[
        int,
        typer.Option("--passes", min=1, help="Steps of EM; with --with, all of them on old and new rows."),
    ] = 1,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            parser=parse_duration,
            show_default=False,
            help="How long to train networks: 30s, 10m, 2h. 60s by default; no limit with --steps or "
            "--epochs.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=1,
            show_default=False,
            help="Steps to train networks. Without --time the same update gives the same files again.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            show_default=False,
            help="Passes over the rows to train networks; otherwise like --steps.",
        ),
    ] = None,
    every: CheckpointEvery = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted update of the same arguments, if there is one; otherwise begin "
            "one.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Update a model by new rows, and write it to another folder.

    \b
    Examples:
      logpx update model/ new.parquet -o model2/
      logpx update model/ new.csv -o model2/ --with old.csv --passes 20
      logpx update model/ new.csv -o model/ --overwrite

    Gaussians, mixtures, ppca and fa are updated from statistics of old and new rows together, exactly as if
    EM had made its step on all rows from this model; the folder keeps those of the old rows. Networks (flows,
    vae, autoregressive) are trained on, on the old rows, too, if --with gives them. The maps of the columns
    and the labels stay as they are. The new folder says where it comes from (lineage).
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    from logpx.storage import model_digest

    request = UpdateRequest(
        model=model,
        digest=model_digest(model),
        source=source,
        old=old,
        passes=passes,
        time=time,
        steps=steps,
        epochs=epochs,
        seed=seed,
        device=device,
        quiet=quiet,
        should_stop=lambda: False,
        every=30.0 if every is None else every,
    )
    with stop_on_signal() as stop:
        fitting = Fitting(output=output, out=out, stop=stop, overwrite=overwrite)
        return fitting.start(replace(request, should_stop=stop.requested), resume=resume)
