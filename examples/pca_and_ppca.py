"""PCA and probabilistic PCA: the same axes, but only one of them is a density.

Left, on rows of two features and one latent dimension: PCA projects every row onto the axis; the posterior
mean of probabilistic PCA is pulled towards the middle of it, because noise explains part of how far out a row
lies; and rows have a density, whose contours are drawn. Right, on more features: the held-out log-likelihood
by number of latent dimensions, which is highest at the true number; and PCA's own criterion, the explained
variance, which keeps rising.

Run: python examples/pca_and_ppca.py [--output docs/figures/ppca.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from figure_files import write
from torch import Tensor

import logpx
from logpx.latent import ProbabilisticPCA

matplotlib.use("agg")
from matplotlib import pyplot as plt

ROWS = 9
FEATURES, LATENT = 12, 4


@torch.no_grad()
def shrinkage(axes: plt.Axes) -> None:
    """Draw rows, their projections, their posterior means and the density of probabilistic PCA."""
    generator = torch.Generator().manual_seed(11)
    z = torch.randn(ROWS, 1, generator=generator)
    x = z @ torch.tensor([[1.6, 0.9]]) + 0.9 * torch.randn(ROWS, 2, generator=generator)
    model = ProbabilisticPCA(features=2, latent=1)
    logpx.fit(model, x)
    grid = torch.linspace(-5.0, 5.0, 201)
    first, second = torch.meshgrid(grid, grid, indexing="xy")
    density = model.log_prob(torch.stack([first, second], -1))
    axes.contour(
        first,
        second,
        density,
        levels=np.linspace(-9.0, -2.5, 8),
        colors="0.8",
        linewidths=0.8,
        linestyles="solid",
    )
    axis = model.loadings[:, 0] / model.loadings.norm()
    projected = model.mean + ((x - model.mean) @ axis)[:, None] * axis
    mean = model.mean + model.posterior(x).mean @ model.loadings.mT
    for row, onto, drawn in zip(x, projected, mean, strict=True):
        axes.plot([row[0], onto[0]], [row[1], onto[1]], color="0.7", lw=0.6, zorder=1)
        axes.plot([onto[0], drawn[0]], [onto[1], drawn[1]], color="tab:orange", lw=1.5, zorder=1)
    axes.scatter(*x.T, s=14, color="black", label="rows", zorder=3)
    axes.scatter(*projected.T, s=14, color="tab:blue", label="PCA: projections", zorder=3)
    axes.scatter(*mean.T, s=14, color="tab:orange", label="PPCA: W E[z | x] + µ", zorder=3)
    axes.set(xlim=(-5, 5), ylim=(-4, 4), aspect="equal", xlabel="x₁", ylabel="x₂")
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def rows(n: int, seed: int) -> Tensor:
    """Return rows of few latent dimensions and noise."""
    loadings = torch.randn(LATENT, FEATURES, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, LATENT, generator=generator) @ loadings + torch.randn(
        n, FEATURES, generator=generator
    )


@torch.no_grad()
def dimensions(likelihood: plt.Axes, explained: plt.Axes) -> None:
    """Draw held-out log-likelihood and explained variance by the number of latent dimensions."""
    training, test = rows(150, 1), rows(5000, 2)
    sizes = range(FEATURES)
    scores = []
    for latent in sizes:
        model = ProbabilisticPCA(FEATURES, latent)
        logpx.fit(model, training)
        scores.append(model.log_prob(test).mean().item())
    values = torch.linalg.eigvalsh(training.T.cov()).flip(0)
    likelihood.plot(sizes, scores, "o-", color="tab:orange")
    likelihood.set_title("PPCA: held-out log p(x), nats per row", fontsize=10)
    shares = [0.0, *(values.cumsum(0) / values.sum())[: FEATURES - 1]]
    explained.plot(sizes, shares, "s:", color="tab:blue")
    explained.set_title("PCA: share of the variance", fontsize=10)
    explained.set(xlabel="latent dimensions", ylim=(0, 1.05))
    for axes in (likelihood, explained):
        axes.axvline(LATENT, color="0.8", zorder=0, label="true number")
    likelihood.legend(frameon=False, fontsize=9)
    likelihood.tick_params(labelbottom=False)


def main() -> None:
    """Draw both and write the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/ppca.png"))
    arguments = parser.parse_args()
    figure, axes = plt.subplot_mosaic(
        [["rows", "likelihood"], ["rows", "explained"]],
        figsize=(10, 4.2),
        width_ratios=(1.25, 1),
        layout="constrained",
    )
    shrinkage(axes["rows"])
    dimensions(axes["likelihood"], axes["explained"])
    write(figure, arguments.output)


if __name__ == "__main__":
    main()
