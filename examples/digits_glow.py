"""Fit a Glow, conditional on the digit, to the 8×8 digits of scikit-learn, and draw real and drawn ones.

Run: python examples/digits_glow.py [--output docs/figures/digits_glow.png] [--time 600]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib
import numpy as np
from figure_files import write
from sklearn.datasets import load_digits

from logpx.images import fit_images, open_images

matplotlib.use("agg")
from matplotlib import pyplot as plt

EACH = 8


def sheet(images: np.ndarray) -> np.ndarray:
    """Return images of shape (10 × EACH, 8, 8), ordered by digit, as a picture of a row for each."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return framed.reshape(10, EACH, 10, 10).transpose(0, 2, 1, 3).reshape(100, 10 * EACH)


def main() -> None:
    """Fit, draw, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/digits_glow.png"))
    parser.add_argument("--time", type=float, default=600.0, help="seconds of training at most")
    arguments = parser.parse_args()
    digits = load_digits()
    images = open_images(digits.images.astype("uint8"), labels=digits.target, levels=17)
    began = time.perf_counter()
    result = fit_images(images, "glow", conditional=True, max_time=arguments.time, seed=0)
    cost = f"{result.bits_per_dimension:.2f} ± {result.standard_error:.2f} bits per dimension"
    print(f"{cost} on digits set aside, in {time.perf_counter() - began:.0f} s")

    labels = [digit for digit in range(10) for _ in range(EACH)]
    drawn = result.model.sample(len(labels), result.model.context_of(labels), seed=0)
    real = np.concatenate([digits.images[digits.target == digit][:EACH] for digit in range(10)])
    figure, axes = plt.subplots(1, 2, figsize=(8.0, 5.0), layout="constrained")
    for panel, title, shown in zip(
        axes, ("digits of scikit-learn", f"draws of a Glow: {cost}"), (real, np.asarray(drawn)), strict=True
    ):
        panel.imshow(sheet(shown.reshape(-1, 8, 8)), cmap="gray", vmin=0, vmax=16)
        panel.set_title(title, fontsize=10)
        panel.axis("off")
    write(figure, arguments.output)


if __name__ == "__main__":
    main()
