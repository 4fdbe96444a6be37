"""Spline flows on circles and intervals: densities that integrate to one, seams, samples and refusals."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import logpx
from logpx.distributions import Uniform
from logpx.errors import DataError, UsageError
from logpx.flows import NSF

TAU = 2.0 * math.pi


def randomised(flow, scale=0.5):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, scale)
    return flow.double()


def midpoints(lower, upper, n):
    return lower + (torch.arange(n, dtype=torch.float64) + 0.5) * ((upper - lower) / n)


def on_circle(period=TAU, n=400):
    return midpoints(-0.5 * period, 0.5 * period, n)


TWO = {
    "torus": ({"circular": (0, 1)}, on_circle(), on_circle()),
    "cylinder": ({"circular": (0,)}, on_circle(n=200), midpoints(-12.0, 12.0, 600)),
    "cylinder, hours second": (
        {"circular": (1,), "period": 24.0},
        midpoints(-12.0, 12.0, 1200),
        on_circle(24.0),
    ),
    "square": (
        {"bounded": {0: (0.0, 1.0), 1: (-3.0, 5.0)}},
        midpoints(0.0, 1.0, 200),
        midpoints(-3.0, 5.0, 200),
    ),
    "circle and interval": (
        {"circular": (1,), "bounded": {0: (0.0, 9.0)}},
        midpoints(0.0, 9.0, 200),
        on_circle(n=200),
    ),
}


@pytest.fixture(params=[False, True], ids=["coupling", "autoregressive"])
def autoregressive(request):
    return request.param


# What the others hold already, in another order or once more.
SLOW = {"torus", "cylinder, hours second"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in TWO]
)
def test_density_integrates_to_one_in_two_dimensions(name, autoregressive):
    options, first, second = TWO[name]
    flow = randomised(NSF(2, autoregressive, layers=2, hidden=(16,), **options), 0.3)
    cell = (first[1] - first[0]) * (second[1] - second[0])
    with torch.no_grad():
        total = flow.log_prob(torch.cartesian_prod(first, second)).exp().sum() * cell
    assert total.item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("options", [{"circular": (0,)}, {"bounded": {0: (-math.pi, math.pi)}}])
def test_density_integrates_to_one_in_one_dimension(options):
    flow = randomised(NSF(1, True, layers=3, hidden=(8,), **options), 1.0)
    x = midpoints(-math.pi, math.pi, 100_000)[:, None]
    with torch.no_grad():
        log_prob = flow.log_prob(x)
    assert log_prob.exp().mean().item() * TAU == pytest.approx(1.0, abs=1e-4)
    assert log_prob.std() > 0.1


def test_density_is_continuous_across_the_seam_and_periodic(autoregressive):
    flow = randomised(NSF(3, autoregressive, layers=3, hidden=(16,), circular=(0, 2)))
    x = flow.sample(200, seed=0).detach()
    with torch.no_grad():
        for feature in (0, 2):
            x[:, feature] = math.pi
            before, after, turned = x.clone(), x.clone(), x.clone()
            before[:, feature] -= 1e-9
            after[:, feature] = -math.pi
            turned[:, feature] += 3.0 * TAU
            torch.testing.assert_close(flow.log_prob(before), flow.log_prob(after), rtol=0.0, atol=1e-6)
            torch.testing.assert_close(flow.log_prob(x), flow.log_prob(after), rtol=0.0, atol=1e-9)
            torch.testing.assert_close(flow.log_prob(x), flow.log_prob(turned), rtol=0.0, atol=1e-9)


def test_samples_lie_in_their_domains_and_have_their_density(autoregressive):
    options = {"circular": (0,), "bounded": {2: (1.0, 3.0)}}
    flow = randomised(NSF(3, autoregressive, layers=3, hidden=(16,), **options)).float()
    with torch.no_grad():
        x, log_prob = flow.sample_with_log_prob(20_000, seed=0)
        assert ((x[:, 0] >= -math.pi) & (x[:, 0] < math.pi)).all()
        assert ((x[:, 2] >= 1.0 - 1e-6) & (x[:, 2] <= 3.0 + 1e-6)).all()
        inside = (x[:, 2] > 1.001) & (x[:, 2] < 2.999)
        torch.testing.assert_close(flow.log_prob(x)[inside], log_prob[inside], rtol=1e-3, atol=1e-3)


def test_a_new_flow_is_uniform_on_circles_and_intervals():
    flow = NSF(2, circular=(0,), bounded={1: (0.0, 4.0)})
    x = torch.rand(50, 2) * torch.tensor([1.0, 4.0])
    flow.initialise(x)
    expected = torch.full((50,), -math.log(TAU * 4.0))
    torch.testing.assert_close(flow.log_prob(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_it_learns_a_von_mises_distribution_across_the_seam():
    angles = stats.vonmises(3.0, loc=3.0).rvs(4000, random_state=0)[:, None]
    flow = NSF(1, autoregressive=True, layers=1, hidden=(4,), circular=(0,))
    logpx.fit(flow, angles, max_steps=400, learning_rate=0.03, seed=0)
    with torch.no_grad():
        mean = flow.log_prob(torch.tensor(angles).float()).mean().item()
    assert mean == pytest.approx(stats.vonmises(3.0, loc=3.0).logpdf(angles).mean(), abs=0.02)


def test_rows_outside_an_interval_have_no_density():
    flow = NSF(2, bounded={0: (0.0, 1.0)})
    log_prob = flow.log_prob(torch.tensor([[0.5, 0.0], [1.5, 0.0], [-1e30, 0.0]]))
    assert torch.isfinite(log_prob).tolist() == [True, False, False]


def test_initialising_on_rows_outside_an_interval_names_the_column():
    with pytest.raises(DataError, match="outside") as error:
        NSF(2, bounded={1: (0.0, 1.0)}).initialise(torch.tensor([[9.0, 0.5], [8.0, 1.5]]))
    assert error.value.column == 1


@pytest.mark.parametrize(
    "options",
    [
        {"circular": (3,)},
        {"circular": (0, 0)},
        {"circular": (0,), "bounded": {0: (0.0, 1.0)}},
        {"bounded": {0: (1.0, 1.0)}},
        {"circular": (0,), "period": 0.0},
    ],
)
def test_domains_that_cannot_be_meant(options):
    with pytest.raises(UsageError) as error:
        NSF(3, **options)
    assert error.value.fix


def intervals():
    """Return 60 intervals, of sizes and places that are and are not exact in binary."""
    drawn = np.random.default_rng(0)
    lower = drawn.uniform(-1.0, 1.0, 50) * 10.0 ** drawn.uniform(-6.0, 6.0, 50)
    upper = lower + np.abs(lower) * 10.0 ** drawn.uniform(-3.0, 3.0, 50)
    common = [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (0.0, 0.1), (1e-3, 1.0), (0.0, 100.0), (0.1, 0.7)]
    wide = [(-math.pi, math.pi), (-1e30, 1e30), (0.0, 1e-30)]
    return common + wide + list(zip(lower.tolist(), upper.tolist(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_of_an_interval_belong_to_it_and_nothing_beyond(dtype):
    for lower, upper in intervals():
        flow = NSF(1, True, layers=1, hidden=(4,), bounded={0: (lower, upper)}).to(dtype)
        ends = torch.tensor([[lower], [upper]], dtype=dtype)
        outside = torch.nextafter(ends, torch.tensor([[-math.inf], [math.inf]], dtype=dtype))
        with torch.no_grad():
            expected = torch.full((2,), -math.log(upper - lower), dtype=dtype)
            torch.testing.assert_close(flow.log_prob(ends), expected, rtol=1e-5, atol=1e-5)
            assert (flow.log_prob(outside) == -math.inf).all()
            samples = flow.sample(500, seed=0)
            assert ((samples >= ends[0]) & (samples <= ends[1])).all()
            assert torch.isfinite(flow.log_prob(samples)).all()
        uniform = Uniform(1, lower, upper).to(dtype)
        assert torch.isfinite(uniform.log_prob(ends)).all()
        assert (uniform.log_prob(outside) == -math.inf).all()
        assert torch.isfinite(uniform.log_prob(uniform.sample(500, seed=0))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_angle_has_a_density(dtype):
    for period in (TAU, 360.0, 24.0, 1.0, 0.1, 1e-6, 7e6):
        flow = randomised(NSF(1, True, layers=2, hidden=(4,), circular=(0,), period=period)).to(dtype)
        half = torch.tensor([[0.5 * period]], dtype=dtype)
        x = torch.cat([-half, torch.nextafter(-half, half), torch.nextafter(half, -half), half, 3.0 * half])
        with torch.no_grad():
            assert torch.isfinite(flow.log_prob(x)).all()
            assert torch.isfinite(flow.log_prob(flow.sample(500, seed=0))).all()


def test_ends_are_rounded_anew_in_another_precision():
    bounded = {0: (0.1, 0.7)}
    flow = NSF(1, True, layers=1, bounded=bounded).double().float().double()
    fresh = NSF(1, True, layers=1, bounded=bounded).double()
    x = torch.tensor([[0.1], [0.3], [0.7]], dtype=torch.float64)
    assert torch.equal(flow.log_prob(x), fresh.log_prob(x))
