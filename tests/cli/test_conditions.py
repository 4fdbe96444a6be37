"""``logpx predict``, ``score --target`` and ``sample --given``: any columns given any others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    area = generator.normal(100.0, 20.0, 300)
    table = pd.DataFrame(
        {
            "id": [f"h{index}" for index in range(300)],
            "price": (3000.0 * area + generator.normal(0.0, 20_000.0, 300)).round(-2),
            "area": area,
            "kind": np.where(area + generator.normal(0.0, 10.0, 300) > 105.0, "house", "flat"),
            "sold": (pd.Timestamp("2024-01-01") + pd.to_timedelta(area.round() // 2, unit="D")).strftime(
                "%d.%m.%Y"
            ),
        }
    )
    folder = tmp_path_factory.mktemp("homes")
    table.to_csv(folder / "homes.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model(homes: Path) -> Path:
    from logpx.cli import main

    words = ["fit", homes / "homes.csv", "-o", homes / "m", "--model", "gmm", "--components", "2", "-q"]
    assert main([str(word) for word in words]) == 0
    return homes / "m"


def test_predict_writes_the_columns_of_each_target(logpx, model: Path, homes: Path, tmp_path: Path):
    words = ["--target", "price,kind", "--target", "sold", "--quantiles", "0.1,0.9", "--keep", "id"]
    ended = logpx("predict", model, homes / "homes.csv", *words, "-o", tmp_path / "q.csv", "--json")
    assert ended.status == 0, ended.err
    found, true = pd.read_csv(tmp_path / "q.csv"), pd.read_csv(homes / "homes.csv")
    assert list(found) == ended.document["columns"]
    assert list(found) == [
        *["id", "price_mean", "price_quantile_0.1", "price_quantile_0.9"],
        *["kind_predicted", "kind_probability_flat", "kind_probability_house"],
        *["sold_mean", "sold_quantile_0.1", "sold_quantile_0.9"],
    ]
    assert found.id.tolist() == true.id.tolist()
    within = (found["price_quantile_0.1"] <= true.price) & (true.price <= found["price_quantile_0.9"])
    assert within.mean() == pytest.approx(0.8, abs=0.07)
    assert found["sold_mean"].str.fullmatch(r"\d\d\.\d\d\.2024").all()
    assert (found.kind_predicted == true.kind).mean() > 0.75


def test_predict_needs_the_given_columns_alone(logpx, model: Path, tmp_path: Path):
    (tmp_path / "areas.csv").write_text("area\n90\n\n120\n")
    ended = logpx("predict", model, tmp_path / "areas.csv", "--target", "price", "--given", "area", "-q")
    assert ended.status == 0, ended.err
    header, *lines = ended.out.splitlines()
    assert header == "price_mean,price_quantile_0.05,price_quantile_0.5,price_quantile_0.95"
    low, middle, high = (float(line.split(",")[0]) for line in lines)
    assert low < middle < high


def test_score_names_what_the_number_is(logpx, model: Path, homes: Path, tmp_path: Path):
    source = homes / "homes.csv"
    exact = logpx(
        "score",
        model,
        source,
        "--target",
        "kind",
        "--given",
        "area",
        "--keep",
        "id",
        "--json",
        "-o",
        tmp_path / "k.csv",
    )
    assert (exact.document["kind"], exact.document["columns"]) == ("exact", ["id", "row", "log_prob"])
    bound = logpx("score", model, source, "--target", "kind", "-o", tmp_path / "b.csv", "--json")
    assert bound.document["kind"] == "lower bound"
    assert "log p(kind | the rest), lower bound" in bound.err
    everything = logpx("score", model, source, "-o", tmp_path / "all.csv")
    assert "log p(x), lower bound" in everything.err
    scores = [pd.read_csv(tmp_path / name).iloc[:, -2] for name in ("b.csv", "all.csv")]
    assert (scores[0] > scores[1]).all()


def test_sample_given_values(logpx, model: Path):
    ended = logpx("sample", model, "-n", 4, "--given", "area=90.5", "--given", "kind=flat", "-q")
    assert ended.status == 0, ended.err
    header, *lines = ended.out.splitlines()
    assert header == "price,area,kind,sold"
    assert [line.split(",")[1:3] for line in lines] == [["90.5", "flat"]] * 4
    assert len({line.split(",")[0] for line in lines}) == 4


def test_sample_given_rows_keeps_them_as_they_are(logpx, model: Path, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("kind,id,area\nhouse,007,120.50\n,8,\n")
    ended = logpx("sample", model, "-n", 2, "--given", tmp_path / "rows.csv", "-q")
    assert ended.status == 0, ended.err
    header, *lines = (line.split(",") for line in ended.out.splitlines())
    assert header == ["kind", "id", "area", "price", "sold"]
    assert [line[:3] for line in lines[:2]] == [["house", "007", "120.50"]] * 2
    assert [line[1] for line in lines[2:]] == ["8", "8"]
    assert all(all(line) for line in lines)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["sample", "-n", "2", "--given", "aria=3"], 2, "did you mean 'area'"),
        (["sample", "-n", "2", "--given", "kind=hause"], 2, "did you mean 'house'"),
        (["sample", "-n", "2", "--given", "area=3", "--given", "area=4"], 2, "given twice"),
        (["sample", "-n", "2", "--given", "area="], 2, "gives no value"),
        (["sample", "-n", "2", "--given", "none.csv"], 2, "no such file"),
        (["sample", "-n", "2", "--given", "SOURCE", "--given", "area=4"], 2, "either one table"),
        (["sample", "-n", "2", "--given", "EMPTY"], 3, "no rows"),
        (["score", "SOURCE", "--target", "prise"], 2, "did you mean 'price'"),
        (["score", "SOURCE", "--given", "area"], 2, "without --target"),
        (["score", "SOURCE", "--target", "price", "--given", "price"], 2, "both target and given"),
        (["score", "SOURCE", "id"], 2, "was not expected"),
        (["predict", "SOURCE"], 2, "no target"),
        (["predict", "SOURCE", "--target", "id"], 2, "identifier"),
        (["predict", "SOURCE", "--target", "price", "--quantiles", "half"], 2, "not a list of numbers"),
        (["predict", "SOURCE", "--target", "price", "--quantiles", "1"], 2, "above 0 and below 1"),
        (["predict", "SOURCE", "--target", "price", "--keep", "it"], 2, "did you mean 'id'"),
        (["predict", "EMPTY", "--target", "price", "--given", "area"], 3, "no rows"),
    ],
)
def test_what_cannot_be_asked(logpx, model: Path, homes: Path, tmp_path: Path, words, status, message):
    (tmp_path / "empty.csv").write_text("area\n")
    places = {"SOURCE": homes / "homes.csv", "EMPTY": tmp_path / "empty.csv"}
    ended = logpx(words[0], model, *(places.get(word, word) for word in words[1:]))
    assert ended.status == status
    assert message in ended.err
    assert "fix: " in ended.err
