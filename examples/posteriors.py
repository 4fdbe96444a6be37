"""Four approximations of three posteriors, and the verdict on each.

Rows are known log-densities of two dimensions: the funnel, a banana, two modes. Columns are methods. Each
panel shows the density's contours (highest-density regions of 50, 90 and 99 percent), 500 draws of the
approximation, its k-hat and the first words of its verdict.

Run: python examples/posteriors.py [--output docs/figures/posteriors.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from figure_files import write

from logpx.errors import DivergedError
from logpx.posteriors import Posterior, Trust, densities, posterior

matplotlib.use("agg")
from matplotlib import pyplot as plt

METHODS = ("laplace", "mean_field", "full_rank", "flow")
# With the names of the two axes, and the range of each.
PROBLEMS = {
    "funnel": (densities.funnel(2), ("v", "x"), ((-9.5, 9.5), (-30.0, 30.0))),
    "banana": (densities.banana(), ("x₁", "x₂"), ((-3.6, 3.6), (-2.2, 9.5))),
    "two modes": (densities.separated_modes(), ("x₁", "x₂"), ((-8.5, 8.5), (-4.5, 4.5))),
}
COLOURS = {Trust.TRUST: "#3fa75c", Trust.AFTER_RESAMPLING: "#c79a1f", Trust.DO_NOT: "#e0525f"}
SHARES = (0.99, 0.9, 0.5)
SHADES = ("0.93", "0.82", "0.68")
DRAWS = 500
SIDE = 401


def contours(axes: plt.Axes, problem: densities.Problem, limits: tuple[tuple[float, float], ...]) -> None:
    """Draw the edges of the smallest regions that contain given shares of a density."""
    first, second = (torch.linspace(*limit, SIDE, dtype=torch.float64) for limit in limits)
    with torch.no_grad():
        density = problem.log_density(torch.cartesian_prod(first, second)).exp().numpy()
    falling = np.sort(density)[::-1]
    held = falling.cumsum() / falling.sum()
    levels = [falling[np.searchsorted(held, share)] for share in SHARES]
    figure = density.reshape(SIDE, SIDE).T
    axes.contourf(first, second, figure, [*levels, 1.01 * falling[0]], colors=SHADES)
    axes.contour(first, second, figure, levels, colors="0.45", linewidths=0.5)


def panel(axes: plt.Axes, name: str, method: str) -> None:
    """Fit, and draw the density with the draws."""
    problem, labels, limits = PROBLEMS[name]
    contours(axes, problem, limits)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=labels[0], ylabel=labels[1])
    try:
        found: Posterior = posterior(**problem.arguments, method=method)
    except DivergedError as error:
        print(f"{name}, {method}: {error}")
        axes.set_title(f"{method}\nrefused: no mode", fontsize=9, color="0.3")
        return
    print(f"{name}: {found}")
    trust = found.diagnosis.trust
    axes.plot(*found.sample(DRAWS, seed=1).T, ".", color=COLOURS[trust], ms=2.2)
    number = f"{found.k_hat:.2f}".replace("-", "−")
    words = f"{trust.value}: misses mass" if found.diagnosis.missed else trust.value
    axes.set_title(f"{method}, k-hat {number}\n{words}", fontsize=9, color=COLOURS[trust])


def main() -> None:
    """Draw all panels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/posteriors.png"))
    arguments = parser.parse_args()
    figure, grid = plt.subplots(
        len(PROBLEMS), len(METHODS), figsize=(10.0, 8.0), constrained_layout=True, sharey="row"
    )
    for row, name in zip(grid, PROBLEMS, strict=True):
        for axes, method in zip(row, METHODS, strict=True):
            panel(axes, name, method)
            axes.tick_params(labelsize=8)
            if axes is not row[0]:
                axes.set_ylabel("")
        row[0].annotate(name, (-0.42, 0.5), xycoords="axes fraction", rotation=90, va="center", weight="bold")
    write(figure, arguments.output, dpi=100)


if __name__ == "__main__":
    main()
