"""Scores and p-values of rows among themselves, by robust mixtures that have not seen them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from logpx.detection.empirical_null import EmpiricalNull
from logpx.errors import DataError, DivergedError
from logpx.latent.robust import MixtureEnsemble
from logpx.tables import Schema
from logpx.tables.coding import RowCoding
from logpx.tables.fitting.fit_rows import fit_rows

__all__ = ["judged_among_themselves"]

_MEMBERS = 40
# Mixtures are fitted anew without rows of lower p-values, unless these are most of them.
_SET_ASIDE, _LEAST_KEPT = 0.01, 0.5
# Rows of lower p-values are not among those that say how far usual rows go.
_CLEAR = 0.03
# A model that had too little time, or does not suit the table, is off in the middle already, and says nothing
# of tails: more of the rows drawn from it than this lie below the lower quartile.
_QUARTER, _MOST_BELOW = 0.25, 0.35
# Of rows drawn from a model of these, so many for each row, as far as numbers allow.
_DRAWN_EACH, _FEWEST_DRAWN, _MOST_DRAWN, _MOST_NUMBERS = 40, 2_000, 100_000, 4_000_000

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Judged:
    scores: _Numbers
    p_values: _Numbers
    ensemble: MixtureEnsemble


def judged_among_themselves(
    x: _Numbers, schema: Schema, coding: RowCoding, *, seconds: float, seed: int
) -> tuple[_Numbers, _Numbers]:
    """Return scores of rows by mixtures that have not seen them, and p-values: shape ``(n,)`` each.

    Unusual rows that lie together change the mixtures, and with them the scores of usual rows: mixtures are
    fitted anew without the unusual rows, once, and judge all. Where tails are heavy, every further time would
    leave out more of them.

    An `EmpiricalNull` knows the central rows alone. How far usual rows go, a model of the table knows, too,
    with tails and labels of its columns: rows drawn from it are scored, and a p-value is the higher of two,
    unless the model does not know the central rows.

    Parameters
    ----------
    x
        Rows as in the table, labels by their codes, shape ``(n, d)``; NaN is missing.
    schema
        The columns.
    coding
        How rows become numbers.
    seconds
        How long the model of the table may take to fit.
    seed
        Seed of everything random.
    """
    coded = coding(torch.from_numpy(x)).numpy()
    found = _judged_by(np.ones(len(x), dtype=bool), coded, coding, seed)
    usual = found.p_values > _SET_ASIDE
    if not usual.all() and usual.mean() >= _LEAST_KEPT:
        found = _judged_by(usual, coded, coding, seed)
    kept = found.p_values > _CLEAR
    drawn = _scores_of_drawn(x[kept], len(x), schema, coding, found.ensemble, seconds, seed)
    if drawn is None or (drawn <= np.quantile(found.scores[kept], _QUARTER)).mean() > _MOST_BELOW:
        return found.scores, found.p_values
    below = np.searchsorted(np.sort(drawn), found.scores, side="right")
    return found.scores, np.maximum(found.p_values, (1.0 + below) / (1.0 + len(drawn)))


def _judged_by(fitted: npt.NDArray[np.bool_], x: _Numbers, coding: RowCoding, seed: int) -> _Judged:
    """Return scores and p-values of all rows by mixtures of some of them, and the mixtures."""
    found = MixtureEnsemble.fitted(x[fitted], members=_MEMBERS, seed=seed, scaled=coding.numeric)
    scores = np.empty(len(x))
    scores[fitted] = found.scores(torch.from_numpy(x[fitted]))[1]
    if not fitted.all():
        scores[~fitted] = found.ensemble.scores(torch.from_numpy(x[~fitted]))
    return _Judged(scores, EmpiricalNull(scores).p_values(scores), found.ensemble)


def _scores_of_drawn(
    x: _Numbers,
    rows: int,
    schema: Schema,
    coding: RowCoding,
    ensemble: MixtureEnsemble,
    seconds: float,
    seed: int,
) -> _Numbers | None:
    """Return the scores of rows drawn from a model of some rows; None if there is none."""
    try:
        model = fit_rows(schema, torch.from_numpy(x), "gmm", seconds=seconds, seed=seed)
    except (DataError, DivergedError):
        return None
    most = min(_MOST_DRAWN, max(_FEWEST_DRAWN, _MOST_NUMBERS // x.shape[1]))
    drawn = model.supports.snap(model.density.sample(min(_DRAWN_EACH * rows, most), seed=seed))
    holes = torch.from_numpy(np.isnan(x))
    if bool(holes.any()):
        drawn = drawn.masked_fill(holes[torch.arange(len(drawn)) % len(holes)], torch.nan)
    return np.asarray(ensemble.scores(coding(drawn.double())))
