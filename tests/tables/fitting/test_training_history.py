"""How a model was trained is kept: in the result of the fit, and in the model folder."""

import numpy as np
import pytest
import torch

from logpx.distributions import DiagonalNormal
from logpx.errors import UsageError
from logpx.flows import RealNVP
from logpx.storage import read_details, save
from logpx.tables import fit_table
from logpx.training import fit


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    return {"a": x, "b": np.tanh(x) + 0.1 * rng.normal(size=400)}


def test_history_is_in_the_folder(table, tmp_path):
    result = fit_table(table, "realnvp", max_time=1)
    (run,) = result.training
    assert (run["model"], run["scales"]) == ("realnvp", "chosen")
    save(result.model, tmp_path / "m", metrics=result.to_dict())
    (kept,) = read_details(tmp_path / "m").metrics["training"]
    assert kept == run
    assert kept["stopped"] in {"time", "patience", "budget"}
    assert kept["history"][-1]["validation"] is not None
    ax = result.plot_training()
    assert kept["stopped"] in ax.get_title()


def test_closed_forms_have_none(table):
    result = fit_table(table, "gaussian", max_time=1)
    assert result.training == []
    with pytest.raises(UsageError, match="needs no training by gradient descent"):
        result.plot_training()


def test_candidates_are_plotted(table):
    result = fit_table(table, "gaussian", max_time=1)
    names = [label.get_text() for label in result.plot_leaderboard().get_yticklabels()]
    assert names[0].startswith(result.chosen.model)
    assert len(names) == len(result.candidates)


def test_long_histories_are_thinned_but_for_the_best_and_the_last():
    x = torch.randn(300, 2)
    result = fit(RealNVP(2, layers=2, hidden=(8,)), x, max_epochs=30, patience=30)
    records = result.to_dict()["history"]
    few = result.summary(most=6)["history"]
    assert len(few) <= 6 < len(records)
    best = max(records, key=lambda record: record["validation"])
    assert best in few
    assert few[-1] == records[-1]
    assert result.summary()["history"] == records
    assert fit(DiagonalNormal(2), x).summary()["stopped"] == "closed form"
