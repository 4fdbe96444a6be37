"""Pools of estimates against scipy."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from logpx.distributions import LowerBound
from logpx.scoring import LogOfMean, MeanOfLogs


def test_pools_in_parts_are_the_whole():
    values = np.random.default_rng(0).normal(-300.0, size=(50, 7))
    mean, log_mean = MeanOfLogs(), LogOfMean()
    for part in (values[:1], values[1:30], values[30:]):
        for pool in (mean, log_mean):
            estimates = torch.from_numpy(part)
            pool.add(LowerBound(estimates, torch.zeros_like(estimates)))
    np.testing.assert_allclose(mean.bound().log_prob, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(mean.bound().standard_error, stats.sem(values, 0), rtol=1e-9)
    np.testing.assert_allclose(
        log_mean.bound().log_prob, special.logsumexp(values, 0) - np.log(50), rtol=1e-12
    )
    # The delta method: the deviation of the mean of weights, over their mean.
    weights = np.exp(values - values.max())
    error = stats.sem(weights, 0) / weights.mean(0)
    np.testing.assert_allclose(log_mean.bound().standard_error, error, rtol=1e-9)


@pytest.mark.parametrize("pool", [MeanOfLogs, LogOfMean])
def test_what_is_impossible_stays_so_and_one_estimate_has_no_error(pool):
    impossible, single = pool(), pool()
    for _ in range(2):
        impossible.add(LowerBound(torch.full((1, 1), -torch.inf), torch.zeros(1, 1)))
    assert impossible.bound().log_prob.isneginf().all()
    single.add(LowerBound(torch.tensor([[-3.0]]), torch.zeros(1, 1)))
    assert single.bound().log_prob.item() == -3.0
    assert single.bound().standard_error.isnan().all()
