"""A fit that was interrupted is offered, goes on, and is told from others."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

import logpx as package
from logpx.cli import main
from logpx.files.lock import exclusive


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_signalled_fit_saves_what_it_has_and_is_resumed(forked, logpx, table: Path, tmp_path: Path, number):
    words = ["fit", table, "-m", "nice", "--steps", "100000", "--checkpoint-every", "0.02s"]
    target = tmp_path / "model"
    process = forked(*words, "-o", target, said=tmp_path / "said")
    wait_for_steps(target)
    os.kill(process.pid, number)
    process.join(60)
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 128 + number, said
    assert f"go on with: logpx resume {target}" in said
    assert metrics(target)["ended"] == "interrupted"
    package.load(target)
    again = logpx(*words, "-o", target)
    assert again.status == 2
    assert f"logpx resume {target}" in again.err


def test_signalled_fit_ends_with_the_files_of_a_whole_one(forked, logpx, table: Path, tmp_path: Path):
    words = ["fit", table, "-m", "nice", "--steps", "200", "-q"]
    target, whole = tmp_path / "model", tmp_path / "whole/model"
    process = forked(*words, "--checkpoint-every", "0.02s", "-o", target)
    wait_for_steps(target)
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM
    resumed = logpx("resume", target, "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.document["ended"] in ("steps", "early stopping")
    assert resumed.document["resume"] is None
    assert logpx(*words, "-o", whole).status == 0
    names = sorted(path.name for path in whole.iterdir())
    assert sorted(path.name for path in target.iterdir()) == names
    assert all((target / name).read_bytes() == (whole / name).read_bytes() for name in names)
    assert leftovers(tmp_path) == []


@pytest.fixture
def interrupted(table: Path, tmp_path: Path, monkeypatch):
    """A fit that was killed in the working folder, by a relative path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(table.read_bytes())
    with contextlib.suppress(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr("logpx.storage.save_or_keep", _die)
        assert main(["fit", "t.csv", "-o", "model", "-m", "nice", "--steps", "20", "-q"]) == 130
    assert leftovers(tmp_path) == [".model.run"]
    return tmp_path


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_resume_from_another_folder(interrupted: Path, logpx, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    run = logpx("resume", interrupted / "model")
    assert run.status == 0, run.err
    assert "going on with the fit that was begun" in run.err
    assert metrics(interrupted / "model")["source"] == "t.csv"
    assert leftovers(interrupted) == []


def test_other_arguments_and_tables_are_named(interrupted: Path, logpx):
    words = ["fit", "t.csv", "-o", "model", "-m", "nice", "--resume"]
    other = logpx(*words, "--steps", "30")
    assert other.status == 2
    assert "--steps is 30, and the fit was begun with 20" in other.err
    latent = logpx(*words, "--steps", "20", "--latent", "2")
    assert latent.status == 2
    assert "latent is 2, which --model nice does not take" in latent.err
    content = Path("t.csv").read_text()
    Path("t.csv").write_text(content.replace("a,b\n0", "a,b\n9", 1).replace("a,b\n-0", "a,b\n9", 1))
    changed = logpx("resume", "model")
    assert changed.status == 3
    assert "column 'a'" in changed.err
    assert "have changed since the fit was begun" in changed.err
    Path("t.csv").write_text(content + "0.5,0.5\n")
    assert "rows 61, and the fit was begun with 60" in logpx("resume", "model").err
    Path("t.csv").write_text(content)
    assert logpx(*words, "--steps", "20").status == 0


def wait_for_steps(target: Path) -> None:
    """Wait until a fit has written a checkpoint."""
    deadline = time.monotonic() + 60
    while not list(target.parent.glob(f".{target.name}.run/0001/journal/*descent/step-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_abandoned_fit_is_offered_and_cleaned_up(forked, table: Path, tmp_path: Path, logpx):
    target = tmp_path / "model"
    words = ["fit", table, "-o", target, "-m", "nice"]
    process = forked(*words, "--steps", "100000", "--checkpoint-every", "0.02s")
    wait_for_steps(target)
    refused = logpx(*words, "--steps", "3")
    assert refused.status == 2
    assert f"another fit writes this model: process {process.pid} on " in refused.err
    process.kill()
    process.join()
    run = logpx(*words, "--steps", "3")
    assert run.status == 0, run.err
    assert f"was interrupted: logpx resume {target} goes on with it" in run.err
    assert leftovers(tmp_path) == []
    nothing = logpx("resume", target)
    assert nothing.status == 2
    assert "no interrupted fit" in nothing.err


def test_held_by_another(table: Path, tmp_path: Path, logpx):
    (tmp_path / ".model.run").mkdir()
    with exclusive(tmp_path / ".model.run"):
        for words in (["fit", table, "-o", tmp_path / "model"], ["resume", tmp_path / "model"]):
            run = logpx(*words)
            assert run.status == 2
            assert f"process {os.getpid()} on " in run.err


def test_time_that_ends_before_the_steps_is_75(table: Path, tmp_path: Path, logpx):
    target = tmp_path / "model"
    words = ["fit", table, "-o", target, "-m", "maf"]
    run = logpx(*words, "--steps", "100000", "--time", "1s", "--json")
    assert run.status == 75, run.err
    assert run.document["ended"] == "time"
    assert run.document["resume"] == f"logpx resume {target}"
    package.load(target)
    steps = sorted(tmp_path.glob(".model.run/0001/journal/*descent/step-*"))
    assert steps
    seconds = metrics(target)["seconds"]
    again = logpx("resume", target, "--time", "0.5s", "--json")
    assert again.status == 75, again.err
    assert sorted(tmp_path.glob(".model.run/0001/journal/*descent/step-*"))[-1] > steps[-1]
    # Of a limit, which counts from the start of the command, a fit has three fifths or more.
    assert metrics(target)["seconds"] > seconds + 0.25
    # Time alone is what was asked for.
    assert logpx(*words, "--time", "0.3s", "--overwrite", "-q").status == 0
    assert metrics(target)["ended"] == "time"
    assert leftovers(tmp_path) == []


def test_failed_fit_leaves_nothing(tmp_path: Path, logpx):
    (tmp_path / "t.csv").write_text("a\nx1\n" * 3)
    assert logpx("fit", tmp_path / "t.csv", "-o", tmp_path / "model", "-m", "maf").status == 3
    assert leftovers(tmp_path) == []
