"""Scores and p-values of rows among themselves, by robust mixtures that have not seen them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from logpx.detection.empirical_null import EmpiricalNull
from logpx.latent.robust import MixtureEnsemble
from logpx.tables.coding import RowCoding

__all__ = ["judged_among_themselves"]

_MEMBERS = 40
# Mixtures are fitted anew without rows of lower p-values, unless these are most of them.
_SET_ASIDE, _LEAST_KEPT = 0.01, 0.5

_Numbers = npt.NDArray[np.float64]


def judged_among_themselves(x: _Numbers, coding: RowCoding, *, seed: int) -> tuple[_Numbers, _Numbers]:
    """Return scores of rows by mixtures that have not seen them, and p-values: shape ``(n,)`` each.

    Unusual rows that lie together change the mixtures, and with them the scores of usual rows: mixtures are
    fitted anew without the unusual rows, once, and judge all. Where tails are heavy, every further time would
    leave out more of them.

    Parameters
    ----------
    x
        Rows as in the table, labels by their codes, shape ``(n, d)``; NaN is missing.
    coding
        How rows become numbers.
    seed
        Seed of everything random.
    """
    coded = coding(torch.from_numpy(x)).numpy()
    scores, p_values = _judged_by(np.ones(len(x), dtype=bool), coded, coding, seed)
    usual = p_values > _SET_ASIDE
    if not usual.all() and usual.mean() >= _LEAST_KEPT:
        scores, p_values = _judged_by(usual, coded, coding, seed)
    return scores, p_values


def _judged_by(
    fitted: npt.NDArray[np.bool_], x: _Numbers, coding: RowCoding, seed: int
) -> tuple[_Numbers, _Numbers]:
    """Return scores and p-values of all rows by mixtures of some of them."""
    found = MixtureEnsemble.fitted(x[fitted], members=_MEMBERS, seed=seed, scaled=coding.numeric)
    scores = np.empty(len(x))
    scores[fitted] = found.scores(torch.from_numpy(x[fitted]))[1]
    if not fitted.all():
        scores[~fitted] = found.ensemble.scores(torch.from_numpy(x[~fitted]))
    return scores, EmpiricalNull(scores).p_values(scores)
