"""Tell from Jacobians which layers are invertible, triangular and increasing, and draw the sets."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from logpx import nets, transforms

ROWS, DRAWS = 16, 8


class Membership(NamedTuple):
    """Which of the three sets a map of vectors or images onto themselves belongs to."""

    invertible: bool
    triangular: bool
    increasing: bool


class Map(NamedTuple):
    """A map's sets, and which of its outputs depend on which inputs."""

    where: Membership
    pattern: Tensor


def layers() -> dict[str, torch.nn.Module]:
    """Return one map of four numbers of each kind, as a vector or as an image of one or two channels."""
    t, image = transforms, (2, 1, 2)
    return {
        "Tanh": t.Tanh(4),
        "ActNorm": t.ActNorm(image),
        "coupling\n(RealNVP)": t.Coupling(4, hidden=(8,)),
        "autoregressive\n(MAF)": t.Autoregressive(4, hidden=(8,)),
        "Mint layer": t.MintLayer(image, hidden=4),
        "two Mint layers,\nopposite orders": t.Chain(
            [t.MintLayer(image, hidden=4), t.MintLayer(image, hidden=4, reverse=True)]
        ),
        "linear, PLU": t.Linear(4, t.PLUMatrix(4)),
        "1×1 convolution\n(Glow)": t.Convolution1x1(image, t.DenseMatrix(2)),
        "reversed order": t.Reverse(4),
        "MADE alone": Flat(nets.MADE(4, 1, (8,))),
        "MLP": nets.MLP(4, 4, (8,)),
    }


class Flat(torch.nn.Module):
    """A net with one output per feature, as a map of vectors."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze(-1)


def examine(layer: torch.nn.Module) -> Map:
    """Return what holds for the layer at all rows and parameters tried."""
    torch.manual_seed(0)
    is_transform = isinstance(layer, transforms.Transform)
    layer.double()
    call: Callable[[Tensor], Tensor] = (lambda x: layer.forward(x)[0]) if is_transform else layer.forward
    shape = layer.event_shape if is_transform else (4,)
    jacobians, returned = [], is_transform
    for _ in range(DRAWS):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_(0.0, 1.0)
        x = torch.randn(ROWS, *shape, dtype=torch.float64)
        jacobians += [torch.autograd.functional.jacobian(call, row).view(4, 4) for row in x]
        if is_transform:
            returned &= torch.allclose(layer.inverse(call(x))[0], x, rtol=1e-5, atol=1e-5)
    jacobian = torch.stack(jacobians)
    pattern = in_best_order(jacobian.ne(0.0).any(0))
    where = Membership(
        # A map with an inverse has Jacobians of full rank; the others lose rank somewhere.
        returned or bool((torch.linalg.matrix_rank(jacobian) == 4).all()),
        not pattern.triu(1).any(),
        bool((jacobian.diagonal(dim1=1, dim2=2) > 0.0).all()),
    )
    return Map(where, pattern)


def in_best_order(pattern: Tensor) -> Tensor:
    """Return a pattern of dependences with its features in the order that leaves least above the diagonal."""
    orders = [list(order) for order in itertools.permutations(range(len(pattern)))]
    return min((pattern[order][:, order] for order in orders), key=lambda p: int(p.triu(1).sum()))


# Where the maps of each set are drawn: the middle, and how many stand in a row.
PLACES = {
    Membership(True, False, False): (-2.05, 0.05, 2),
    Membership(True, True, True): (0.0, 0.05, 2),
    Membership(False, True, False): (1.75, 0.05, 1),
    Membership(False, False, False): (-2.75, -1.75, 1),
}
SIDE, WIDE, HIGH = 0.3, 0.86, 0.72


def draw_map(axes: Any, name: str, map_: Map, at: tuple[float, float]) -> None:
    """Draw the pattern of a map's Jacobian, and its name below it."""
    from matplotlib.patches import Rectangle

    cell, left, top = SIDE / 4, at[0] - SIDE / 2, at[1] + SIDE / 2
    for i, j in itertools.product(range(4), repeat=2):
        corner = (left + j * cell, top - (i + 1) * cell)
        filled = bool(map_.pattern[i, j])
        colour = "black" if filled else "none"
        axes.add_patch(Rectangle(corner, cell, cell, facecolor=colour, edgecolor="0.5", linewidth=0.4))
    words = name + (" ↑" if map_.where.increasing else "")
    axes.text(at[0], at[1] - SIDE / 2 - 0.05, words, ha="center", va="top", fontsize=8.5, linespacing=1.1)


def draw(found: dict[str, Map], output: Path) -> None:
    """Draw three sets and the maps in them, each with the pattern of its Jacobian."""
    import matplotlib

    matplotlib.use("agg")
    from figure_files import write
    from matplotlib import pyplot as plt
    from matplotlib.patches import Ellipse

    figure, axes = plt.subplots(figsize=(10.0, 5.6), layout="constrained")
    for centre, size, colour, title, at in (
        ((-1.0, 0.0), (4.3, 3.0), "tab:blue", "invertible", (-2.3, 1.5)),
        ((1.0, 0.0), (4.3, 3.0), "tab:orange", "triangular Jacobian", (2.3, 1.5)),
    ):
        axes.add_patch(Ellipse(centre, *size, facecolor=colour, alpha=0.15, edgecolor="none"))
        axes.add_patch(Ellipse(centre, *size, facecolor="none", edgecolor=colour, linewidth=2))
        axes.text(*at, title, color=colour, ha="center", fontsize=13, weight="bold")
    for place, (x, y, columns) in PLACES.items():
        names = [name for name, map_ in found.items() if map_.where == place]
        rows = -(-len(names) // columns)
        for k, name in enumerate(names):
            row, column = divmod(k, columns)
            inside = min(columns, len(names) - row * columns)
            shift = (column - (inside - 1) / 2) * WIDE, ((rows - 1) / 2 - row) * HIGH
            draw_map(axes, name, found[name], (x + shift[0], y + shift[1]))
    key = "squares: which outputs (rows) depend on which inputs (columns)"
    key += "    ↑ every output increases with its own input"
    axes.text(0.35, -1.85, key, ha="center", color="dimgray", fontsize=9)
    axes.set(xlim=(-3.25, 3.25), ylim=(-2.15, 1.8), aspect="equal")
    axes.axis("off")
    write(figure, output)


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("invertible_maps.png"))
    found = {name: examine(layer) for name, layer in layers().items()}
    for name, (where, _) in found.items():
        print(f"{' '.join(name.split()):35s}", *(f"{k}={v!s:6}" for k, v in where._asdict().items()))
    draw(found, parser.parse_args().output)


if __name__ == "__main__":
    main()
