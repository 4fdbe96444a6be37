"""How near synthetic rows are to the rows that a model was fitted to: numbers, and no promise of privacy."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from logpx.errors import DataError, UsageError
from logpx.latent.robust import INTERQUARTILE
from logpx.representations import Shown
from logpx.scoring import RankReference, RankTests
from logpx.tables import TableModel
from logpx.tables.fitting.rows import read_rows
from logpx.tables.reference import reference_scores

__all__ = ["SyntheticCheck", "check_synthetic"]

Array = npt.NDArray[np.float64]

# Rows whose nearest neighbour is looked for, and rows among which it is.
_MOST_LOOKED_FOR, _MOST_NEIGHBOURS = 2000, 50_000
_CLOSE = 0.05
_DIGITS = 6
# Squares of larger numbers overflow.
_FARTHEST = 1e100
_PLAIN = "these are numbers about rows that are near or alike, not a promise of privacy"


@dataclass(frozen=True, kw_only=True, repr=False)
class SyntheticCheck(Shown):
    """What synthetic rows and log p tell of single rows that a model was fitted to.

    Attributes
    ----------
    rows : int
        The number of synthetic rows.
    train_rows : int
        The number of rows that the model was fitted to.
    copies : float
        The share of synthetic rows that are equal to a training row in every modelled column.
    duplicates : float
        The share of training rows that are equal to another training row, beside which copies are to be seen.
    distance, usual_distance : float
        The median distance of synthetic rows from the nearest training row, and of training rows from the
        nearest other training row; numbers count in robust standard
        deviations (interquartile ranges over 1.349), and labels as 0 or 1.
    close : float
        The share of synthetic rows nearer to a training row than 95 % of training rows are to another: 0.05
        if synthetic rows are like new ones. Equal distances count in proportion.
    membership : float or None
        The probability that a training row is more probable than a row that the model has not seen: 0.5 if
        log p does not tell them apart, 1 if it always does. None if no rows were set aside.
    advantage : float or None
        The most that an attacker gains who takes rows above some log p for training rows: true less false
        positive rate.
    """

    rows: int
    train_rows: int
    copies: float
    duplicates: float
    distance: float
    usual_distance: float
    close: float
    membership: float | None
    advantage: float | None

    def __str__(self) -> str:
        """Say the numbers."""
        lines = [
            f"exact copies of training rows: {self.copies:.1%} of {self.rows:,} synthetic rows "
            f"({self.duplicates:.1%} of training rows have a double)",
            f"distance to the nearest training row: median {self.distance:.3g}, between training rows "
            f"{self.usual_distance:.3g}; {self.close:.1%} are nearer than 5 % of these are to each other",
        ]
        if self.membership is not None and self.advantage is not None:
            lines.append(
                f"membership by log p: a training row is more probable than an unseen one in "
                f"{self.membership:.1%} of pairs (50 % tells nothing); an attacker gains {self.advantage:.1%}"
            )
        return "\n".join([*lines, _PLAIN])

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return dict(vars(self))


@torch.no_grad()
def check_synthetic(model: TableModel, synthetic: Any, train: Any, *, seed: int = 0) -> SyntheticCheck:
    """Compare synthetic rows with the rows that a model was fitted to.

    Parameters
    ----------
    model
        The model.
    synthetic
        Rows that it drew: anything that `open_table` takes.
    train
        The rows that it was fitted to.
    seed
        Seed of the choice of rows where there are many, and of the noise of log p.

    Raises
    ------
    DataError
        If a table does not fit the model, or a column of the training rows has no value.
    UsageError
        If there are fewer than two rows of either.

    References
    ----------
    Zhao, Kunar, Birke and Chen 2021, CTAB-GAN (distance to closest record); Yeom, Giacomelli, Fredrikson and
    Jha 2018, Privacy risk in machine learning (membership advantage).
    https://arxiv.org/abs/2102.08369
    https://arxiv.org/abs/1709.01604

    Examples
    --------
    >>> import logpx
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> model = logpx.fit("gaussian", x).model
    >>> found = check_synthetic(model, model.sample(300, seed=1), x)
    >>> found.copies, 0.0 <= found.close < 0.2
    (0.0, True)
    """
    drawn, rows = (_matrix(model, table, seed) for table in (synthetic, train))
    if min(len(drawn), len(rows)) < 2:
        raise UsageError("fewer than two rows to compare", fix="draw more with -n, or give all training rows")
    names = model.schema.modelled_names
    empty = [name for place, name in enumerate(names) if np.isnan(rows[:, place]).all()]
    if empty:
        raise DataError(
            f"no value in any row of column {empty[0]!r}: these are not the rows of the fit",
            fix="give the table of the fit",
        )
    counts = Counter(row.tobytes() for row in rows)
    units = _Units(model, rows)
    near, usual = units.distances(drawn, rows), units.distances(rows, rows, itself=True)
    membership, advantage = _membership(model, rows, seed)
    return SyntheticCheck(
        rows=len(drawn),
        train_rows=len(rows),
        copies=sum(row.tobytes() in counts for row in drawn) / len(drawn),
        duplicates=sum(count for count in counts.values() if count > 1) / len(rows),
        distance=float(np.median(near)),
        usual_distance=float(np.median(usual)),
        close=_closer(near, usual),
        membership=membership,
        advantage=advantage,
    )


def _closer(near: Array, usual: Array) -> float:
    """Return the share of distances among the lowest twentieth of usual ones; ties count in proportion.

    Where more than a twentieth of the training rows have a double, the limit is a distance of 0.
    """
    # Equal rows may be a rounding error apart.
    near, usual = np.round(near, _DIGITS), np.round(usual, _DIGITS)
    limit = np.quantile(usual, _CLOSE, method="inverted_cdf")
    rest = (_CLOSE - (usual < limit).mean()) / (usual == limit).mean()
    return float((near < limit).mean() + rest * (near == limit).mean())


def _matrix(model: TableModel, table: Any, seed: int) -> Array:
    rows, _ = read_rows(model.opened(table), model.schema, seed, missing=True)
    # One zero, and one missing cell, whatever their bits.
    return np.where(np.isnan(rows.numpy()), np.nan, rows.numpy() + 0.0)


class _Units:
    """Rows in units in which columns count alike."""

    def __init__(self, model: TableModel, rows: Array) -> None:
        self._labels = [column.levels for column in model.schema.modelled]
        # One huge value must not decide the unit of its column.
        low, self._middle, high = np.nanpercentile(rows, (25.0, 50.0, 75.0), axis=0)
        self._spread = (high - low) / INTERQUARTILE
        # Of a column that mostly repeats one value, and may hold huge ones.
        repeated = ~(self._spread > 0.0)
        largest = np.nanmax(np.abs(rows), axis=0) + np.finfo(np.float64).tiny
        self._spread[repeated] = (np.nanstd(rows / largest, axis=0) * largest)[repeated]
        self._spread[~(self._spread > 0.0)] = 1.0

    def of(self, rows: Array) -> Array:
        parts = []
        with np.errstate(over="ignore"):
            scaled = np.clip((rows - self._middle) / self._spread, -_FARTHEST, _FARTHEST)
        for place, levels in enumerate(self._labels):
            column = rows[:, place]
            if levels is None:
                parts.append(np.nan_to_num(scaled[:, place])[:, None])
            else:
                # Two different labels are at a distance of 1.
                parts.append(np.equal.outer(column, np.arange(len(levels))) / math.sqrt(2.0))
        return np.concatenate(parts, axis=1)

    def distances(self, rows: Array, others: Array, *, itself: bool = False) -> Array:
        """Return the distance of each row from the nearest of others; without itself among them."""
        from sklearn.neighbors import NearestNeighbors

        # Rows are in random order.
        found = NearestNeighbors(n_neighbors=2 if itself else 1).fit(self.of(others[:_MOST_NEIGHBOURS]))
        distances, _ = found.kneighbors(self.of(rows[:_MOST_LOOKED_FOR]))
        nearest: Array = distances[:, -1]
        return nearest


def _membership(model: TableModel, rows: Array, seed: int) -> tuple[float | None, float | None]:
    """Return how well log p tells training rows from those of the calibration: by pairs, and at best."""
    if model.calibration is None:
        return None, None
    part = torch.from_numpy(rows[:_MOST_NEIGHBOURS])
    own = reference_scores(model.density, model.supports, part, seed)
    reference = RankReference.of(model.calibration.spread(_MOST_NEIGHBOURS).cpu())
    tests = RankTests([reference], seed)
    tests.add(own[:, None], 0)
    return float(reference.ranks(own, seed).mean()), tests.results()[0].distance
