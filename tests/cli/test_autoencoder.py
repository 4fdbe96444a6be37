"""``--model vae`` and ``--exactness`` on the command line: bounds with their errors, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with labels, whole numbers and missing cells."""
    generator = np.random.default_rng(0)
    group = generator.integers(2, size=400)
    table = pd.DataFrame(
        {
            "a": generator.normal(4.0 * group, 1.0),
            "count": generator.poisson(2.0 + 3.0 * group),
            "colour": np.array(["red", "blue"])[group],
        }
    )
    file = tmp_path_factory.mktemp("mixed") / "mixed.csv"
    table.mask(generator.random(table.shape) < 0.1).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def model(fitted, mixed: Path) -> Path:
    return fitted(600, mixed, mixed.parent / "model", "--model", "vae", "--latent", "2")


@pytest.fixture(scope="module")
def factors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of real numbers that have one factor in common."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 1)) + 0.3 * generator.normal(size=(400, 3))
    file = tmp_path_factory.mktemp("factors") / "factors.csv"
    pd.DataFrame(x, columns=list("abc")).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def smooth(fitted, factors: Path) -> Path:
    return fitted(600, factors, factors.parent / "model", "--model", "vae", "--latent", "1")


def scores(logpx, model: Path, table: Path, output: Path, *words: str) -> tuple[pd.DataFrame, dict]:
    ended = logpx("score", model, table, "-o", output, "--overwrite", "--json", *words)
    assert ended.status == 0, ended.err
    return pd.read_csv(output), ended.document


@pytest.mark.slow
def test_scores_are_a_bound_that_more_samples_raise(logpx, model: Path, mixed: Path, tmp_path: Path):
    usual, document = scores(logpx, model, mixed, tmp_path / "s.csv")
    assert list(usual) == ["row", "log_prob_lower", "log_prob_se"]
    assert (document["kind"], document["exactness"]) == ("lower bound", None)
    tighter, document = scores(logpx, model, mixed, tmp_path / "s.csv", "--exactness", "2000")
    assert list(tighter) == ["row", "log_prob_lower", "log_prob_se"]
    assert document["exactness"] == 2000
    assert tighter.log_prob_lower.mean() > usual.log_prob_lower.mean()
    assert tighter.log_prob_se.mean() < usual.log_prob_se.mean()
    again, _ = scores(logpx, model, mixed, tmp_path / "s.csv", "--exactness", "2000")
    pd.testing.assert_frame_equal(again, tighter, check_exact=True)


@pytest.mark.slow
def test_smooth_columns_have_a_bound_too(logpx, smooth: Path, factors: Path, tmp_path: Path):
    few, _ = scores(logpx, smooth, factors, tmp_path / "s.csv", "--exactness", "20")
    many, _ = scores(logpx, smooth, factors, tmp_path / "s.csv", "--exactness", "2000")
    assert list(few) == ["row", "log_prob_lower", "log_prob_se"]
    assert many.log_prob_se.mean() < few.log_prob_se.mean() / 3
    error = np.hypot(few.log_prob_se, many.log_prob_se)
    assert (few.log_prob_lower < many.log_prob_lower + 5.0 * error).mean() > 0.99


def test_exactness_of_an_exact_density_on_a_grid(logpx, bound: Path, tables: Path, tmp_path: Path):
    usual, _ = scores(logpx, bound, tables / "test-counts.csv", tmp_path / "s.csv")
    many, _ = scores(logpx, bound, tables / "test-counts.csv", tmp_path / "s.csv", "--exactness", "500")
    assert many.log_prob_lower.mean() > usual.log_prob_lower.mean()
    assert many.log_prob_se.mean() < usual.log_prob_se.mean() / 3


def test_exactness_means_nothing_where_log_p_is_exact(logpx, exact: Path, tables: Path):
    plain = logpx("score", exact, tables / "test.csv")
    assert logpx("score", exact, tables / "test.csv", "--exactness", "99").out == plain.out


def test_evaluation_names_the_bound_and_the_samples(logpx, model: Path, mixed: Path):
    document = logpx("evaluate", model, mixed, "--json", "--exactness", "200").document
    assert (document["kind"], document["exactness"]) == ("lower bound", 200)
    assert document["baselines"]["independent marginals"]["gain"] > 0.2
    assert "log p(x), lower bound" in logpx("evaluate", model, mixed).out


def test_what_else_it_can_do(logpx, model: Path, mixed: Path, tmp_path: Path):
    assert logpx("impute", model, mixed, "-o", tmp_path / "filled.csv").status == 0
    before, after = pd.read_csv(mixed), pd.read_csv(tmp_path / "filled.csv")
    assert not after.isna().any().any()
    assert (after[before.notna()] == before)[before.notna()].sum().sum() == before.notna().sum().sum()
    assert logpx("sample", model, "-n", "50", "-o", tmp_path / "new.csv").status == 0
    drawn = pd.read_csv(tmp_path / "new.csv")
    assert set(drawn.colour) == {"red", "blue"}
    assert logpx("score", model, tmp_path / "new.csv").status == 0
    info = logpx("info", model).out
    assert "vae" in info
    assert "lower bound" in info
    ended = logpx("cluster", model, mixed)
    assert ended.status == 2
    assert "--model gmm" in ended.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--latent", "0"], 2, "latent=1 or more"),
        (["--latent", "-1"], 2, "--latent"),
        (["--components", "2"], 2, "components"),
    ],
)
def test_sizes_that_cannot_be_meant(logpx, mixed: Path, tmp_path: Path, words, status, message):
    ended = logpx("fit", mixed, "-o", tmp_path / "m", "--model", "vae", *words)
    assert ended.status == status
    assert message in ended.err
    assert not (tmp_path / "m").exists()


def test_one_row_is_refused_and_one_column_is_not(logpx, fitted, mixed: Path, tmp_path: Path):
    pd.read_csv(mixed)[:1].to_csv(tmp_path / "one.csv", index=False)
    assert logpx("fit", tmp_path / "one.csv", "-o", tmp_path / "m", "--model", "vae").status == 3
    table = pd.read_csv(mixed)[["a"]].assign(same=1.5)
    table.to_csv(tmp_path / "column.csv", index=False)
    folder = fitted(600, tmp_path / "column.csv", tmp_path / "m", "--model", "vae", "--latent", "3")
    ended = logpx("score", folder, tmp_path / "column.csv")
    assert ended.status == 0
    assert ended.out.splitlines()[0] == "log_prob_lower,log_prob_se"


@pytest.mark.parametrize("command", ["score", "evaluate"])
def test_no_samples_are_refused(logpx, model: Path, mixed: Path, command: str):
    ended = logpx(command, model, mixed, "--exactness", "0")
    assert ended.status == 2
    assert "exactness" in ended.err
