"""Fitting images: the split, what is learned, constant pixels, every refusal before training."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from logpx import fit, load
from logpx.distributions import Flow, StandardNormal
from logpx.errors import DataError, UsageError
from logpx.flows import RealNVP
from logpx.images import IMAGE_FAMILIES, ImageFlowFamily, fit_images, open_images, write_images
from logpx.images.fitting.rows import divide_images
from logpx.storage import save
from logpx.transforms import Affine


def small(shape: tuple[int, int, int], classes: int) -> Flow:
    return RealNVP(shape, layers=2, hidden=(8,), context=classes)


@pytest.fixture(autouse=True)
def quick_families(monkeypatch: pytest.MonkeyPatch):
    affine = ImageFlowFamily(
        name="affine",
        build=lambda shape, classes: Flow(StandardNormal(shape), Affine(shape)),
        learning_rate=0.03,
    )
    monkeypatch.setitem(IMAGE_FAMILIES, "affine", affine)
    monkeypatch.setitem(
        IMAGE_FAMILIES, "small", ImageFlowFamily(name="small", build=small, learning_rate=3e-3, batch_size=64)
    )


def test_fit_learns_and_says_by_how_much(digits: np.ndarray):
    said = []
    result = fit_images(digits, "small", max_steps=80, report=said.append)
    assert (result.rows, result.train_rows, result.validation_rows) == (1797, 1617, 180)
    assert result.model.kind == "lower bound"
    assert not result.model.training
    assert "1,797 images of 8×8 pixels with 1 channel, 32 levels" in said[0]
    evaluation = result.model.evaluate(open_images(digits[:200], levels=32), draws=2)
    gains = {name: comparison.gain for name, comparison in evaluation.baselines.items()}
    assert set(gains) == {"uniform", "independent pixels", "full-covariance Gaussian"}
    assert evaluation.baselines["uniform"].bits_per_dimension == pytest.approx(5.0)
    assert gains["uniform"] > 1.5
    # Training starts from actnorm's data-dependent statistics, and gets better from there.
    first, last = result.training.history[0].validation, result.training.history[-1].validation
    assert last > first + 10.0
    assert result.bits_per_dimension == pytest.approx(-result.training.best_validation / 64 / math.log(2))
    error = result.training.best_validation_error
    assert result.standard_error == pytest.approx(error / 64 / math.log(2))
    json.dumps(result.to_dict())


def test_same_seed_same_model(digits: np.ndarray):
    first, second, other = (
        fit_images(digits, "affine", max_steps=20, seed=seed).model.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["flow.transform.shift"], other["flow.transform.shift"])


def test_torch_generator_is_left_alone(digits: np.ndarray):
    before = torch.get_rng_state()
    fit_images(digits[:100], "affine", max_steps=3)
    assert torch.equal(before, torch.get_rng_state())


def test_constant_pixels_are_fitted():
    x = np.zeros((100, 4, 4), np.uint8)
    x[:, 1:3, 1:3] = np.random.default_rng(0).integers(0, 256, (100, 2, 2))
    result = fit_images(x, "affine", max_steps=20)
    assert math.isfinite(result.bits_per_dimension)
    all_black = fit_images(np.zeros((50, 4, 4), np.uint8), "affine", levels=256, max_steps=20)
    assert math.isfinite(all_black.bits_per_dimension)


def test_more_pixels_than_images_leave_the_gaussian_out(digits: np.ndarray):
    assert set(fit_images(digits[:50], "affine", max_steps=2).model.baselines) == {
        "uniform",
        "independent pixels",
    }


def test_classes(digits: np.ndarray, tmp_path: Path):
    # Class 0 is dark and class 1 bright: the class says a lot.
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    x = np.where(labels[:, None, None] == 1, 200, 20) + generator.integers(0, 20, (400, 4, 4))
    result = fit_images(x, "small", labels=labels, conditional=True, max_steps=150)
    model = result.model
    assert model.classes == ["0", "1"]
    drawn = model.sample(40, model.context_of([0] * 20 + [1] * 20), seed=0).float().mean((1, 2, 3))
    assert drawn[:20].mean() + 60 < drawn[20:].mean()
    right = model.evaluate(open_images(x, labels=labels)).bits_per_dimension
    wrong = model.evaluate(open_images(x, labels=1 - labels)).bits_per_dimension
    assert right + 1.0 < wrong
    with pytest.raises(DataError, match="no labels"):
        model.evaluate(x.astype(np.uint8))
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").classes == ["0", "1"]


def test_variational_dequantisation_is_trained(digits: np.ndarray):
    result = fit_images(digits[:300], "small", dequantisation="variational", max_steps=5)
    weights = result.model.dequantisation.state_dict()
    assert any(bool(tensor.any()) for name, tensor in weights.items() if name.endswith("output.weight"))


def test_folder_too_large_for_memory_is_streamed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    in_memory = fit_images(folder, "affine", max_steps=5).model.state_dict()
    monkeypatch.setattr("logpx.images.fitting.rows._MOST_BYTES", 0)
    streamed = fit_images(folder, "affine", max_steps=5).model.state_dict()
    for name, tensor in in_memory.items():
        torch.testing.assert_close(streamed[name], tensor)


def test_validation_images_are_used(digits: np.ndarray):
    result = fit_images(
        digits[:500], "affine", validation=open_images(digits[500:700], levels=32), max_steps=3
    )
    assert (result.train_rows, result.validation_rows) == (500, 200)
    with pytest.raises(DataError, match="where the model has 8×8"):
        fit_images(digits, "affine", validation=digits[:, :, 1:], max_steps=3)


def test_validation_set_is_not_too_large():
    images = open_images(np.arange(40_000 * 4).reshape(-1, 2, 2) % 256)
    divided = divide_images(images, None, 0, seed=0)
    assert (divided.train_rows, len(divided.validation)) == (38_000, 2000)
    assert sum(len(batch.pixels) for batch in divided.training.batches()) == 38_000


def test_stop_keeps_the_best_model_so_far(digits: np.ndarray):
    asked = iter(range(1000))
    result = fit_images(digits, "affine", max_time=600, should_stop=lambda: next(asked) > 12)
    assert result.training.stopped.value == "requested"
    assert math.isfinite(result.bits_per_dimension)


def test_front_door_takes_images(digits: np.ndarray, tmp_path: Path):
    result = fit("affine", digits, max_steps=5)
    save(result.model, tmp_path / "model", metrics=result.to_dict())
    write_images(result.model.sample(4, seed=0), tmp_path / "a.png", levels=32)
    card = (tmp_path / "model/README.md").read_text()
    assert "images of 8×8 pixels, 1 channel and 32 levels" in card
    assert "bits per dimension" in card
    assert "logpx sample model -n 64 -o samples.png" in card


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "smal"}, UsageError, "no model 'smal'"),
        ({"dequantisation": "none"}, UsageError, "no dequantisation"),
        ({"max_time": 0.0}, UsageError, "max_time"),
        ({"conditional": True}, UsageError, "labels"),
        ({"levels": 8}, DataError, "outside the 8 levels"),
        ({"alpha": 0.7}, UsageError, "alpha"),
        ({"device": "nowhere"}, UsageError, "nowhere"),
    ],
)
def test_bad_arguments(options: dict, error: type[Exception], text: str, digits: np.ndarray):
    with pytest.raises(error) as caught:
        fit_images(digits, **{"model": "affine", "max_steps": 1, **options})
    assert text in str(caught.value)


def test_one_image_is_too_few(digits: np.ndarray):
    with pytest.raises(DataError, match="one image"):
        fit_images(digits[:1], "affine", max_steps=1)


def test_odd_sizes_are_refused_by_the_flow(digits: np.ndarray):
    with pytest.raises(UsageError, match="7"):
        fit_images(digits[:, 1:], "small", max_steps=1)


def test_names_of_families():
    assert [family.name for family in IMAGE_FAMILIES.named("auto")] == ["realnvp"]
    with pytest.raises(UsageError, match="no model"):
        IMAGE_FAMILIES.named("zzz")


def test_huge_images_are_compared_with_what_memory_allows():
    images = np.random.default_rng(0).integers(0, 256, (3, 256, 258), dtype=np.uint8)
    result = fit_images(images, "small", max_steps=1)
    assert list(result.model.evaluate(images).baselines) == ["uniform"]


def test_validation_images_of_an_unknown_class_are_refused(digits: np.ndarray):
    images = open_images(digits[:40], labels=np.arange(40) % 3)
    others = open_images(digits[:20], labels=np.arange(20) % 4)
    with pytest.raises(DataError, match="class '3'"):
        fit_images(images, "small", validation=others, conditional=True, max_steps=1)


def test_labels_that_are_all_the_same_are_no_classes(digits: np.ndarray):
    with pytest.raises(UsageError, match="two classes or more"):
        fit_images(digits[:40], "small", labels=np.full(40, 3), conditional=True, max_steps=1)


def test_mint_net_takes_images_of_odd_sizes(digits: np.ndarray):
    result = fit_images(digits[:60, :5, :5], "mintnet", max_steps=3)
    drawn = result.model.sample(4, seed=0)
    assert drawn.shape == (4, 1, 5, 5)
    assert drawn.dtype == torch.uint8


def test_an_untrained_model_is_said_to_be_one(digits: np.ndarray):
    assert any("untrained" in note for note in fit_images(digits[:40], "small", max_time=1e-9).notes)
    assert not any("untrained" in note for note in fit_images(digits[:40], "small", max_steps=1).notes)
