"""PCA and probabilistic PCA: the same axes, but only one of them is a density.

Left, on rows of two features and one latent dimension: PCA projects every row onto the axis; the posterior
mean of probabilistic PCA is pulled towards the middle of it, because noise explains part of how far out a row
lies; and rows have a density, whose contours are drawn. Right, on more features: the held-out log-likelihood
by number of latent dimensions. PCA's own criterion, the explained variance, keeps rising; the likelihood is
highest at the true number.

Run: python examples/pca_and_ppca.py [--output docs/figures/ppca.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
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
    axes.scatter(*x.T, s=14, color="black", label="rows")
    axes.scatter(*projected.T, s=14, color="tab:blue", label="PCA: projections")
    axes.scatter(*mean.T, s=14, color="tab:orange", label="PPCA: W E[z | x] + µ")
    axes.set(xlim=(-5, 5), ylim=(-4, 4), aspect="equal", xlabel="x₁", ylabel="x₂")
    axes.legend(frameon=False, loc="upper left", fontsize=8)


def rows(n: int, seed: int) -> Tensor:
    """Return rows of few latent dimensions and noise."""
    loadings = torch.randn(LATENT, FEATURES, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, LATENT, generator=generator) @ loadings + torch.randn(
        n, FEATURES, generator=generator
    )


@torch.no_grad()
def dimensions(axes: plt.Axes) -> None:
    """Draw the held-out log-likelihood and the explained variance by number of latent dimensions."""
    training, test = rows(150, 1), rows(5000, 2)
    sizes = range(FEATURES)
    scores = []
    for latent in sizes:
        model = ProbabilisticPCA(FEATURES, latent)
        logpx.fit(model, training)
        scores.append(model.log_prob(test).mean().item())
    values = torch.linalg.eigvalsh(training.T.cov()).flip(0)
    axes.plot(sizes, scores, "o-", color="tab:orange")
    axes.axvline(LATENT, color="0.8", zorder=0)
    axes.set(xlabel="latent dimensions", ylabel="PPCA: held-out log p(x), nats per row")
    explained = axes.twinx()
    explained.plot(sizes, [0.0, *(values.cumsum(0) / values.sum())[: FEATURES - 1]], "s:", color="tab:blue")
    explained.set(ylabel="PCA: share of the variance", ylim=(0, 1.02))
    axes.yaxis.label.set_color("tab:orange")
    explained.yaxis.label.set_color("tab:blue")


def main() -> None:
    """Draw both and write the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/ppca.png"))
    arguments = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    shrinkage(left)
    dimensions(right)
    figure.savefig(arguments.output, dpi=120)
    print(arguments.output)


if __name__ == "__main__":
    main()
