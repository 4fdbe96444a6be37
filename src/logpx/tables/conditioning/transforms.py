"""Probability integral transforms of cells, given other cells of their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions.conditional import Marginals
from logpx.distributions.seeding import derived_seed
from logpx.scoring import Noise
from logpx.tables.columns.support import Support
from logpx.tables.conditioning.surprisals import CellSurprisals

__all__ = ["conditional_transforms", "integral_transforms", "transform_noise"]

_ROWS_AT_ONCE = 2048
# Apart from the noise within the cells of a grid, which has the same seed.
_WORD = 7_011
# The ends and the middle of a cell: a bound may cut it off on either side.
_PLACES = (0.0, 0.5, 1.0)


def transform_noise(seed: int, first: int, x: Tensor) -> Tensor:
    """Return uniforms for `integral_transforms`, of the shape of the rows, by the seed and their numbers."""
    return Noise(derived_seed(seed, _WORD), first).uniform(len(x), x.shape[1:], x)


def integral_transforms(marginals: Marginals, support: Support, own: Tensor, noise: Tensor) -> Tensor:
    """Return where values lie in their distributions, at random within the mass of single values.

    They are uniform if the distributions are right, whatever the kind of the column.

    Parameters
    ----------
    marginals
        The distributions, one for every value.
    support
        The support of the column.
    own
        The values, shape ``(n,)``, float64.
    noise
        Uniforms, shape ``(n,)``.

    Returns
    -------
    Tensor
        Between 0 and 1, shape ``(n,)``, float64; NaN where a value is missing, or a label without a code.

    References
    ----------
    Czado, Gneiting and Held 2009, Predictive model assessment for count data.
    """
    known = own.nan_to_num()
    gone = own.isnan()
    if marginals.probabilities is not None:
        each = marginals.probabilities
        codes = known.long()
        gone = gone | (codes < 0) | (codes >= each.shape[1])
        codes = codes.clamp(0, each.shape[1] - 1)[:, None]
        high = each.cumsum(1).gather(1, codes)[:, 0]
        low = high - each.gather(1, codes)[:, 0]
    else:
        cell = torch.stack([support.dequantise(known, torch.full_like(known, at)) for at in _PLACES])
        low, high = (marginals.cdf(end[:, None])[:, 0] for end in (cell.amin(0), cell.amax(0)))
    place = torch.lerp(low.double(), high.double(), noise.to(low).double())
    return place.clamp(0.0, 1.0).masked_fill(gone, math.nan)


@torch.no_grad()
def conditional_transforms(
    cells: CellSurprisals, x: Tensor, *, columns: Sequence[int] | None = None, seed: int = 0
) -> Tensor:
    """Return where each cell lies in its distribution given all other cells of its row.

    Parameters
    ----------
    cells
        What a density says of single cells.
    x
        Rows as in the table, shape ``(n, d)``, float64.
    columns
        Which columns; all by default.
    seed
        Of everything random.

    Returns
    -------
    Tensor
        As of `integral_transforms`, shape ``(n, d)``; NaN in other columns.
    """
    found = torch.full_like(x, math.nan)
    for start in range(0, len(x), _ROWS_AT_ONCE):
        part = x[start : start + _ROWS_AT_ONCE]
        noise = transform_noise(seed, start, part)
        for column in range(x.shape[1]) if columns is None else columns:
            marginals = cells.expected(part, column, seed=seed, first=start)
            support = cells.supports.supports[column]
            own = integral_transforms(marginals, support, part[:, column], noise[:, column])
            found[start : start + _ROWS_AT_ONCE, column] = own
    return found
