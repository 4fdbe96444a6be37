"""``logpx update``: old and new rows together, without the old ones, and where a model comes from."""

import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from logpx import load, save
from logpx.errors import UsageError
from logpx.storage import model_digest
from logpx.tables import table_statistics, update_table

ROWS, NEW = 400, 150


def rows(n: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 2, n)
    a = generator.normal(4.0 * group, 1.0)
    return pa.table(
        {"a": a, "b": 0.5 * a + generator.normal(size=n), "count": generator.poisson(2.0 + group)}
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("update")
    whole = rows(ROWS + NEW, 0)
    pq.write_table(whole, folder / "whole.parquet")
    pq.write_table(whole.slice(0, ROWS), folder / "old.parquet")
    pq.write_table(whole.slice(ROWS), folder / "new.parquet")
    return folder


def fitted(run, place: Path, kind: str, *words: object) -> Path:
    folder = place / kind
    if not folder.exists():
        command = ("fit", place / "old.parquet", "-o", folder, "--model", kind, "--time", "5s", "-q", *words)
        assert run(*command).status == 0
    return folder


def inner(model: torch.nn.Module) -> torch.nn.Module:
    return model.density.model


def parameters(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in inner(model).named_parameters()}


@pytest.mark.parametrize("kind", ["gaussian", "gmm", "fa"])
def test_one_step_is_that_of_em_on_all_rows(logpx, place: Path, kind: str):
    folder = fitted(logpx, place, kind)
    ended = logpx("update", folder, place / "new.parquet", "-o", place / f"{kind}2", "--overwrite", "--json")
    assert ended.status == 0, ended.err
    model = load(folder)
    # By hand: the statistics of all rows in one matrix, under the old model.
    noisy = model.supports.dequantise(matrix(place), seed=0)
    own = inner(model)
    own.update(own.statistics(model.density.in_model_units(noisy)[0]))
    found = load(place / f"{kind}2")
    for name, expected in parameters(model).items():
        assert parameters(found)[name] == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def whole(place: Path) -> pa.Table:
    return pq.read_table(place / "whole.parquet")


def matrix(place: Path) -> torch.Tensor:
    return torch.from_numpy(np.column_stack([column.to_numpy() for column in whole(place).columns])).double()


def test_a_gaussian_is_its_fit_to_all_rows(logpx, place: Path):
    model = load(fitted(logpx, place, "gaussian"))
    kept = table_statistics(model, place / "old.parquet")
    updated = update_table(model, place / "new.parquet", statistics=kept, first_row=ROWS).model
    noisy = model.supports.dequantise(
        torch.from_numpy(np.column_stack([column.to_numpy() for column in whole(place).columns])).double(),
        seed=0,
    )
    y = model.density.in_model_units(noisy)[0].double().numpy()
    parts = inner(updated).parts
    assert parts.means[0].detach().numpy() == pytest.approx(y.mean(0), abs=1e-9)
    covariance = parts.covariance.matrices()[0].detach().numpy()
    assert covariance == pytest.approx(np.cov(y.T, bias=True), abs=1e-8)


def test_scores_of_the_model_before_are_no_reference_any_more(logpx, place: Path):
    folder = fitted(logpx, place, "gaussian")
    assert load(folder).reference is not None
    ended = logpx("update", folder, place / "new.parquet", "-o", place / "unreferenced", "--overwrite")
    assert "what anomalies are judged by, and the reference for their p-values, is left out" in ended.err
    assert load(place / "unreferenced").reference is None


def test_updates_follow_one_another(logpx, place: Path):
    folder = fitted(logpx, place, "gaussian")
    new = pq.read_table(place / "new.parquet")
    pq.write_table(new.slice(0, 50), place / "first.parquet")
    pq.write_table(new.slice(50), place / "second.parquet")
    words = ("--overwrite", "-q")
    assert logpx("update", folder, place / "new.parquet", "-o", place / "once", *words).status == 0
    assert logpx("update", folder, place / "first.parquet", "-o", place / "one", *words).status == 0
    assert logpx("update", place / "one", place / "second.parquet", "-o", place / "two", *words).status == 0
    once, two = parameters(load(place / "once")), parameters(load(place / "two"))
    for name in once:
        assert two[name] == pytest.approx(once[name], abs=1e-9)
    lineage = json.loads((place / "two/metrics.json").read_text())["lineage"]
    assert [step["rows"] for step in lineage] == [50, 100]
    assert lineage[0]["parent"] == model_digest(folder)
    assert lineage[1]["parent"] == model_digest(place / "one")
    assert all(step["updated"] > "2020" and step["parent_saved"] for step in lineage)


def test_more_steps_with_the_old_rows_raise_the_likelihood(logpx, place: Path):
    folder = fitted(logpx, place, "gmm")
    scores = [float(load(folder).log_prob(whole(place)).mean())]
    for passes in (1, 8):
        target = place / f"gmm-{passes}"
        words = ("--with", place / "old.parquet", "--passes", passes, "-o", target, "--overwrite", "-q")
        assert logpx("update", folder, place / "new.parquet", *words).status == 0
        scores.append(float(load(target).log_prob(whole(place)).mean()))
    assert scores[0] < scores[1] <= scores[2] + 1e-9


@pytest.mark.parametrize(
    "kind", ["maf", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("vae", "autoregressive"))]
)
def test_networks_are_trained_on(logpx, place: Path, kind: str):
    folder = fitted(logpx, place, kind)
    words = ("--with", place / "old.parquet", "--time", "2s", "-o", place / f"{kind}2", "--overwrite", "-q")
    ended = logpx("update", folder, place / "new.parquet", *words)
    assert ended.status == 0, ended.err
    folders = (folder, place / f"{kind}2")
    before, after = (float(load(one).log_prob(whole(place)).mean()) for one in folders)
    # It goes on from where it was: a fresh network would be far below after this time.
    assert after > before - 0.1
    old, new = (dict(load(one).named_parameters()) for one in folders)
    assert any(not torch.equal(value, new[name]) for name, value in old.items())


