"""What a fit of a table says of its model, and what answers where the model cannot."""

import math

import numpy as np
import pytest
import torch

import logpx
from logpx.distributions import StandardNormal
from logpx.errors import UsageError
from logpx.flows import MAF
from logpx.tables import (
    FAMILIES,
    Column,
    ColumnScales,
    Kind,
    Schema,
    Support,
    TableDensity,
    TableModel,
    fit_table,
)
from logpx.tables.families.family import Budget
from logpx.tables.fitting.notes import companion_notes
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate, stack
from logpx.training.history import HistoryRecord, StopReason
from logpx.training.result import FitResult


def correlated(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    a = draw.normal(size=rows)
    return {"a": a, "b": 0.8 * a + 0.6 * draw.normal(size=rows)}


def test_the_gain_over_independent_columns_is_the_mutual_information():
    result = fit_table(correlated(3000), "gaussian", max_time=1)
    gain = result.verdict.gains["independent marginals"]
    assert gain.gain == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=4 * gain.gain_standard_error)
    assert gain.gain_standard_error < 0.08
    assert result.verdict.rows == result.validation_rows
    assert result.verdict.worse_than == []
    assert result.verdict.unfinished is None
    assert result.to_dict()["verdict"]["sentences"] == result.verdict.sentences


def test_exactness_narrows_the_gap_of_baselines_beside_an_exact_number():
    draw = np.random.default_rng(0)
    a = draw.normal(size=400)
    rows = {"a": a.round(), "b": (a + 0.1 * draw.normal(size=400)).round()}
    result = fit_table(rows, "autoregressive", max_steps=20)
    assert result.model.kind == "exact"
    gaussian = "full-covariance Gaussian"
    rough, close = (result.model.evaluate(rows, exactness=exactness) for exactness in (None, 200))
    assert rough.mean == pytest.approx(close.mean)
    assert rough.baselines[gaussian].bound
    assert rough.baselines[gaussian].mean < close.baselines[gaussian].mean
    alone = TableModel(result.model.schema, result.model.baselines[gaussian])
    bound = alone.log_prob(rows, exactness=200).mean()
    assert close.baselines[gaussian].mean == pytest.approx(float(bound))


def test_few_rows_have_no_verdict():
    assert fit_table(correlated(30), "gaussian", max_time=1).verdict is None


def test_the_column_that_the_model_gets_wrong_is_named():
    draw = np.random.default_rng(3)
    rows = {"a": draw.normal(size=800), "b": draw.exponential(size=800) - 1.0, "c": draw.normal(size=800)}
    schema = Schema(columns=[Column(name=name, kind=Kind.CONTINUOUS) for name in "abc"])
    columns = ColumnScales.standard([[-1.0] * 3, [1.0] * 3], [Support()] * 3)
    model = TableModel(schema, TableDensity(columns, StandardNormal(3))).eval()
    found = model.evaluate(rows).calibration
    assert found.wrong == ["b"]
    assert found.worst == "b"
    right = dict.fromkeys("abc", None) | {name: draw.normal(size=800) for name in "abc"}
    assert model.evaluate(right).calibration.wrong == []


def test_counts_and_labels_are_calibrated_too():
    draw = np.random.default_rng(2)
    rows = {"n": draw.poisson(2.0, 1200), "label": draw.choice(["x", "y", "z"], 1200, p=[0.6, 0.3, 0.1])}
    train = {name: column[:800] for name, column in rows.items()}
    test = {name: column[800:] for name, column in rows.items()}
    model = fit_table(train, "gmm", components=1, max_time=1).model
    assert model.evaluate(test).calibration.wrong == []
    other = {**test, "label": np.array(["x", "z", "z", "z"]).repeat(100)}
    assert model.evaluate(other).calibration.wrong == ["label"]


def ended(stopped: StopReason, validation: list[float]) -> FitResult:
    history = [
        HistoryRecord(epoch=k, step=10 * k, seconds=1.0, validation=value)
        for k, value in enumerate(validation)
    ]
    return FitResult(
        model=logpx.distributions.StandardNormal(1),
        history=history,
        events=[],
        best_validation=max(validation),
        best_validation_error=0.1,
        best_epoch=0,
        stopped=stopped,
        train_rows=1,
        validation_rows=1,
        seconds=1.0,
        seed=0,
    )


def test_whether_the_likelihood_was_still_rising():
    rising, fallen = [-3.0, -2.0, -1.0, -0.5], [-3.0, -1.0, -1.5, -2.0]
    assert ended(StopReason.TIME, rising).still_rising is True
    assert ended(StopReason.TIME, fallen).still_rising is False
    assert ended(StopReason.PATIENCE, rising).still_rising is False
    assert ended(StopReason.CLOSED_FORM, [-1.0]).still_rising is None


