"""Whether columns of new rows are distributed as a model of a table says."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import BLOCK_ROWS, derived_seed
from logpx.scoring import ColumnCalibration, RankReference, RankTests, sample_blocks
from logpx.tables.columns.supports import Supports

__all__ = ["ColumnRanks"]

# Rows drawn from the model: with m new rows, distances from about 1.4 / √min(m, 2000) on are found. Of wide
# tables fewer, and so many cells.
_DRAWN, _FEWEST_DRAWN = 2000, 200
_DRAWN_CELLS = 100_000
# Drawn apart from what anybody draws with the seed alone.
_WORD = 7_004


class ColumnRanks:
    """The ranks of new values among rows that a model draws: its probability integral transforms.

    Ranks need no closed form of a column's distribution, and are uniform whatever its kind, if the model is
    right: ties on grids, at atoms and among labels are broken at random.

    Parameters
    ----------
    density
        A density in table units.
    supports
        Bounds, grids, atoms and labels of the columns.
    names
        The names of the columns.
    seed
        Seed of the draws.

    References
    ----------
    Czado, Gneiting and Held 2009, Predictive model assessment for count data (randomised transforms).
    """

    @torch.no_grad()
    def __init__(self, density: Distribution, supports: Supports, names: list[str], seed: int) -> None:
        count = max(_FEWEST_DRAWN, min(_DRAWN, _DRAWN_CELLS // max(len(names), 1)))
        drawn = torch.cat(list(sample_blocks(density, count, BLOCK_ROWS, seed=derived_seed(seed, _WORD))))
        columns = supports.snap(drawn).cpu().unbind(-1)
        self._names = names
        self._tests = RankTests([RankReference.of(column) for column in columns], seed, missing=False)

    def add(self, x: Tensor, first: int, weights: Tensor | None = None) -> None:
        """Add rows as they are in the table, shape ``(n, d)``, before which there were `first`.

        Rows count by their weights, of shape ``(n,)`` and above 0; by default alike.
        """
        self._tests.add(x.cpu(), first, weights)

    def calibration(self) -> ColumnCalibration | None:
        """Return the tests of all columns that have values; None if there is no such column."""
        tests = dict(zip(self._names, self._tests.results(), strict=True))
        known = {name: test for name, test in tests.items() if test.rows}
        return ColumnCalibration(tests=known) if known else None