def kept_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def updated_with_stops(model, place: Path, folder: Path, **options):
    """Update a model in bits, each of which is stopped when it has asked so often whether to stop."""
    for attempt in itertools.count():
        asked = itertools.count()
        found = update_table(
            model,
            place / "new.parquet",
            old=place / "old.parquet",
            checkpoint=folder,
            resume=folder,
            should_stop=lambda asked=asked, most=5 + 4 * attempt: next(asked) >= most,
            **options,
        )
        if found.ended != "interrupted":
            assert attempt > 1
            return found


@pytest.mark.parametrize(("kind", "options"), [("gmm", {"passes": 3}), ("maf", {"max_steps": 8})])
def test_an_update_that_was_stopped_goes_on_to_the_same_bits(
    logpx, place: Path, tmp_path: Path, monkeypatch, kind: str, options: dict
):
    monkeypatch.setattr("logpx.tables.updating_passes._BATCH_ROWS", 100)
    model = load(fitted(logpx, place, kind))
    whole = update_table(model, place / "new.parquet", old=place / "old.parquet", **options)
    found = updated_with_stops(model, place, tmp_path / "run", **options)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value), name
    assert found.statistics.keys() == whole.statistics.keys()
    assert all(torch.equal(value, found.statistics[name]) for name, value in whole.statistics.items())
    with pytest.raises(UsageError, match="seed is 1, and the fit was begun with 0"):
        updated_with_stops(model, place, tmp_path / "run", seed=1, **options)


@pytest.mark.slow
def test_a_killed_update_is_resumed_and_ends_with_the_same_files(logpx, forked, place: Path, tmp_path: Path):
    folder = fitted(logpx, place, "gmm")
    shutil.copytree(folder, tmp_path / "model")
    words = ("update", tmp_path / "model", place / "new.parquet", "--with", place / "old.parquet")
    words += ("--steps", 1, "--passes", 150, "-q", "--checkpoint-every", "0.01s")
    assert logpx(*words, "-o", tmp_path / "whole/model").status == 0
    target = tmp_path / "model2"
    process = forked(*words, "-o", target)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".model2.run/0001/journal/passes/step-*")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.join()
    assert not target.exists()
    other = logpx("fit", place / "old.parquet", "-o", target, "-m", "gmm", "--resume")
    assert "what was interrupted here is logpx update" in other.err
    resumed = logpx("resume", target)
    assert resumed.status == 0, resumed.err
    assert "going on with the update that was begun" in resumed.err
    files, whole = kept_files(target), kept_files(tmp_path / "whole/model")
    # The card has the folder's name.
    assert {name: files[name] for name in whole if name != "README.md"} == {
        name: content for name, content in whole.items() if name != "README.md"
    }
    assert not list(tmp_path.glob(".*"))


def test_an_update_that_was_interrupted_writes_nothing(logpx, forked, place: Path, tmp_path: Path):
    folder, target = fitted(logpx, place, "gmm"), tmp_path / "model2"
    words = ("update", folder, place / "new.parquet", "--with", place / "old.parquet", "-o", target)
    process = forked(*words, "--passes", 10**6, "--checkpoint-every", "0.02s", said=tmp_path / "said")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".model2.run/0001/journal/passes/step-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 143
    assert f"go on with: logpx resume {target}" in (tmp_path / "said").read_text()
    assert not target.exists()


def test_what_cannot_be_updated(logpx, place: Path, tmp_path: Path):
    folder = fitted(logpx, place, "gaussian")
    model = load(folder)
    save(model, tmp_path / "bare")
    ended = logpx("update", tmp_path / "bare", place / "new.parquet", "-o", tmp_path / "out")
    assert ended.status == 2
    assert "keeps no statistics" in ended.err
    assert "--with" in ended.err
    words = ("--with", place / "old.parquet", "-o", tmp_path / "out")
    assert logpx("update", tmp_path / "bare", place / "new.parquet", *words).status == 0
    ended = logpx("update", folder, place / "new.parquet", "-o", folder)
    assert ended.status == 2
    assert "already holds a model" in ended.err
    wrong = pq.read_table(place / "new.parquet").to_pydict()
    wrong["count"][3] = -5
    pq.write_table(pa.table(wrong), tmp_path / "wrong.parquet")
    ended = logpx("update", folder, tmp_path / "wrong.parquet", "-o", tmp_path / "out2", "--json")
    assert ended.status == 3
    error = ended.document["error"]
    assert (error["row"], error["column"]) == (4, "count")
    assert not (tmp_path / "out2").exists()


def test_damaged_statistics_are_refused(logpx, place: Path, tmp_path: Path):
    folder = shutil.copytree(fitted(logpx, place, "gaussian"), tmp_path / "model")
    content = bytearray((folder / "statistics.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "statistics.safetensors").write_bytes(content)
    ended = logpx("update", folder, place / "new.parquet", "-o", tmp_path / "out")
    assert ended.status == 4
    assert "statistics.safetensors" in ended.err
