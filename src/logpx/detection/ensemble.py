"""An ensemble of Gaussian mixtures, each of some of the rows: how usual a row of numbers is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from logpx.detection.robust_scales import VARIANCE, RobustScales

__all__ = ["MixtureEnsemble"]

_MOST_ROWS = 512
_SHARE_OF_ROWS = 0.7
_MOST_COLUMNS = 128
_MOST_COMPONENTS = 8
_ROWS_PER_COMPONENT = 4
_ITERATIONS = 10
# EM finds its way with all rows; from then on the least probable ones are left out at each iteration.
_TRIMMED_FROM, _TRIMMED = 5, 0.25
_EMPTY = 1e-9
# Of missing cells, whose marginals are kept.
_MOST_PATTERNS = 100
# Numbers in an array of deviations.
_MOST_NUMBERS = 8_000_000


@dataclass(frozen=True, kw_only=True)
class _Members:
    """Gaussian mixtures of the same size, of columns of their own, side by side.

    Attributes
    ----------
    columns : Tensor
        The columns of each, shape ``(m, q)``.
    log_weights, means, covariances : Tensor
        Shapes ``(m, K)``, ``(m, K, q)`` and ``(m, K, q, q)``.
    rows : Tensor
        The rows that each was fitted to, shape ``(m, n, q)``.
    """

    columns: Tensor
    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    rows: Tensor

    def select(self, y: Tensor) -> Tensor:
        """Return the columns of each member, shape ``(m, n, q)``, of rows of shape ``(n, d)``."""
        return y[:, self.columns].transpose(0, 1)

    def joint(self, y: Tensor) -> Tensor:
        """Return log p of rows and components, ``(m, K, n)``, given the columns of each member."""
        factor = torch.linalg.cholesky(self.covariances)
        eye = torch.eye(y.shape[-1], dtype=y.dtype).expand_as(factor)
        whitening = torch.linalg.solve_triangular(factor, eye, upper=False)
        z = whitening @ y.mT[:, None] - whitening @ self.means[..., None]
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = self.log_weights - log_det - 0.5 * y.shape[-1] * math.log(2.0 * math.pi)
        joint: Tensor = constant[..., None] - 0.5 * z.square().sum(2)
        return joint

    def log_prob(self, y: Tensor) -> Tensor:
        """Return log p of rows, ``(m, n)``, given the columns of each member."""
        return torch.logsumexp(self.joint(y), 1)

    def without(self, missing: Tensor) -> _Members:
        """Return the members with some columns, ``(d,)``, integrated out.

        The variances of a missing column become 1 and its covariances 0, so that it adds the same to every
        row as long as it is put at its mean.
        """
        gone = missing[self.columns]
        kept = (~gone)[:, None, :, None] & (~gone)[:, None, None, :]
        eye = torch.diag_embed(gone.to(self.means))[:, None]
        return replace(
            self,
            means=self.means.masked_fill(gone[:, None], 0.0),
            covariances=self.covariances * kept + eye,
            rows=self.rows.masked_fill(gone[:, None], 0.0),
        )


class MixtureEnsemble:
    r"""Gaussian mixtures with 1 to 8 components, each fitted to few of the rows; anomalies hardly move them.

    The score of a row is the mean over members of log p, less what is usual for the member. Columns are
    scaled robustly, each member sees at most 512 rows, and its EM leaves out the quarter of them that is
    least probable, so that clusters of anomalies are rarely modelled. A tenth of the robust variance is added
    in every direction: a value that repeats is then no spike, and no column counts without limit. Missing
    cells are integrated out, and a row is compared with what is usual for the cells that it has.

    Parameters
    ----------
    members
        How many mixtures.
    seed
        Seed of everything random.

    References
    ----------
    Emmott, Das, Dietterich, Fern and Wong 2013, Systematic construction of anomaly detection benchmarks from
    real data (ensembles of Gaussian mixtures); Liu, Ting and Zhou 2008, Isolation forest (small samples
    against masking); Cuesta-Albertos, Gordaliza and Matrán 1997 (trimming).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> ensemble = MixtureEnsemble(members=10, seed=0).fit(x)
    >>> usual, strange = ensemble.scores(np.array([[0.0, 0.0], [6.0, -6.0]]))
    >>> bool(usual > strange)
    True
    """

    def __init__(self, members: int, seed: int) -> None:
        self.members, self.seed = members, seed

    def fit(
        self,
        x: npt.NDArray[np.float64],
        scaled: npt.NDArray[np.bool_] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> MixtureEnsemble:
        """Fit to rows.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is missing.
        scaled
            Which columns are scaled, shape ``(d,)``; all by default. The others keep their unit.
        weights
            How much each row counts, shape ``(n,)``, 0 or more; by default all count alike. Members and
            scales then see rows as often as they count, in whole numbers that are right on average.
        """
        random = np.random.default_rng(self.seed)
        rows, columns = x.shape
        counted = np.arange(rows) if weights is None else _as_often_as_they_count(weights, random)
        self.scales = RobustScales(x[counted], scaled)
        y = self._scaled(x)
        self._seen = torch.from_numpy(counted)[_choices(random, self.members, rows, _sampled(rows))]
        chosen = _choices(random, self.members, columns, min(columns, _MOST_COLUMNS))
        # A cell that is not there lies at the column's median while members are fitted.
        filled = y.nan_to_num(nan=0.0)
        # Members of the same size are fitted, and later asked, at once.
        most = max(1, min(_MOST_COMPONENTS, self._seen.shape[1] // _ROWS_PER_COMPONENT))
        sizes = torch.from_numpy(np.sort(random.integers(1, most + 1, size=self.members)))
        self._parts: list[_Members] = []
        for size in range(1, most + 1):
            each = (sizes == size).nonzero().flatten()
            at_once = max(1, _MOST_NUMBERS // (size * self._seen.shape[1] * chosen.shape[1]))
            for some in torch.split(each, at_once):
                if len(some):
                    own = torch.stack([filled[self._seen[k]][:, chosen[k]] for k in some.tolist()])
                    self._parts.append(_fitted(own, chosen[some], size, random))
        self._usual: dict[bytes, list[tuple[_Members, Tensor]]] = {}
        return self

    def scores(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how usual rows are, in nats below or above the mean: shape ``(n,)``, high is usual."""
        found = [each.mean(0) for each in self._by_blocks(self._scaled(x))]
        return np.asarray(torch.cat(found))

    def scores_of_fit(
        self, x: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the scores of the rows of the fit, and those by the members that have not seen each."""
        each = torch.cat(self._by_blocks(self._scaled(x)), 1)
        unseen = torch.ones_like(each).scatter_(1, self._seen, 0.0)
        # With hardly any rows, every member may have seen one.
        unseen[:, unseen.sum(0) == 0.0] = 1.0
        without = (each * unseen).sum(0) / unseen.sum(0)
        return np.asarray(each.mean(0)), np.asarray(without)

    def surprisals(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        r"""Return how strange each cell is given the others, shape ``(n, d)``; NaN for missing cells.

        This is the mean over members of :math:`-\log p(x_j \mid x_{-j})` in the units of the scales, less
        what is usual; each is exact.
        """
        y = self._scaled(x)
        found = np.full(x.shape, np.nan)
        whole = torch.cat(self._by_blocks(y), 1)
        for column in range(y.shape[1]):
            holders = torch.cat([(part.columns == column).any(1) for part in self._parts])
            without = y.clone()
            without[:, column] = math.nan
            if not bool(holders.any()):
                found[:, column] = 0.0
                continue
            rest = torch.cat(self._by_blocks(without), 1)
            found[:, column] = (rest - whole)[holders].mean(0).numpy()
        found[np.isnan(x)] = np.nan
        return found

    def _scaled(self, x: npt.NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(self.scales(x))

    def _by_blocks(self, y: Tensor) -> list[Tensor]:
        """Return the centred log p of rows under every member, ``(m, n)``, a block of rows at a time."""
        at_once = max(1, _MOST_NUMBERS // sum(part.means.numel() for part in self._parts))
        blocks = torch.split(y, at_once) if len(y) else (y,)
        return [self._centred(block) for block in blocks]

    def _centred(self, y: Tensor) -> Tensor:
        missing = y.isnan()
        if not bool(missing.any()):
            return self._under(y, missing.new_zeros(y.shape[1]))
        found = y.new_empty(self.members, len(y))
        patterns, which = torch.unique(missing, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            own = which == number
            found[:, own] = self._under(y[own], pattern)
        return found

    def _under(self, y: Tensor, missing: Tensor) -> Tensor:
        """Return the centred log p of rows that all have the same missing cells."""
        filled = y.masked_fill(missing, 0.0)
        return torch.cat(
            [part.log_prob(part.select(filled)) - usual for part, usual in self._marginals(missing)]
        )

    def _marginals(self, missing: Tensor) -> list[tuple[_Members, Tensor]]:
        """Return the members without the missing columns, and their mean log p of the rows they have seen."""
        key = missing.numpy().tobytes()
        if key not in self._usual:
            if len(self._usual) > _MOST_PATTERNS:
                self._usual.clear()
            parts = [part.without(missing) if bool(missing.any()) else part for part in self._parts]
            self._usual[key] = [(part, part.log_prob(part.rows).mean(1, keepdim=True)) for part in parts]
        return self._usual[key]


def _sampled(rows: int) -> int:
    return max(min(2, rows), min(_MOST_ROWS, int(_SHARE_OF_ROWS * rows)))


def _choices(random: np.random.Generator, times: int, count: int, size: int) -> Tensor:
    """Return several choices of some of a number of things, ascending, shape ``(times, size)``."""
    return torch.from_numpy(np.stack([np.sort(random.permutation(count)[:size]) for _ in range(times)]))


def _as_often_as_they_count(
    weights: npt.NDArray[np.float64], random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return n numbers of n rows, each as often as its share of the weight says, up to one more or less."""
    order = random.permutation(len(weights))
    upto = np.cumsum(weights[order])
    places = (np.arange(len(weights)) + random.random()) * (upto[-1] / len(weights))
    found = order[np.searchsorted(upto, places, side="right").clip(max=len(weights) - 1)]
    return np.sort(found)


def _fitted(y: Tensor, columns: Tensor, size: int, random: np.random.Generator) -> _Members:
    """Return mixtures of one size fitted by trimmed EM, all at once, to rows of shape ``(m, n, q)``."""
    many, rows, width = y.shape
    starts = _choices(random, many, rows, size)
    eye = torch.eye(width, dtype=y.dtype)
    spread = y.var(1, correction=0).mean(1)
    members = _Members(
        columns=columns,
        log_weights=y.new_full((many, size), -math.log(size)),
        means=y.gather(1, starts[..., None].expand(-1, -1, width)),
        covariances=((spread[:, None, None, None] + VARIANCE) * eye).expand(-1, size, -1, -1),
        rows=y,
    )
    trimmed = int(_TRIMMED * rows)
    for iteration in range(_ITERATIONS):
        joint = members.joint(y)
        log_prob = torch.logsumexp(joint, 1)
        shares = torch.exp(joint - log_prob[:, None])
        if trimmed and iteration >= _TRIMMED_FROM:
            least = log_prob.kthvalue(trimmed, 1).values
            shares = shares * (log_prob > least[:, None]).to(y)[:, None]
        counts = shares.sum(2) + _EMPTY
        means = shares @ y / counts[..., None]
        deviations = y[:, None] - means[:, :, None]
        scatter = (deviations * shares[..., None]).mT @ deviations
        members = replace(
            members,
            log_weights=(counts / counts.sum(1, keepdim=True)).log(),
            means=means,
            covariances=scatter / counts[..., None, None] + VARIANCE * eye,
        )
    return members
