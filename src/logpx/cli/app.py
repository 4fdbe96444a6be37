"""The commands by name. Nothing heavier than Typer is imported here: ``--help`` has to be instant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import typer

from logpx._version import __version__
from logpx.cli.anomalies import anomalies
from logpx.cli.cluster import cluster
from logpx.cli.compare import compare
from logpx.cli.completion import complete_at_once
from logpx.cli.drift import drift
from logpx.cli.evaluate import evaluate
from logpx.cli.explore import explore
from logpx.cli.fit import fit
from logpx.cli.impute import impute
from logpx.cli.info import info
from logpx.cli.inspect import inspect
from logpx.cli.predict import predict
from logpx.cli.report import report
from logpx.cli.resume import resume
from logpx.cli.sample import sample
from logpx.cli.score import score
from logpx.cli.several import refuse_several
from logpx.cli.update import update

__all__ = ["ReaderGoneError", "app"]

complete_at_once()
# Plain help: quick to print, the same on every terminal and in every pipe.
app = typer.Typer(
    name="logpx",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ReaderGoneError(Exception):
    """The reader of stdout has closed it; raised because Typer would end the process on `BrokenPipeError`."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"logpx {__version__}")
        raise typer.Exit


@app.callback()
def logpx(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Answer log p(x): fit a density to a table or to images; score, sample, fill in, compare.

    \b
    Examples:
      logpx inspect table.csv
      logpx fit table.csv -o model/
      logpx resume model/
      logpx evaluate model/ test.csv
      logpx compare a/ b/ test.csv
      logpx score model/ new.csv -o scores.parquet
      logpx sample model/ -n 1000 -o samples.csv
      logpx predict model/ new.csv --target price -o predicted.csv
      logpx anomalies model/ new.csv -o found.csv
      logpx drift model/ new.csv
      logpx impute model/ holes.csv -o filled.csv
      logpx cluster model/ table.csv -o clusters.csv
      logpx update model/ new.csv -o model2/
      logpx info model/
      logpx report model/ -o report.html
      logpx explore model/

    Data go to stdout, progress and notes to stderr. Every command takes --json, --quiet and --help.
    Exit codes: 0 ok, 1 bug, 2 usage, 3 bad data, 4 bad model folder, 5 diverged, 6 out of disk or memory,
    75 out of time before the steps asked for, 129, 130, 131 and 143 interrupted.
    """  # noqa: D301 - \b keeps the lines of the examples apart


# What several processes of a launcher do together; every other command is one process's work.
_DIVIDED = frozenset({fit, resume, score, impute})


def _registered(command: Callable[..., int | None]) -> None:
    @functools.wraps(command)
    def run(**arguments: Any) -> int | None:
        if command not in _DIVIDED:
            refuse_several(command.__name__)
        try:
            return command(**arguments)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    app.command()(run)


for _command in (
    inspect,
    fit,
    resume,
    score,
    sample,
    evaluate,
    compare,
    predict,
    anomalies,
    drift,
    impute,
    cluster,
    update,
    info,
    report,
    explore,
):
    _registered(_command)
