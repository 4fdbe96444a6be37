"""The command as a whole: help, versions, and how it ends when it does not end well."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from logpx import __version__
from logpx.cli import fit as fit_module
from logpx.cli.app import app
from logpx.errors import DataError, DivergedError, ModelFolderError, ResourceError, UsageError

COMMANDS = (
    "inspect",
    "fit",
    "resume",
    "score",
    "sample",
    "evaluate",
    "compare",
    "predict",
    "anomalies",
    "drift",
    "impute",
    "cluster",
    "update",
    "info",
    "report",
    "explore",
)
PAGE = (Path(__file__).parents[2] / "docs/command-line.md").read_text(encoding="utf-8")


HEAVY = {"torch", "numpy", "pyarrow", "rich", "safetensors", "narwhals", "sklearn"}


@pytest.mark.parametrize(
    ("words", "heavy"),
    # Typer itself turns the options of a command into a pydantic model.
    [(["--help"], HEAVY | {"pydantic"}), (["--version"], HEAVY | {"pydantic"}), (["fit", "--help"], HEAVY)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_imports_nothing_heavy(words: list[str], heavy: set[str]):
    command = [sys.executable, "-X", "importtime", "-m", "logpx", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert "typer" in imported
    assert imported & heavy == set()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["info", "missing"], 4),
        (["score", "missing", "table.csv"], 4),
        (["fit", "missing.csv", "-o", "model"], 2),
        (["fit", "missing.parquet", "-o", "model"], 2),
        (["fit", "table.csv", "-o", "model", "--unknown"], 2),
        (["fit", "table.csv", "-o", "model", "--compile", "perhaps"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_answered_without_torch(tmp_path, words: list[str], status: int):
    command = [sys.executable, "-X", "importtime", "-m", "logpx", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.returncode == status
    assert "fix: " in ended.stderr
    assert not re.search(r"\| +torch$", ended.stderr, re.MULTILINE)


@pytest.mark.parametrize("command", ["score", "evaluate", "impute", "cluster", "drift"])
def test_a_missing_table_is_noticed_without_torch(exact: Path, tmp_path: Path, command: str):
    words = [command, str(exact), "missing.csv"]
    code = f"""
import sys
from logpx.cli import main
sys.argv = ["logpx", *{words!r}]
status = main()
assert "torch" not in sys.modules
sys.exit(status)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert ended.returncode == 2, ended.stderr
    assert "missing.csv: no such file or folder" in ended.stderr


