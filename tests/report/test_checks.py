"""What chance explains raises no alarm, whatever the number of columns and labels; what is wrong does."""

import numpy as np
import pytest
from scipy import stats

from logpx.report.table_checks import TableChecks, chance_distance, distance, integral_transforms
from logpx.scoring import Comparison, Evaluation, NatsPerRow


def test_distance_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=300), rng.normal(0.3, size=500)
    assert distance(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)
    assert distance(np.append(one, np.nan), other) == pytest.approx(stats.ks_2samp(one, other).statistic)
    assert distance(np.array([0.0, 1.0, 1.0, 2.0]), np.array([2.0, 2.0]), labels=True) == 0.75


@pytest.mark.parametrize("labels", [False, True])
def test_false_alarms_are_rare(labels: bool):
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(400):
        one, other = rng.integers(0, 40, 150).astype(float), rng.integers(0, 40, 900).astype(float)
        alarms += distance(one, other, labels) > chance_distance(one, other, labels)
    assert alarms <= 0.05 * 400 + 9
    few, shifted = rng.integers(0, 10, 900).astype(float), rng.integers(0, 7, 150).astype(float)
    for tests in (1, 20):
        assert distance(shifted, few, labels) > chance_distance(shifted, few, labels, tests=tests)


def test_ranks_of_the_same_distribution_are_uniform():
    rng = np.random.default_rng(2)
    # Ties everywhere.
    ranks = integral_transforms(rng.poisson(2.0, 2000).astype(float), rng.poisson(2.0, 4000).astype(float))
    assert stats.kstest(ranks, "uniform").pvalue > 0.01
    assert ((ranks >= 0) & (ranks <= 1)).all()


def evaluation(gain: float, error: float) -> Evaluation:
    unit = NatsPerRow()
    other = Comparison(mean=-3.0, mean_standard_error=0.1, unit=unit, gain=gain, gain_standard_error=error)
    return Evaluation(
        mean=-3.0 + gain,
        mean_standard_error=0.1,
        unit=unit,
        kind="exact",
        rows=500,
        outside=0,
        draws=None,
        exactness=None,
        baselines={"independent marginals": other},
    )


@pytest.mark.parametrize(
    ("gain", "error", "level", "words"),
    [
        (1.0, 0.1, "good", "Better than the baseline"),
        (0.1, 0.1, "caution", "No better than independent marginals"),
        (-1.0, 0.1, "poor", "Worse than independent marginals, by 1.00 ± 0.10"),
    ],
)
def test_verdict_follows_the_paired_difference(gain: float, error: float, level: str, words: str):
    checks = TableChecks(rows="500 new rows", count=500, evaluation=evaluation(gain, error))
    verdict = checks.verdict({})
    assert verdict.level == level
    assert verdict.sentence.startswith(words)
    assert verdict.reasons == []


def test_worries_take_the_good_away():
    checks = TableChecks(rows="500 rows", count=500, evaluation=evaluation(1.0, 0.1), gap=2.0, gap_error=0.1)
    verdict = checks.verdict({})
    assert verdict.level == "caution"
    assert "learnt them by heart" in verdict.reasons[0]
