"""Densities of natural-image patches: several models on the two photographs that scikit-learn ships.

Patches of 8 x 8 luma pixels are dequantised and divided by 256, and their mean is subtracted, which leaves 63
numbers. The test patches come from stripes of the photographs that no training patch touches. Figures are
mean log p per patch in nats: they may be positive, since a density may exceed 1.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from sklearn.datasets import load_sample_images

import logpx
from logpx.distributions import DiagonalNormal, Distribution, FullNormal
from logpx.flows import MAF, RealNVP
from logpx.latent import ConjugatePrior, GaussianMixture

matplotlib.use("agg")
from matplotlib import pyplot as plt

SIDE = 8
STRIPE = 64


def luma_photographs() -> list[np.ndarray]:
    """Return the photographs as integer luma values from 0 to 255."""
    weights = np.array([0.2989, 0.5870, 0.1140])
    return [np.rint(image @ weights) for image in load_sample_images().images]


def stripes(image: np.ndarray, test: bool) -> list[np.ndarray]:
    """Cut a photograph into vertical stripes; every fourth one is for testing."""
    starts = range(0, image.shape[1] - STRIPE + 1, STRIPE)
    return [image[:, s : s + STRIPE] for index, s in enumerate(starts) if (index % 4 == 3) == test]


def patches(count: int, test: bool, seed: int) -> torch.Tensor:
    """Draw patches at random positions of the stripes, as 63 numbers each."""
    generator = np.random.default_rng(seed)
    pieces = [piece for image in luma_photographs() for piece in stripes(image, test)]
    windows = [np.lib.stride_tricks.sliding_window_view(piece, (SIDE, SIDE)) for piece in pieces]
    chosen = np.concatenate(
        [
            window[
                generator.integers(window.shape[0], size=count // len(windows)),
                generator.integers(window.shape[1], size=count // len(windows)),
            ]
            for window in windows
        ]
    )
    noisy = (chosen + generator.random(chosen.shape)) / 256.0
    flat = noisy.reshape(len(noisy), -1)
    flat = generator.permutation(flat - flat.mean(1, keepdims=True))
    return torch.from_numpy(flat[:, :-1]).float()


def image_of(rows: torch.Tensor, across: int) -> np.ndarray:
    """Lay patches out as one image."""
    full = torch.cat([rows, -rows.sum(1, keepdim=True)], 1).numpy()
    tiles = np.pad(
        full.reshape(-1, across, SIDE, SIDE), [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan
    )
    return tiles.transpose(0, 2, 1, 3).reshape(-1, across * (SIDE + 1))[:-1, :-1]


def candidates() -> dict[str, tuple[Distribution, float, int]]:
    """Return the models, each with its training time in seconds and the number of patches to fit."""
    return {
        "independent Gaussians": (DiagonalNormal(63), 1.0, 100_000),
        "full-covariance Gaussian": (FullNormal(63), 1.0, 100_000),
        "Gaussian mixture, 20 components": (
            GaussianMixture(20, 63, prior=ConjugatePrior(covariance_rows=1.0)),
            10.0,
            20_000,
        ),
        "RealNVP": (RealNVP(63, layers=8, hidden=(128, 128)), 18.0, 100_000),
        "MAF": (MAF(63, layers=5, hidden=(128, 128)), 18.0, 100_000),
    }


def main() -> None:
    """Fit, compare, sample, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for the results")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on every training time")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    training, test = patches(100_000, test=False, seed=0), patches(10_000, test=True, seed=1)
    print(
        f"{len(training):,} training and {len(test):,} test patches of 8 x 8 pixels; log p in nats per patch"
    )
    print(f"{'model':<34}{'held-out log p':>16}{'± s.e.':>9}{'gain over Gaussian':>20}{'seconds':>9}")
    figures: dict[str, dict[str, float]] = {}
    drawings = {"test patches": test[:96]}
    models: dict[str, Distribution] = {}
    gaussian = None
    for name, (model, seconds, rows) in candidates().items():
        start = time.monotonic()
        logpx.fit(model, training[:rows], max_time=seconds * arguments.scale, seed=0, progress=False)
        with torch.no_grad():
            log_prob = model.log_prob(test).double()
            drawings[name] = model.sample(96, seed=0)
        mean, error = log_prob.mean().item(), log_prob.std().item() / len(log_prob) ** 0.5
        elapsed = time.monotonic() - start
        if isinstance(model, FullNormal):
            gaussian = log_prob
        gain = "" if gaussian is None else f"{(log_prob - gaussian).mean().item():+.1f}"
        print(f"{name:<34}{mean:>16.2f}{error:>9.2f}{gain:>20}{elapsed:>9.1f}", flush=True)
        figures[name] = {"log_prob": mean, "standard_error": error, "seconds": elapsed}
        models[name] = model
    best = max(figures, key=lambda name: figures[name]["log_prob"])
    logpx.save(models[best], arguments.output / "model", overwrite=True, metrics=figures[best])
    np.save(arguments.output / "samples.npy", drawings[best].numpy())
    (arguments.output / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    draw(drawings, figures, arguments.output / "patches.png")
    print(f"best: {best}; the model, samples, figures and an image are in {arguments.output}/")


def draw(drawings: dict[str, torch.Tensor], figures: dict[str, dict[str, float]], path: Path) -> None:
    """Draw real patches beside samples of every model."""
    fig, axes = plt.subplots(2, 3, figsize=(11, 6.4))
    for axis, (name, rows) in zip(axes.flat, drawings.items(), strict=True):
        axis.imshow(image_of(rows, 12), cmap="gray", vmin=-0.25, vmax=0.25, interpolation="nearest")
        title = name if name not in figures else f"{name}\n{figures[name]['log_prob']:.1f} nats"
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    fig.suptitle("Test patches of photographs, and samples")
    fig.tight_layout()
    fig.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
