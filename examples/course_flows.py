"""Figures of the course about flows: what maps do to areas, densities and the pattern of a Jacobian.

Run: python examples/course_flows.py [--folder docs/figures]
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
from logpx.distributions import Flow, StandardNormal
from logpx.transforms import Autoregressive, Chain, Coupling, Linear, QRMatrix, Reverse, Transform

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"


def banana(n: int, seed: int) -> Tensor:
    """Return rows on a parabola, whose second variable is normal given the first."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(n, 1, generator=generator)
    return torch.cat([first, first**2 + 0.3 * torch.randn(n, 1, generator=generator)], dim=1)


@torch.no_grad()
def change_of_variables() -> Figure:
    """Draw cells of equal mass of the noise, and their images under the inverse of a flow."""
    flow = logpx.flows.MAF(features=2, layers=4, hidden=(32, 32))
    with torch.enable_grad():
        logpx.fit(flow, banana(4000, 0), max_epochs=25, learning_rate=5e-3, seed=0)
    # Lines at quantiles of each variable of the noise bound cells of equal mass.
    inner = torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(0.02, 0.98, 9))
    along = torch.linspace(inner[0], inner[-1], 200)
    lines = [torch.stack([torch.full_like(along, value), along], -1) for value in inner]
    lines += [line.flip(-1) for line in lines]
    chosen = [
        torch.cartesian_prod(inner[i : i + 2], inner[j : j + 2])[[0, 1, 3, 2]] for i, j in ((3, 3), (7, 6))
    ]
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained")
    for panel, mapped in zip(axes, (lambda z: z, lambda z: flow.transform.inverse(z)[0]), strict=True):
        panel.add_collection(
            LineCollection([mapped(line).numpy() for line in lines], colors=GREY, linewidths=0.8)
        )
        for cell, colour in zip(chosen, (BLUE, ORANGE), strict=True):
            steps = torch.linspace(0.0, 1.0, 30)[:, None]
            edges = [a + steps * (b - a) for a, b in zip(cell, cell.roll(-1, 0), strict=True)]
            panel.add_collection(
                PolyCollection([mapped(torch.cat(edges)).numpy()], facecolors=colour, zorder=3)
            )
        panel.autoscale()
    axes[0].set(title="noise z: cells of equal mass", xlabel="z₁", ylabel="z₂")
    axes[1].set(title="data x = g(z)", xlabel="x₁", ylabel="x₂")
    return figure


@torch.no_grad()
def linear_flow() -> Figure:
    """Draw rows, what the triangular factor makes of them, and the rotation of that."""
    matrix = QRMatrix(2, identity=True)
    layer = Linear(2, matrix)
    covariance = torch.tensor([[2.0, 1.2], [1.2, 1.0]])
    rows = (
        torch.randn(600, 2, generator=torch.Generator().manual_seed(0)) @ torch.linalg.cholesky(covariance).T
    )
    with torch.enable_grad():
        flow = Flow(StandardNormal(2), layer)
        logpx.fit(flow, rows, validation=rows, max_epochs=60, learning_rate=0.03, seed=0)
    _, r = torch.linalg.qr(matrix.dense())
    # A rotation of one's own choice shows that Q stretches nothing.
    angle = torch.tensor(0.9)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    centred = rows - rows.mean(0)
    first = r * r.diagonal().sign()[:, None]
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), layout="constrained", sharex=True, sharey=True)
    for panel, title, total in zip(
        axes, ("x", "R x", "Q R x"), (torch.eye(2), first, turn @ first), strict=True
    ):
        panel.plot(*(centred @ total.T).T, ".", color=BLUE, ms=2.5, alpha=0.6)
        panel.add_collection(PolyCollection([(square @ total.T).numpy()], facecolors=ORANGE, alpha=0.75))
        panel.set(title=f"{title}: area of the cell {float(torch.linalg.det(total)):.2f}", aspect="equal")
        panel.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5))
    return figure


def autoregressive() -> Figure:
    """Draw rows on a parabola, and the density that one layer finds in either order."""
    rows = banana(6000, 0)
    found = []
    for layers in ([], [Reverse(2)]):
        torch.manual_seed(0)
        flow = Flow(StandardNormal(2), Chain([*layers, Autoregressive(2, hidden=(32, 32))]))
        logpx.fit(flow, rows[:4000], max_epochs=25, learning_rate=5e-3, seed=0)
        found.append(flow)
    first, second = torch.meshgrid(torch.linspace(-3, 3, 181), torch.linspace(-2, 7, 181), indexing="xy")
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained", sharex=True, sharey=True)
    axes[0].plot(*rows[4000:].T, ".", color=BLUE, ms=2)
    axes[0].set(title="rows", xlabel="x₁", ylabel="x₂", xlim=(-3, 3), ylim=(-2, 7))
    for panel, flow, order in zip(axes[1:], found, ("x₁, then x₂", "x₂, then x₁"), strict=True):
        with torch.no_grad():
            density = flow.log_prob(torch.stack([first, second], -1)).exp()
            score = flow.log_prob(rows[4000:]).mean()
        brightness = PowerNorm(0.5, 0.0, 0.6)
        panel.imshow(
            density, origin="lower", extent=(-3, 3, -2, 7), aspect="auto", cmap="magma", norm=brightness
        )
        panel.set(title=f"{order}: {score:.2f} nats".replace("-", "−"), xlabel="x₁")
    return figure


def pattern(transform: Transform, features: int) -> np.ndarray:
    """Return which outputs depend on which inputs, for random parameters."""
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    rows = torch.randn(20, features)
    jacobians = [
        torch.autograd.functional.jacobian(lambda row: transform.forward(row)[0], row) for row in rows
    ]
    return torch.stack(jacobians).ne(0.0).any(0).numpy()


def couplings() -> Figure:
    """Draw the patterns of the Jacobians of an autoregressive layer and of couplings."""
    torch.manual_seed(0)
    features = 8
    stacks = {"autoregressive": Autoregressive(features, hidden=(32,))}
    for layers, words in enumerate(("coupling", "two couplings", "three couplings"), 1):
        turns = [Coupling(features, hidden=(16,), flip=bool(layer % 2)) for layer in range(layers)]
        stacks[words] = Chain(turns)
    figure, axes = plt.subplots(1, len(stacks), figsize=(9.6, 2.9), layout="constrained")
    for panel, (name, transform) in zip(axes, stacks.items(), strict=True):
        places = np.argwhere(pattern(transform, features))
        cells = [[(j, i), (j + 0.9, i), (j + 0.9, i + 0.9), (j, i + 0.9)] for i, j in places]
        panel.add_collection(PolyCollection(cells, facecolors=BLUE))
        panel.set(xlim=(-0.1, features), ylim=(features, -0.1), aspect="equal", title=name)
        panel.set(xticks=[], yticks=[], xlabel="inputs")
    axes[0].set_ylabel("outputs")
    return figure


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().folder
    for draw in (change_of_variables, linear_flow, autoregressive, couplings):
        torch.manual_seed(0)
        write(draw(), folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
