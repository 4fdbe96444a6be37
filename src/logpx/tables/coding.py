"""Rows of a table as numbers for mixtures: logarithms where they serve, labels by rarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.latent.robust import VARIANCE

__all__ = ["RowCoding"]

# Stands for what has no logarithm: far below all that has one.
_TINY = 1e-300


class RowCoding(Configured, nn.Module):
    r"""Turns each label into a number, and columns into logarithms where these are more symmetric.

    A label is :math:`\sqrt{2 v s}`, with its surprisal s and the least variance v of robust mixtures. A
    normal distribution of that variance around 0 is then as surprised at a label as it deserves.

    Parameters
    ----------
    levels
        How many labels each column has; 0 for numbers.

    Attributes
    ----------
    logarithmic : Tensor
        Which columns become logarithms, shape ``(d,)``.
    codes : Tensor
        The numbers of the labels of all columns, one after another, each followed by that of a new label.

    Examples
    --------
    >>> coding = RowCoding.of(np.array([[1.0, 0.0], [10.0, 0.0], [100.0, 1.0]]), [0, 2])
    >>> coding.logarithmic.tolist(), bool(coding(torch.tensor([[1.0, 1.0]]))[0, 1] > 0.3)
    ([True, False], True)
    """

    logarithmic: Tensor
    codes: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.register_buffer("logarithmic", torch.zeros(len(self.levels), dtype=torch.bool))
        count = sum(one + 1 for one in self.levels if one)
        self.register_buffer("codes", torch.zeros(count, dtype=torch.float64))

    @classmethod
    def of(
        cls,
        x: npt.NDArray[np.float64],
        levels: Sequence[int],
        weights: npt.NDArray[np.float64] | None = None,
    ) -> RowCoding:
        """Return the coding of rows, shape ``(n, d)``, with NaN for missing cells.

        Parameters
        ----------
        x
            Rows as in the table, labels by their codes.
        levels
            How many labels each column has; 0 for numbers.
        weights
            How much each row counts, shape ``(n,)``.
        """
        found = cls(levels)
        counted = np.ones(len(x)) if weights is None else weights * (len(x) / weights.sum())
        codes = []
        for place, many in enumerate(found.levels):
            present = ~np.isnan(x[:, place])
            values = x[present, place]
            if many:
                # The half is all that a new label has.
                counts = np.bincount(values.astype(np.int64), counted[present], minlength=many)
                counts = np.append(counts[:many] + 0.5, 0.5)
                codes.append(np.sqrt(-2.0 * VARIANCE * np.log(counts / counts[:many].sum())))
            elif len(values) and values.min() > 0.0 and _skewness(np.log(values)) < _skewness(values):
                found.logarithmic[place] = True
        if codes:
            found.codes.copy_(torch.from_numpy(np.concatenate(codes)))
        return found

    @property
    def numeric(self) -> npt.NDArray[np.bool_]:
        """Which columns hold numbers, whose units are to be scaled: shape ``(d,)``."""
        return np.array([not many for many in self.levels])

    def forward(self, x: Tensor) -> Tensor:
        """Return rows as numbers, shape ``(n, d)``, float64."""
        x = x.to(self.codes)
        found = x.clone()
        found[:, self.logarithmic] = x[:, self.logarithmic].clamp_min(_TINY).log()
        first = 0
        for place, many in enumerate(self.levels):
            if many:
                own = x[:, place]
                known = (own >= 0.0) & (own < many)
                at = torch.where(known, own, float(many)).long()
                found[:, place] = self.codes[first + at].masked_fill(own.isnan(), torch.nan)
                first += many + 1
        return found


def _skewness(values: npt.NDArray[np.float64]) -> float:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(abs(high + low - 2.0 * middle) / max(high - low, 1e-300))
