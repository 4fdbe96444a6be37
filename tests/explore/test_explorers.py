"""What the page of `logpx explore` is answered: the model's own numbers, or an error in words."""

import base64

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import logpx
from logpx import flows
from logpx.errors import ModelFolderError, UsageError
from logpx.explore import Explorer, explorer_of
from logpx.images import ImageModel
from logpx.tables import TableModel
from logpx.tables.companions import CONDITIONS


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    a = random.normal(size=600)
    return pd.DataFrame(
        {
            "a": a,
            "b": 2.0 * a + random.normal(size=600),
            "count": random.poisson(2.0, 600),
            "label": np.where(a + random.normal(size=600) > 0.0, "up", "down <&>"),
        }
    )


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> Explorer:
    # With steps in place of time, rows are scored by models of other rows however slow the machine.
    return explorer_of(logpx.fit("gmm", frame, components=4, max_steps=60).model)


def column(answer: dict, name: str) -> dict:
    return next(one for one in answer["columns"] if one["name"] == name)


def test_columns_are_described_by_values_that_can_be_held(table: Explorer) -> None:
    described = table.answer("model", {})
    assert [one["name"] for one in described["columns"]] == ["a", "b", "count", "label"]
    for one in described["columns"]:
        for text in one.get("points", one.get("labels")):
            table.answer("densities", {"given": {one["name"]: text}, "columns": []})


def test_densities_given_a_value_are_those_of_the_model() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(800, 2)) @ [[1.0, 2.0], [0.0, 1.0]]
    model = logpx.fit("ppca", {"a": x[:, 0], "b": x[:, 1]}, latent=1, max_time=5).model
    found = column(explorer_of(model).answer("densities", {"given": {"a": "1.5"}}), "b")
    drawn = model.condition({"a": 1.5}).sample(4000, seed=1)["b"].to_numpy()
    edges = np.array(found["edges"])
    shares = np.histogram(drawn, edges)[0] / len(drawn)
    assert np.abs(shares - found["share"]).max() < 0.03
    assert sum(found["share"]) == pytest.approx(1.0, abs=0.02)
    assert float(found["low"]) < float(found["median"]) < float(found["high"])
    assert stats.percentileofscore(drawn, float(found["median"])) == pytest.approx(50.0, abs=3.0)


def test_shares_sum_to_one_and_what_is_held_is_not_described(table: Explorer) -> None:
    answer = table.answer("densities", {"given": {"label": "up"}})
    assert [one["name"] for one in answer["columns"]] == ["a", "b", "count"]
    counts = column(answer, "count")
    assert counts["single"]
    assert sum(counts["share"]) == pytest.approx(1.0)
    labels = column(table.answer("densities", {"given": {"a": "2"}}), "label")
    assert sum(labels["share"]) == pytest.approx(1.0)
    up = labels["labels"].index("up")
    assert labels["share"][up] > labels["usual"][up] + 0.2


def test_rows_are_mapped_once_for_all_columns_asked_for_and_what_is_usual_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    names = [f"m{place:02d}" for place in range(14)]
    model = logpx.fit("gaussian", dict(zip(names, random.normal(size=(14, 100)), strict=True))).model
    explorer, mapped = explorer_of(model), []
    forward = type(model.density).in_model_units
    monkeypatch.setattr(
        type(model.density), "in_model_units", lambda self, x: mapped.append(len(x)) or forward(self, x)
    )
    first = explorer.answer("densities", {"given": {}, "columns": names[1:]})
    assert len(mapped) == 1
    held = explorer.answer("densities", {"given": {"m00": "0.5"}, "columns": names[1:]})
    assert len(mapped) == 2
    assert [one["usual"] for one in held["columns"]] == [one["share"] for one in first["columns"]]


def test_rows_given_nothing_are_of_the_model_that_answers_what_is_given() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=200)
    flow = logpx.fit("nsf", {"a": a, "b": 100.0 + random.normal(size=200)}, max_steps=1).model
    other = logpx.fit("gaussian", {"a": a, "b": 2.0 * a + 0.1 * random.normal(size=200)}).model
    model = TableModel(flow.schema, flow.density, companions={CONDITIONS: other.density})
    explorer = explorer_of(model)
    rows = explorer.answer("samples", {"given": {}, "n": 50})["rows"]
    assert max(abs(float(row[1])) for row in rows) < 20.0
    more = explorer.answer("samples", {"given": {}, "n": 50, "seed": 1})["rows"]
    assert not {tuple(row) for row in rows} & {tuple(row) for row in more}


def test_samples_have_the_values_that_are_held(table: Explorer) -> None:
    asked = {"given": {"label": "down <&>", "count": "3"}, "n": 5, "seed": 1}
    answer = table.answer("samples", asked)
    assert len(answer["rows"]) == 5
    assert {(row[2], row[3]) for row in answer["rows"]} == {("3", "down <&>")}
    assert answer == table.answer(
        "samples", {"given": {"label": "down <&>", "count": "3"}, "n": 5, "seed": 1}
    )


def test_a_row_has_its_log_p_its_p_value_and_its_reasons(table: Explorer) -> None:
    answer = table.answer("row", {"values": {"a": "0.1", "b": "60", "count": "2", "label": "up"}})
    own = table.model.log_prob(pd.DataFrame({"a": [0.1], "b": [60.0], "count": [2], "label": ["up"]}))
    assert answer["log_prob"] == pytest.approx(float(own), abs=1e-6)
    assert answer["p_value"] == pytest.approx(1.0 / 601.0)
    assert answer["reasons"][0].startswith("b 60: expected ")
    assert table.answer("row", {"values": {"a": "0.1"}})["reasons"] == []
    assert answer["unexplained"] == ""


