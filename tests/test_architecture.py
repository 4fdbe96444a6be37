"""The rooms of docs/design.md: arrows only point downwards, and no file's code outgrows one concept."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/logpx"
# Of statements: docstrings, comments and blank lines are free.
MOST_LINES_OF_CODE = 300

# What a file is made of besides code.
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

# Rooms on one line of the design do not know each other, but for these.
WITHIN_A_LINE = {("transforms", "nets"), ("configuration", "errors"), ("arguments", "errors")}

# The package's front names every room, and the version is a value without a room.
OUTSIDE = {"__init__", "__main__", "_version"}


def levels() -> dict[str, int]:
    """Read the rooms from the design, 0 for the top line."""
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## Rooms\n.*?^```\n(.*?)^```", design, re.MULTILINE | re.DOTALL)
    rooms = {}
    for level, line in enumerate(block.splitlines()):
        for room in re.findall(r"(\w+)(?:/|\.py)(?=\s)", line):
            rooms[room] = level
    return rooms


LEVELS = levels()


def room_of(module: str) -> str:
    """Return the room of a dotted module name; ``logpx`` itself is the front."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of every logpx module that a source text of ``package`` imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            names = [f"{base}.{item.name}" for item in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] == "logpx")


def upward(source: str, room: str, package: str) -> list[str]:
    """List the imports of a source text that do not point downwards from its room."""
    wrong = []
    for line, name in imports(source, package):
        other = room_of(name)
        if other in {room, "_version"} or (room, other) in WITHIN_A_LINE:
            continue
        if other not in LEVELS or LEVELS[other] <= LEVELS[room]:
            wrong.append(f"line {line}: {room} imports {name}")
    return wrong


def lines_of_code(source: str) -> set[int]:
    """Return the numbers of the lines that hold code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {
        line
        for token in tokens
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                code -= set(range(first.lineno, first.end_lineno + 1))
    return code


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def file_id(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room_of_file(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_design_orders_the_rooms():
    order = ["cli", "api", "storage", "tables", "training", "inference", "flows", "distributions"]
    order += ["transforms", "configuration"]
    ranks = [LEVELS[room] for room in order]
    assert ranks == sorted(set(ranks))
    assert LEVELS["flows"] == LEVELS["latent"]
    assert LEVELS["transforms"] == LEVELS["nets"]
    assert LEVELS["configuration"] == LEVELS["errors"]


def test_every_source_file_is_in_a_room():
    assert {room_of_file(path) for path in source_files()} - OUTSIDE == set(LEVELS)


@pytest.mark.parametrize(
    "path", [path for path in source_files() if room_of_file(path) not in OUTSIDE], ids=file_id
)
def test_arrows_point_downwards(path: Path):
    package = ".".join(["logpx", *path.relative_to(SOURCE).parts[:-1]])
    assert upward(path.read_text(encoding="utf-8"), room_of_file(path), package) == []


@pytest.mark.parametrize("path", source_files(), ids=file_id)
def test_a_file_has_little_code(path: Path):
    assert len(lines_of_code(path.read_text(encoding="utf-8"))) <= MOST_LINES_OF_CODE


def test_docstrings_comments_and_blank_lines_are_no_code():
    source = '"""Of a\nmodule."""\n\n# a comment\nx = (\n    1,\n)\n\n'
    source += 'def f():\n    """Of f."""\n    return """a\nb"""\n'
    assert lines_of_code(source) == {5, 6, 7, 9, 11, 12}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("transforms", "from logpx.flows import MAF"),
        ("flows", "import logpx.tables.schema.schema"),
        ("flows", "from logpx.latent import GaussianMixture"),
        ("nets", "from logpx.transforms import Chain"),
        ("errors", "from logpx.configuration import build"),
        ("training", "from logpx import fit"),
        ("training", "import logpx"),
        ("storage", "def late():\n    from logpx.api import load"),
        ("distributions", "from .. import flows"),
        ("distributions", "from ..flows import MAF"),
    ],
)
def test_upward_arrow_is_found(room: str, source: str):
    assert upward(source, room, f"logpx.{room}")


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("transforms", "from logpx.nets import MLP"),
        ("configuration", "from logpx.errors import UsageError"),
        ("cli", "from logpx.api import fit"),
        ("tables", "from logpx import distributions"),
        ("flows", "from logpx.flows.maf import MAF"),
        ("flows", "from .maf import MAF"),
        ("flows", "from ..transforms import Chain"),
        ("nets", "import numpy"),
    ],
)
def test_downward_arrow_is_allowed(room: str, source: str):
    assert upward(source, room, f"logpx.{room}") == []
