"""`score_batches`: a pure function of record batches, the same however rows are cut, pickled or threaded."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import logpx
from logpx.errors import DataError, ModelFolderError, UsageError

Folders = Callable[[str], Path]


def column(parts, name: str) -> np.ndarray:
    return np.concatenate([part.column(name).to_numpy() for part in parts])


def cut(table: pa.Table, *sizes: int) -> list[pa.RecordBatch]:
    """Return a table in batches of these sizes, over and over."""
    batches, start = [], 0
    while start < table.num_rows:
        size = sizes[len(batches) % len(sizes)]
        batches.append(table.slice(start, size).combine_chunks().to_batches()[0])
        start += size
    return batches


@pytest.mark.parametrize(
    ("kind", "names"),
    [("smooth", ["log_prob"]), ("gaussian", ["log_prob_lower", "log_prob_se"])],
)
def test_schema_is_known_before_any_row(folders: Folders, table: pa.Table, kind: str, names: list[str]):
    assert logpx.score_schema(folders(kind)).names == names
    score = logpx.score_batches(folders(kind))
    data = table.select(["a", "b"]) if kind == "smooth" else table
    (batch,) = score(data.to_batches())
    assert batch.schema == score.schema == logpx.score_schema(folders(kind))
    assert list(score(iter([]))) == []


def test_exact_numbers_are_those_of_the_model(folders: Folders, table: pa.Table):
    smooth = table.select(["a", "b"])
    found = column(logpx.score_batches(folders("smooth"))(cut(smooth, 70)), "log_prob")
    assert found == pytest.approx(logpx.load(folders("smooth")).log_prob(smooth).numpy(), abs=1e-12)


@pytest.mark.parametrize("kind", ["gaussian", "vae"])
def test_rows_do_not_depend_on_batches_or_order(folders: Folders, table: pa.Table, kind: str):
    score = logpx.score_batches(folders(kind), draws=3)
    whole = column(score(table.to_batches()), "log_prob_lower")
    assert column(score(cut(table, 1, 97, 12)), "log_prob_lower") == pytest.approx(whole, abs=1e-4)
    order = np.random.default_rng(1).permutation(table.num_rows)
    assert column(score(table.take(order).to_batches()), "log_prob_lower") == pytest.approx(
        whole[order], abs=1e-4
    )
    other = column(logpx.score_batches(folders(kind), draws=3, seed=1)(table.to_batches()), "log_prob_lower")
    assert not np.allclose(other, whole, atol=1e-4)


def test_bounds_are_unbiased_estimates_of_the_same_bound(folders: Folders, table: pa.Table):
    score = logpx.score_batches(folders("gaussian"), draws=32)
    (batch,) = score(table.to_batches())
    by_number = logpx.load(folders("gaussian")).log_prob_lower(table, draws=32)
    own, error = batch.column("log_prob_lower").to_numpy(), batch.column("log_prob_se").to_numpy()
    z = (own - by_number.log_prob.numpy()) / np.hypot(error, by_number.standard_error.numpy())
    assert abs(z.mean()) < 5 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1.0, abs=0.25)


def test_equal_rows_differ_only_by_an_id(folders: Folders, table: pa.Table):
    twice = pa.concat_tables([table.slice(0, 1)] * 2).drop_columns("id")
    twice = twice.append_column("id", pa.array(["u", "v"]))
    one, other = column(logpx.score_batches(folders("gaussian"))(twice.to_batches()), "log_prob_lower")
    assert one == other
    by_id = logpx.score_batches(folders("gaussian"), id="id")
    one, other = column(by_id(twice.to_batches()), "log_prob_lower")
    assert one != other
    assert column(by_id(cut(twice, 1)), "log_prob_lower") == pytest.approx([one, other], abs=1e-12)


def test_kept_columns_come_first_in_declared_types(folders: Folders, table: pa.Table):
    stamped = table.append_column("time", pa.array(np.arange(table.num_rows, dtype=np.int32)))
    keep = pa.schema([("time", pa.int64()), ("id", pa.string())])
    score = logpx.score_batches(folders("gaussian"), keep=keep)
    found = pa.Table.from_batches(score(cut(stamped, 50)))
    assert found.schema == logpx.score_schema(folders("gaussian"), keep=keep)
    assert found.column("id").to_pylist() == table.column("id").to_pylist()
    assert found.column("time").to_pylist() == list(range(table.num_rows))
    assert logpx.score_schema(folders("gaussian"), keep=["id"]).names == [
        "id",
        "log_prob_lower",
        "log_prob_se",
    ]
    with pytest.raises(UsageError, match="type of a column to keep"):
        logpx.score_batches(folders("gaussian"), keep=["time"])
    with pytest.raises(DataError, match="lacks this column"):
        score(table.to_batches()[0])


def test_targets_given_others(folders: Folders, table: pa.Table):
    score = logpx.score_batches(folders("smooth"), target="b", given="a")
    found = column(score(table.select(["a", "b"]).to_batches()), "log_prob")
    expected = logpx.load(folders("smooth")).conditional("b", "a").log_prob(table.select(["a", "b"]))
    assert found == pytest.approx(expected.numpy(), abs=1e-12)


def test_every_form_of_rows(folders: Folders, table: pa.Table):
    smooth = table.select(["a", "b"])
    score = logpx.score_batches(folders("smooth"))
    expected = column(score(smooth.to_batches()), "log_prob")
    reader = pa.RecordBatchReader.from_batches(smooth.schema, smooth.to_batches())
    answers = {
        "table": score(smooth).column("log_prob").to_numpy(),
        "batch": score(smooth.combine_chunks().to_batches()[0]).column("log_prob").to_numpy(),
        "reader": column(score(reader), "log_prob"),
        "polars": column(score(pl.from_arrow(smooth)), "log_prob"),
        "into a reader": score.reader(smooth).read_all().column("log_prob").to_numpy(),
    }
    for name, found in answers.items():
        assert found == pytest.approx(expected, abs=1e-12), name
    empty = score(smooth.slice(0, 0).to_batches() or [pa.RecordBatch.from_pylist([], smooth.schema)])
    assert [batch.num_rows for batch in empty] in ([], [0])


def test_threads_agree_and_the_model_is_loaded_once(
    folders: Folders, table: pa.Table, monkeypatch: pytest.MonkeyPatch
):
    from logpx.engines import model_source

    loads = []
    load = model_source.load
    monkeypatch.setattr(model_source, "load", lambda *own: loads.append(own) or load(*own))
    monkeypatch.setattr(model_source, "_LOADED", {})
    scores = [pickle.loads(pickle.dumps(logpx.score_batches(folders("vae"), draws=2))) for _ in range(4)]
    alone = column(scores[0](table.slice(0, 60).to_batches()), "log_prob_lower")
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda number: column(scores[number % 4](cut(table.slice(0, 60), 20)), "log_prob_lower"), range(8)
        )
        assert all(answer == pytest.approx(alone, abs=1e-4) for answer in answers)
    assert len(loads) == 1


def test_another_process_agrees(folders: Folders, table: pa.Table, tmp_path: Path):
    own = shutil.copytree(folders("gaussian"), tmp_path / "model")
    score = logpx.score_batches(own, carry=True)
    (tmp_path / "function").write_bytes(pickle.dumps((score, table.slice(0, 20))))
    shutil.rmtree(own)
    program = (
        "import pickle, sys; score, table = pickle.load(open(sys.argv[1], 'rb'));"
        "print(score(table).column('log_prob_lower').to_pylist())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "function"], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    expected = score(table.slice(0, 20)).column("log_prob_lower").to_pylist()
    assert eval(ended.stdout) == pytest.approx(expected, abs=1e-12)


def test_rows_in_errors_are_counted_from_the_first_batch(folders: Folders, table: pa.Table):
    score = logpx.score_batches(folders("smooth"))
    wrong = table.select(["a", "b"]).slice(0, 5).to_pydict()
    wrong["a"][2] = float("inf")
    batches = [*cut(table.select(["a", "b"]), 100), pa.RecordBatch.from_pydict(wrong)]
    with pytest.raises(DataError) as caught:
        list(score(batches))
    assert (caught.value.row, caught.value.column) == (303, "a")
    with pytest.raises(DataError, match="column 'b': the table lacks this column"):
        list(score(table.select(["a"]).to_batches()))
    with pytest.raises(DataError, match="column 'label'"):
        list(score(table.select(["a", "b", "label"]).to_batches()))


def test_a_replaced_model_is_refused(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from logpx.engines import model_source

    own = shutil.copytree(folders("smooth"), tmp_path / "model")
    score = pickle.dumps(logpx.score_batches(own))
    logpx.save(logpx.load(folders("gaussian")), own, overwrite=True)
    monkeypatch.setattr(model_source, "_LOADED", {})
    with pytest.raises(ModelFolderError, match="another model"):
        pickle.loads(score)(pa.table({"a": [0.0], "b": [0.0]}))


@pytest.mark.parametrize(
    "arguments",
    [{"given": "a"}, {"draws": 0}, {"target": "nothing"}, {"keep": pa.schema([("log_prob", pa.int8())])}],
)
def test_bad_arguments_are_refused_at_once(folders: Folders, arguments: dict):
    with pytest.raises(UsageError):
        logpx.score_batches(folders("smooth"), **arguments)


def test_models_of_arrays_are_refused(tmp_path: Path):
    logpx.save(logpx.flows.MAF(features=2), tmp_path / "flow")
    with pytest.raises(ModelFolderError, match="not a model of a table"):
        logpx.score_batches(tmp_path / "flow")
    with pytest.raises(ModelFolderError, match="no such model folder"):
        logpx.score_batches(tmp_path / "nothing")
