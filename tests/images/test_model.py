"""The bound: below the exact probability, over exactly one level, reproducible."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from logpx.distributions import Flow, StandardNormal
from logpx.errors import DataError, UsageError
from logpx.images import ImageModel, LinearPixels, LogitPixels, bits_per_dimension, open_images
from logpx.scoring import Noise
from logpx.transforms import Affine


def one_pixel(levels: int, preprocessing: str, scale: float = 0.5) -> tuple[ImageModel, torch.Tensor]:
    """Return a model of one pixel, and the exact probability that its density gives to every level."""
    shape = (1, 1, 1)
    affine = Affine(shape)
    with torch.no_grad():
        affine.log_scale.fill_(math.log(scale))
        affine.shift.fill_(0.2)
    units = LinearPixels(shape, levels) if preprocessing == "linear" else LogitPixels(shape, levels, 0.01)
    model = ImageModel(Flow(StandardNormal(shape), affine), levels, preprocessing=units).double().eval()
    edges = torch.arange(levels + 1, dtype=torch.float64).view(-1, 1, 1, 1)
    z = units.forward(edges)[0].flatten()
    cumulative = torch.distributions.Normal(0.2, torch.tensor(scale, dtype=torch.float64)).cdf(z)
    return model, cumulative.diff()


@pytest.mark.parametrize("preprocessing", ["linear", "logit"])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_bound_is_below_the_exact_probability(levels: int, preprocessing: str, levels_of):
    model, exact = one_pixel(levels, preprocessing, scale=0.5 if preprocessing == "linear" else 2.0)
    bound = model.log_prob_lower(levels_of(levels), draws=400)
    slack = exact.log() - bound.log_prob
    assert (slack > -5 * bound.standard_error - 1e-9).all()
    # Its probabilities sum to no more than those of the density, which lie within the levels or outside.
    assert 0.1 < bound.log_prob.exp().sum() < exact.sum() + 0.01
    assert exact.sum() <= 1.0


def test_averaged_densities_are_the_exact_probabilities(levels_of):
    # The mean of p(x + u), not of its logarithm: equal to the integral over the level, for every level.
    model, exact = one_pixel(32, "linear", scale=2.0)
    x = levels_of(32)
    densities = torch.stack([model.log_prob_lower(x, seed=seed).log_prob for seed in range(600)]).exp()
    mean, error = densities.mean(0), densities.std(0) / 600**0.5
    assert ((mean - exact).abs() < 5 * error + 1e-12).all()
    assert mean.sum() == pytest.approx(exact.sum().item(), abs=5 * error.sum().item())


def test_noise_covers_exactly_one_level(levels_of):
    # A density that is piecewise constant on levels is bounded without slack only by noise on one level.
    class Steps(StandardNormal):
        def log_prob(self, x, context=None):
            level = ((x + 1.0) * 2.0).floor().flatten()
            return torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=x.dtype) * 2.0)[level.long()]

    model = ImageModel(Steps((1, 1, 1)), 4, preprocessing=LinearPixels((1, 1, 1), 4)).double().eval()
    bound = model.log_prob_lower(levels_of(4), draws=50)
    np.testing.assert_allclose(bound.log_prob.exp(), [0.1, 0.2, 0.3, 0.4], rtol=1e-12)
    np.testing.assert_allclose(bound.standard_error, 0.0, atol=1e-12)


def test_standard_error_is_that_of_the_draws(small_model, digits: np.ndarray):
    model, x = small_model(), torch.from_numpy(digits[:5, None])
    single = torch.stack([model.log_prob_lower(x, draws=1, seed=seed).log_prob for seed in range(200)])
    bound = model.log_prob_lower(x, draws=200)
    np.testing.assert_allclose(bound.standard_error, single.std(0) / 200**0.5, rtol=0.3)
    assert model.log_prob_lower(x).standard_error.isnan().all()


def test_importance_weights_come_nearer_to_the_exact_probability(levels_of):
    model, exact = one_pixel(8, "logit", scale=0.4)
    x = levels_of(8)
    average = model.log_prob_lower(x, draws=500)
    bound = model.log_prob_lower(x, exactness=500)
    slack = exact.log() - bound.log_prob
    assert (slack.abs() < 5 * bound.standard_error).all()
    assert (bound.log_prob >= average.log_prob).all()
    assert bound.log_prob.exp().sum() == pytest.approx(exact.sum().item(), abs=0.02)
    # On average already few are better than one.
    few = [model.log_prob_lower(x, seed=seed, exactness=4).log_prob.mean() for seed in range(20)]
    assert float(np.mean(few)) > average.log_prob.mean()


def test_importance_weighted_bound_is_that_of_its_draws(small_model, digits: np.ndarray):
    model, x = small_model(), torch.from_numpy(digits[:5, None]).float()
    weights = np.stack(
        [
            model.dequantisation.log_weight(model.flow, model.preprocessing, x, None, Noise(3, 20, draw))
            .double()
            .detach()
            .numpy()
            for draw in range(10)
        ]
    )
    bound = model.log_prob_lower(x, seed=3, first=20, exactness=10)
    np.testing.assert_allclose(bound.log_prob, logsumexp(weights, 0) - np.log(10), rtol=1e-9)
    relative = np.exp(weights - weights.max(0))
    error = relative.std(0, ddof=1) / relative.mean(0) / 10**0.5
    np.testing.assert_allclose(bound.standard_error, error, rtol=1e-6)
    assert model.log_prob_lower(x, exactness=1).standard_error.isnan().all()


def test_exactness_is_passed_on(small_model, digits: np.ndarray):
    model, images = small_model(), open_images(digits[:30], levels=32)
    bound = model.log_prob_lower(images.read(), seed=1, exactness=5)
    (scored,) = model.score(images, seed=1, exactness=5)
    assert torch.equal(scored.bound.log_prob, bound.log_prob)
    evaluation = model.evaluate(images, seed=1, exactness=5)
    assert evaluation.mean == pytest.approx(bound.log_prob.mean().item())
    assert (evaluation.draws, evaluation.exactness) == (None, 5)
    assert model.evaluate(images, draws=2).draws == 2
    with pytest.raises(UsageError, match="exactness is 0"):
        model.evaluate(images, exactness=0)


def test_scores_do_not_depend_on_batches(small_model, digits: np.ndarray):
    model, x = small_model(), torch.from_numpy(digits[:300, None])
    whole = model.log_prob_lower(x, draws=2, seed=5).log_prob
    part = model.log_prob_lower(x[150:190], draws=2, seed=5, first=150).log_prob
    np.testing.assert_allclose(part, whole[150:190], rtol=1e-6)
    scored = list(model.score(open_images(digits[:300], levels=32), seed=5, draws=2))
    np.testing.assert_array_equal(np.concatenate([s.bound.log_prob for s in scored]), whole)
    bits = bits_per_dimension(whole, (1, 8, 8)).numpy()
    np.testing.assert_allclose(np.concatenate([s.bits_per_dimension for s in scored]), bits)


def test_noise_is_fresh_in_training_and_fixed_in_evaluation(small_model, digits: np.ndarray):
    model, x = small_model(), torch.from_numpy(digits[:20, None])
    assert torch.equal(model.log_prob(x), model.log_prob(x))
    model.train()
    assert not torch.equal(model.log_prob(x), model.log_prob(x))


def test_samples_are_whole_levels_and_seeded(small_model):
    model = small_model((3, 4, 6), 32)
    few, many = model.sample(10, seed=1), model.sample(200, seed=1)
    assert many.dtype == torch.uint8
    assert many.shape == (200, 3, 4, 6)
    assert torch.equal(few, many[:10])
    assert int(many.max()) == 31
    assert not torch.equal(few, model.sample(10, seed=2))
    assert model.sample(0).shape == (0, 3, 4, 6)


def test_samples_follow_the_probabilities():
    model, exact = one_pixel(4, "linear")
    drawn = torch.bincount(model.sample(20_000, seed=0).flatten().long(), minlength=4) / 20_000
    # What lies beyond the ends is put on the first and the last level.
    assert drawn[1:3].numpy() == pytest.approx(exact[1:3].numpy(), abs=0.02)


@pytest.mark.parametrize("value", [-1, 32, 0.5])
def test_values_off_the_levels_are_named(small_model, value: float):
    x = torch.zeros(4, 1, 8, 8, dtype=torch.float64)
    x[2, 0, 3, 4] = value
    with pytest.raises(DataError, match=r"0\.\.31") as caught:
        small_model().log_prob_lower(x)
    assert caught.value.row == 3
    assert f"{value:g}" in str(caught.value)


def test_images_of_another_shape_are_refused(small_model, digits: np.ndarray):
    with pytest.raises(DataError, match="7×8 pixels with 1 channel, where the model has 8×8"):
        small_model().evaluate(digits[:, 1:])
    with pytest.raises(DataError, match="3 channels"):
        small_model().evaluate(np.zeros((3, 8, 8, 3), np.uint8))


def test_fewer_levels_than_the_images_have(small_model, digits: np.ndarray):
    with pytest.raises(DataError, match=r"16 lies outside the 16 levels 0\.\.15"):
        small_model(levels=16).evaluate(digits)


def test_classes_and_contexts_must_agree(small_model):
    with pytest.raises(UsageError, match="2 classes"):
        small_model(classes=["a", "b"])
    with pytest.raises(UsageError, match="knows no classes"):
        small_model().context_of([1])
    with pytest.raises(UsageError, match="event shape"):
        ImageModel(StandardNormal(4))
    with pytest.raises(UsageError, match="draws is 0"):
        small_model().log_prob_lower(torch.zeros(1, 1, 8, 8), draws=0)


def test_evaluation_is_the_mean_over_images(small_model, digits: np.ndarray):
    model = small_model(baselines={"other": small_model()})
    evaluation = model.evaluate(open_images(digits, levels=32), draws=2)
    bits = bits_per_dimension(
        model.log_prob_lower(torch.from_numpy(digits[:, None]), draws=2).log_prob, (1, 8, 8)
    ).numpy()
    assert evaluation.bits_per_dimension == pytest.approx(bits.mean())
    assert evaluation.standard_error == pytest.approx(bits.std(ddof=1) / len(bits) ** 0.5)
    assert evaluation.mean == pytest.approx(-bits.mean() * 64 * math.log(2))
    assert evaluation.kind == "lower bound"
    # The baseline is the same model with other noise: the difference is small, and of any sign.
    other = evaluation.baselines["other"]
    assert abs(other.gain) < 6 * other.gain_standard_error
