"""How probable values are in cells that came from elsewhere, by rows drawn from a model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.distributions.neighbours import FEWEST_NEAR, neighbour_density
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports

__all__ = ["CellsFromElsewhere"]

_LEAST = -800.0


class CellsFromElsewhere:
    r"""Log p of cells that came from elsewhere, in the units of the table.

    They have about the distribution of their column by itself, and wide tails (`neighbour_density`). Half of
    the labels are of their column, half any.

    Parameters
    ----------
    drawn
        Rows drawn from the model, on grids, atoms and labels, shape ``(n, d)``, float64.
    supports
        Bounds, grids, atoms and labels of the columns.

    Examples
    --------
    >>> drawn = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> elsewhere = CellsFromElsewhere(drawn, Supports([Support()]))
    >>> middle, far = elsewhere.log_prob(torch.tensor([[0.0], [1000.0]])).flatten().tolist()
    >>> round(middle), -15.0 < far < -10.0
    (-1, True)
    """

    def __init__(self, drawn: Tensor, supports: Supports) -> None:
        self._columns = list(zip(drawn.double().cpu().unbind(1), supports.supports, strict=True))

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p of each cell from elsewhere, shape ``(n, d)``, finite; NaN for missing cells."""
        each = [
            _of_column(own, *column) for own, column in zip(x.double().cpu().T, self._columns, strict=True)
        ]
        return torch.stack(each, 1).to(x.device)


def _of_column(x: Tensor, drawn: Tensor, support: Support) -> Tensor:
    values = drawn[drawn.isfinite()]
    if isinstance(support, Labels):
        counts = torch.bincount(values.long(), minlength=support.levels) + 0.5
        place = x.nan_to_num().long().clamp(0, len(counts) - 1)
        found = (0.5 * counts / counts.sum() + 0.5 / len(counts)).log()[place]
        return found.masked_fill(x.isnan(), math.nan)
    found = neighbour_density(x, values, support.step or 0.0).log()
    if support.atoms:
        atoms = torch.tensor(support.atoms, dtype=torch.float64)
        own = values[:, None] == atoms
        masses = (own.sum(0) + 0.5) / (len(values) + 1.0)
        others = values[~own.any(1)]
        if len(others) >= FEWEST_NEAR:
            share = len(others) / len(values)
            found = neighbour_density(x, others, support.step or 0.0).log() + math.log(share)
        at = x[:, None] == atoms
        found = torch.where(at.any(1), (at * masses).sum(1).log(), found)
    return found.clamp_min(_LEAST)
