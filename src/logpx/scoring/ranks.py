"""Where new values stand among reference values, and whether they come from the same distribution."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured
from logpx.distributions.seeding import derived_seed
from logpx.representations import Shown
from logpx.scoring.significance import kolmogorov

__all__ = ["RankReference", "RankTest", "RankTests"]

# Values that are kept of a reference; more of them become bins with as many.
_MOST_KEPT = 2000
_BINS = 2000
_MOST_ROWS = 100_000


class RankReference(Configured, nn.Module):
    r"""Values of reference rows, among which new ones get a rank between 0 and 1.

    If k of n reference values are below a new value, its rank is :math:`(k + u) / (n + 1)`, with u uniform;
    ties are broken at random. If it comes from the same distribution, whatever that is, the rank is uniform.
    Missing values rank lowest, and tie with each other. Long references are kept as quantiles.

    Parameters
    ----------
    kept
        How many values are kept.

    Attributes
    ----------
    values : Tensor
        Different values, or the upper ends of bins, ascending, shape ``(kept,)``, float64.
    upto : Tensor
        The number of reference values up to each, shape ``(kept,)``, float64.
    binned : Tensor
        Whether each stands for all values above the one before it, shape ``(kept,)``.

    Examples
    --------
    >>> reference = RankReference.of(torch.arange(99.0))
    >>> ranks = reference.ranks(torch.tensor([-5.0, 49.5, 500.0]), seed=0)
    >>> [f"{rank:.1f}" for rank in ranks.tolist()]
    ['0.0', '0.5', '1.0']
    """

    values: Tensor
    upto: Tensor
    binned: Tensor

    def __init__(self, kept: int) -> None:
        super().__init__()
        check_count("kept", kept)
        self.register_buffer("values", torch.zeros(kept, dtype=torch.float64))
        self.register_buffer("upto", torch.zeros(kept, dtype=torch.float64))
        self.register_buffer("binned", torch.zeros(kept, dtype=torch.bool))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no values can give, or None."""
        if bool((self.values.diff() < 0.0).any()):
            return "values"
        upto = self.upto
        proper = bool(upto.isfinite().all()) and bool((upto.diff() >= 0.0).all()) and bool(upto[0] >= 1.0)
        return None if proper and float(upto[-1]) <= _MOST_ROWS else "upto"

    @classmethod
    def of(cls, values: Tensor) -> RankReference:
        """Return the reference of some values, shape ``(n,)``, n ≥ 1; NaN is missing.

        Of more than 100,000 the first are taken, so give them in random order.
        """
        ordered = _ordered(values[:_MOST_ROWS])
        distinct, counts = torch.unique(ordered, return_counts=True)
        upto = counts.cumsum(0)
        kept = torch.arange(len(distinct))
        if len(distinct) > _MOST_KEPT:
            steps = torch.linspace(0, int(upto[-1]), _MOST_KEPT + 1, dtype=torch.float64)[1:]
            kept = torch.searchsorted(upto.double(), steps).clamp_max(len(distinct) - 1).unique()  # type: ignore[no-untyped-call]
        found = cls(len(kept))
        found.values.copy_(distinct[kept])
        found.upto.copy_(upto[kept])
        found.binned.copy_(kept.diff(prepend=kept.new_tensor([-1])) > 1)
        return found

    @property
    def rows(self) -> int:
        """The number n of reference values."""
        return int(self.upto[-1])

    def ranks(self, values: Tensor, seed: int) -> Tensor:
        """Return the randomised ranks of values, shape ``(m,)``, float64, each between 0 and 1."""
        x = _ordered(values)
        place = torch.searchsorted(self.values, x)
        own = place.clamp_max(len(self.values) - 1)
        tied = (place < len(self.values)) & ((self.values[own] == x) | self.binned[own])
        generator = torch.Generator().manual_seed(seed)
        u, v = torch.rand(2, len(x), generator=generator, dtype=torch.float64)
        below = torch.searchsorted(self._keys, place + torch.where(tied, u, 0.0))
        ranks: Tensor = (below + v) / (self.rows + 1.0)
        return ranks

    @property
    def _keys(self) -> Tensor:
        """The reference values by the numbers of their places, each with its own noise below 1, ascending."""
        counts = self.upto.diff(prepend=self.upto.new_zeros(1)).long()
        content = torch.cat([self.values, self.upto]).numpy(force=True).tobytes()
        generator = torch.Generator().manual_seed(zlib.crc32(content))
        noise = torch.rand(self.rows, generator=generator, dtype=torch.float64)
        keys: Tensor = (torch.repeat_interleave(counts).double() + noise).sort().values
        return keys


