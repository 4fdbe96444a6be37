"""An ensemble of Gaussian mixtures, each of some of the rows: how usual a row of numbers is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions.neighbours import neighbour_density
from logpx.latent.robust.components import JointComponents, packed, unpacked
from logpx.latent.robust.scales import VARIANCE, RobustScales
from logpx.latent.robust.trimmed import trimmed_mixtures

__all__ = ["FittedEnsemble", "MixtureEnsemble"]

_MOST_ROWS = 512
_SHARE_OF_ROWS = 0.7
_MOST_COLUMNS = 128
_MOST_COMPONENTS = 8
_ROWS_PER_COMPONENT = 4
# Of the added variance, what is left where cells of a row are compared.
_SHARE_OF_VARIANCE = 0.1
# Of missing cells, whose marginals are kept.
_MOST_PATTERNS = 100
# Numbers in an array of deviations while mixtures are fitted, and of products, which caches are to hold.
_MOST_NUMBERS, _NUMBERS_AT_ONCE = 8_000_000, 500_000

_Array = npt.NDArray[np.float64]


class MixtureEnsemble(Configured, nn.Module):
    r"""Gaussian mixtures with 1 to 8 components, each fitted to few of the rows; anomalies hardly move them.

    The score of a row is the mean over members of log p, less what is usual for the member. Columns are
    scaled robustly, each member sees at most 512 rows, and its EM leaves out the quarter of them that is
    least probable, so that clusters of anomalies are rarely modelled. A tenth of the robust variance is added
    in every direction: a value that repeats is then no spike, and no column counts without limit. Missing
    cells are integrated out, and a row is compared with what is usual for the cells that it has.

    Parameters
    ----------
    features
        The number of columns d.
    width
        How many of them each member has.
    sizes
        How many components each member has, ascending.

    Attributes
    ----------
    scales : RobustScales
        The scales of the columns.
    orders : Tensor
        For each of the m members an order of the columns, of which the first are its own: ``(m, d)``.
    log_weights, means, roots : Tensor
        Of the components of all members, one after another, in the units of the scales: ``(C,)``,
        ``(C, width)``, and the lower triangles of roots of covariances, row by row,
        ``(C, width (width + 1) / 2)``.
    usual : Tensor
        The mean log p of the rows that each member has seen, without the quarter that is least probable:
        ``(m,)``.

    References
    ----------
    Emmott, Das, Dietterich, Fern and Wong 2013, Systematic construction of anomaly detection benchmarks from
    real data (ensembles of Gaussian mixtures); Liu, Ting and Zhou 2008, Isolation forest (small samples
    against masking); Cuesta-Albertos, Gordaliza and Matrán 1997 (trimming).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> ensemble = MixtureEnsemble.fitted(x, members=10, seed=0).ensemble
    >>> usual, strange = ensemble.scores(torch.tensor([[0.0, 0.0], [6.0, -6.0]], dtype=torch.float64))
    >>> bool(usual > strange)
    True
    """

    orders: Tensor
    log_weights: Tensor
    means: Tensor
    roots: Tensor
    usual: Tensor

    def __init__(self, features: int, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.features, self.width, self.sizes = features, width, tuple(sizes)
        count = sum(self.sizes)
        self.scales = RobustScales(features)
        orders = torch.tensor(np.tile(np.arange(features), (len(self.sizes), 1)), dtype=torch.int64)
        self.register_buffer("orders", orders)
        self.register_buffer("log_weights", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(count, width, dtype=torch.float64))
        self.register_buffer("roots", torch.ones(count, width * (width + 1) // 2, dtype=torch.float64))
        self.register_buffer("usual", torch.zeros(len(self.sizes), dtype=torch.float64))
        self._known: dict[bytes, list[tuple[JointComponents, Tensor]]] = {}

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no fit can give, or None."""
        for name in ("log_weights", "means", "usual"):
            if not bool(getattr(self, name).isfinite().all()):
                return name
        less = (1.0 - _SHARE_OF_VARIANCE) * VARIANCE
        return None if all(part.has_variance(less) for part, _ in self._parts()) else "roots"

    @classmethod
    def fitted(
        cls,
        x: _Array,
        *,
        members: int,
        seed: int,
        scaled: npt.NDArray[np.bool_] | None = None,
        weights: _Array | None = None,
    ) -> FittedEnsemble:
        """Return an ensemble fitted to rows.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is missing.
        members
            How many mixtures.
        seed
            Seed of everything random.
        scaled
            Which columns are scaled, shape ``(d,)``; all by default. The others keep their unit.
        weights
            How much each row counts, shape ``(n,)``, 0 or more; by default all count alike. Members and
            scales then see rows as often as they count, in whole numbers that are right on average.
        """
        random = np.random.default_rng(seed)
        rows, columns = x.shape
        counted = np.arange(rows) if weights is None else _as_often_as_they_count(weights, random)
        scales = RobustScales.of(x[counted], scaled)
        y = scales(torch.from_numpy(x))
        seen = torch.from_numpy(counted)[_choices(random, members, rows, _sampled(rows))]
        width = min(columns, _MOST_COLUMNS)
        chosen = _choices(random, members, columns, width)
        # A cell that is not there lies at the column's median while members are fitted.
        filled = y.nan_to_num(nan=0.0)
        # Members of the same size are fitted at once.
        most = max(1, min(_MOST_COMPONENTS, seen.shape[1] // _ROWS_PER_COMPONENT))
        sizes = torch.from_numpy(np.sort(random.integers(1, most + 1, size=members)))
        found = cls(columns, width, sizes.tolist())
        found.scales = scales
        found.orders.copy_(_orders(chosen, columns))
        parts: list[list[Tensor]] = []
        for size in range(1, most + 1):
            each = (sizes == size).nonzero().flatten()
            at_once = max(1, _MOST_NUMBERS // (size * seen.shape[1] * width))
            for some in torch.split(each, at_once):
                if len(some):
                    own = torch.stack([filled[seen[k]][:, chosen[k]] for k in some.tolist()])
                    starts = _choices(random, len(some), seen.shape[1], size)
                    log_weights, means, covariances, usual = trimmed_mixtures(own, starts)
                    roots = packed(torch.linalg.cholesky(covariances))
                    parts.append([log_weights.flatten(), means.flatten(0, 1), roots.flatten(0, 1), usual])
        buffers = found.log_weights, found.means, found.roots, found.usual
        for buffer, several in zip(buffers, zip(*parts, strict=True), strict=True):
            buffer.copy_(torch.cat(several))
        return FittedEnsemble(found, seen)

    def shortened(self) -> MixtureEnsemble:
        """Return the ensemble itself, its mixtures now in single precision, to be kept in less space."""
        self.log_weights, self.means = self.log_weights.float(), self.means.float()
        self.roots, self.usual = self.roots.float(), self.usual.float()
        self._known.clear()
        return self

    def scores(self, x: Tensor) -> Tensor:
        """Return how usual rows are, in nats below or above the mean: shape ``(n,)``, high is usual."""
        return torch.cat([each.mean(0) for each in self.by_blocks(self.scales(x))])

    def surprisals(self, x: Tensor) -> Tensor:
        r"""Return how strange each cell is given the others, shape ``(n, d)``; NaN for missing cells.

        It is the logarithm of the odds that the cell came from elsewhere: the row as it is competes with
        :math:`p(x_{-j})\, m_j(x_j)`, where p are all members as one mixture, so that a row is explained by
        those that know rows like it, and :math:`m_j` is the column by itself with wide tails. The variance
        that is added for scores, lest rows hide, is mostly taken away again. High is strange.
        """
        y = self.scales(x)
        missing = y.isnan()
        sharp = self._sharp()
        found = torch.zeros_like(y)
        patterns, which = torch.unique(missing, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            own = which == number
            parts = [(part.without(pattern[part.columns]), usual) for part, usual in sharp]
            found[own] = self._without_each(y[own].masked_fill(pattern, 0.0), parts)
        for column, draws in enumerate(self._columns_drawn(sharp)):
            if len(draws):
                found[:, column] += neighbour_density(y[:, column], draws).log()
        return found.masked_fill(missing, torch.nan)

    def _without_each(self, y: Tensor, parts: Sequence[tuple[JointComponents, Tensor]]) -> Tensor:
        """Return what each column leaves of log p, less log p: shape ``(n, d)``, 0 where no member has it."""
        blocks = []
        for block in torch.split(y, max(1, _NUMBERS_AT_ONCE // (sum(self.sizes) * self.width))):
            whole = y.new_full((len(self.sizes), *block.shape), -math.inf)
            rest = whole.clone()
            first = 0
            for part, usual in parts:
                own = slice(first, first + len(part.sizes))
                each, left = part.log_prob_without_each(block)
                whole[own, :, part.columns] = (each - usual[:, None])[..., None].expand_as(left)
                rest[own, :, part.columns] = left - usual[:, None, None]
                first = own.stop
            blocks.append((rest.logsumexp(0) - whole.logsumexp(0)).nan_to_num(nan=0.0))
        return torch.cat(blocks) if blocks else torch.zeros_like(y)

    def _columns_drawn(self, parts: Sequence[tuple[JointComponents, Tensor]]) -> list[Tensor]:
        """Return draws of each column by itself, in the units of the scales."""
        found: list[list[Tensor]] = [[] for _ in range(self.features)]
        for part, _ in parts:
            drawn = torch.cat(part.draws())
            for place, column in enumerate(part.columns.tolist()):
                found[column].append(drawn[:, place])
        return [torch.cat(each) if each else torch.empty(0, dtype=torch.float64) for each in found]

    def _sharp(self) -> list[tuple[JointComponents, Tensor]]:
        less = (1.0 - _SHARE_OF_VARIANCE) * VARIANCE
        return [(part.sharper(less), usual) for part, usual in self._parts()]

    def by_blocks(self, y: Tensor) -> list[Tensor]:
        """Return the centred log p of scaled rows under every member, ``(m, n)``, by blocks of rows."""
        widest = max(self.width * (self.width + 3) // 2 + 1, sum(self.sizes))
        blocks = torch.split(y, max(1, _NUMBERS_AT_ONCE // widest)) if len(y) else (y,)
        return [self._centred(block) for block in blocks]

    def _centred(self, y: Tensor) -> Tensor:
        missing = y.isnan()
        if not bool(missing.any()):
            return self._under(y, missing.new_zeros(y.shape[1]))
        found = y.new_empty(len(self.sizes), len(y))
        patterns, which = torch.unique(missing, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            own = which == number
            found[:, own] = self._under(y[own], pattern)
        return found

    def _under(self, y: Tensor, missing: Tensor) -> Tensor:
        """Return the centred log p of rows that all have the same missing cells."""
        filled = y.masked_fill(missing, 0.0)
        return torch.cat([part.log_prob(filled) - usual[:, None] for part, usual in self._marginals(missing)])

    def _marginals(self, missing: Tensor) -> list[tuple[JointComponents, Tensor]]:
        """Return the members without the missing columns, and what is usual for each of them.

        Of the rows that a member has seen only the mean log p is known. Without a column, it changes as that
        of rows drawn from the member, and what the rows of the fit are off from these shrinks with the
        columns.
        """
        key = str(missing.device).encode() + missing.numpy(force=True).tobytes()
        if key in self._known:
            return self._known[key]
        if len(self._known) > _MOST_PATTERNS:
            self._known.clear()
        found = []
        for whole, usual in self._parts():
            if bool(missing.any()):
                gone = missing[whole.columns]
                part, drawn = whole.without(gone), whole.draws()
                left = part.mean_log_prob(rows.masked_fill(gone, 0.0) for rows in drawn)
                share = 1.0 - gone.double().mean()
                found.append((part, left + share * (usual - whole.mean_log_prob(drawn))))
            else:
                found.append((whole, usual))
        self._known[key] = found
        return found

    def _parts(self) -> Iterator[tuple[JointComponents, Tensor]]:
        """Yield the members, those with the same columns at once, and what is usual for each of them."""
        firsts = [0, *itertools.accumulate(self.sizes)]
        steps = len(self.sizes) if self.width == self.features else 1
        for first in range(0, len(self.sizes), steps):
            own = slice(firsts[first], firsts[first + steps])
            yield (
                JointComponents(
                    columns=self.orders[first, : self.width],
                    sizes=self.sizes[first : first + steps],
                    log_weights=self.log_weights[own].double(),
                    means=self.means[own].double(),
                    roots=unpacked(self.roots[own].double(), self.width),
                ),
                self.usual[first : first + steps].double(),
            )


@dataclass(frozen=True)
class FittedEnsemble:
    """An ensemble, and the rows that each member has seen.

    Attributes
    ----------
    ensemble : MixtureEnsemble
        The ensemble.
    seen : Tensor
        Numbers of rows, shape ``(m, k)``.
    """

    ensemble: MixtureEnsemble
    seen: Tensor

    def scores(self, x: Tensor, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the scores of rows of the fit, and those by the members that have not seen each.

        Parameters
        ----------
        x
            All rows of the fit, shape ``(n, d)``.
        among
            The numbers of those that are scored; by default all.
        """
        unseen = torch.ones(len(self.seen), len(x), dtype=torch.bool).scatter_(1, self.seen, False)
        if among is not None:
            x, unseen = x[among], unseen[:, among]
        each = torch.cat(self.ensemble.by_blocks(self.ensemble.scales(x)), 1)
        # With hardly any rows, every member may have seen one.
        unseen[:, ~unseen.any(0)] = True
        return each.mean(0), (each * unseen).sum(0) / unseen.sum(0)


def _sampled(rows: int) -> int:
    return max(min(2, rows), min(_MOST_ROWS, int(_SHARE_OF_ROWS * rows)))


def _choices(random: np.random.Generator, times: int, count: int, size: int) -> Tensor:
    """Return several choices of some of a number of things, ascending, shape ``(times, size)``."""
    return torch.from_numpy(np.stack([np.sort(random.permutation(count)[:size]) for _ in range(times)]))


def _orders(chosen: Tensor, columns: int) -> Tensor:
    """Return orders of all columns that begin with the chosen ones, shape ``(m, columns)``."""
    own = torch.zeros(len(chosen), columns, dtype=torch.int64).scatter_(1, chosen, 1)
    return own.argsort(dim=1, descending=True, stable=True)


def _as_often_as_they_count(weights: _Array, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return n numbers of n rows, each as often as its share of the weight says, up to one more or less."""
    order = random.permutation(len(weights))
    upto = np.cumsum(weights[order])
    places = (np.arange(len(weights)) + random.random()) * (upto[-1] / len(weights))
    found = order[np.searchsorted(upto, places, side="right").clip(max=len(weights) - 1)]
    return np.sort(found)