def test_the_families_tell_how_training_ended():
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked, results = iter(range(10_000)), []
    budget = Budget(
        seconds=600.0,
        rows=200,
        kinds=["normal"] * 2,
        should_stop=lambda: next(asked) > 8,
        trained=results.append,
    )
    FAMILIES["nice"].fit(rows[:200], rows[200:], budget)
    assert results[0].stopped is StopReason.REQUESTED
    assert results[0].still_rising in {True, False}


def candidate(name: str, density, score: float, **known) -> Candidate:
    log_prob = torch.full((60,), score, dtype=torch.float64) + torch.arange(60) / 1000
    return Candidate(model=name, scales="chosen", density=density, log_prob=log_prob, seconds=1.0, **known)


def test_a_stack_is_unfinished_if_a_member_is():
    normal = StandardNormal(1)
    draw = torch.Generator().manual_seed(0)
    several = [
        Candidate(
            model=name,
            scales="chosen",
            density=normal,
            log_prob=torch.randn(200, generator=draw, dtype=torch.float64),
            seconds=1.0,
            unfinished=unfinished,
        )
        for name, unfinished in (("gmm", None), ("maf", True), ("nsf", False))
    ]
    assert stack(several).unfinished is True
    assert stack([several[0], several[2]]).unfinished is False


@pytest.fixture(scope="module")
def densities() -> dict[str, TableModel]:
    """Two models of one table: a mixture, and a flow, which can condition on nothing."""
    mixture = fit_table(correlated(800), "gmm", components=2, max_time=1).model
    torch.manual_seed(0)
    flow = TableDensity(mixture.density.columns, MAF(2, hidden=(8, 8)).eval())
    return {"mixture": mixture, "flow": TableModel(mixture.schema, flow).eval()}


def test_the_best_of_those_that_can_is_kept(densities):
    flow, mixture = densities["flow"].density, densities["mixture"].density
    one = fit_table(correlated(300), "gaussian", max_time=1).model.density
    found = [candidate("maf", flow, -2.0), candidate("gmm", mixture, -2.5), candidate("gaussian", one, -2.2)]
    search = Search.__new__(Search)
    search.candidates = found
    kept = search.companions(found[0])
    # A Gaussian conditions, and is better than the mixture; it has no clusters.
    assert {purpose: other.model for purpose, other in kept.items()} == {
        "conditions": "gaussian",
        "clusters": "gmm",
    }
    assert search.companions(found[1]) == {}
    notes = companion_notes(found[0], kept)
    assert "by gaussian on chosen scales, which is 0.200 ± 0.000 nats per row worse than maf" in notes[0]


@pytest.fixture
def answered(densities) -> TableModel:
    flow, mixture = densities["flow"], densities["mixture"].density
    companions = {"conditions": mixture, "clusters": mixture}
    return TableModel(flow.schema, flow.density, companions=companions).eval()


def test_what_the_winner_cannot_the_runner_up_answers(answered, tmp_path):
    model = answered
    holes = {"a": [0.5, -1.0, None], "b": [None, 2.0, 1.0]}
    filled = model.impute(holes).to_pydict()
    assert filled["a"][:2] == [0.5, -1.0]
    # The mean of b given a is 0.8 a.
    assert filled["b"][0] == pytest.approx(0.4, abs=0.35)
    drawn = model.condition({"a": 2.0}).sample(400, seed=0).to_pandas()
    assert drawn["b"].mean() == pytest.approx(1.6, abs=0.35)
    clusters = list(model.cluster(correlated(50)))
    assert clusters[0].probabilities.shape[0] == 50
    assert model.clusters >= 2
    assert "the best model tried that has them" in model.companion_note("conditions")
    logpx.save(model, tmp_path / "model")
    again = logpx.load(tmp_path / "model")
    assert again.impute(holes).to_pydict() == filled
    rows = correlated(20, seed=9)
    assert torch.equal(again.log_prob(rows), model.log_prob(rows))


def test_log_p_and_samples_stay_those_of_the_winner(answered):
    model = answered
    rows = correlated(100, seed=5)
    assert torch.equal(model.log_prob(rows), TableModel(model.schema, model.density).eval().log_prob(rows))
    own = TableModel(model.schema, model.density).eval()
    assert own.sample(20, seed=1) == model.sample(20, seed=1)
    with pytest.raises(UsageError, match="cannot fill in missing cells"):
        own.impute({"a": [None], "b": [1.0]})


def test_a_model_asked_for_by_name_has_no_companion():
    result = fit_table(correlated(300), "gaussian", max_time=1)
    assert dict(result.model.companions) == {}
    assert result.model.companion_note("conditions") is None