@pytest.mark.slow
def test_a_page_does_not_say_that_no_cell_is_unusual_where_none_was_looked_at() -> None:
    random = np.random.default_rng(0)
    for columns, words in ((1, "no other cells"), (61, "more than 60 columns")):
        names = [f"c{number}" for number in range(columns)]
        data = dict(zip(names, random.normal(size=(columns, 100)), strict=True))
        answer = explorer_of(logpx.fit("gaussian", data).model).answer(
            "row", {"values": dict.fromkeys(names, "9")}
        )
        assert words in answer["unexplained"]
        assert answer["reasons"] == []


@pytest.mark.parametrize(
    ("question", "given", "words"),
    [
        ("nothing", {}, "no question"),
        ("densities", [], "no JSON object"),
        ("densities", {"given": {"z": "1"}}, "z"),
        ("densities", {"given": {"a": "x"}}, "'x'"),
        ("densities", {"given": {"label": "sideways"}}, "sideways"),
        ("densities", {"given": {"count": "-1"}}, "-1"),
        ("densities", {"given": {"a": 1}}, "texts"),
        ("densities", {"columns": ["z"]}, "columns"),
        ("samples", {"n": 0}, "n"),
        ("samples", {"n": 1e9}, "n"),
        ("samples", {"n": 1, "seed": -1}, "seed"),
        ("row", {"values": {}}, "no values"),
    ],
)
def test_mistakes(table: Explorer, question: str, given: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        table.answer(question, given)


def test_a_model_without_conditions_says_so(frame: pd.DataFrame) -> None:
    explorer = explorer_of(logpx.fit("realnvp", frame[["a", "b"]], max_steps=5).model)
    assert not explorer.describe()["conditions"]
    assert "no conditional distributions" in explorer.describe()["notes"][0]
    assert len(explorer.answer("densities", {})["columns"]) == 2
    for question in ("densities", "samples"):
        with pytest.raises(UsageError, match="no conditional distributions"):
            explorer.answer(question, {"given": {"a": "0"}, "n": 1})
    with pytest.raises(UsageError, match="missing cells"):
        explorer.answer("row", {"values": {"a": "0"}})
    with pytest.raises(ModelFolderError, match="no model of a table"):
        explorer_of(flows.RealNVP(2))


def pixels(answer: dict) -> np.ndarray:
    shape = answer["n"], answer["height"], answer["width"], answer["channels"]
    return np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8).reshape(shape)


def test_images_at_temperature_one_are_samples_and_at_zero_all_one() -> None:
    torch.manual_seed(0)
    model = ImageModel(flows.RealNVP((1, 8, 8), layers=2, hidden=(4,), context=2), classes=["p", "q"]).eval()
    explorer = explorer_of(model)
    assert explorer.describe()["temperature"]
    drawn = pixels(explorer.answer("images", {"n": 5, "seed": 3, "class": 1}))
    own = model.sample(5, model.context_of([1] * 5), seed=3)
    assert np.abs(drawn[..., 0].astype(int) - own[:, 0].numpy()).max() <= 1
    cold = pixels(explorer.answer("images", {"n": 5, "seed": 3, "temperature": 0}))
    assert (cold == cold[:1]).all()
    for given in ({"n": 1, "temperature": 9}, {"n": 1, "class": 2}, {"n": 1, "temperature": True}):
        with pytest.raises(UsageError):
            explorer.answer("images", given)


@pytest.mark.parametrize("family", ["ppca", "fa"])
def test_a_place_in_latent_space_stands_for_the_row_of_its_linear_map(family: str) -> None:
    random = np.random.default_rng(2)
    z = random.normal(size=(400, 1))
    x = z @ [[1.0, -2.0, 0.5]] + 0.3 * random.normal(size=(400, 3)) + [10.0, 0.0, -5.0]
    model = logpx.fit(family, dict(zip("abc", x.T, strict=True)), latent=1, max_steps=200).model
    explorer = explorer_of(model)
    assert explorer.describe()["latent"] == 1
    rows = [
        np.array(explorer.answer("latent", {"z": [place]})["values"], float) for place in (-2.0, 0.0, 2.0)
    ]
    own = model.density.model
    scaled = own.mean + own.loadings[:, 0] * torch.tensor([[-2.0], [0.0], [2.0]], dtype=own.mean.dtype)
    np.testing.assert_allclose(rows, model.density.columns.inverse(scaled.detach()).numpy(), rtol=1e-3)
    # Two deviations of z move the columns by twice what z did, up to its sign.
    moved = np.abs(rows[2] - rows[1])
    np.testing.assert_allclose(moved, [2.0, 4.0, 1.0], rtol=0.2)
    with pytest.raises(UsageError, match="z"):
        explorer.answer("latent", {"z": [7.0]})


@pytest.mark.slow
def test_an_autoencoder_of_a_table_is_walked_through_values_that_cells_can_have(frame: pd.DataFrame) -> None:
    explorer = explorer_of(logpx.fit("vae", frame, latent=2, max_steps=20).model)
    answer = explorer.answer("latent", {"z": [0.5, -1.0]})
    assert answer["columns"] == ["a", "b", "count", "label"]
    assert float(answer["values"][2]) in range(12)
    assert answer["values"][3] in {"up", "down <&>"}


def test_models_without_a_latent_space_have_no_walk(table: Explorer) -> None:
    assert table.describe()["latent"] == 0
    with pytest.raises(UsageError, match="no question"):
        table.answer("latent", {"z": []})
