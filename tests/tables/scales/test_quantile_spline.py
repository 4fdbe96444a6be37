import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.errors import DataError, UsageError
from logpx.tables.scales import Log, QuantileSpline


def rng(seed=0):
    return np.random.default_rng(seed)


def test_its_distribution_function_is_that_of_the_data():
    x = np.concatenate([rng().normal(-5, 0.3, 5000), rng(1).gamma(2.0, 1.0, 15_000)])
    y, _ = QuantileSpline.fit(x)(torch.from_numpy(x))
    # A standard normal sample of this size has a Kolmogorov distance of about 0.006.
    assert stats.kstest(y.numpy(), "norm").statistic < 0.01


@pytest.mark.parametrize("rows", [8, 40, 200, 1000])
def test_few_rows_are_not_overfitted(rows):
    regrets = []
    for seed in range(10):
        scale = QuantileSpline.fit(rng(seed).normal(size=rows))
        fresh = rng(100 + seed).normal(size=2000)
        y, log_derivative = scale(torch.from_numpy(fresh))
        mine = (log_derivative - y.square() / 2).mean().item() - 0.5 * math.log(2 * math.pi)
        regrets.append(stats.norm.logpdf(fresh).mean() - mine)
    # A density with as many free parameters as there are knots loses about half of them over n.
    assert np.mean(regrets) < 0.02 + 4 / rows


def test_the_number_of_knots_follows_the_rows():
    counts = [len(QuantileSpline.fit(rng().normal(size=rows)).knots) for rows in (10, 100, 1000, 100_000)]
    assert counts == sorted(counts)
    assert counts[0] >= 2
    assert counts[-1] <= 64


def test_repeated_values_do_not_make_it_arbitrarily_steep():
    x = np.concatenate([np.full(3000, 0.123), rng().normal(size=3000)])
    scale = QuantileSpline.fit(x)
    assert (scale.slopes > 0).all()
    secants = scale.heights.diff() / scale.knots.diff()
    assert secants.max() < 1100


def test_whole_weights_are_repeated_rows_up_to_the_number_of_rows_they_count_for():
    x = rng().normal(size=2000)
    weights = rng(1).integers(1, 3, 2000)
    grid = torch.linspace(-2, 2, 101, dtype=torch.float64)
    weighted, _ = QuantileSpline.fit(x, weights)(grid)
    repeated, _ = QuantileSpline.fit(np.repeat(x, weights))(grid)
    torch.testing.assert_close(weighted, repeated, atol=0.03, rtol=0)


def test_a_tail_is_as_heavy_as_the_rows_in_it():
    # Over log x a Pareto tail of index 1.5 is exponential; the slope sets how far its quantiles reach.
    x = stats.pareto(1.5).rvs(100_000, random_state=rng())
    scale = QuantileSpline.fit(x, inner=Log.fit(x, bound=0.0, limit=math.inf))
    y = torch.from_numpy(stats.norm.ppf([0.99, 0.999, 0.9999]))
    mapped = scale.inverse((y - scale.centre) / scale.spread)[0].numpy()
    expected = stats.pareto(1.5).ppf([0.99, 0.999, 0.9999])
    np.testing.assert_allclose(np.log(mapped), np.log(expected), rtol=0.06)


def test_values_outside_the_inner_support_are_refused():
    with pytest.raises(DataError, match="support"):
        QuantileSpline.fit([-1.0, 1.0, 2.0], inner=Log.fit([1.0, 2.0], bound=0.0))


def test_one_knot_is_refused():
    with pytest.raises(UsageError):
        QuantileSpline(Log(), 1)
