"""``logpx compare``: a leaderboard of model folders."""

from pathlib import Path

import numpy as np
import pytest

import logpx as package


@pytest.fixture(scope="module")
def folders(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("compared")
    for name in ("gaussian", "gmm"):
        model = package.fit(name, tables / "train.csv", max_time=5).model
        package.save(model, place / name)
    return {name: place / name for name in ("gaussian", "gmm")}


def test_a_leaderboard(logpx, tables: Path, folders):
    ended = logpx("compare", folders["gmm"], folders["gaussian"], tables / "test.csv")
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "400 rows (mean ± standard error)"
    assert lines[1].split()[0] == "model"
    assert "behind the best" in lines[1]
    assert "s per 10⁶ rows" in lines[1]
    document = logpx("compare", folders["gmm"], folders["gaussian"], tables / "test.csv", "--json").document
    first, second = document["models"]
    assert lines[2].startswith(first["name"])
    assert first["mean"] > second["mean"]
    for entry in (first, second):
        model = package.load(entry["name"])
        assert entry["mean"] == pytest.approx(float(model.log_prob(tables / "test.csv").mean()))
        assert entry["kind"] == "exact"
        assert entry["parameters"] > 0
        assert entry["bytes"] > 0
    (difference,) = document["differences"]
    assert difference["value"] == pytest.approx(first["mean"] - second["mean"])
    assert lines[4] == difference["statement"] == document["statements"][0]


def test_models_of_other_columns_are_refused(logpx, tables: Path, folders, bound: Path):
    ended = logpx("compare", folders["gmm"], bound, tables / "test.csv")
    assert ended.status == 2
    assert "do not give log p of the same thing" in ended.err
    assert "fix: " in ended.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{gaussian}", "{test}"], "fewer than two models"),
        (["{gaussian}", "{gaussian}/", "{test}"], "named twice"),
        (["{gaussian}", "{gmm}", "nothing.csv"], "no such file"),
    ],
)
def test_mistakes(logpx, tables: Path, folders, words: list[str], message: str):
    names = {name: str(folder) for name, folder in folders.items()} | {"test": str(tables / "test.csv")}
    ended = logpx("compare", *[word.format(**names) for word in words])
    assert ended.status == 2, ended.err
    assert message in ended.err


def test_images_and_tables_are_not_compared(logpx, tables: Path, folders, tmp_path: Path):
    np.save(tmp_path / "i.npy", np.random.default_rng(0).integers(0, 4, (60, 1, 4, 4)).astype(np.uint8))
    result = package.images.fit_images(tmp_path / "i.npy", "realnvp", max_steps=1)
    package.save(result.model, tmp_path / "images")
    ended = logpx("compare", folders["gmm"], tmp_path / "images", tables / "test.csv")
    assert ended.status == 2
    assert "tables and of images" in ended.err
