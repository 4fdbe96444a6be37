"""`impute_batches`: missing cells filled in, the same however rows are cut."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import logpx
from logpx.errors import UsageError

Folders = Callable[[str], Path]


def cut(table: pa.Table, size: int) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches(max_chunksize=size)


def test_best_guesses_are_those_of_the_model(folders: Folders, table: pa.Table):
    impute = logpx.impute_batches(folders("gaussian"))
    found = pa.Table.from_batches(impute(cut(table, 90)))
    assert found.schema == impute.schema == logpx.impute_schema(folders("gaussian"))
    assert found.schema.names == ["a", "b", "count", "label"]
    expected = logpx.load(folders("gaussian")).impute(table)
    for name in ("a", "b"):
        assert found.column(name).to_numpy() == pytest.approx(expected.column(name).to_numpy(), abs=1e-9)
    assert found.column("label").to_pylist() == table.column("label").to_pylist()
    assert found.column("b").null_count == 0 < table.column("b").null_count


@pytest.mark.parametrize("kind", ["gaussian", pytest.param("vae", marks=pytest.mark.slow)])
def test_draws_depend_on_the_id_alone(folders: Folders, table: pa.Table, kind: str):
    table = table.slice(0, 60)
    impute = pickle.loads(pickle.dumps(logpx.impute_batches(folders(kind), draws=2, id="id", keep=["id"])))
    by_draw = [("draw", "ascending"), ("id", "ascending")]
    whole = pa.Table.from_batches(impute(table.to_batches())).sort_by(by_draw)
    order = np.random.default_rng(2).permutation(table.num_rows)
    other = pa.Table.from_batches(impute(cut(table.take(order), 35)))
    other = other.sort_by(by_draw)
    assert whole.schema.names == ["draw", "id", "a", "b", "count", "label"]
    assert whole.num_rows == 2 * table.num_rows
    assert other.column("id").to_pylist() == whole.column("id").to_pylist()
    assert other.column("b").to_numpy() == pytest.approx(whole.column("b").to_numpy(), abs=1e-4)
    first, second = whole.column("b").to_numpy().reshape(2, -1)
    filled = np.asarray(table.sort_by("id").column("b").is_null())
    assert np.all((first != second)[filled])
    assert np.all((first == second)[~filled])


def test_draws_have_the_spread_of_the_conditional(folders: Folders):
    rows = pa.table({"id": np.arange(4000), "a": np.zeros(4000), "b": pa.nulls(4000, pa.float64())})
    impute = logpx.impute_batches(folders("smooth"), draws=1, id="id")
    drawn = impute(rows).column("b").to_numpy()
    known = logpx.load(folders("smooth")).conditional("b", "a").predict({"a": [0.0]}, quantiles=[0.16, 0.84])
    low, high = (known.column(name)[0].as_py() for name in known.column_names[1:])
    assert np.mean((drawn > low) & (drawn < high)) == pytest.approx(0.68, abs=0.03)
    assert len(np.unique(drawn)) > 3500


def test_draws_need_an_id(folders: Folders):
    with pytest.raises(UsageError, match="nothing identifies"):
        logpx.impute_batches(folders("gaussian"), draws=3)


def test_models_that_cannot_fill_in_are_refused(tmp_path: Path, table: pa.Table):
    model = logpx.fit("maf", table.select(["a", "count"]), max_time=1.0).model
    logpx.save(model, tmp_path / "flow")
    with pytest.raises(UsageError, match="cannot fill in"):
        logpx.impute_batches(tmp_path / "flow")
