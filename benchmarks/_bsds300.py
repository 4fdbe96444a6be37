"""Patches of 8 x 8 pixels, drawn with fixed seeds from the BSDS300 photographs.

A patch is converted to luma, dequantised with uniform noise of one step and divided by 256; its mean is
subtracted, and its last pixel, which the others then determine, is dropped: 63 numbers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SIDE = 8
FEATURES = SIDE * SIDE - 1
SEED = 0
VALIDATION_IMAGES = 20
TRAINING_ROWS, VALIDATION_ROWS, TEST_ROWS = 1_000_000, 50_000, 250_000
CHUNK = 50_000
LUMA = np.array([0.2989, 0.5870, 0.1140])


def luma(path: Path) -> NDArray[np.uint8]:
    """Return an image as integer luma values from 0 to 255."""
    with Image.open(path) as image:
        return np.rint(np.asarray(image.convert("RGB")) @ LUMA).astype(np.uint8)


def patches(images: list[NDArray[np.uint8]], rows: int, seed: int) -> torch.Tensor:
    """Draw patches at random positions of randomly drawn images, shape ``(rows, 63)``."""
    generator = np.random.default_rng(seed)
    windows = [np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE)) for image in images]
    chosen = generator.integers(len(windows), size=rows)
    result = torch.empty(rows, FEATURES)
    for start in range(0, rows, CHUNK):
        part = chosen[start : start + CHUNK]
        levels = np.empty((len(part), SIDE, SIDE))
        for image in np.unique(part):
            at, window = np.flatnonzero(part == image), windows[image]
            down, across = (generator.integers(size, size=len(at)) for size in window.shape[:2])
            levels[at] = window[down, across]
        noisy = ((levels + generator.random(levels.shape)) / 256.0).reshape(len(part), -1)
        noisy -= noisy.mean(1, keepdims=True)
        result[start : start + CHUNK] = torch.from_numpy(noisy[:, :-1])
    return result


@dataclass(frozen=True)
class Patches:
    """Rows to train on, to stop on and to test on, with the images that the second kind came from."""

    training: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    validation_images: list[str]


def read(folder: Path, training_rows: int) -> Patches:
    """Draw all patches from the images of a folder."""
    root = next((part for part in (folder, folder / "bsds300") if (part / "images/train").is_dir()), None)
    if root is None:
        sys.exit(f"{folder} has neither a folder images/train nor bsds300/images/train")
    paths = {part: sorted((root / "images" / part).glob("*.jpg")) for part in ("train", "val")}
    if len(paths["train"]) <= VALIDATION_IMAGES or not paths["val"]:
        sys.exit(f"{root}/images has too few images: 200 in train and 100 in val were expected")
    aside = set(np.random.default_rng(SEED).permutation(len(paths["train"]))[:VALIDATION_IMAGES].tolist())
    parts = {
        "training": [path for index, path in enumerate(paths["train"]) if index not in aside],
        "validation": [path for index, path in enumerate(paths["train"]) if index in aside],
        "test": paths["val"],
    }
    rows = (training_rows, VALIDATION_ROWS, TEST_ROWS)
    drawn = {
        name: patches([luma(path) for path in parts[name]], count, SEED + index)
        for index, (name, count) in enumerate(zip(parts, rows, strict=True))
    }
    return Patches(**drawn, validation_images=[path.stem for path in parts["validation"]])
