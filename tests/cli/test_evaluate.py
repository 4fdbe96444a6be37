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


def test_seed_makes_it_repeatable(logpx, bound: Path, tables: Path):
    words = ["evaluate", bound, tables / "test-counts.csv", "--json"]
    assert logpx(*words, "--seed", "1").out == logpx(*words, "--seed", "1").out
    assert logpx(*words, "--seed", "1").document["mean"] != logpx(*words, "--seed", "2").document["mean"]


def test_model_of_arrays_is_refused(logpx, tables: Path, tmp_path: Path):
    save(NICE(2), tmp_path / "flow")
    ended = logpx("evaluate", tmp_path / "flow", tables / "test.csv")
    assert ended.status == 4
    assert "logpx.load" in ended.err
