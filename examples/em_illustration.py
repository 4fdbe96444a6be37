"""EM as the climb of a bound: the ELBO touches the log-likelihood at every E-step, and the M-step climbs it.

In a mixture of two normal distributions on the line, only the mean of one is unknown: the log-likelihood is a
function of one number and can be drawn, and so can the bound at each iteration,

    ELBO(q, mean) = sum over rows and components of q log (p(x, z) / q),

with q the posterior at the previous mean. Below it, on data with missing cells and from a poor start, the
log-likelihood is shown as it rises under EM alone and under extrapolated EM.

Run: python examples/em_illustration.py [--output docs/figures/em.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from figure_files import write
from torch import Tensor

from logpx.inference import expectation_maximisation
from logpx.latent import GaussianMixture

matplotlib.use("agg")
from matplotlib import pyplot as plt

ROWS = 60
START = -3.0
ITERATIONS = 3


def line_mixture(mean: float) -> GaussianMixture:
    """Return a mixture whose first component has a given mean; everything else is known."""
    mixture = GaussianMixture(2, 1).double()
    with torch.no_grad():
        mixture.means.copy_(torch.tensor([[mean], [3.0]]))
        mixture.covariance.log_diagonals.copy_(torch.tensor([[0.2], [0.2]]))
    return mixture


def bound(shares: Tensor, x: Tensor, mean: float) -> float:
    """Return the ELBO of shares q at a mean, in nats."""
    mixture = line_mixture(mean)
    joint = mixture.prior.logits + mixture.likelihood(torch.arange(2)).log_prob(x[:, None])
    return torch.where(shares > 0.0, shares * (joint - shares.log()), 0.0).sum().item()


@torch.no_grad()
def climb(axes: plt.Axes) -> None:
    """Draw the log-likelihood of the mean, and the bound at each iteration of EM."""
    generator = torch.Generator().manual_seed(2)
    chosen = torch.randint(0, 2, (ROWS,), generator=generator)
    x = (torch.tensor([0.0, 3.0])[chosen] + 1.2 * torch.randn(ROWS, generator=generator)).double()[:, None]
    grid = np.linspace(-3.6, 2.4, 241)
    axes.plot(grid, [line_mixture(mean).log_prob(x).sum().item() for mean in grid], color="black", lw=2)
    mean, colours = START, ("tab:blue", "tab:orange", "tab:green")
    for iteration, colour in enumerate(colours):
        shares = line_mixture(mean).responsibilities(x)
        values = [bound(shares, x, other) for other in grid]
        axes.plot(grid, values, color=colour, lw=1.3, label=f"ELBO after E-step {iteration + 1}")
        here = line_mixture(mean).log_prob(x).sum().item()
        # The M-step, for the one parameter: the weighted mean of the rows.
        step = (shares[:, 0] @ x[:, 0] / shares[:, 0].sum()).item()
        top = bound(shares, x, step)
        axes.plot([mean], [here], "o", color=colour, ms=6)
        axes.annotate("", (step, top), (mean, here), arrowprops={"arrowstyle": "->", "color": colour})
        axes.plot([step, step], [top, line_mixture(step).log_prob(x).sum().item()], ":", color=colour)
        mean = step
    best = max(line_mixture(other).log_prob(x).sum().item() for other in grid)
    axes.set_ylim(best - 75.0, best + 6.0)
    axes.set_xlabel("mean of the first component")
    axes.set_ylabel("nats, all rows")
    axes.set_title("log-likelihood (thick) and its bounds")
    axes.legend(frameon=False, fontsize=8, loc="lower center")


def histories(axes: plt.Axes) -> None:
    """Draw how the log-likelihood rises, with and without extrapolation."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 3, generator=generator).double()
    x[:300] += 1.5
    x[torch.rand(x.shape, generator=generator) < 0.2] = torch.nan
    for accelerate, label in ((False, "EM"), (True, "extrapolated EM (SQUAREM)")):
        mixture = GaussianMixture(3, 3).double()
        mixture.initialise_components(x, seed=5)
        result = expectation_maximisation(
            mixture, lambda: [(x, None)], max_iterations=300, tolerance=-1.0, accelerate=accelerate
        )
        axes.plot(result.history, label=label)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlabel("iteration")
    axes.set_ylabel("nats per row")
    axes.set_title("600 rows, a fifth of the cells missing")
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    """Draw both figures side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/em.png"))
    arguments = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.2), constrained_layout=True)
    climb(left)
    histories(right)
    write(figure, arguments.output)


if __name__ == "__main__":
    main()
