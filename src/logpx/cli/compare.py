"""``logpx compare``: several models on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from logpx.cli.folder import load_model
from logpx.cli.options import Data, Device, Draws, Exactness, Json, Quiet, Seed, from_home
from logpx.cli.output import Output, nats
from logpx.cli.requests import Request
from logpx.errors import UsageError
from logpx.wording import counted

if TYPE_CHECKING:
    from logpx.scoring import Difference, Leaderboard

__all__ = ["compare"]


def compare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL... SOURCE",
            show_default=False,
            help="Two or more model folders, then a table or images that none of them has seen.",
        ),
    ],
    draws: Draws = 1,
    exactness: Exactness = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a leaderboard of models on the same rows and noise, and which differences are real.

    \b
    Examples:
      logpx compare a/ b/ test.csv
      logpx compare a/ b/ c/ test.parquet --json
      logpx compare flow/ vae/ mnist:test --exactness 100

    Means come with standard errors, in nats per row or, for images, in bits per dimension. Differences are
    paired, row by row, and p-values are adjusted for the number of pairs (Holm). Where a lower bound
    stands beside an exact number, that is said. Models of other columns, grids or atoms are refused: their
    log p refers to something else.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    *folders, source = [from_home(path) for path in paths]
    if len(folders) < 2:
        raise UsageError("fewer than two models to compare", fix="logpx compare a/ b/ test.csv")
    names = [folder.rstrip("/") or folder for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the model {name} is named twice", fix="name every model once")
    from logpx.api import compare as compared

    loaded = [load_model(folder, device, source) for folder in folders]
    subject = loaded[0][0]
    if any(type(other) is not type(subject) for other, _ in loaded):
        raise UsageError(
            "models of tables and of images cannot be compared",
            fix="compare models of the same table, or of the same images",
        )
    rows = subject.open(Request(source=source, seed=seed, data=data), out)
    models = dict(zip(names, (model for _, model in loaded), strict=True))
    board = compared(models, rows, seed=seed, draws=draws, exactness=exactness)
    noun = subject.rows.removesuffix("s")
    out.text(f"{counted(board.rows, noun)} (mean ± standard error)")
    _print(board, out)
    for note in board.notes:
        out.note(f"note: {note}")
    if board.possible is not None:
        out.text(f"{counted(board.possible.rows, noun)} that every model finds possible:")
        _print(board.possible, out)
    out.document(board.to_dict())


def _print(board: Leaderboard, out: Output) -> None:
    behind = {one.worse: one for one in board.differences if one.better == board.entries[0].name}
    out.table(
        [
            {
                "model": entry.name,
                entry.unit.column: nats(entry.value, entry.standard_error),
                "kind": entry.unit.kind_of_value(entry.kind),
                "behind the best": _behind(behind.get(entry.name)),
                "impossible rows": f"{entry.outside:,}" if entry.outside else "",
                "parameters": f"{entry.size.parameters:,}",
                "MB": f"{entry.size.bytes / 1e6:.3g}",
                "s per 10⁶ rows": f"{entry.seconds_per_million:.3g}",
            }
            for entry in board.entries
        ]
    )
    for statement in board.statements:
        out.text(statement)


def _behind(difference: Difference | None) -> str:
    return "" if difference is None else nats(difference.value, difference.standard_error)
