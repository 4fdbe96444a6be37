"""Uniform and variational dequantisation."""

import numpy as np
import pytest
import torch

from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.images import (
    ImageModel,
    LinearPixels,
    Noise,
    UniformDequantisation,
    VariationalDequantisation,
)
from logpx.training import fit
from logpx.transforms import Affine

SHAPE = (1, 4, 4)


def randomised(module: torch.nn.Module, scale: float = 0.1) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module


def test_uniform_noise_has_density_one():
    u, log_q = UniformDequantisation().noise(torch.zeros(500, *SHAPE), Noise(0))
    assert log_q.tolist() == [0.0] * 500
    assert 0.0 <= u.min() < 0.01
    assert 0.99 < u.max() < 1.0


def test_variational_noise_starts_uniform():
    variational = VariationalDequantisation(SHAPE, 16).double()
    x = torch.full((3, *SHAPE), 7.0, dtype=torch.float64)
    u, log_q = variational.noise(x, Noise(0))
    torch.testing.assert_close(u, UniformDequantisation().noise(x, Noise(0))[0])
    torch.testing.assert_close(log_q, torch.zeros(3, dtype=torch.float64), atol=1e-10, rtol=0)


def test_variational_density_is_that_of_its_noise():
    # log q(u) = -log abs(det du/de) for uniform e: against autodiff.
    variational = randomised(VariationalDequantisation(SHAPE, 16, width=4)).double()
    x = torch.randint(0, 16, (1, *SHAPE), generator=torch.Generator().manual_seed(0)).double()
    context = (x * (2.0 / 15) - 1.0).flatten(1)
    e = Noise(0).uniform(1, SHAPE, x)
    u, log_q = variational.noise(x, Noise(0))
    jacobian = torch.func.jacrev(lambda one: variational.transform.forward(one, context)[0])(e)
    torch.testing.assert_close(log_q[0], -torch.linalg.slogdet(jacobian.view(16, 16)).logabsdet)
    assert bool(((u > 0) & (u < 1)).all())


def test_variational_noise_looks_at_the_picture():
    variational = randomised(VariationalDequantisation(SHAPE, 16, width=4))
    x = torch.zeros(1, *SHAPE)
    u = variational.noise(x, Noise(0))[0]
    for pixel in range(16):
        changed = x.clone().flatten(1)
        changed[0, pixel] = 15.0
        assert not torch.equal(variational.noise(changed.view(1, *SHAPE), Noise(0))[0], u)


@pytest.mark.parametrize("scale", [0.0, 0.3])
def test_bound_holds_for_any_variational_noise(scale: float):
    # Under a standard normal of levels the exact probability of a picture is a product of cells.
    levels, affine = 8, Affine(SHAPE)
    with torch.no_grad():
        affine.log_scale.fill_(-1.0)
    noise = randomised(VariationalDequantisation(SHAPE, levels, width=4), scale)
    flow = Flow(StandardNormal(SHAPE), affine)
    model = ImageModel(flow, levels, noise, LinearPixels(SHAPE, levels)).double().eval()
    x = torch.randint(0, levels, (6, *SHAPE), generator=torch.Generator().manual_seed(2))
    normal = torch.distributions.Normal(0.0, torch.tensor(np.exp(-1.0)))
    cells = normal.cdf((x + 1.0) * 2 / levels - 1.0) - normal.cdf(x * 2.0 / levels - 1.0)
    exact = cells.log().sum((1, 2, 3)).numpy()
    bound = model.log_prob_lower(x, draws=300)
    assert (bound.log_prob < exact + 5 * bound.standard_error).all()


def test_training_tightens_the_variational_bound():
    # A narrow model in a wide level: uniform noise falls mostly outside, learned noise need not.
    levels = 2
    affine = Affine(SHAPE)
    with torch.no_grad():
        affine.log_scale.fill_(-2.0)
        affine.shift.fill_(-0.5)
    affine.requires_grad_(False)
    x = torch.zeros(400, *SHAPE)
    flow = Flow(StandardNormal(SHAPE), affine)
    model = ImageModel(
        flow, levels, VariationalDequantisation(SHAPE, levels, width=8), LinearPixels(SHAPE, levels)
    )
    before = model.eval().log_prob_lower(x[:50], draws=20).log_prob.mean()
    fit(model, x, max_steps=150, learning_rate=5e-3, gradient_clip=None, noise=0.0, progress=False)
    after = model.log_prob_lower(x[:50], draws=20).log_prob.mean()
    assert after > before + 10
    assert after < 0.0


def test_odd_sizes_are_refused():
    with pytest.raises(UsageError):
        VariationalDequantisation((1, 5, 4))
