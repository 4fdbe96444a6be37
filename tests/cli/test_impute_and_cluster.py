"""``logpx impute`` and ``logpx cluster``: what a mixture knows of a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    group = generator.integers(2, size=400)
    table = pd.DataFrame(
        {
            "a": generator.normal(8.0 * group, 1.0),
            "b": generator.normal(-5.0 * group, 1.0),
            "colour": np.array(["red", "blue"])[group],
        }
    )
    table = table.mask(generator.random(table.shape) < 0.1)
    file = tmp_path_factory.mktemp("holes") / "holes.csv"
    table.to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def model(holes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from logpx.cli import main

    folder = tmp_path_factory.mktemp("holes") / "model"
    words = ["fit", holes, "-o", folder, "--model", "gmm", "--components", "2", "-q"]
    assert main([str(word) for word in words]) == 0
    return folder


def test_impute_fills_every_hole_and_nothing_else(process, model: Path, holes: Path, tmp_path: Path):
    ended = process("impute", model, holes, "-o", tmp_path / "filled.parquet", "--json")
    assert ended.status == 0, ended.err
    before, after = pd.read_csv(holes), pd.read_parquet(tmp_path / "filled.parquet")
    assert ended.document["rows"] == 400
    assert not after.isna().any().any()
    pd.testing.assert_frame_equal(after[before.notna()], before)


def test_impute_draws_tables_one_after_another(logpx, model: Path, holes: Path, tmp_path: Path):
    assert logpx("impute", model, holes, "-o", tmp_path / "drawn.csv", "--draws", "3").status == 0
    drawn = pd.read_csv(tmp_path / "drawn.csv")
    assert drawn.draw.tolist() == [1] * 400 + [2] * 400 + [3] * 400
    first, second = (drawn[drawn.draw == draw].drop(columns="draw").to_numpy() for draw in (1, 2))
    there = pd.read_csv(holes).notna().to_numpy()
    assert (first[there] == second[there]).all()
    assert (first[~there] != second[~there]).any()


def test_cluster_writes_the_component_of_every_row(logpx, model: Path, holes: Path, tmp_path: Path):
    ended = logpx("cluster", model, holes, "-o", tmp_path / "clusters.csv", "--probabilities", "--json")
    assert ended.status == 0, ended.err
    clusters = pd.read_csv(tmp_path / "clusters.csv")
    assert list(clusters) == ["cluster", "probability", "probability_0", "probability_1"]
    np.testing.assert_allclose(clusters.probability_0 + clusters.probability_1, 1.0, atol=1e-9)
    assert ended.document["rows_per_cluster"] == np.bincount(clusters.cluster).tolist()
    colours = pd.read_csv(holes).colour
    for colour in ("red", "blue"):
        shares = clusters.cluster[colours == colour].value_counts(normalize=True)
        assert shares.iloc[0] > 0.99


def test_what_is_scored_may_have_holes(logpx, model: Path, holes: Path):
    assert logpx("score", model, holes).status == 0
    ended = logpx("evaluate", model, holes)
    assert ended.status == 0
    assert "independent marginals" in ended.out
    assert "categorical" in logpx("info", model).out


def test_an_output_that_is_the_input_is_refused(logpx, model: Path, holes: Path):
    before = holes.read_bytes()
    for command in ("impute", "cluster"):
        ended = logpx(command, model, holes, "-o", holes, "--overwrite")
        assert ended.status == 2
        assert "being read" in ended.err
    assert holes.read_bytes() == before


def test_a_model_without_components_is_refused(logpx, holes: Path, tmp_path: Path):
    numbers = tmp_path / "numbers.csv"
    pd.read_csv(holes)[["a", "b"]].to_csv(numbers, index=False)
    assert logpx("fit", numbers, "-o", tmp_path / "ppca", "--model", "ppca", "-q").status == 0
    ended = logpx("cluster", tmp_path / "ppca", numbers)
    assert ended.status == 2
    assert "--model gmm" in ended.err
    assert logpx("impute", tmp_path / "ppca", numbers, "-q").status == 0


def test_components_are_of_models_that_have_them(logpx, holes: Path, tmp_path: Path):
    ended = logpx("fit", holes, "-o", tmp_path / "m", "--components", "2")
    assert ended.status == 2
    assert "--model gmm" in ended.err
    assert logpx("fit", holes, "-o", tmp_path / "m", "--model", "gmm", "--components", "0").status == 2


@pytest.mark.parametrize(("delimiter", "decimal"), [(";", ","), ("\t", "."), ("|", ".")])
def test_kept_cells_are_written_with_the_marks_of_their_file(logpx, delimiter: str, decimal: str, tmp_path):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {"weight": generator.normal(70, 9, 60).round(1), "a;b": generator.normal(size=60).round(2)}
    )
    table.loc[3, "weight"] = np.nan
    file, folder = tmp_path / "t.csv", tmp_path / "model"
    table.to_csv(file, index=False, sep=delimiter, decimal=decimal)
    assert logpx("fit", file, "-o", folder, "--model", "gaussian", "-q").status == 0
    filled = logpx("impute", folder, file, "-q").out.splitlines()
    before = file.read_text().splitlines()
    assert [row for row in range(61) if filled[row] != before[row]] == [4]
    assert logpx("score", folder, file, "--keep", "-o", tmp_path / "s.csv").status == 0
    scored = pd.read_csv(tmp_path / "s.csv", sep=delimiter, decimal=decimal)
    assert list(scored) == ["weight", "a;b", "row", "log_prob_lower", "log_prob_se"]
    pd.testing.assert_frame_equal(scored[list(table)], table)


def test_the_home_folder_may_be_part_of_every_path(logpx, holes: Path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert logpx("fit", holes, "--output=~/m", "--model", "gaussian", "-q").status == 0
    assert logpx("impute", "~/m", holes, "--output=~/filled.csv", "-q").status == 0
    assert (tmp_path / "filled.csv").exists()


def test_impossible_cells_count_as_not_given(logpx, tmp_path: Path):
    generator = np.random.default_rng(0)
    group = generator.integers(2, size=300)
    table = pd.DataFrame(
        {
            "share": generator.uniform(size=300),
            "size": generator.normal(8.0 * group, 1.0),
            "colour": np.array(["red", "blue"])[group],
        }
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    words = ["--model", "gmm", "--components", "2", "--columns", "share=bounded:0:1", "-q"]
    assert logpx("fit", tmp_path / "t.csv", "-o", tmp_path / "m", *words).status == 0
    strange = [[1.5, 8.0, None], [0.5, 8.0, "green"], [0.5, None, "green"]]
    pd.DataFrame(strange, columns=list(table)).to_csv(tmp_path / "strange.csv", index=False)
    plain = [[None, 8.0, None], [0.5, 8.0, None], [0.5, None, None]]
    pd.DataFrame(plain, columns=list(table)).to_csv(tmp_path / "plain.csv", index=False)
    said = "column 'share': values that the model finds impossible count as not given (1 row, first in row 1"
    for command in ("impute", "cluster"):
        found = []
        for name in ("strange", "plain"):
            ended = logpx(
                command, tmp_path / "m", tmp_path / f"{name}.csv", "-o", tmp_path / f"{name}-{command}.csv"
            )
            assert ended.status == 0, ended.err
            assert (said in ended.err) == (name == "strange")
            found.append(pd.read_csv(tmp_path / f"{name}-{command}.csv"))
        if command == "impute":
            assert found[0]["size"][2] == found[1]["size"][2]
            assert found[0]["colour"][0] == found[1]["colour"][0]
            assert (found[0]["share"][0], found[0]["colour"][1]) == (1.5, "green")
        else:
            pd.testing.assert_frame_equal(*found)
            assert found[0].probability.iloc[0] > 0.99
