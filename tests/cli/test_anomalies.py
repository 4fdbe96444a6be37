"""``logpx anomalies``: unusual rows with p-values and reasons."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def homes(count: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    area = generator.normal(100.0, 20.0, count)
    house = area + generator.normal(0.0, 10.0, count) > 105.0
    return pd.DataFrame(
        {
            "id": [f"h{index:03}" for index in range(count)],
            "price": (3000.0 * area + generator.normal(0.0, 20_000.0, count)).round(-2),
            "area": area.round(1),
            "kind": np.where(house, "house", "flat"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from logpx.cli import main

    place = tmp_path_factory.mktemp("homes")
    homes(400, 0).to_csv(place / "homes.csv", index=False)
    new = homes(60, 1)
    new.loc[10, "price"] = 25_300
    new.loc[20, "kind"] = "castle"
    new.loc[30, "area"] = 280.0
    new.to_csv(place / "new.csv", index=False)
    words = ["fit", place / "homes.csv", "-o", place / "m", "--model", "gaussian", "-q"]
    assert main([str(word) for word in words]) == 0
    return place


def test_found_rows_have_p_values_and_reasons(logpx, folder: Path, tmp_path: Path):
    ended = logpx(
        "anomalies", folder / "m", folder / "new.csv", "-o", tmp_path / "f.csv", "--keep", "id", "--explain"
    )
    assert ended.status == 0, ended.err
    found = pd.read_csv(tmp_path / "f.csv").set_index("row")
    assert {11, 21, 31} <= set(found.index)
    assert list(found) == ["id", "p_value", "score", "log_prob_lower", "log_prob_se", "reasons"]
    assert found.loc[11, "id"] == "h010"
    assert found.reasons[11].startswith("price 25300")
    assert found.reasons[21].startswith("kind castle: expected ")
    assert found.reasons[31].startswith("area 280")
    assert "given the rest" in found.reasons[31]
    assert found.score.is_monotonic_increasing
    assert "row 31: area 280" in ended.out
    assert "of the usual kind, on average" in ended.err


def test_the_model_folder_that_is_missing_is_named(logpx, folder: Path, tmp_path: Path):
    ended = logpx("anomalies", folder / "modle", folder / "new.csv", "-o", tmp_path / "f.csv")
    assert ended.status == 4
    assert "modle: no such model folder" in ended.err


def test_all_rows_stand_in_the_order_of_the_table(logpx, folder: Path, tmp_path: Path):
    assert (
        logpx("anomalies", folder / "m", folder / "new.csv", "-o", tmp_path / "f.parquet", "--all").status
        == 0
    )
    found = pd.read_parquet(tmp_path / "f.parquet")
    assert found.row.tolist() == list(range(1, 61))
    assert list(found) == ["row", "p_value", "score", "log_prob_lower", "log_prob_se"]
    assert found.p_value.between(0.0, 1.0, inclusive="right").all()
    logpx("score", folder / "m", folder / "new.csv", "-o", tmp_path / "s.parquet")
    scores = pd.read_parquet(tmp_path / "s.parquet")
    np.testing.assert_allclose(found.log_prob_lower, scores.log_prob_lower)


def test_top_rows_as_json(logpx, folder: Path, tmp_path: Path):
    words = ["--top", "2", "--json", "--explain"]
    document = logpx("anomalies", folder / "m", folder / "new.csv", "-o", tmp_path / "f.csv", *words).document
    assert document["selected"] == 2
    assert document["rows"] == 60
    assert document["calibration"]["rows"] == 400
    (first, *_) = [one for one in document["explained"] if one["row"] == 31]
    reason = first["reasons"][0]
    assert reason["column"] == "area"
    assert float(reason["low"]) < float(reason["expected"]) < float(reason["high"]) < 200.0


def test_nothing_found_is_a_table_without_rows(logpx, folder: Path, tmp_path: Path):
    homes(30, 2).to_csv(tmp_path / "usual.csv", index=False)
    ended = logpx("anomalies", folder / "m", tmp_path / "usual.csv", "--fdr", "0.001")
    assert ended.status == 0
    assert ended.out.splitlines() == ["row,p_value,score,log_prob_lower,log_prob_se,reasons"]


def test_rows_that_are_too_probable_are_noted(logpx, folder: Path, tmp_path: Path):
    pd.DataFrame({"id": "x", "price": 300_000, "area": 100.0, "kind": ["flat"] * 40}).to_csv(
        tmp_path / "stuck.csv", index=False
    )
    ended = logpx(
        "anomalies", folder / "m", tmp_path / "stuck.csv", "-o", tmp_path / "f.csv", "--alpha", "0.01"
    )
    assert "more probable than 99 %" in ended.err


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--fdr", "0.1", "--top", "3"], 2, "both fdr and top were given"),
        (["--alpha", "7"], 2, "alpha is 7"),
        (["--top", "0"], 2, "top is 0"),
        (["--keep", "nowhere"], 2, "no column 'nowhere'"),
    ],
)
def test_wrong_options_are_refused(
    logpx, folder: Path, tmp_path: Path, words: list[str], status: int, text: str
):
    ended = logpx("anomalies", folder / "m", folder / "new.csv", "-o", tmp_path / "f.csv", *words)
    assert ended.status == 2
    assert text in ended.err
    assert not (tmp_path / "f.csv").exists()


def test_a_model_without_rows_set_aside_has_no_p_values(logpx, folder: Path, tmp_path: Path):
    import logpx as package

    model = package.load(folder / "m")
    bare = package.tables.TableModel(model.schema, model.density, dict(model.baselines.items()))
    package.save(bare, tmp_path / "bare")
    ended = logpx("anomalies", tmp_path / "bare", folder / "new.csv", "-o", tmp_path / "f.csv")
    assert ended.status == 2
    assert "no rows set aside" in ended.err
    assert logpx("anomalies", tmp_path / "bare", folder / "new.csv", "--top", "1").status == 0


def test_unusual_rows_are_found_among_a_tables_own(logpx, folder: Path, tmp_path: Path):
    table = homes(400, 3)
    table.loc[50:59, "price"] = 1.0e7
    table.loc[70, "area"] = np.nan
    table.to_csv(tmp_path / "own.csv", index=False)
    words = ["-o", tmp_path / "f.csv", "--keep", "id", "--explain"]
    ended = logpx("anomalies", tmp_path / "own.csv", *words)
    assert ended.status == 0, ended.err
    found = pd.read_csv(tmp_path / "f.csv")
    assert list(found) == ["id", "row", "p_value", "score", "log_prob_lower", "log_prob_se", "reasons"]
    assert set(range(51, 61)) <= set(found.row)
    assert len(found) < 14
    assert found.reasons[0].startswith("price 10000000.0: expected ")
    assert found.score.is_monotonic_increasing
    assert "p-values are estimates" in ended.err
    assert "note: column 'id' is left out: names the row" in ended.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["missing.csv"], "missing.csv"),
        (["new.csv", "new.csv"], "was not expected"),
        (["m"], "no table was given"),
        (["few.csv"], "too few"),
    ],
)
def test_what_is_no_table_is_refused(logpx, folder: Path, words: list[str], text: str):
    homes(15, 4).to_csv(folder / "few.csv", index=False)
    ended = logpx("anomalies", *(folder / word for word in words))
    assert ended.status in {2, 3}
    assert text in ended.err


def test_cells_are_scored_given_the_others(logpx, folder: Path, tmp_path: Path):
    words = ["-o", tmp_path / "s.csv", "--columns-scores", "--keep", "id"]
    assert logpx("score", folder / "m", folder / "new.csv", *words).status == 0
    found = pd.read_csv(tmp_path / "s.csv").set_index("row")
    own = ["price_surprisal", "area_surprisal", "kind_surprisal"]
    assert list(found) == ["id", "log_prob_lower", "log_prob_se", *own]
    assert found.price_surprisal.idxmax() == 11
    assert found.area_surprisal.idxmax() == 31
    assert found.kind_surprisal[21] == np.inf
    ended = logpx("score", folder / "m", folder / "new.csv", "--columns-scores", "--target", "kind")
    assert ended.status == 2


def test_a_table_without_a_model_is_read_as_asked(logpx, folder: Path, tmp_path: Path):
    table = pd.read_csv(folder / "homes.csv")
    table.loc[:3, "area"] = -999.0
    table.to_csv(tmp_path / "own.csv", index=False)
    words = ["-o", tmp_path / "f.csv", "--all", "--columns", "price=drop,id=drop"]
    assert logpx("anomalies", tmp_path / "own.csv", *words, "--missing", "area:-999").status == 0
    read = pd.read_csv(tmp_path / "f.csv")
    assert (read["p_value"][:4] > 0.05).all()
    asked = logpx(
        "anomalies", folder / "m", folder / "new.csv", "-o", tmp_path / "g.csv", "--columns", "id=drop"
    )
    assert asked.status == 2
    assert "--columns is for a table without a model" in asked.err
    unknown = logpx("anomalies", tmp_path / "own.csv", "--columns", "prize=drop")
    assert unknown.status == 2
