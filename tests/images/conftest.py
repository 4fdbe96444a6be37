"""Small images and a flow that is quick to evaluate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from logpx.distributions import Flow, StandardNormal
from logpx.images import ImageModel, LinearPixels
from logpx.transforms import Affine


def affine_flow(shape: tuple[int, int, int]) -> Flow:
    """Return a diagonal normal distribution as a flow."""
    return Flow(StandardNormal(shape), Affine(shape))


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """1797 images of 8 × 8 pixels with levels 0..16, two thirds of the border always 0."""
    return load_digits().images.astype(np.uint8)


@pytest.fixture
def small_model() -> Callable[..., ImageModel]:
    """Return a maker of quick models."""

    def make(shape: tuple[int, int, int] = (1, 8, 8), levels: int = 32, **options: object) -> ImageModel:
        options.setdefault("preprocessing", LinearPixels(shape, levels))
        return ImageModel(affine_flow(shape), levels, **options).eval()

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of six grey images, 6 × 8, among other files."""
    generator = np.random.default_rng(0)
    place = tmp_path / "images"
    place.mkdir()
    for index in range(6):
        Image.fromarray(generator.integers(0, 256, (6, 8), dtype=np.uint8)).save(place / f"{index}.png")
    (place / "notes.txt").write_text("not an image")
    return place


@pytest.fixture
def levels_of() -> Callable[[int], torch.Tensor]:
    """Return a maker of all images of one pixel."""
    return lambda levels: torch.arange(levels).view(-1, 1, 1, 1)
