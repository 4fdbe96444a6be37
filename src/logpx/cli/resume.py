"""``logpx resume``: go on with a fit that was interrupted."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.fitting import Fitting
from logpx.cli.interruption import stop_on_signal
from logpx.cli.options import Json, ModelFolder, Quiet
from logpx.cli.output import Output
from logpx.cli.several import by_all
from logpx.cli.values import parse_duration
from logpx.processes.launch import launch

__all__ = ["resume"]


def resume(
    model: ModelFolder,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            parser=parse_duration,
            show_default=False,
            help="How long to take from now: 90s, 10m, 1h30m. By default, what is left of the limit.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a fit that was interrupted, killed, or ended by its limit of time.

    \b
    Examples:
      logpx resume model/
      logpx resume model/ --time 1h

    The arguments are those of that fit, and the table must be the same. Models that were
    ready are not fitted again. A fit that is bounded by --steps or --epochs ends with the same files as if it
    had not been interrupted.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)

    def go_on() -> int:
        with stop_on_signal() as stop:
            return Fitting(output=model, out=out, stop=stop).resume(time)

    return by_all(launch(), go_on)
