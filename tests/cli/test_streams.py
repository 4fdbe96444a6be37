"""Outputs that take no more: a full disk, a closed stream, a reader that has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from logpx import load

posix = pytest.mark.skipif(os.name == "nt", reason="closes descriptors and needs /dev/full")


def ended(*words: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "logpx", *map(str, words)]
    return subprocess.run(command, timeout=120, text=True, **options)


@posix
@pytest.mark.parametrize(
    ("words", "closed"),
    [
        (["info"], False),
        pytest.param(["sample", "-n", "3"], True, marks=pytest.mark.slow),
        pytest.param(["sample", "-n", "3"], False, marks=pytest.mark.slow),
        pytest.param(["info"], True, marks=pytest.mark.slow),
        pytest.param(["info", "--json"], False, marks=pytest.mark.slow),
        pytest.param(["info", "--json"], True, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_stdout_that_takes_nothing_is_one_error(exact: Path, words: list[str], closed: bool):
    with open("/dev/full", "w") as full:
        run = ended(
            words[0],
            exact,
            *words[1:],
            stdout=full,
            stderr=subprocess.PIPE,
            preexec_fn=(lambda: os.close(1)) if closed else None,
        )
    assert run.returncode == 6
    error, fix = run.stderr.splitlines()
    assert error.startswith("error: standard output")
    assert fix.startswith("fix: ")


@posix
@pytest.mark.slow
def test_a_full_disk_under_stderr_changes_no_exit_code(tmp_path: Path):
    with open("/dev/full", "w") as full:
        assert ended("info", tmp_path, stderr=full).returncode == 4


@posix
def test_a_fit_is_saved_though_nobody_reads_its_notes(tables: Path, tmp_path: Path):
    reader, writer = os.pipe()
    os.close(reader)
    words = ["fit", tables / "train.csv", "-o", tmp_path / "model", "--model", "gaussian"]
    run = ended(*words, stdout=writer, stderr=writer)
    os.close(writer)
    assert run.returncode == 0
    assert load(tmp_path / "model").kind == "exact"


@posix
@pytest.mark.slow
def test_a_fit_without_streams_is_saved(tables: Path, tmp_path: Path):
    words = ["fit", tables / "train.csv", "-o", tmp_path / "model", "--model", "gaussian"]
    run = ended(*words, preexec_fn=lambda: [os.close(descriptor) for descriptor in (0, 1, 2)])
    assert run.returncode == 0
    assert load(tmp_path / "model").kind == "exact"
