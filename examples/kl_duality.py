"""The duality of flows on real data: p(x) is as far from the data as f's noise is from normal.

The data are the pixels of a photograph that scikit-learn ships: green and blue, at 64 levels each. There are
finitely many, so their distribution pi, spread evenly over each level's cell, is known exactly. A flow is
fitted to draws; then KL(pi || p(x)) is estimated in the space of colours, and KL(p* || p(z)) in that of the
noise, where p* is the distribution of f(x): the latter by its density, and once more from draws of p* alone,
by the distances between neighbours.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np
import torch
from figure_files import write
from scipy.special import digamma
from sklearn.datasets import load_sample_image
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

import logpx
from logpx.distributions import Distribution, Flow
from logpx.flows import NSF
from logpx.inference import forward_kl
from logpx.transforms import Inverse

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.colors import PowerNorm

LEVELS = 64
DRAWS = 50_000


class PixelColours(Distribution):
    """Green and blue of a random pixel, each in (0, 1): even within a cell of the 64 x 64 levels."""

    def __init__(self) -> None:
        super().__init__(2)
        image = load_sample_image("flower.jpg").reshape(-1, 3)
        cells = torch.from_numpy(image[:, 1:].astype(np.int64)) * LEVELS // 256
        counts = torch.bincount(cells[:, 0] * LEVELS + cells[:, 1], minlength=LEVELS**2)
        self.register_buffer("cells", cells)
        self.register_buffer("log_densities", torch.log(counts * (LEVELS**2 / len(cells))))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        green, blue = (x * LEVELS).long().clamp(0, LEVELS - 1).unbind(-1)
        return self.log_densities[green * LEVELS + blue]

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        chosen = torch.randint(len(self.cells), (n,), generator=generator)
        noise = torch.rand(n, 2, generator=generator, dtype=self.log_densities.dtype)
        return (self.cells[chosen] + noise) / LEVELS


def neighbour_log_density(rows: Tensor, k: int = 4) -> Tensor:
    """Estimate the log-density of two-dimensional draws at themselves, by the distance of the k-th neighbour.

    Minus its mean is the entropy estimate of Kozachenko and Leonenko (1987).
    """
    distances = NearestNeighbors(n_neighbors=k).fit(rows.numpy()).kneighbors()[0][:, -1]
    constant = digamma(k) - digamma(len(rows)) - math.log(math.pi)
    return torch.from_numpy(constant - 2.0 * np.log(distances))


def mean_and_error(values: Tensor) -> str:
    return f"{values.mean():.4f} ± {values.std() / math.sqrt(len(values)):.4f}"


def main() -> None:
    """Fit, estimate both sides, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("kl_duality.png"))
    parser.add_argument("--steps", type=int, default=2000, help="steps of training")
    arguments = parser.parse_args()
    colours = PixelColours()
    torch.manual_seed(0)
    flow = NSF(features=2, layers=6, bins=12, hidden=(32, 32))
    logpx.fit(flow, colours.sample(200_000, seed=0), batch_size=512, max_steps=arguments.steps, seed=0)
    # In double precision, so that a colour on the edge of a cell returns to that cell from its noise.
    flow.double().requires_grad_(False)
    colours.double()

    pushed = Flow(colours, Inverse(flow.transform))
    x, z = colours.sample(DRAWS, seed=1), pushed.sample(DRAWS, seed=2)
    print("in nats, from independent draws on the two sides:")
    print("KL(pi || p(x)) by the densities     ", mean_and_error(colours.log_prob(x) - flow.log_prob(x)))
    print("KL(p* || p(z)) by the densities     ", mean_and_error(pushed.log_prob(z) - flow.base.log_prob(z)))
    by_neighbours = neighbour_log_density(z) - flow.base.log_prob(z)
    print("KL(p* || p(z)) from draws alone     ", mean_and_error(by_neighbours))
    noise, _ = flow.transform.forward(x)
    of_x, of_z = forward_kl(flow, x, colours.log_prob), forward_kl(flow.base, noise, pushed.log_prob)
    print(f"difference of the two sides for the same draws: {(of_x - of_z).abs():.0e}")
    on_noise = mean_and_error(pushed.log_prob(z) - flow.base.log_prob(z))
    draw(colours, flow, arguments.output, mean_and_error(colours.log_prob(x) - flow.log_prob(x)), on_noise)


def draw(colours: PixelColours, flow: Flow, path: Path, of_x: str, of_z: str) -> None:
    """Draw four densities: the data's and the model's, for colours and for noise."""
    cell = (torch.arange(4 * LEVELS, dtype=torch.float64) + 0.5) / (4 * LEVELS)
    points = torch.cartesian_prod(cell, cell)
    side = torch.linspace(-3.5, 3.5, 141, dtype=torch.float64)
    middles = 0.5 * (side[1:] + side[:-1])
    noise = flow.transform.forward(colours.sample(1_000_000, seed=3))[0]
    pushed = np.histogram2d(*noise.T.numpy(), bins=side.numpy(), density=True)[0]
    panels = [
        ("π(x): pixels", colours.log_prob(points).exp().view(4 * LEVELS, -1).numpy(), (0, 1, 0, 1)),
        (
            f"p(x): the flow; KL(π ‖ p) = {of_x}",
            flow.log_prob(points).exp().view(4 * LEVELS, -1).numpy(),
            (0, 1, 0, 1),
        ),
        ("p*(z): f of the pixels", pushed, (-3.5, 3.5) * 2),
        (
            f"p(z): the base; KL(p* ‖ p) = {of_z}",
            flow.base.log_prob(torch.cartesian_prod(middles, middles)).exp().view(140, 140).numpy(),
            (-3.5, 3.5) * 2,
        ),
    ]
    fig, axes = plt.subplots(2, 2, layout="constrained", figsize=(8.4, 8.4))
    limits = (40.0, 40.0, 0.25, 0.25)
    for axis, (title, density, extent), shown in zip(axes.flat, panels, limits, strict=True):
        brightness = PowerNorm(0.5, 0.0, shown)
        axis.imshow(density.T, origin="lower", extent=extent, norm=brightness, cmap="magma")
        axis.set_title(title, fontsize=11)
    for axis in axes[0]:
        axis.set(xlim=(0.0, 0.9), ylim=(0.0, 0.9), xlabel="green", ylabel="blue")
    for axis in axes[1]:
        axis.set(xlabel="z₁", ylabel="z₂")
    write(fig, path, dpi=90)


if __name__ == "__main__":
    main()
