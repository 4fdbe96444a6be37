"""VAEs of images: what they learn, levels, classes, odd sizes, save and load, and what they refuse."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from logpx import load
from logpx.distributions.likelihoods import BernoulliLikelihood, DiscretisedLogisticLikelihood
from logpx.errors import UsageError
from logpx.images import fit_images, open_images
from logpx.storage import save


def dark_and_bright(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy images of one grey or another, and which."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, n)
    return np.where(labels[:, None, None] == 1, 200, 20) + generator.integers(0, 20, (n, 4, 5)), labels


@pytest.mark.slow
def test_fit_learns_and_survives_a_folder(tmp_path: Path):
    x, _ = dark_and_bright()
    result = fit_images(x, "vae", max_steps=400, learning_rate=1e-2, batch_size=64)
    model = result.model
    assert (model.kind, result.family) == ("lower bound", "vae")
    assert isinstance(model.flow.likelihood_family, DiscretisedLogisticLikelihood)
    assert model.flow.latent == 32
    assert "latent" in result.notes[0]
    images = open_images(x[:200])
    # Each pixel alone has one of two greys, at 1 bit. That all share it is what the latent variable learns.
    assert model.evaluate(images).baselines["independent pixels"].gain > 0.2
    assert result.bits_per_dimension == pytest.approx(-result.training.best_validation / 20 / math.log(2))
    drawn = model.sample(100, seed=1).float().mean((1, 2, 3))
    assert ((drawn - 29.5).abs().minimum((drawn - 209.5).abs()) < 30).float().mean() > 0.7
    save(model, tmp_path / "model", metrics=result.to_dict())
    copy = load(tmp_path / "model")
    bounds = [one.log_prob_lower(images.read(), seed=4, exactness=9) for one in (model, copy)]
    assert torch.equal(bounds[0].log_prob, bounds[1].log_prob)
    assert torch.equal(model.sample(20, seed=1), copy.sample(20, seed=1))


def test_same_seed_same_model(digits: np.ndarray):
    before = torch.get_rng_state()
    first, second, other = (
        fit_images(digits[:200], "vae", max_steps=5, seed=seed).model.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())


def test_two_levels_are_truth_values(digits: np.ndarray):
    result = fit_images((digits > 7).astype(np.uint8), "vae", levels=2, latent=3, max_steps=20)
    assert isinstance(result.model.flow.likelihood_family, BernoulliLikelihood)
    assert result.model.flow.latent == 3
    assert 0.0 < result.bits_per_dimension < 1.2
    assert set(result.model.sample(20, seed=0).unique().tolist()) == {0, 1}


def test_odd_sizes_and_colour():
    images = np.random.default_rng(0).integers(0, 256, (60, 5, 7, 3), dtype=np.uint8)
    result = fit_images(images, "vae", max_steps=3)
    assert result.model.sample(4, seed=0).shape == (4, 3, 5, 7)
    assert math.isfinite(result.bits_per_dimension)


@pytest.mark.slow
def test_classes():
    x, labels = dark_and_bright()
    result = fit_images(
        x, "vae", labels=labels, conditional=True, latent=2, max_steps=200, learning_rate=5e-3
    )
    model = result.model
    drawn = model.sample(40, model.context_of([0] * 20 + [1] * 20), seed=0).float().mean((1, 2, 3))
    assert drawn[:20].mean() + 60 < drawn[20:].mean()
    right = model.evaluate(open_images(x, labels=labels)).bits_per_dimension
    wrong = model.evaluate(open_images(x, labels=1 - labels)).bits_per_dimension
    assert right + 1.0 < wrong


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        (
            "vae",
            {"dequantisation": "uniform"},
            "dequantisation is 'uniform', which --model vae does not take",
        ),
        ("vae", {"alpha": 0.1}, "alpha is 0.1, which --model vae"),
        ("vae", {"latent": 0}, "latent is 0"),
        ("realnvp", {"latent": 3}, "latent is 3, which --model realnvp does not take"),
    ],
)
def test_what_does_not_go_together(model: str, options: dict, text: str, digits: np.ndarray):
    with pytest.raises(UsageError, match=text) as error:
        fit_images(digits, model, max_steps=1, **options)
    assert error.value.fix