def test_a_command_loads_narwhals_for_no_file(exact: Path, tmp_path: Path):
    words = [sys.executable, "-X", "importtime", "-m", "logpx", "sample", str(exact), "-n", "3"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "pyarrow" in ended.stderr
    assert not re.search(r"\| +narwhals$", ended.stderr, re.MULTILINE)


def test_info_needs_no_torch(exact: Path):
    command = [sys.executable, "-X", "importtime", "-m", "logpx", "info", str(exact)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0
    assert not re.search(r"\| +torch$", ended.stderr, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_leads_with_the_examples_of_the_documentation(logpx, command: str):
    ended = logpx(command, "--help")
    assert ended.status == 0
    block = ended.out[ended.out.index("Examples:") :].split("\n\n")[0]
    examples = [line.strip() for line in block.splitlines()[1:]]
    assert len(examples) >= 2
    assert all(example.startswith(f"logpx {command} ") for example in examples)
    assert [example for example in examples if example not in PAGE] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(logpx, command: str):
    options = set(re.findall(r"--[a-z]+", logpx(command, "--help").out.partition("Options:")[2]))
    section = PAGE.partition(f"## logpx {command}\n")[2].partition("\n## ")[0]
    shared = PAGE.partition("## Shared options\n")[2].partition("\n## ")[0]
    assert {"--json", "--quiet", "--help"} <= options
    assert options - set(re.findall(r"--[a-z]+", section + shared)) == set()


@pytest.mark.parametrize("error", [UsageError, DataError, ModelFolderError, DivergedError, ResourceError])
def test_exit_codes_are_documented(error):
    assert re.search(rf"^\| {error.exit_code} \|", PAGE, re.MULTILINE)


def test_version(logpx):
    assert logpx("--version").out == f"logpx {__version__}\n"


def test_no_arguments_show_the_help(logpx):
    ended = logpx()
    assert ended.status == 2
    assert "Examples:" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fitt"], "fit"),
        (["fit"], "SOURCE"),
        (["fit", "t.csv"], "--output"),
        (["sample", "m"], "--rows"),
        (["sample", "m", "-n", "many"], "whole number"),
        (["fit", "t.csv", "-o", "m", "--time", "soon"], "10m"),
        (["fit", "t.csv", "-o", "m", "--seed", "-1"], "seed"),
        (["info", "m", "--colour"], "--colour"),
    ],
)
def test_usage_error(logpx, words: list[str], message: str):
    ended = logpx(*words)
    assert ended.status == 2
    assert ended.out == ""
    error, fix = ended.err.strip().splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert fix.startswith("fix: see logpx")


def test_usage_error_as_json(logpx):
    ended = logpx("info", "--json")
    assert ended.status == 2
    assert ended.document["error"]["type"] == "UsageError"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(fit_module, "stop_on_signal", broken)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("text", file="a.csv", row=3, column="age", fix="correct it"), 3),
        (ModelFolderError("corrupt"), 4),
        (DivergedError("not finite"), 5),
        (ResourceError("disk full"), 6),
        (MemoryError(), 6),
        (torch.OutOfMemoryError("CUDA out of memory"), 6),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("division by zero"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_exit_status_of_an_error(logpx, monkeypatch, error: BaseException, status: int):
    fail_with(monkeypatch, error)
    assert logpx("fit", "t.csv", "-o", "m").status == status


def test_torch_without_memory(logpx, monkeypatch):
    def allocate(*_, **__):
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(fit_module, "stop_on_signal", allocate)
    ended = logpx("fit", "t.csv", "-o", "m")
    assert ended.status == 6
    assert ended.err.startswith("error: out of memory\nfix: ")


def test_error_as_json(logpx, monkeypatch):
    fail_with(monkeypatch, DataError("text", file="a.csv", row=3, column="age", fix="correct it"))
    ended = logpx("fit", "t.csv", "-o", "m", "--json")
    assert ended.document == {
        "error": {
            "type": "DataError",
            "message": "text",
            "file": "a.csv",
            "row": 3,
            "column": "age",
            "fix": "correct it",
            "exit_code": 3,
        }
    }
    assert ended.err == "error: a.csv, row 3, column 'age': text\nfix: correct it\n"


def test_bug_says_how_to_report_it(logpx, monkeypatch):
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    ended = logpx("fit", "t.csv", "-o", "m", "--json")
    assert "Traceback" in ended.err
    assert "fix: report it" in ended.err
    assert ended.document["error"]["type"] == "Bug"


def test_warnings_are_notes(logpx, monkeypatch):
    def warn(*_, **__):
        warnings.warn("one feature only", UserWarning, stacklevel=1)
        raise UsageError("stop")

    monkeypatch.setattr(fit_module, "stop_on_signal", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        ended = logpx("fit", "t.csv", "-o", "m")
    assert ended.err.splitlines()[0] == "note: one feature only"


def test_reader_that_goes_away_is_no_error(started, exact: Path):
    running = started("sample", exact, "-n", "1e6", "-q", stdout=subprocess.PIPE)
    assert running.stdout.readline() == "a,b\n"
    running.stdout.close()
    running.stdout = None
    assert running.stderr.read() == ""
    assert running.wait(60) == 0


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_signal_ends_the_command_and_leaves_nothing(
    started, exact: Path, tmp_path: Path, number: int, status: int
):
    output = tmp_path / "samples.csv"
    running = started("sample", exact, "-n", "1e9", "-o", output)
    deadline = time.monotonic() + 60
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(number)
    assert running.wait(60) == status
    assert running.stderr.read() == "interrupted\n"
    assert os.listdir(tmp_path) == []


def test_no_command_is_hidden():
    assert [command.callback.__name__ for command in app.registered_commands] == list(COMMANDS)
