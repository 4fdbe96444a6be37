"""Rooms in `logpx.posteriors`: approximations above diagnostics above the target, and the front above all."""

import ast
from pathlib import Path

import pytest

import logpx.posteriors

ROOM = Path(logpx.posteriors.__file__).parent
# From the lowest; files of the room itself stand above its rooms.
ORDER = ("target", "diagnostics", "approximations")
# What the log-densities to try need is their parameters' constraints alone.
FRONT = ("figures", "posterior", "run", "find", "comparison", "evidence_from_draws")
FILES = {"densities": {"target"}, **{name: set(ORDER) for name in FRONT}}


def imported(source: str) -> set[str]:
    """Return the parts of `logpx.posteriors` that a source text imports from, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{item.name}" for item in node.names]
        elif isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        else:
            continue
        found |= {name.split(".")[2] for name in names if name.startswith("logpx.posteriors.")}
    return found


def test_every_file_is_in_a_room_or_above_them():
    assert {path.name for path in ROOM.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(
        ORDER
    )
    assert {path.stem for path in ROOM.glob("*.py")} == {"__init__", *FILES}


@pytest.mark.parametrize(
    "path",
    [path for room in ORDER for path in sorted((ROOM / room).glob("*.py"))],
    ids=lambda path: path.stem,
)
def test_rooms_import_from_rooms_below(path: Path):
    allowed = set(ORDER[: ORDER.index(path.parent.name) + 1])
    assert imported(path.read_text(encoding="utf-8")) <= allowed


@pytest.mark.parametrize("name", FILES)
def test_files_above_import_downwards(name: str):
    others = {
        "posterior": {"figures"},
        "comparison": {"posterior"},
        "find": {"posterior", "run"},
        "run": {"posterior"},
    }
    found = imported((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    assert found <= FILES[name] | others.get(name, set())


def test_files_of_a_room_import_one_another_without_a_circle():
    arrows: dict[Path, set[Path]] = {}
    paths = {f"logpx.posteriors.{path.parent.name}.{path.stem}": path for path in ROOM.glob("*/*.py")}
    for path in paths.values():
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        modules = {node.module for node in tree if isinstance(node, ast.ImportFrom)}
        arrows[path] = {paths[module] for module in modules if module in paths}
    while arrows:
        ends = {path for path, targets in arrows.items() if not targets & set(arrows)}
        assert ends, f"a circle among {sorted(path.name for path in arrows)}"
        arrows = {path: targets for path, targets in arrows.items() if path not in ends}
