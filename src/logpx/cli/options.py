"""The arguments and options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated

import typer

from logpx.cli.names import COMPRESSED_TEXT, READABLE_TABLES, WRITABLE_TABLES
from logpx.cli.values import parse_duration
from logpx.suggestions import alternatives

__all__ = [
    "CheckpointEvery",
    "Columns",
    "Compile",
    "Data",
    "Decimal",
    "Device",
    "Draws",
    "Exactness",
    "GivenColumns",
    "Json",
    "Keep",
    "KeptNames",
    "Missing",
    "ModelFolder",
    "Overwrite",
    "Quiet",
    "Resume",
    "SchemaFile",
    "Seed",
    "Shard",
    "Source",
    "TableSource",
    "Target",
    "Written",
    "WrittenParts",
    "WrittenTable",
    "from_home",
    "one_of",
]


def from_home(value: str) -> str:
    """Replace ``~``, which shells leave as it is behind an equals sign."""
    return os.path.expanduser(value)


def one_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes the beginning of one of some names in a shell."""
    each = list(dict.fromkeys(names))

    def complete(incomplete: str) -> list[str]:
        return [name for name in each if name.startswith(incomplete)]

    return complete


_TABLE = (
    f"A table: a {alternatives(READABLE_TABLES)} file, text perhaps compressed "
    f"({', '.join(COMPRESSED_TEXT)}), a folder of such files, a quoted glob, a sheet (book.xlsx#Name), "
    "or - for standard input."
)
TableSource = Annotated[str, typer.Argument(metavar="SOURCE", show_default=False, help=_TABLE)]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help=f"{_TABLE} Or images: .npy, .npz, an idx file, a folder of PNG, TIFF or JPEG files, or a data "
        "set by name.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAME=KIND,...",
        show_default=False,
        help="Kinds that override the inferred ones: continuous, positive, bounded (or bounded:0:10), "
        "integer, categorical, identifier, weight, drop. A name with commas goes in double quotes. May be "
        "given several times.",
    ),
]
SchemaFile = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        show_default=False,
        help="A complete schema instead of an inferred one, such as the schema.json of another model.",
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="WORDS",
        show_default=False,
        help="Tables: more words that mean a missing cell, such as NA,-,. or, for one column, "
        "income:-9,-8; none switches the usual ones off. May be repeated.",
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="MARK",
        show_default=False,
        help="Tables: the decimal mark of numbers in text, . or a comma. By default it is recognised.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        show_default=False,
        help="Where to look for mnist, fashion-mnist and cifar10, instead of LOGPX_DATA and the cache.",
    ),
]
ModelFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        callback=from_home,
        help="A model folder written by logpx fit.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no notes.")]


class Compile(StrEnum):
    """Whether training steps run as native code."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed for everything random.")]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every",
        metavar="DURATION",
        parser=parse_duration,
        show_default=False,
        help="How often to keep what is done so far, 30s by default; never more than 2 % of the time.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where to compute: cpu, cuda, cuda:1, mps.",
        autocompletion=one_of(("cpu", "cuda", "mps")),
    ),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep", help="Tables: write the columns of the table, cell by cell as they are, before the others."
    ),
]
KeptNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[COLUMN]...",
        show_default=False,
        help="With --keep: the columns to keep, such as --keep id; all of them by default.",
    ),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="COLUMNS",
        show_default=False,
        help="Tables: the columns asked for, given the others: income, or a,b jointly. A name with a comma "
        "goes in double quotes. May be repeated.",
    ),
]
GivenColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="COLUMNS",
        show_default=False,
        help="Tables: the columns that the target is conditioned on, such as a,b; all others by default.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        show_default=False,
        help="Tables in several files: work on every Nth part from the Kth on, such as 3/16. -o is a folder.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Tables in several files: keep the parts that are finished, and go on with the others. -o is a "
        "folder.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Draws = Annotated[
    int,
    typer.Option(
        "--draws",
        min=1,
        help="Draws of noise to average over where log p is a lower bound (columns on a grid, images).",
    ),
]
WrittenTable = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        callback=from_home,
        help=f"A {alternatives(WRITABLE_TABLES)} file; - is CSV on stdout.",
    ),
]
WrittenParts = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|FOLDER/",
        callback=from_home,
        help=f"A {alternatives(WRITABLE_TABLES)} file; - is CSV on stdout. A folder or an address such as "
        "s3://bucket/folder gets one part for each file of the table.",
    ),
]
Written = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        callback=from_home,
        help=f"A {alternatives(WRITABLE_TABLES)} file; - is CSV on stdout. Images: a .png grid, or .npz.",
    ),
]
Exactness = Annotated[
    int | None,
    typer.Option(
        "--exactness",
        metavar="K",
        min=1,
        show_default=False,
        help="Draws to spend on each row or image, say 5000, for a tighter lower bound. Ignored where log p "
        "is exact.",
    ),
]
