"""Errors: the message says where, and how to fix it; the exit codes are the documented ones."""

import copy
import pickle
import re
from pathlib import Path

import pytest

from logpx import errors

KINDS = [
    kind
    for kind in map(vars(errors).get, errors.__all__)
    if isinstance(kind, type) and kind is not errors.MissingExtraError
]


@pytest.mark.parametrize("kind", KINDS)
def test_where_and_fix(kind):
    error = kind("no number", file=Path("a.csv"), row=3, column="age", fix="correct it")
    assert str(error) == "a.csv, row 3, column 'age': no number\nfix: correct it"
    assert (error.message, error.file, error.row, error.column) == ("no number", "a.csv", 3, "age")


def test_only_what_is_known_is_said():
    assert str(errors.DataError("no number")) == "no number"
    assert str(errors.DataError("no number", column=0)) == "column 0: no number"
    assert str(errors.DataError("no number", row=1, fix="f")) == "row 1: no number\nfix: f"


def test_exit_codes_are_those_of_the_design():
    design = (Path(__file__).parents[1] / "docs/design.md").read_text(encoding="utf-8")
    codes = {int(code): what.strip() for code, what in re.findall(r"\| (\d+) \| ([^|]+)", design)}
    expected = {
        errors.LogpxError: "bug",
        errors.UsageError: "usage",
        errors.MissingExtraError: "usage",
        errors.DataError: "bad data",
        errors.ModelFolderError: "bad model folder",
        errors.DivergedError: "diverged",
        errors.ResourceError: "out of disk or memory",
    }
    assert {codes[kind.exit_code] for kind in expected} <= set(expected.values())
    for kind, what in expected.items():
        assert codes[kind.exit_code] == what


def test_builtin_kinds():
    # Who knows only Python's own errors catches ours.
    for kind, builtin in {
        errors.UsageError: ValueError,
        errors.DataError: ValueError,
        errors.MissingExtraError: ImportError,
        errors.DivergedError: ArithmeticError,
        errors.ResourceError: OSError,
    }.items():
        assert issubclass(kind, builtin)
        assert issubclass(kind, errors.LogpxError)


def test_a_missing_extra_prints_the_command():
    error = errors.MissingExtraError("matplotlib", "plots")
    assert str(error) == "matplotlib is not installed\nfix: pip install 'logpx[plots]'"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_cross_process_borders(duplicate):
    # Workers of a pool hand their errors over by pickle.
    for error in (
        errors.DataError("no number", row=3, fix="f"),
        errors.ResourceError("full", file="a", fix="f"),
    ):
        twin = duplicate(error)
        assert type(twin) is type(error)
        assert str(twin) == str(error)
    missing = errors.MissingExtraError("matplotlib", "plots")
    assert str(duplicate(missing)) == str(missing)
