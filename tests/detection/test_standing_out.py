"""Values that repeat, which a model expects and people do not, are named where robust mixtures find them."""

import numpy as np
import pandas as pd
import pytest
import torch

import logpx
from logpx.detection.reasons import Explainer
from logpx.tables import TableModel


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    count = 1500
    amount = random.poisson(5.0, count)
    amount[:25] = 99
    kind = np.where(random.random(count) < 0.97, "usual", "rare")
    return pd.DataFrame({"amount": amount, "kind": kind, "x": random.normal(size=count)})


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> TableModel:
    return logpx.fit("gmm", frame, components=2, max_steps=100, seed=0).model


def test_a_value_that_repeats_is_named_by_its_column_alone(model: TableModel) -> None:
    new = pd.DataFrame({"amount": [99, 5], "kind": ["usual", "usual"], "x": [0.1, 0.1]})
    found = logpx.anomalies(model, new, top=2).reasons
    assert [str(reason) for reason in found[1]] == ["amount 99: expected 2 to 9"]
    (reason,) = found[1]
    assert reason.alone
    assert reason.surprisal == pytest.approx(-np.log(25 / 1500), abs=0.5)
    assert reason.excess > 1.0
    assert found[2] == []


def test_without_the_mixtures_nothing_is_said_of_it(model: TableModel) -> None:
    explainer = Explainer(model)
    row = torch.tensor([[99.0, 1.0, 0.1]], dtype=torch.float64)
    assert model.schema.modelled[1].levels == ["rare", "usual"]
    assert [[reason.column for reason in one] for one in explainer.reasons(row)] == [["amount"]]
    explainer._standing_out = None
    assert explainer.reasons(row) == [[]]


def test_missing_cells_and_common_labels_do_not_stand_out(model: TableModel) -> None:
    out = Explainer(model)._standing_out
    nan = np.nan
    rows = [[99.0, 1.0, nan], [nan, 1.0, 0.0], [99.0, 0.0, 0.0]]
    cells = out.cells(torch.tensor(rows, dtype=torch.float64))
    assert cells[:2] == [[0], []]
    assert 0 in cells[2]
    assert out.commonest(1)[0] == 1.0
    assert 0.9 < out.commonest(1)[1] < 1.0
