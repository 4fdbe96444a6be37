"""What is spent on log p of a row: draws of noise within cells of grids, draws of z, and their pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import LowerBound
from logpx.distributions.seeding import checked_count, derived_seed
from logpx.errors import UsageError
from logpx.scoring import LogOfMean, MeanOfLogs, Pool, Single
from logpx.tables.columns.supports import Supports
from logpx.tables.density import HasBound, bound_on_noise

__all__ = ["Effort"]

# Draws of z for each draw of noise within a cell, in models that have a z.
_DRAWS_PER_NOISE = 16
# Rows scored at once if noise is drawn several times for each.
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Effort:
    """What is spent on each row.

    Attributes
    ----------
    noise_draws : int
        Draws of noise within the cells of grids.
    z_draws : int or None
        Draws of z for each draw of noise, in a model that has z; None leaves the number to the model.
    together : bool
        Whether several draws of noise for a few rows may be scored at once.
    pool : type of Pool
        How the draws of noise are combined.

    Examples
    --------
    >>> Effort.of(exact=False, gridded=True, draws=8, exactness=5000)
    Effort(noise_draws=312, z_draws=16, together=False, pool=<class 'logpx.scoring.bounds.LogOfMean'>)
    """

    noise_draws: int
    z_draws: int | None
    together: bool
    pool: type[Pool]

    @classmethod
    def of(cls, exact: bool, gridded: bool, draws: int, exactness: int | None) -> Effort:
        """Return the effort that suits a model.

        Parameters
        ----------
        exact
            Whether the density's log p is exact, given the noise.
        gridded
            Whether log p depends on noise within the cells of a grid or of atoms.
        draws
            How many draws of noise to average over, unless an exactness is given.
        exactness
            How many draws, of noise and of z, to spend on a row.

        Raises
        ------
        UsageError
            If a number is not a whole number of 1 or more.
        """
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="use at least one draw")
        if exactness is not None:
            check_count("exactness", exactness)
        if not gridded:
            return cls(1, None if exact else exactness, False, Single)
        if exactness is None:
            return cls(draws, None, False, MeanOfLogs)
        noise_draws = exactness if exact else max(1, exactness // _DRAWS_PER_NOISE)
        return cls(noise_draws, exactness // noise_draws, exact, LogOfMean)

    def bounds(
        self, densities: Sequence[HasBound], supports: Supports, x: Tensor, seed: int, start: int | Tensor
    ) -> list[LowerBound]:
        """Return log p of consecutive rows under several densities, all on the same noise.

        Parameters
        ----------
        densities
            Densities in table units, of dequantised rows or of cells as they are.
        supports
            The grids.
        x
            Rows as they are in the table, shape ``(n, d)``.
        seed
            Seed of noise and of z, which depend only on it and on the rows' numbers or keys.
        start
            The number of the first row, counted from 0; or a key of every row, shape ``(n,)``, int64.
        """
        pools = [self.pool() for _ in densities]
        bounds = [bound_on_noise(density, x) for density in densities]
        at_once = max(1, _ROWS_AT_ONCE // max(len(x), 1)) if self.together else 1
        for number in range(0, self.noise_draws, at_once):
            several = range(number, min(number + at_once, self.noise_draws))
            noisy = torch.cat(
                [supports.dequantise(x, seed=seed, first_row=start, draw=draw) for draw in several]
            )
            for pool, bound in zip(pools, bounds, strict=True):
                found = bound(noisy, self.z_draws, derived_seed(seed, number), start)
                pool.add(LowerBound(*(part.view(len(several), len(x)) for part in found)))
        return [pool.bound() for pool in pools]
