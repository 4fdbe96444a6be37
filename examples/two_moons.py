"""Draw what a flow does to two moons: the data, the learned density, and the noise the data become."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib
import torch
from figure_files import write
from sklearn.datasets import make_moons

import logpx
from logpx.flows import NSF

matplotlib.use("agg")
from matplotlib import pyplot as plt

# Entropy of make_moons with noise 0.1, integrated on a grid: minus the mean log p of a perfect model.
ENTROPY = 1.008


def main() -> None:
    """Fit, evaluate, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("two_moons.png"))
    parser.add_argument("--time", type=float, default=150.0, help="seconds of training")
    arguments = parser.parse_args()
    rows, labels = (torch.from_numpy(part) for part in make_moons(12_000, noise=0.1, random_state=0))
    training, test = rows[:10_000].float(), rows[10_000:].float()
    torch.manual_seed(0)
    flow = NSF(features=2, autoregressive=True)
    logpx.fit(flow, training, max_time=arguments.time, seed=0)

    with torch.no_grad():
        log_prob = flow.log_prob(test)
        noise, _ = flow.transform.forward(test)
        side = torch.linspace(-2.0, 3.0, 250)
        grid = torch.cartesian_prod(side, torch.linspace(-1.25, 1.75, 150))
        density = flow.log_prob(grid).exp().view(250, 150).T
    error = log_prob.std().item() / math.sqrt(len(log_prob))
    print(f"held-out log p {log_prob.mean():.3f} ± {error:.3f} nats per row; the best possible is {-ENTROPY}")

    fig, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    colours = [("tab:blue", "tab:orange")[label] for label in labels[10_000:].tolist()]
    axes[0].scatter(*test.T, c=colours, s=2)
    axes[0].set_title("x: test rows")
    axes[1].imshow(density, origin="lower", extent=(-2.0, 3.0, -1.25, 1.75), aspect="auto", cmap="magma")
    axes[1].set_title("p(x): held-out log p " + f"{log_prob.mean():.2f} nats".replace("-", "−"))
    axes[2].scatter(*noise.T, c=colours, s=2)
    axes[2].set_title("z = f(x): standard normal noise")
    axes[2].set_aspect("equal")
    fig.tight_layout()
    write(fig, arguments.output, dpi=110)


if __name__ == "__main__":
    main()
