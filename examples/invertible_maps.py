"""Tell from Jacobians which layers are invertible, triangular and increasing, and draw the sets."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from logpx import nets, transforms

ROWS, DRAWS = 16, 8


class Membership(NamedTuple):
    """Which of the three sets a map of vectors or images onto themselves belongs to."""

    invertible: bool
    triangular: bool
    increasing: bool


def layers() -> dict[str, torch.nn.Module]:
    """Return one map of four numbers of each kind, as a vector or as an image of one or two channels."""
    t, image = transforms, (2, 1, 2)
    return {
        "elementwise (Tanh)": t.Tanh(4),
        "ActNorm": t.ActNorm(image),
        "coupling (RealNVP)": t.Coupling(4, hidden=(8,)),
        "autoregressive (MAF)": t.Autoregressive(4, hidden=(8,)),
        "Mint layer": t.MintLayer(image, hidden=4),
        "two Mint layers,\nopposite orders": t.Chain(
            [t.MintLayer(image, hidden=4), t.MintLayer(image, hidden=4, reverse=True)]
        ),
        "linear, PLU": t.Linear(4, t.PLUMatrix(4)),
        "1×1 convolution (Glow)": t.Convolution1x1(image, t.DenseMatrix(2)),
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


def membership(layer: torch.nn.Module) -> Membership:
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
    return Membership(
        # A map with an inverse has Jacobians of full rank; the others lose rank somewhere.
        returned or bool((torch.linalg.matrix_rank(jacobian) == 4).all()),
        triangular(jacobian.ne(0.0).any(0)),
        bool((jacobian.diagonal(dim1=1, dim2=2) > 0.0).all()),
    )


def triangular(pattern: Tensor) -> bool:
    """Return whether some order of the features makes a pattern of dependences triangular (no cycles)."""
    others = (pattern & ~torch.eye(len(pattern), dtype=torch.bool)).double()
    return not torch.linalg.matrix_power(others, len(others)).any()


# Where the names in each set are written, from the top down.
PLACES = {
    Membership(True, True, True): (0.1, 0.0),
    Membership(True, False, False): (-1.72, 0.0),
    Membership(False, True, False): (1.8, 0.0),
    Membership(False, False, False): (0.0, -1.75),
}


def draw(found: dict[str, Membership], output: Path) -> None:
    """Draw three sets and the names of the maps in them."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Ellipse

    figure, axes = plt.subplots(figsize=(9.5, 5.6))
    for centre, size, colour, title, at in (
        ((-0.85, 0.0), (3.6, 2.8), "tab:blue", "invertible", (-2.0, 1.45)),
        ((0.95, 0.0), (3.4, 2.8), "tab:orange", "triangular Jacobian", (2.0, 1.45)),
    ):
        axes.add_patch(Ellipse(centre, *size, facecolor=colour, alpha=0.15, edgecolor="none"))
        axes.add_patch(Ellipse(centre, *size, facecolor="none", edgecolor=colour, linewidth=2))
        axes.text(*at, title, color=colour, ha="center", fontsize=13, weight="bold")
    for place in dict.fromkeys(found.values()):
        names = [name + (" ↑" if place.increasing else "") for name, where in found.items() if where == place]
        axes.text(*PLACES[place], "\n".join(names), ha="center", va="center", fontsize=10, linespacing=1.5)
    axes.text(
        0.0, -2.15, "↑ every output increases with its own input", ha="center", color="dimgray", fontsize=9
    )
    axes.set(xlim=(-2.9, 2.9), ylim=(-2.3, 1.8), aspect="equal")
    axes.axis("off")
    figure.tight_layout()
    figure.savefig(output, dpi=90)


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("invertible_maps.png"))
    found = {name: membership(layer) for name, layer in layers().items()}
    for name, where in found.items():
        print(f"{' '.join(name.split()):35s}", *(f"{k}={v!s:6}" for k, v in where._asdict().items()))
    draw(found, parser.parse_args().output)


if __name__ == "__main__":
    main()
