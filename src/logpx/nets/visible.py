"""A network of the sum over the columns that are visible, asked for one column at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count

__all__ = ["Uniforms", "VisibleColumns", "uniforms"]

Uniforms = Callable[[Tensor], Tensor]


def uniforms(generator: torch.Generator | None) -> Uniforms:
    """Return what draws uniforms like a tensor."""

    def uniform(like: Tensor) -> Tensor:
        return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)

    return uniform


class _VisibleBlock(nn.Module):
    """A residual block of two layers, normalised before the first."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        self.dropout = dropout

    def forward(self, h: Tensor, uniform: Uniforms | None) -> Tensor:
        inner = torch.relu_(self.first(self.norm(h)))
        if self.dropout and uniform is not None:
            inner = inner * (uniform(inner) >= self.dropout) / (1.0 - self.dropout)
        outer: Tensor = h + self.second(inner)
        return outer


class VisibleColumns(nn.Module):
    """Numbers for a column, from the sum of the features of visible columns.

    A column enters by its features times weights of its own, and a bias that says that it is visible. The
    sum and a vector of the column asked for pass through residual blocks that all columns share, and then
    through the column's own linear map, which starts at zero. Orders of columns differ by their partial sums
    alone, so that the features of a row are computed once.

    Parameters
    ----------
    inputs, outputs
        For each column, the number of its features, and of the numbers that are wanted for it.
    width
        The width of all layers.
    blocks
        The number of residual blocks.
    dropout
        The share of hidden units that a training step leaves out.

    References
    ----------
    Uria, Murray and Larochelle 2014, A deep and tractable density estimator.
    https://arxiv.org/abs/1310.1757

    Examples
    --------
    >>> net = VisibleColumns([2, 3], [1, 4], width=8, blocks=1)
    >>> visible = torch.ones(5, 2) @ net.weights()[0] + net.bias[0]
    >>> net.numbers(net.hidden(visible, net.asked[1]), 1).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        width: int = 128,
        blocks: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("width", width)
        check_count("blocks", blocks, least=0)
        self.width = width
        self.inputs, self.outputs = list(inputs), list(outputs)
        count = len(inputs)
        deviation = 1.0 / math.sqrt(4 * max(count, 1))
        self.entry = _random(sum(inputs), width, deviation)
        self.bias = _random(count, width, deviation)
        self.asked = _random(count, width, 0.5)
        self.blocks = cast(
            Sequence[_VisibleBlock], nn.ModuleList(_VisibleBlock(width, dropout) for _ in range(blocks))
        )
        self.norm = nn.LayerNorm(width)
        self.exit = nn.Parameter(torch.zeros(sum(outputs), 2 * width))
        self.exit_bias = nn.Parameter(torch.zeros(sum(outputs)))

    def weights(self) -> tuple[Tensor, ...]:
        """Return the weights of each column's features, shape ``(inputs, width)``."""
        # One split has one gradient, where slices would each have one of the size of the whole.
        return torch.split(self.entry, self.inputs)

    def hidden(self, visible: Tensor, asked: Tensor, uniform: Uniforms | None = None) -> Tensor:
        """Return hidden units.

        Parameters
        ----------
        visible
            The sum over the visible columns, shape ``(*rows, width)``.
        asked
            Rows of `asked` that broadcast against it, for the columns asked for.
        uniform
            Draws uniforms like a tensor, by which a training step leaves units out; None leaves none out.
        """
        h = visible + asked
        for block in self.blocks:
            h = block(h, uniform)
        return torch.cat([torch.relu_(self.norm(h)), visible.expand_as(h)], -1)

    def exits(self) -> list[tuple[Tensor, Tensor]]:
        """Return each column's linear map from hidden units to its numbers: a weight and a bias."""
        return list(
            zip(torch.split(self.exit, self.outputs), torch.split(self.exit_bias, self.outputs), strict=True)
        )

    def numbers(self, hidden: Tensor, column: int) -> Tensor:
        """Return the numbers for a column from hidden units, shape ``(*rows, outputs)``."""
        weight, bias = self.exits()[column]
        return functional.linear(hidden, weight, bias)


def _random(rows: int, columns: int, deviation: float) -> nn.Parameter:
    found = nn.Parameter(torch.empty(rows, columns))
    # On the meta device, where folders are read, drawing nothing would first import hundreds of modules.
    if not found.is_meta:
        nn.init.normal_(found, std=deviation)
    return found
