"""``logpx evaluate``: a mean with its error, beside baselines, named as what it is."""

from pathlib import Path

import numpy as np
import pytest

from logpx import load
from logpx.flows import NICE
from logpx.storage import save


@pytest.mark.slow
def test_evaluation_as_a_process(process, exact: Path, tables: Path):
    ended = process("evaluate", exact, tables / "test.csv", "--json")
    assert ended.status == 0, ended.err
    document = ended.document
    scores = load(exact).log_prob(tables / "test.csv").numpy()
    assert document["kind"] == "exact"
    assert document["rows"] == 400
    assert document["mean"] == pytest.approx(scores.mean(), rel=1e-9)
    assert document["standard_error"] == pytest.approx(scores.std(ddof=1) / np.sqrt(400), rel=1e-9)
    assert set(document["baselines"]) == {"independent marginals", "full-covariance Gaussian"}
    for baseline in document["baselines"].values():
        assert baseline["gain"] == pytest.approx(document["mean"] - baseline["mean"], abs=1e-9)


def test_text_names_the_bound_and_the_baselines(logpx, bound: Path, tables: Path):
    ended = logpx("evaluate", bound, tables / "test-counts.csv")
    assert ended.status == 0
    first, header, *rows = ended.out.splitlines()
    assert first.startswith("400 rows, log p(x), lower bound, nats per row")
    assert header.split("  ")[0] == "model"
    assert [row.split("  ")[0] for row in rows] == [
        "this model",
        "independent marginals",
        "full-covariance Gaussian",
    ]
    assert all("±" in row for row in rows)


def test_exact_numbers_are_not_called_a_bound(logpx, exact: Path, tables: Path):
    assert "bound" not in logpx("evaluate", exact, tables / "test.csv").out


def test_impossible_rows_are_named_with_their_columns(logpx, tmp_path: Path):
    kinds = np.random.default_rng(0).choice(["x", "y"], 60)
    values = np.random.default_rng(1).normal(size=60)
    lines = [f"{value:.6f},{kind}" for value, kind in zip(values, kinds, strict=True)]
    fit, test = tmp_path / "fit.csv", tmp_path / "test.csv"
    fit.write_text("\n".join(["a,kind", *lines]))
    test.write_text("\n".join(["a,kind", *lines[:3], "0.5,z", lines[3], "0.1,w"]))
    assert logpx("fit", fit, "-o", tmp_path / "m", "--model", "gaussian").status == 0
    ended = logpx("evaluate", tmp_path / "m", test)
    assert ended.status == 0
    assert "4 rows that every model finds possible" in ended.out
    assert f"{test}, row 4 ('kind')" in ended.err
    assert f"{test}, row 6 ('kind')" in ended.err
    assert "nan" not in ended.out + ended.err
    document = logpx("evaluate", tmp_path / "m", test, "--json").document
    assert document["possible"]["rows"] == 4
    assert document["impossible"][0] == {"file": str(test), "row": 4, "columns": ["kind"]}
    assert document["baselines"]["independent marginals"]["gain"] is None
    scored = logpx("score", tmp_path / "m", test, "-o", tmp_path / "s.csv")
    assert "2 rows lie outside the model's support; mean of the other 4: " in scored.err


def test_seed_makes_it_repeatable(logpx, bound: Path, tables: Path):
    words = ["evaluate", bound, tables / "test-counts.csv", "--json"]
    assert logpx(*words, "--seed", "1").out == logpx(*words, "--seed", "1").out
    assert logpx(*words, "--seed", "1").document["mean"] != logpx(*words, "--seed", "2").document["mean"]


def test_model_of_arrays_is_refused(logpx, tables: Path, tmp_path: Path):
    save(NICE(2), tmp_path / "flow")
    ended = logpx("evaluate", tmp_path / "flow", tables / "test.csv")
    assert ended.status == 4
    assert "logpx.load" in ended.err
