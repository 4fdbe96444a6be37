"""A verdict in sentences with numbers: against baselines, what is off, and what would help."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.scoring import (
    BitsPerDimension,
    ColumnCalibration,
    Comparison,
    ModelVerdict,
    NatsPerRow,
    RankReference,
    RankTest,
    RankTests,
    Tally,
)


def gains(**found: tuple[float, float]) -> dict[str, Comparison]:
    common = {"mean": -3.0, "mean_standard_error": 0.1, "unit": NatsPerRow()}
    return {
        name: Comparison(gain=gain, gain_standard_error=error, **common)
        for name, (gain, error) in found.items()
    }


def verdict(**known) -> ModelVerdict:
    return ModelVerdict(**({"rows": 400, "measured": "400 rows", "unit": NatsPerRow(), "gains": {}} | known))


def test_better_even_and_worse_are_told_apart_and_worse_is_loud():
    found = verdict(gains=gains(marginals=(0.5, 0.02), normal=(-0.2, 0.05), other=(0.01, 0.02)))
    assert found.worse_than == ["normal"]
    assert found.sentences == [
        "WORSE than normal by 0.200 ± 0.050, better than marginals by 0.500 ± 0.020, "
        "not clearly better than other: 0.010 ± 0.020 nats per row (400 rows)"
    ]


def test_rounding_is_no_difference():
    found = verdict(gains=gains(marginals=(3e-16, 1e-17), normal=(-2e-12, 1e-13)))
    assert found.worse_than == []
    assert found.sentences[0].startswith("not clearly better than marginals: 0.000")


def test_what_would_help():
    assert verdict().advice == []
    assert verdict(unfinished=True).advice == ["longer training"]
    assert verdict(unfinished=False).advice == []
    assert verdict(overfit=(0.5, 0.1)).advice == ["more rows"]
    assert verdict(overfit=(0.1, 0.1)).advice == []
    tests = {"a": RankTest(distance=0.01, p_value=0.9), "b": RankTest(distance=0.4, p_value=1e-9)}
    found = verdict(calibration=ColumnCalibration(tests=tests), unfinished=True)
    assert found.advice == ["longer training", "a look at column 'b': another kind, or leaving it out"]
    assert found.sentences[-1] == f"what would help: {'; '.join(found.advice)}"
    assert "still rising when training ended" in str(found)


def test_gains_are_those_of_rows_that_all_find_possible():
    tally = Tally(["base"], NatsPerRow())
    own = torch.tensor([-1.0, -2.0, -math.inf, -1.5], dtype=torch.float64)
    tally.add(own, {"base": torch.tensor([-2.0, -2.5, -1.0, -3.0], dtype=torch.float64)})
    found = ModelVerdict.of(tally.evaluation("exact"))
    assert found.gains["base"].gain == pytest.approx(1.0)
    assert found.outside == 1
    assert "1 of 4 rows has probability 0 under the model" in found.sentences
    assert found.sentences[0].endswith("(3 of 4 rows, those that every model finds possible)")
    assert found.to_dict()["compared"] == 3


@pytest.mark.parametrize(("kind", "said"), [("exact", True), ("lower bound", False)])
def test_a_bound_beside_an_exact_number_is_said(kind: str, said: bool):
    tally = Tally(["bounded", "exact", "better"], NatsPerRow(), bounds=["bounded", "better"])
    own = torch.arange(30.0, dtype=torch.float64)
    tally.add(own, {"bounded": own - 1.0, "exact": own - 2.0, "better": own + 1.0})
    first = ModelVerdict.of(tally.evaluation(kind)).sentences[0]
    gap = "(30 rows); the number of bounded is a lower bound, and part of this may be its gap"
    assert first.endswith(gap if said else "(30 rows)")


def test_bits_per_dimension_count_the_same_way():
    tally = Tally(["independent pixels"], BitsPerDimension((1, 2, 2)))
    own = torch.full((30,), -20.0, dtype=torch.float64) + torch.arange(30.0) / 100
    tally.add(own, {"independent pixels": own + 4.0 * math.log(2.0)})
    found = ModelVerdict.of(tally.evaluation("lower bound"))
    assert found.worse_than == ["independent pixels"]
    assert found.sentences[0].startswith("WORSE than independent pixels by 1.000 ± 0.000 bits per dimension")


def test_the_worst_column_is_named_and_many_columns_raise_no_alarm():
    p_values = np.random.default_rng(0).uniform(size=40).clip(0.005)
    tests = {f"c{k}": RankTest(distance=0.05, p_value=float(p)) for k, p in enumerate(p_values)}
    assert p_values.min() < 0.05
    quiet = ColumnCalibration(tests=tests)
    assert quiet.wrong == []
    assert quiet.worst == f"c{p_values.argmin()}"
    assert "no column is known to be distributed otherwise" in str(quiet)
    loud = ColumnCalibration(tests={**tests, "odd": RankTest(distance=0.3, p_value=1e-12)})
    assert (loud.wrong, loud.worst) == (["odd"], "odd")
    assert "column 'odd' is not distributed as the model says (KS 0.300, adjusted p < 0.0001)" in str(loud)


def draws(kind: str, rows: int, generator: np.random.Generator) -> np.ndarray:
    if kind == "numbers":
        return generator.normal(size=rows)
    if kind == "counts":
        return generator.poisson(3.0, rows).astype(float)
    values = generator.normal(size=rows)
    values[generator.random(rows) < 0.3] = np.nan
    return values


@pytest.mark.parametrize("kind", ["numbers", "counts", "holes"])
@pytest.mark.parametrize("rows", [(150, 200), (3000, 300)])
def test_p_values_of_ranks_are_uniform(kind: str, rows: tuple[int, int]):
    generator = np.random.default_rng(1)
    p_values = []
    for repetition in range(150):
        reference = RankReference.of(torch.tensor(draws(kind, rows[0], generator)))
        tests = RankTests([reference], repetition)
        tests.add(torch.tensor(draws(kind, rows[1], generator))[:, None], 0)
        p_values.append(tests.results()[0].p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    assert np.mean(np.array(p_values) < 0.05) < 0.12


def test_ranks_agree_with_scipy_and_do_not_depend_on_batches():
    generator = np.random.default_rng(2)
    old, new = generator.normal(size=400), generator.normal(0.3, 1.0, 500)
    reference = RankReference.of(torch.tensor(old))
    tests = RankTests([reference], 0)
    tests.add(torch.tensor(new[:200])[:, None], 0)
    tests.add(torch.tensor(new[200:])[:, None], 200)
    (found,) = tests.results()
    other = stats.ks_2samp(old, new)
    assert found.rows == 500
    assert found.distance == pytest.approx(other.statistic, abs=0.01)
    assert math.log10(found.p_value) == pytest.approx(math.log10(other.pvalue), abs=0.5)


def test_a_long_reference_is_kept_as_quantiles():
    values = torch.randn(50_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reference = RankReference.of(values)
    assert len(reference.values) <= 2000
    assert reference.rows == 50_000
    x = torch.linspace(-3.0, 3.0, 101, dtype=torch.float64)
    exact = (values[None] < x[:, None]).double().mean(1)
    assert (reference.ranks(x, seed=0) - exact).abs().max() < 1e-3


def test_missing_values_are_left_out_on_request():
    reference = RankReference.of(torch.arange(100.0))
    holes = torch.tensor([[5.0], [math.nan], [50.0]])
    counted, others = (RankTests([reference], 0, missing=missing) for missing in (True, False))
    for tests in (counted, others):
        tests.add(holes, 0)
    assert [tests.results()[0].rows for tests in (counted, others)] == [3, 2]
    empty = RankTests([reference], 0, missing=False)
    empty.add(torch.full((4, 1), math.nan), 0)
    assert math.isnan(empty.results()[0].p_value)
