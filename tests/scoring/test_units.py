"""Bits per dimension: known answers."""

import math

import numpy as np
import pytest
import torch

from logpx.distributions import Flow, StandardNormal, Uniform
from logpx.errors import UsageError
from logpx.images import ImageModel, LinearPixels, LogitPixels, bits_per_dimension
from logpx.transforms import Affine


@pytest.mark.parametrize("levels", [2, 32, 256])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 4, 6)])
def test_uniform_density_costs_the_logarithm_of_the_levels(levels: int, shape: tuple[int, ...]):
    nats = -math.prod(shape) * math.log(levels)
    assert bits_per_dimension(nats, shape) == pytest.approx(math.log2(levels), rel=1e-14)


def test_uniform_model_of_8_bits_costs_8_bits_exactly():
    shape = (1, 4, 4)
    model = ImageModel(Uniform(shape, -1.0, 1.0), preprocessing=LinearPixels(shape)).double().eval()
    x = torch.randint(0, 256, (50, *shape), generator=torch.Generator().manual_seed(0))
    bound = model.log_prob_lower(x, draws=3)
    np.testing.assert_allclose(bits_per_dimension(bound.log_prob, shape), 8.0, rtol=1e-14)
    np.testing.assert_allclose(bound.standard_error, 0.0, atol=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1 / 256, 0.0), (2 / 256, -1.0), (7.0, 3.0)])
def test_the_same_images_in_any_units_cost_the_same(scale: float, offset: float):
    # One density, written down for levels y and for v = scale * y + offset.
    shape = (1, 3, 3)
    generator = torch.Generator().manual_seed(1)
    y = 256 * torch.rand(20, *shape, generator=generator, dtype=torch.float64)
    normal = torch.distributions.Normal(100.0, 70.0)
    other = torch.distributions.Normal(100.0 * scale + offset, 70.0 * scale)
    bits = bits_per_dimension(normal.log_prob(y).sum((1, 2, 3)), shape)
    same = bits_per_dimension(other.log_prob(scale * y + offset).sum((1, 2, 3)), shape, step=scale)
    torch.testing.assert_close(bits, same)


def test_the_units_of_the_flow_do_not_matter():
    # The flow's own affine map undoes each preprocessing, so that all four are one density of levels.
    shape, levels = (1, 2, 2), 256
    x = torch.arange(12).view(3, 1, 2, 2) * 20
    bits = []
    for scale, shift in [(1.0, 0.0), (0.5, 0.5), (3.0, -2.0)]:
        affine = Affine(shape)
        with torch.no_grad():
            affine.log_scale.fill_(math.log(0.3 * scale))
            affine.shift.fill_(0.1 * scale + shift)
        rescaled = Affine(shape)
        with torch.no_grad():
            rescaled.log_scale.fill_(-math.log(scale))
            rescaled.shift.fill_(-shift / scale)
        flow = Flow(Flow(StandardNormal(shape), affine), rescaled)
        model = ImageModel(flow, levels, preprocessing=LinearPixels(shape)).double().eval()
        bits.append(bits_per_dimension(model.log_prob_lower(x).log_prob, shape))
    torch.testing.assert_close(bits[0], bits[1])
    torch.testing.assert_close(bits[0], bits[2])


def test_logit_space_is_paid_for():
    # A logistic density in logit space with alpha = 0 is the uniform density of levels.
    shape = (1, 2, 2)

    class Logistic(StandardNormal):
        def log_prob(self, x, context=None):
            return (-x - 2 * torch.nn.functional.softplus(-x)).flatten(1).sum(1)

    preprocessing = LogitPixels(shape, alpha=0.0)
    model = ImageModel(Logistic(shape), preprocessing=preprocessing).double().eval()
    x = torch.randint(0, 256, (10, *shape), generator=torch.Generator().manual_seed(0))
    bits = bits_per_dimension(model.log_prob_lower(x).log_prob, shape)
    torch.testing.assert_close(bits, torch.full_like(bits, 8.0))


@pytest.mark.parametrize(("shape", "step"), [((1, 0, 4), 1.0), ((1, 2, 2), 0.0), ((1, 2, 2), math.inf)])
def test_what_cannot_be_meant_is_refused(shape: tuple[int, ...], step: float):
    with pytest.raises(UsageError):
        bits_per_dimension(-1.0, shape, step)
