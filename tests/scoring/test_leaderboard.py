"""Several models on the same rows and noise: paired differences, and which of them are more than chance."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

import logpx
from logpx import images, tables
from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.scoring.significance import distance_from_uniform, holm, kolmogorov, two_sided
from logpx.tables import Column, ColumnScales, Kind, Schema, Support, TableDensity, TableModel
from logpx.tables.columns.supports import Supports
from logpx.transforms import Affine


def normal_model(shift: float, *, width: float = 1.0, names: str = "ab", **fields) -> TableModel:
    """Return a table model of independent normal columns, whose log p scipy knows."""
    schema = Schema(columns=[Column(name=name, kind=Kind.CONTINUOUS, **fields) for name in names])
    ends = [[shift - width] * len(names), [shift + width] * len(names)]
    columns = ColumnScales.standard(ends, Supports.of(schema.modelled).supports)
    return TableModel(schema, TableDensity(columns, StandardNormal(len(names)))).eval()


def table(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {"a": draw.normal(size=rows), "b": draw.normal(size=rows)}


def test_means_and_paired_differences_are_those_of_the_rows():
    models = {"near": normal_model(0.0), "off": normal_model(0.4), "far": normal_model(2.0)}
    rows = table(500)
    board = logpx.compare(models, rows)
    assert [entry.name for entry in board.entries] == ["near", "off", "far"]
    log_prob = {name: model.log_prob(rows).numpy() for name, model in models.items()}
    for entry in board.entries:
        own = log_prob[entry.name]
        assert entry.mean == pytest.approx(own.mean())
        assert entry.mean_standard_error == pytest.approx(own.std(ddof=1) / math.sqrt(500))
        assert entry.kind == "exact"
        assert entry.seconds_per_million > 0.0
    raw = []
    for difference, (better, worse) in zip(
        board.differences, itertools.combinations(["near", "off", "far"], 2), strict=True
    ):
        assert (difference.better, difference.worse) == (better, worse)
        own = log_prob[better] - log_prob[worse]
        assert difference.value == pytest.approx(own.mean())
        assert difference.standard_error == pytest.approx(stats.sem(own))
        raw.append(2.0 * stats.norm.sf(abs(own.mean() / stats.sem(own))))
    assert [one.p_value for one in board.differences] == pytest.approx(holm(raw))
    assert board.best == ["near"]
    assert board.statements[0].startswith("near is better than off by ")
    assert "z = " in board.statements[0]


def test_equal_models_cannot_be_told_apart_however_many():
    # Six models with the same distance from the truth, in different directions: 15 pairs, none of them real.
    turns = np.linspace(0.0, 2.0 * np.pi, 7)[:-1]
    alarms = 0
    for seed in range(40):
        models = {}
        for number, turn in enumerate(turns):
            shift = np.array([np.cos(turn), np.sin(turn)])
            columns = ColumnScales.standard([shift - 1.0, shift + 1.0], [Support(), Support()])
            schema = Schema(columns=[Column(name=name, kind=Kind.CONTINUOUS) for name in "ab"])
            models[str(number)] = TableModel(schema, TableDensity(columns, StandardNormal(2))).eval()
        board = logpx.compare(models, table(200, seed))
        alarms += any(difference.real for difference in board.differences)
    # At 5 % for all pairs together, 40 repetitions have more than 7 alarms once in a thousand times.
    assert alarms <= 7


def test_the_same_model_twice_differs_by_nothing():
    model = normal_model(0.0)
    board = logpx.compare([model, model], table(50))
    (difference,) = board.differences
    assert (difference.value, difference.real) == (0.0, False)
    assert "the same number for every row" in str(difference)


def test_rounding_is_no_difference():
    board = logpx.compare(
        [normal_model(0.0), normal_model(1e-9)], {"a": np.full(50, 0.5), "b": np.full(50, 0.5)}
    )
    (difference,) = board.differences
    assert (difference.value, difference.real) == (0.0, False)


def test_a_few_rows_tell_nothing():
    board = logpx.compare([normal_model(0.0), normal_model(9.0)], table(5))
    assert not board.differences[0].real
    assert "too few rows to tell" in board.statements[0]


def test_rows_of_probability_0_are_said_and_the_others_compared():
    bounded = {"kind": Kind.BOUNDED, "lower": 0.0, "upper": 1.0}
    inside = np.random.default_rng(0).uniform(size=300)
    narrow = logpx.fit("gaussian", {"a": inside}, schema=Schema(columns=[Column(name="a", **bounded)])).model
    free = logpx.fit("gaussian", {"a": inside}, columns={"a": "continuous"}).model
    new = np.random.default_rng(1).uniform(size=100)
    new[7] = 1.5
    board = logpx.compare({"narrow": narrow, "free": free}, {"a": new})
    assert [entry.name for entry in board.entries] == ["free", "narrow"]
    assert board.entries[1].outside == 1
    assert board.differences[0].real
    assert board.statements == ["free is better than narrow, which gives rows probability 0"]
    assert board.possible.rows == 99
    assert board.possible.entries[0].name == "narrow"
    assert math.isfinite(board.possible.differences[0].value)
    assert logpx.compare({"narrow": narrow, "free": free}, {"a": new})  # Nothing was used up.


def test_bounds_get_the_same_noise_and_are_said():
    counts = {"n": np.random.default_rng(0).poisson(4.0, 400)}
    few = logpx.fit("gaussian", counts).model
    more = logpx.fit("gmm", counts, components=3).model
    board = logpx.compare({"few": few, "more": more}, counts, seed=3, draws=2)
    assert {entry.kind for entry in board.entries} == {"lower bound"}
    by_name = {"few": few, "more": more}
    for entry in board.entries:
        bound = by_name[entry.name].log_prob_lower(counts, draws=2, seed=3).log_prob
        assert entry.mean == pytest.approx(float(bound.mean()))
    (difference,) = board.differences
    assert difference.bound
    if difference.real:
        assert "is a lower bound, and part of this may be its gap" in str(difference)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: normal_model(0.0, names="ac"), "column 'b' is a density in model 1 and absent in model 2"),
        (lambda: normal_model(0.0, atoms=[0.0]), "with masses at 0 in model 2"),
        (lambda: normal_model(0.0, step=0.1), "a density per step of 0.1 in model 2"),
    ],
)
def test_models_of_other_things_are_refused(other, message: str):
    with pytest.raises(UsageError, match="do not give log p of the same thing") as caught:
        logpx.compare([normal_model(0.0), other()], table(50))
    assert message in caught.value.message
    assert "--schema" in caught.value.fix


def test_missing_words_that_differ_are_said():
    rows = table(60)
    one = normal_model(0.0)
    words = tables.open_table({"a": ["1"], "b": ["2"]}, missing="-9").readings["a"].missing
    board = logpx.compare([one, normal_model(0.5, missing_words=words)], rows)
    assert [note for note in board.notes if note.startswith("missing words of 'a'")]


def image_model(scale: float, levels: int = 4, shape=(1, 2, 2)) -> images.ImageModel:
    torch.manual_seed(0)
    flow = Flow(StandardNormal(shape), Affine(shape))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(scale)
    return images.ImageModel(flow, levels).eval()


def test_images_are_compared_in_bits_per_dimension():
    pixels = np.random.default_rng(0).integers(0, 4, size=(60, 1, 2, 2)).astype(np.uint8)
    models = {"one": image_model(0.0), "two": image_model(0.7)}
    board = logpx.compare(models, pixels, seed=1, draws=3)
    found = {name: model.evaluate(pixels, seed=1, draws=3) for name, model in models.items()}
    for entry in board.entries:
        assert entry.value == pytest.approx(found[entry.name].value)
    costs = [entry.value for entry in board.entries]
    assert costs == sorted(costs)
    (difference,) = board.differences
    assert difference.value == pytest.approx(costs[1] - costs[0])
    assert "bits per dimension" in str(difference)
    with pytest.raises(UsageError, match="number of levels"):
        logpx.compare([image_model(0.0), image_model(0.0, levels=8)], pixels)
    with pytest.raises(UsageError, match="different kinds of data"):
        logpx.compare([image_model(0.0), normal_model(0.0)], pixels)


def test_mistakes():
    with pytest.raises(UsageError, match="fewer than two"):
        logpx.compare([normal_model(0.0)], table(50))
    with pytest.raises(UsageError, match="one model folder"):
        logpx.compare("model/", table(50))
    with pytest.raises(UsageError, match="named twice"):
        logpx.compare(["model/", "model"], table(50))
    with pytest.raises(UsageError, match="StandardNormal"):
        logpx.compare([StandardNormal(2), StandardNormal(2)], table(50))


def test_significance_agrees_with_scipy():
    for z in (-3.0, -0.5, 0.0, 1.7, 8.0):
        assert two_sided(z) == pytest.approx(2.0 * stats.norm.sf(abs(z)))
    p = np.random.default_rng(0).uniform(size=9).tolist()
    adjusted = holm([*p, math.nan])
    assert math.isnan(adjusted[-1])
    order = np.argsort(p)
    steps = np.maximum.accumulate((9 - np.arange(9)) * np.array(p)[order]).clip(max=1.0)
    assert np.array(adjusted[:9])[order] == pytest.approx(steps)
    draw = np.random.default_rng(1)
    for rows in (30, 200, 5000):
        values = draw.uniform(size=rows) ** 1.05
        own = distance_from_uniform(values)
        found = stats.kstest(values, "uniform")
        assert own == pytest.approx(found.statistic)
        assert kolmogorov(own, rows) == pytest.approx(found.pvalue, abs=0.01)
