"""MintNet: a density that integrates to one, samples from it, and training on vectors and images."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.flows import MintNet


def randomised(flow, scale):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, scale)
    return flow.double()


@pytest.mark.parametrize("shape", [2, (1, 1, 2), pytest.param((2, 1, 1), marks=pytest.mark.slow)])
def test_density_integrates_to_one_and_a_share_of_the_samples_is_its_integral(shape):
    flow = randomised(MintNet(shape, layers=3, hidden=4), 0.3)
    axis = torch.linspace(-12.0, 12.0, 301, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_prob(grid.view(-1, *flow.event_shape)).exp() * 0.08**2
        x = flow.sample(5_000, seed=0).flatten(1)
    assert density.sum().item() == pytest.approx(1.0, abs=1e-4)
    # Half of every cell on the border of the box belongs to it.
    inside = ((1.04 - grid.abs()) / 0.08).clamp(0.0, 1.0).prod(1)
    mass = (density * inside).sum().item()
    share = (x.abs() < 1.0).all(1).double().mean().item()
    assert share == pytest.approx(mass, abs=4.0 * math.sqrt(mass * (1.0 - mass) / 5_000) + 1e-3)


@pytest.mark.parametrize(("shape", "layers"), [pytest.param(2, 2, marks=pytest.mark.slow), ((1, 1, 2), 2)])
def test_training_lowers_the_loss(shape, layers):
    torch.manual_seed(0)
    flow = MintNet(shape, layers=layers, hidden=8, context=1)
    context = torch.randn(256, 1)
    x = torch.cat([context + 0.1 * torch.randn(256, 1), torch.randn(256, 1)], 1).view(-1, *flow.event_shape)
    flow.initialise(x, context)
    optimiser = torch.optim.Adam(flow.parameters(), 2e-2)
    before = -flow.log_prob(x, context).mean().item()
    for _ in range(80):
        optimiser.zero_grad()
        loss = -flow.log_prob(x, context).mean()
        loss.backward()
        optimiser.step()
    # Knowing the context is worth up to log(sqrt(1.01) / 0.1) = 2.3 nats.
    assert loss.item() < before - 0.7
    back = flow.transform.inverse(flow.transform.forward(x, context)[0], context)[0]
    torch.testing.assert_close(back, x, rtol=1e-3, atol=1e-3)


def test_a_new_flow_is_nearly_a_standard_normal_of_the_standardised_rows():
    flow = MintNet(3, layers=4)
    x = torch.randn(500, 3) * torch.tensor([0.01, 1.0, 50.0]) + torch.tensor([3.0, -100.0, 0.0])
    with torch.no_grad():
        flow.initialise(x)
        z = flow.transform.forward(x)[0]
        standard = (x - x.mean(0)) / x.std(0, correction=0)
    torch.testing.assert_close(z, standard, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("layers", [0, 2.5])
def test_layers_that_are_none(layers):
    with pytest.raises(UsageError, match="layers"):
        MintNet(3, layers=layers)
