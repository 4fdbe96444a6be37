"""Uniform and variational dequantisation."""

import numpy as np
import pytest
import torch

from logpx.distributions import Flow, StandardNormal
from logpx.distributions.likelihoods import DiscretisedLogisticLikelihood, NormalLikelihood
from logpx.errors import DataError, UsageError
from logpx.images import (
    ImageModel,
    LinearPixels,
    NoDequantisation,
    PixelHistogram,
    UniformDequantisation,
    VariationalDequantisation,
)
from logpx.latent import VAE
from logpx.nets import ConvolutionalDecoder, ConvolutionalEncoder
from logpx.scoring import Noise
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


def test_variational_noise_looks_at_the_image():
    variational = randomised(VariationalDequantisation(SHAPE, 16, width=4))
    x = torch.zeros(1, *SHAPE)
    u = variational.noise(x, Noise(0))[0]
    for pixel in range(16):
        changed = x.clone().flatten(1)
        changed[0, pixel] = 15.0
        assert not torch.equal(variational.noise(changed.view(1, *SHAPE), Noise(0))[0], u)


@pytest.mark.parametrize("scale", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_bound_holds_for_any_variational_noise(scale: float):
    # Under a standard normal of levels the exact probability of an image is a product of cells.
    levels, affine = 8, Affine(SHAPE)
    with torch.no_grad():
        affine.log_scale.fill_(-1.0)
    noise = randomised(VariationalDequantisation(SHAPE, levels, width=4), scale)
    flow = Flow(StandardNormal(SHAPE), affine)
    model = ImageModel(flow, levels, noise, LinearPixels(SHAPE, levels)).double().eval()
    x = torch.randint(0, levels, (6, *SHAPE), generator=torch.Generator().manual_seed(2))
    normal = torch.distributions.Normal(0.0, torch.tensor(np.exp(-1.0)))
    cells = normal.cdf((x + 1.0) * 2 / levels - 1.0) - normal.cdf(x * 2.0 / levels - 1.0)
    exact = cells.log().sum((1, 2, 3))
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
    fit(model, x, max_steps=60, learning_rate=1e-2, gradient_clip=None, noise=0.0, progress=False)
    after = model.log_prob_lower(x[:50], draws=20).log_prob.mean()
    assert after > before + 10
    assert after < 0.0


def test_odd_sizes_are_refused():
    with pytest.raises(UsageError):
        VariationalDequantisation((1, 5, 4))


def vae_of(shape: tuple[int, int, int], levels: int, components: int = 1, context: int = 0) -> ImageModel:
    torch.manual_seed(0)
    likelihood = DiscretisedLogisticLikelihood(shape, levels, components)
    encoder = ConvolutionalEncoder(shape, 4, hidden=(4,), context=context)
    decoder = ConvolutionalDecoder(2, shape, likelihood.numbers, hidden=(4,), context=context)
    vae = VAE(likelihood, 2, encoder=encoder, decoder=decoder, context=context, flatten=False)
    return ImageModel(randomised(vae, 0.2), levels, NoDequantisation()).eval()


def test_probabilities_of_whole_levels_sum_to_one():
    model = vae_of((1, 1, 2), 4)
    pairs = torch.cartesian_prod(torch.arange(4), torch.arange(4)).view(16, 1, 1, 2)
    bound = model.log_prob_lower(pairs, exactness=4000)
    p = bound.log_prob.exp()
    error = (p * bound.standard_error).square().sum().sqrt().item()
    assert error < 0.01
    assert p.sum().item() == pytest.approx(1.0, abs=5 * error)
    # And they are those of the images that it draws.
    drawn = model.sample(20_000, seed=0).flatten(1).long()
    share = torch.bincount(4 * drawn[:, 0] + drawn[:, 1], minlength=16) / 20_000
    torch.testing.assert_close(share.double(), p, atol=0.015, rtol=0)


def test_without_noise_the_bound_is_that_of_the_distribution():
    model, levels = vae_of((3, 5, 4), 256, components=2), 256
    x = torch.randint(0, levels, (300, 3, 5, 4), generator=torch.Generator().manual_seed(0))
    assert model.kind == "lower bound"
    own = model.flow.log_prob_lower(x.float(), 20, seed=3)
    for bound in (model.log_prob_lower(x, 20, seed=3), model.log_prob_lower(x, seed=3, exactness=20)):
        torch.testing.assert_close(bound.log_prob, own.log_prob.double(), rtol=1e-6, atol=1e-3)
        torch.testing.assert_close(bound.standard_error, own.standard_error.double(), rtol=1e-2, atol=1e-4)
    # How often noise is drawn does not matter: there is none.
    (few,), (many,) = (list(model.score(x.to(torch.uint8), draws=draws)) for draws in (1, 9))
    assert torch.equal(few.bound.log_prob, many.bound.log_prob)
    assert torch.equal(few.bound.log_prob, model.log_prob_lower(x).log_prob)
    assert not torch.equal(few.bound.log_prob, model.log_prob_lower(x, seed=1).log_prob)
    assert model.evaluate(x.to(torch.uint8)).draws is None


def test_more_draws_raise_the_bound_of_whole_levels():
    model = vae_of((1, 4, 3), 16)
    x = torch.randint(0, 16, (200, 1, 4, 3), generator=torch.Generator().manual_seed(0))
    means = [model.log_prob_lower(x, exactness=draws).log_prob.mean().item() for draws in (1, 10, 200)]
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize("levels", [2, 256])
def test_extreme_images_have_finite_bounds_and_gradients(levels: int):
    model = vae_of((1, 3, 3), levels).train()
    x = torch.stack([torch.full((1, 3, 3), level) for level in (0, levels - 1)])
    model.log_prob(x).sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
    assert bool(model.eval().log_prob_lower(x).log_prob.isfinite().all())


def test_samples_of_whole_levels_are_seeded():
    model = vae_of((3, 5, 4), 7, context=2)
    context = torch.tensor([0.0, 1.0])
    few, many = model.sample(10, context, seed=1), model.sample(100, context, seed=1)
    assert many.dtype == torch.uint8
    assert torch.equal(few, many[:10])
    assert 0 < int(many.max()) <= 6
    assert not torch.equal(few, model.sample(10, context, seed=2))


def test_an_exact_distribution_of_levels_stays_exact():
    histogram = PixelHistogram((1, 2, 2), 8)
    model = ImageModel(histogram, 8, NoDequantisation())
    x = torch.randint(0, 8, (10, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    bound = model.log_prob_lower(x)
    assert model.kind == "exact"
    torch.testing.assert_close(bound.log_prob, histogram.log_prob(x).double())
    assert not bound.standard_error.any()


def test_whole_levels_are_taken_as_they_are():
    with pytest.raises(UsageError, match="LinearPixels"):
        ImageModel(PixelHistogram(SHAPE, 8), 8, NoDequantisation(), LinearPixels(SHAPE, 8))
    with pytest.raises(DataError, match="5"):
        vae_of((1, 2, 2), 4).log_prob_lower(torch.full((1, 1, 2, 2), 5))


def test_a_bound_of_a_density_can_be_dequantised():
    vae = VAE(NormalLikelihood((1, 2, 2)), 2, hidden=(8,))
    model = ImageModel(vae, 16, preprocessing=LinearPixels((1, 2, 2), 16)).eval()
    x = torch.randint(0, 16, (10, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    one, many = model.log_prob_lower(x, draws=20), model.log_prob_lower(x, exactness=20)
    assert (many.log_prob > one.log_prob).all()
