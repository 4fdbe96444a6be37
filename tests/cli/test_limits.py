"""``--steps`` and ``--epochs``: what bounds a fit, what the folder says of it, and the same files again."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import logpx as package
from logpx.errors import UsageError
from logpx.scoring import Limits
from logpx.tables import fit_table

FILES = {"README.md", "config.json", "manifest.json", "metrics.json", "model.safetensors", "schema.json"}
FILES |= {"statistics.safetensors"}


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(60, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    path = tmp_path_factory.mktemp("small") / "t.csv"
    path.write_text("a,b\n" + "\n".join(f"{a:.6f},{b:.6f}" for a, b in rows) + "\n")
    return path


def test_a_fit_of_some_steps_gives_the_same_files_again(logpx, small: Path, tmp_path: Path):
    ended = []
    for place in ("first", "second"):
        ended.append(logpx("fit", small, "-o", tmp_path / place / "model", "--steps", "15", "--json"))
        assert ended[-1].status == 0, ended[-1].err
    first, second = (hashes(tmp_path / place / "model") for place in ("first", "second"))
    assert set(first) == FILES
    assert first == second
    assert ended[0].document["seconds"] > 0.0
    tried = {one["model"]: one["ended"] for one in metrics(tmp_path / "first/model")["candidates"]}
    assert tried["maf"] == tried["nsf"] == tried["autoregressive"] == "steps"
    assert tried["gaussian"] == "converged"
    shown = logpx("info", tmp_path / "first/model")
    assert shown.status == 0
    assert "\nended       " in shown.out
    assert "seed        0\n" in shown.out


@pytest.mark.parametrize(
    ("words", "ended"),
    [
        (["-m", "maf", "--steps", "10"], "steps"),
        (["-m", "maf", "--epochs", "2"], "epochs"),
        (["-m", "vae", "--epochs", "30", "--steps", "5"], "steps"),
        (["-m", "gmm", "--components", "3", "--steps", "2"], "steps"),
        (["-m", "gmm", "--components", "3", "--epochs", "2", "--steps", "100"], "epochs"),
        (["-m", "gmm", "--components", "1", "--steps", "500"], "converged"),
        (["-m", "ppca", "--steps", "10"], "converged"),
        (["-m", "nice", "--time", "0.2s"], "time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_folder_says_what_ended_the_fit(logpx, small: Path, tmp_path: Path, words: list[str], ended: str):
    run = logpx("fit", small, "-o", tmp_path / "model", "-q", *words)
    assert run.status == 0, run.err
    assert metrics(tmp_path / "model")["ended"] == ended
    assert ("seconds" in metrics(tmp_path / "model")) == ("--time" in words)
    assert f"ended       {ended}\n" in logpx("info", tmp_path / "model").out


def test_early_stopping_is_said():
    x = np.random.default_rng(0).normal(size=(100, 2))
    trained = package.fit(package.flows.NICE(2, layers=1, hidden=(4,)), x, patience=1, max_steps=1000)
    assert Limits(steps=1000).ending(trained).value == "early stopping"


def test_interruption_is_said(small: Path):
    result = fit_table(small, "nice", max_steps=100_000, should_stop=lambda: True)
    assert result.ended.value == "interrupted"


def test_iterations_of_em_are_bounded(small: Path):
    once, often = (
        fit_table(small, "gmm", components=4, max_steps=steps).chosen.validation for steps in (1, 60)
    )
    assert once != often


def test_images_take_steps_and_epochs(tmp_path: Path, logpx):
    images = np.random.default_rng(0).integers(0, 4, size=(40, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    folders = [tmp_path / "first/model", tmp_path / "second/model"]
    for folder in folders:
        run = logpx("fit", tmp_path / "images.npy", "-o", folder, "-m", "vae", "--steps", "3", "-q")
        assert run.status == 0, run.err
        assert metrics(folder)["ended"] == "steps"
        assert metrics(folder)["steps"] == 3
    assert hashes(folders[0]) == hashes(folders[1])
    result = package.fit("vae", images, max_epochs=2)
    assert result.ended.value == "epochs"


@pytest.mark.parametrize("name", ["max_time", "max_steps", "max_epochs"])
def test_limits_are_above_0(small: Path, name: str):
    with pytest.raises(UsageError, match=name):
        fit_table(small, "gaussian", **{name: 0})
    with pytest.raises(UsageError, match=name):
        package.fit("vae", np.zeros((4, 4, 4), np.uint8), **{name: -1})