def _ordered(values: Tensor) -> Tensor:
    limits = torch.finfo(torch.float64)
    x = values.detach().double().cpu().clamp(limits.min / 2, limits.max)
    return torch.where(x.isnan(), limits.min, x).contiguous()


@dataclass(frozen=True, kw_only=True, repr=False)
class RankTest(Shown):
    """Whether new values come from the distribution of the reference.

    Attributes
    ----------
    distance : float
        The Kolmogorov-Smirnov distance of the ranks from uniform ones: 0 if alike, 1 if apart.
    p_value : float
        The probability of one at least so large by chance.
    rows : int
        The number of new values.
    median : float
        Their median rank: 0.5 if alike.
    """

    distance: float
    p_value: float
    rows: int = 0
    median: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the test as JSON values."""
        return {"distance": self.distance, "p_value": self.p_value, "rows": self.rows}


class RankTests:
    """Tests of several columns, of rows that arrive in batches, in constant memory.

    Parameters
    ----------
    references
        One for each column.
    seed
        Seed of the noise that breaks ties.
    missing
        Whether missing values count, as the lowest; else they are left out.

    Examples
    --------
    >>> tests = RankTests([RankReference.of(torch.arange(500.0))], seed=0)
    >>> tests.add(torch.arange(0.0, 500.0, 2.0)[:, None], first=0)
    >>> tests.results()[0].p_value > 0.5
    True
    >>> tests.add(torch.full((300, 1), 499.0), first=250)
    >>> tests.results()[0].p_value < 1e-6
    True
    """

    def __init__(self, references: Sequence[RankReference], seed: int, *, missing: bool = True) -> None:
        self._references, self._seed, self._missing = references, seed, missing
        self._counts = torch.zeros(len(references), _BINS, dtype=torch.float64)
        # Of each column the number of values, and the sum of their squared weights.
        self._rows = [0] * len(references)
        self._squares = [0.0] * len(references)

    def add(self, x: Tensor, first: int, weights: Tensor | None = None) -> None:
        """Add rows of shape ``(m, d)``, before which there were `first`.

        Rows count by their weights, of shape ``(m,)`` and above 0; by default alike.
        """
        every = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.double()
        for column, (reference, values) in enumerate(zip(self._references, x.unbind(-1), strict=True)):
            there = slice(None) if self._missing else ~values.isnan()
            own, weight = values[there], every[there]
            ranks = reference.ranks(own, derived_seed(self._seed, first, column))
            bins = (ranks * _BINS).long().clamp_max(_BINS - 1)
            self._counts[column] += torch.bincount(bins, weights=weight, minlength=_BINS)
            self._rows[column] += len(own)
            self._squares[column] += float(weight.square().sum())

    def results(self) -> list[RankTest]:
        """Return the tests of all columns by the values so far; NaN for one that has none."""
        ends = torch.arange(1, _BINS + 1, dtype=torch.float64) / _BINS
        found = []
        for column, (reference, counts) in enumerate(zip(self._references, self._counts, strict=True)):
            rows = self._rows[column]
            distance = p_value = median = math.nan
            if rows:
                total = float(counts.sum())
                # Kish's number of rows that count alike and tell as much.
                effective = total * total / self._squares[column]
                shares = counts.cumsum(0) / total
                distance = float((shares - ends).abs().amax())
                p_value = kolmogorov(distance, effective * reference.rows / (effective + reference.rows))
                median = float(ends[int(torch.searchsorted(shares, 0.5))])
            found.append(RankTest(distance=distance, p_value=p_value, rows=rows, median=median))
        return found
