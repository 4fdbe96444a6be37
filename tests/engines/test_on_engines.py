"""`score_batches` unchanged on real engines, each with rows in an order and in batches of its own.

``make test-engines`` installs them; without an engine its test is skipped.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import logpx

# What other packages warn of is not ours.
pytestmark = pytest.mark.filterwarnings("default")

Folders = Callable[[str], Path]


def needs(name: str) -> object:
    return pytest.importorskip(
        name, reason=f"{name} is not installed: make test-engines", exc_type=ImportError
    )


@pytest.fixture
def score(folders: Folders) -> logpx.engines.ScoreBatches:
    return logpx.score_batches(folders("gaussian"), keep=["id"], id="id")


@pytest.fixture
def file(table: pa.Table, tmp_path: Path) -> str:
    pq.write_table(table, tmp_path / "table.parquet")
    return str(tmp_path / "table.parquet")


@pytest.fixture
def check(score, table: pa.Table) -> Callable[[Iterable], None]:
    """Compare pairs of an id and a score with those of the whole table at once."""
    whole = score(table)
    expected = dict(
        zip(whole.column("id").to_pylist(), whole.column("log_prob_lower").to_pylist(), strict=True)
    )

    def compare(pairs: Iterable[Sequence]) -> None:
        found = list(pairs)
        assert len(found) == len(expected)
        assert {name: value for name, value in found} == pytest.approx(expected, abs=1e-9)

    return compare


def test_polars(score, check, file: str):
    scored = pl.from_arrow(score.reader(pl.read_parquet(file)))
    check(scored.select("id", "log_prob_lower").rows())
    form = pl.from_arrow(score.schema.empty_table()).schema
    lazy = pl.scan_parquet(file).map_batches(lambda frame: pl.from_arrow(score.reader(frame)), schema=form)
    check(lazy.select("id", "log_prob_lower").collect().rows())


def test_duckdb(score, check, file: str):
    duckdb = needs("duckdb")
    connection = duckdb.connect()
    scored = score.reader(connection.cursor().sql(f"SELECT * FROM '{file}'"))  # noqa: F841 - DuckDB finds it
    check(connection.sql("SELECT id, log_prob_lower FROM scored ORDER BY id DESC").fetchall())


def test_duckdb_as_on_the_page(recipe):
    recipe("DuckDB", connection=needs("duckdb").connect())
    recipe.check(pq.read_table("scores.parquet"))


@pytest.mark.parametrize("engine", [None, "duckdb"])
def test_fugue(score, check, table: pa.Table, engine: str | None):
    api = needs("fugue.api")
    needs("duckdb")
    from triad import Schema

    def scored(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
        yield from map(score, batches)

    found = api.as_arrow(api.transform(table, scored, schema=Schema(score.schema), engine=engine))
    check(zip(found.column("id").to_pylist(), found.column("log_prob_lower").to_pylist(), strict=True))


def test_fugue_as_on_the_page(recipe):
    api = needs("fugue.api")
    needs("duckdb")
    recipe.check(api.as_arrow(recipe("Fugue")["found"]))


def test_spark(folders: Folders, score, check, file: str, recipe, monkeypatch: pytest.MonkeyPatch):
    sql = needs("pyspark.sql")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java: apt install default-jre-headless, or set JAVA_HOME")
    from pyspark.sql.pandas.types import from_arrow_schema

    # Workers would else be the first python3 of the path.
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": "47",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("logpx")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        rows = spark.read.parquet(file).repartition(3)
        found = rows.mapInArrow(score, from_arrow_schema(score.schema)).collect()
        check((row.id, row.log_prob_lower) for row in found)
        impute = logpx.impute_batches(folders("gaussian"))
        filled = rows.mapInArrow(impute, from_arrow_schema(impute.schema))
        assert filled.filter("b IS NULL").count() == 0
        recipe("Spark", spark=spark)
        recipe.check(pq.read_table("scores"))
    finally:
        spark.stop()


def test_ray(score, check, file: str, recipe):
    ray = needs("ray")
    needs("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = ray.data.read_parquet(file).repartition(3)
        found = rows.map_batches(score, batch_format="pyarrow", batch_size=47).take_all()
        check((row["id"], row["log_prob_lower"]) for row in found)
        recipe("Ray", ray=ray)
        recipe.check(pq.read_table("scores"))
    finally:
        ray.shutdown()
