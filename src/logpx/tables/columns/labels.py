"""The values that a categorical column can have: codes of labels."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.tables.columns.support import Support
from logpx.tables.scales import Codes, Scale
from logpx.tables.scales.sample import Array

__all__ = ["Labels"]


class Labels(Support):
    """The codes 0, 1, ... of the labels of one column.

    Parameters
    ----------
    levels
        The number of labels.

    Raises
    ------
    UsageError
        If there are fewer than two.

    Examples
    --------
    >>> Labels(levels=3).outside(torch.tensor([2.0, 3.0])).tolist()
    [False, True]
    """

    def __init__(self, levels: int) -> None:
        check_count("levels", levels, least=2)
        super().__init__(0.0, levels - 1.0)
        self.levels = levels

    def chosen_scale(
        self, values: Array, weights: Array | None, seed: int, like: Scale | None = None
    ) -> tuple[Scale, dict[str, float]]:
        """Return the identity, without any comparison."""
        return Codes(), {}

    def standard_scale(self, values: Array, weights: Array | None, seed: int) -> Scale:
        """Return the identity."""
        return Codes()

    def on_an_open_end(self, x: Tensor) -> Tensor:
        """Return False for every code: all of them have probabilities."""
        return torch.zeros_like(x, dtype=torch.bool)

    def snap(self, x: Tensor) -> Tensor:
        """Return the nearest codes."""
        return torch.round(x).clamp(0.0, self.levels - 1.0)
