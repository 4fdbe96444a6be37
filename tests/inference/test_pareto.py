"""The shape of the tail of importance weights, against tails that are known."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from logpx.errors import UsageError
from logpx.inference import k_hat, k_hat_limit
from logpx.inference.pareto import ends_flat, smoothed, unseen_share


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.9, 0.99])
def test_a_narrow_proposal_has_the_tail_of_theory(scale: float):
    # With q = N(0, s²) for p = N(0, 1) the weights have the tail index 1 - s².
    x = scale * torch.randn(100_000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    log_weights = Normal(0.0, 1.0).log_prob(x) - Normal(0.0, scale).log_prob(x)
    found = k_hat(log_weights)
    assert found.mean().item() == pytest.approx(1.0 - scale**2, abs=0.1)
    assert found.std().item() < 0.1


def test_a_pareto_tail_is_found():
    uniform = torch.rand(20_000, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for shape in (0.2, 0.5, 1.0):
        assert k_hat(-shape * torch.log(uniform)).mean().item() == pytest.approx(shape, abs=0.05)


def test_equal_weights_are_good():
    assert k_hat(torch.full((1000, 2), -3.0)).isneginf().all()
    nearly = torch.full((1000, 1), -3.0).double() + 1e-16 * torch.arange(1000)[:, None]
    assert k_hat(nearly).isneginf().all()
    # Log-weights of sums over many rows are off by a few units in their last place.
    large = -20_000.0 + 1e-11 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).double()
    assert k_hat(large).isneginf().all()
    assert k_hat(torch.zeros(1000)) < k_hat_limit(1000)


def test_a_constant_does_not_matter():
    log_weights = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(k_hat(log_weights - 5000.0), k_hat(log_weights), rtol=1e-9, atol=1e-9)


def test_few_draws_say_nothing():
    assert k_hat(torch.randn(20, 3)).isnan().all()
    assert k_hat(torch.randn(100, 2, 3)).shape == (2, 3)


def test_the_limit_grows_with_the_draws():
    assert k_hat_limit(10) == 0.0
    assert k_hat_limit(10**6) == 0.7


def test_log_weights_of_no_shape_are_refused():
    with pytest.raises(UsageError, match="shape"):
        k_hat(torch.tensor(1.0))


def log_weights_of_all_kinds():
    """Yield 396 sets of log-weights: with ties, infinities, tails short, long and cut off."""
    random = np.random.default_rng(0)
    for number in range(396):
        count = int(random.choice([21, 30, 100, 1000, 3000]))
        x = random.normal(size=count) * random.choice([0.1, 1.0, 3.0, 30.0])
        if number % 6 == 1:
            x = np.round(x, 1)
        if number % 6 == 2:
            x[1:][random.random(count - 1) < random.choice([0.1, 0.5, 0.85])] = -np.inf
        if number % 6 == 3:
            x = np.round(random.exponential(size=count) * 3.0)
        if number % 6 == 4:
            x = np.minimum(x, np.quantile(x, random.choice([0.5, 0.79, 0.81, 0.9, 0.97])))
        if number % 6 == 5:
            x = random.standard_cauchy(size=count)
        yield x


@pytest.mark.filterwarnings("ignore")
def test_ties_and_impossible_draws_are_treated_as_arviz_does():
    psislw = getattr(pytest.importorskip("arviz", reason="ArviZ is not installed"), "psislw", None)
    if psislw is None:
        pytest.skip("this version of ArviZ has no psislw")
    for number, x in enumerate(log_weights_of_all_kinds()):
        found, expected = k_hat(torch.tensor(x)).item(), float(psislw(x.copy())[1])
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), number


@pytest.mark.parametrize("shape", [0.0, 0.4, 0.7])
def test_what_larger_weights_would_add_is_known_for_a_pareto_tail(shape: float):
    # A weight above w has probability w ** (-1 / k): above the n-th part, the mean is n ** (k - 1) / (1 - k).
    count = 20_000
    uniform = torch.rand(30, count, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    if shape == 0.0:
        exact, weights = (math.log(count) + 1.0) / count, -uniform.log()
    else:
        exact, weights = count ** (shape - 1.0), uniform**-shape
    found = torch.tensor([unseen_share(each.log()) for each in weights])
    assert found.median().item() == pytest.approx(exact, rel=0.2)


def test_a_tail_that_ends_flat_hides_nothing():
    # Two values: a mixture of modes far apart whose weights are a little off.
    values = torch.where(torch.rand(10_000, generator=torch.Generator().manual_seed(7)) < 0.4, 0.05, -0.03)
    assert ends_flat(values)
    assert unseen_share(values) == 0.0
    few = values.clone()
    few[:200] = 1.0
    assert not ends_flat(few)
    assert not ends_flat(torch.full((100,), -math.inf))


def test_weights_without_a_mean_leave_everything_unseen():
    uniform = torch.rand(10_000, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    assert unseen_share(-1.5 * uniform.log()) == math.inf
    assert unseen_share(torch.zeros(1000)) == 0.0
    assert unseen_share(torch.zeros(10)) == math.inf


def test_equal_weights_of_the_possible_draws_are_good_and_a_tail_cut_off_is_not():
    x = torch.zeros(1000)
    x[::3] = -math.inf
    assert k_hat(x).item() == -math.inf
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)).mul(10.0)
    clipped = x.clamp_max(x.quantile(0.75))
    assert k_hat(x) > k_hat_limit(1000)
    assert k_hat(clipped).item() == math.inf
    assert torch.equal(smoothed(clipped), clipped.double())


@pytest.mark.parametrize("count", [1000, 100_000])
def test_one_undefined_or_infinite_weight_is_no_reason_to_trust(count):
    x = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    limit = k_hat_limit(count)
    for value, expected in ((math.nan, math.isnan), (math.inf, math.isinf)):
        for place in (0, 7, count - 1):
            one = x.clone()
            one[place] = value
            found = k_hat(one).item()
            assert expected(found)
            assert not found < limit
    alone = torch.full((count,), -math.inf).double()
    alone[3] = 0.0
    assert k_hat(alone).item() == math.inf
    assert torch.equal(smoothed(alone), alone)


def test_the_fewest_draws_that_say_something():
    x = torch.randn(21, dtype=torch.float64)
    assert k_hat(x).isfinite()
    assert k_hat(x[1:]).isnan()
