"""The command where the system lacks what Linux has, as Windows does, and where pipes are not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from logpx.files import flushing
from logpx.files.claims import claimed

# Takes away what Windows lacks of what logpx could ask for; there, no folder can be opened either.
WINDOWS = """
import os, signal, sys

sys.modules["fcntl"] = None
for name in ("SIGHUP", "SIGQUIT", "pthread_kill"):
    delattr(signal, name)
for name in ("O_DIRECTORY", "O_NONBLOCK"):
    delattr(os, name)
os.supports_dir_fd.discard(os.open)
opened = os.open

def open_file(path, *rest, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return opened(path, *rest, **options)

os.open = open_file
from logpx.cli import main

for words in __COMMANDS__:
    if status := main(words):
        sys.exit(status)
"""
# Not in the encoding of Western Windows, nor the one that is.
LABELS = ("≥ 1", "é")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "table.csv"
    lines = [f"{index % 7}.5,{LABELS[index % 3 == 0]}" for index in range(80)]
    path.write_text("\n".join(["size,class", *lines]) + "\n", encoding="utf-8")
    return path


def test_commands_run_without_what_windows_lacks(table: Path, tmp_path: Path):
    commands = [
        ["fit", str(table), "-o", "m", "--model", "gaussian", "--overwrite"],
        ["score", "m", str(table), "-o", "scores.csv"],
        ["score", "m", str(table), "-o", f"parts{os.sep}", "--quiet"],
        ["info", "m"],
    ]
    code = WINDOWS.replace("__COMMANDS__", repr(commands))
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"m", "scores.csv", "parts"}
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 81


def test_without_locks_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("logpx.files.claims.fcntl", None)
    with claimed(tmp_path) as ours:
        assert not ours


def test_a_file_is_flushed_through_a_descriptor_that_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fcntl = pytest.importorskip("fcntl")
    modes = []
    monkeypatch.setattr(
        flushing.os, "fsync", lambda descriptor: modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL))
    )
    (tmp_path / "file").write_text("text")
    flushing.flush_file(tmp_path / "file")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]


@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("ascii", marks=pytest.mark.slow)])
def test_pipes_of_other_encodings_show_what_they_lack_as_escapes(process, table: Path, encoding: str):
    there = {**os.environ, "PYTHONIOENCODING": encoding}
    shown = process("inspect", table, env=there, encoding=encoding)
    assert shown.status == 0
    assert r"\u2265 1" in shown.out
    found = process("inspect", table, "--json", env=there, encoding=encoding)
    (labels,) = [one["levels"] for one in json.loads(found.out)["schema"] if one["levels"]]
    assert set(labels) == set(LABELS)
