"""``logpx fit``: a table or images in, a model folder out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from logpx.cli.fitting import Fitting
from logpx.cli.interruption import stop_on_signal
from logpx.cli.names import COMPONENT_MODELS, IMAGE_MODELS, LATENT_MODELS, TABLE_MODELS
from logpx.cli.options import (
    CheckpointEvery,
    Columns,
    Compile,
    Data,
    Decimal,
    Device,
    Json,
    Missing,
    Overwrite,
    Quiet,
    SchemaFile,
    Seed,
    Source,
    from_home,
    one_of,
)
from logpx.cli.output import Output
from logpx.cli.requests import FitRequest
from logpx.cli.several import by_all
from logpx.cli.values import parse_duration
from logpx.processes.launch import launch
from logpx.suggestions import alternatives

__all__ = ["fit"]


def fit(
    source: Source,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="MODEL", callback=from_home, help="The model folder to write."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help=f"For tables {alternatives(TABLE_MODELS)}; for images {alternatives(IMAGE_MODELS[1:])}.",
            autocompletion=one_of(TABLE_MODELS + IMAGE_MODELS),
        ),
    ] = "auto",
    columns: Columns = None,
    schema: SchemaFile = None,
    missing: Missing = None,
    decimal: Decimal = None,
    components: Annotated[
        int | None,
        typer.Option(
            "--components",
            metavar="K",
            min=1,
            show_default=False,
            help=f"Components of {alternatives(COMPONENT_MODELS)}. By default, the number that is best on "
            "the rows set aside.",
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(
            "--latent",
            metavar="Q",
            min=0,
            show_default=False,
            help=f"Latent dimensions of {alternatives(LATENT_MODELS)} (of a table or of images). By default, "
            "the number that is best on the rows set aside; networks have one that suits the data.",
        ),
    ] = None,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            parser=parse_duration,
            show_default=False,
            help="About how long to take: 90s, 10m, 1h30m. One minute by default, ten for images; "
            "no limit by default with --steps or --epochs.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            min=1,
            show_default=False,
            help="Gradient steps, or iterations of EM, of each model that is tried. Without --time the "
            "same fit gives the same files again.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            show_default=False,
            help="Passes over the training rows of each model that is tried; otherwise like --steps.",
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            metavar="N",
            min=0,
            show_default=False,
            help="Sizes and learning rates of flows and other networks to try first, in part of the time "
            "(needs Optuna, the extra tune).",
        ),
    ] = 0,
    validation: Annotated[
        str | None,
        typer.Option(
            "--validation",
            metavar="SOURCE",
            show_default=False,
            help="Rows to choose the model by. By default, some rows of the table are set aside.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="COLUMN",
            show_default=False,
            help="The column of a table that says how much each row counts: like 2 rows for a 2. It is not "
            "modelled.",
        ),
    ] = None,
    all_rows: Annotated[
        bool,
        typer.Option(
            "--all-rows",
            help="Tables: fit the model to all rows of a table of which a sample would do, by EM that reads "
            "the table again for each step, in constant memory (gaussian, gmm, ppca, fa, mppca).",
        ),
    ] = False,
    data: Data = None,
    conditional: Annotated[
        bool, typer.Option("--conditional", help="Images: model p(x given class), using the labels.")
    ] = False,
    levels: Annotated[
        int | None,
        typer.Option(
            "--levels",
            metavar="L",
            min=2,
            max=256,
            show_default=False,
            help="Images: pixels run from 0 to L-1. 256 by default, or for arrays with no value above 63 the "
            "smallest power of two that fits.",
        ),
    ] = None,
    dequantisation: Annotated[
        str | None,
        typer.Option(
            "--dequantisation",
            metavar="NAME",
            show_default=False,
            help="Images: the noise, uniform (the default) or variational.",
            autocompletion=one_of(("uniform", "variational")),
        ),
    ] = None,
    compile: Annotated[
        Compile,
        typer.Option(
            "--compile",
            help="Whether training steps of flows run as native code: auto compiles where the time it takes "
            "comes back within the fit.",
        ),
    ] = Compile.AUTO,
    every: CheckpointEvery = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted fit of the same arguments, if there is one; otherwise begin one.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Fit a density to a table or to images and write a model folder.

    \b
    Examples:
      logpx fit table.csv -o model/
      logpx fit 'parts/*.parquet' -o model/ --time 10m
      logpx fit table.csv -o model/ --steps 2000
      logpx fit table.csv -o model/ --model nsf --columns price=positive,id=drop
      logpx fit holes.csv -o model/ --model gmm --components 3
      logpx fit survey.csv -o model/ --missing -999 --missing 'income:-9,-8'
      logpx fit survey.csv -o model/ --weights person_weight
      logpx fit 'parts/*.parquet' -o model/ --model gmm --all-rows --time 2h
      logpx fit images.npz -o model/ --model realnvp --time 20m
      logpx fit mnist -o model/ --data folder/

    Columns are inspected first: their kinds, bounds and grids are shown, saved in the model folder, and can
    be overridden. With --model auto several models are fitted, and the best on rows set aside is kept.
    Images are arrays (.npy, .npz), idx files, folders of PNG, TIFF or JPEG files, or mnist, fashion-mnist,
    cifar10. The first interrupt stops the fit and keeps the best model so far; a second one stops it at once.
    Either way, and after a kill, logpx resume goes on with the fit.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    request = FitRequest(
        source=source,
        model=model,
        columns=columns or [],
        schema=schema,
        missing=missing,
        decimal=decimal,
        components=components,
        latent=latent,
        time=time,
        steps=steps,
        epochs=epochs,
        trials=trials,
        validation=validation,
        weights=weights,
        all_rows=all_rows,
        seed=seed,
        device=device,
        quiet=quiet,
        data=data,
        conditional=conditional,
        dequantisation=dequantisation,
        levels=levels,
        compile=compile.value,
        should_stop=lambda: False,
        every=30.0 if every is None else every,
    )
    place = launch()

    def begin() -> int:
        with stop_on_signal() as stop:
            fitting = Fitting(output=output, out=out, stop=stop, overwrite=overwrite)
            again = place is not None and place.restarts > 0
            return fitting.start(replace(request, should_stop=stop.requested), resume=resume or again)

    return by_all(place, begin)
