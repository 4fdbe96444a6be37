"""``logpx report``: a model folder as one page of HTML."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from logpx.cli.options import Device, Json, ModelFolder, Overwrite, Quiet, Seed, from_home
from logpx.cli.output import Output

__all__ = ["report"]


def report(
    model: ModelFolder,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", callback=from_home, help="The HTML file to write."),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="SOURCE",
            show_default=False,
            help="Other rows or images to compare with. The source of the fit is looked at, too, if it is "
            "still where it was.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a report: what was fitted, how good it is, and figures, in one HTML file.

    \b
    Examples:
      logpx report model/ -o report.html
      logpx report model/ --data new.csv -o report.html
      logpx report model/ -o report.html --overwrite --json

    The verdict comes first. The file needs no network and can be sent by mail; figures hold values of the
    rows, and the most unusual rows are listed. Needs matplotlib: pip install 'logpx[plots]'.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    from logpx.report import write_report

    made = write_report(model, output, data, seed=seed, device=device, overwrite=overwrite)
    for note in made.notes:
        out.note(f"note: {note}")
    out.note(f"{output}: {made.verdict.level}. {made.verdict.sentence}")
    out.document(
        {
            "output": output,
            "bytes": os.path.getsize(output),
            "verdict": {
                "level": made.verdict.level,
                "sentence": made.verdict.sentence,
                "reasons": list(made.verdict.reasons),
            },
            "sections": [section.key for section in made.sections],
            "figures": sum(len(section.figures) for section in made.sections),
            "seed": seed,
            "notes": made.notes,
        }
    )
