"""What a fit keeps to judge later rows by: an ensemble of robust mixtures, calibrated beside log p."""

from __future__ import annotations

import math

import torch

from logpx.latent.robust import MixtureEnsemble
from logpx.scoring import Calibration
from logpx.tables.coding import RowCoding
from logpx.tables.fitting.calibration import UnseenScores
from logpx.tables.fitting.rows import DividedRows
from logpx.tables.fitting.search import Search
from logpx.tables.schema.schema import Schema
from logpx.tables.unusualness import FADING, Unusualness, combined_scores

__all__ = ["table_unusualness"]

_MEMBERS, _FEWEST_MEMBERS, _FEWEST_ROWS = 40, 5, 20
# Of the time of a fit, and what an ensemble of all members takes: about so long for each column and pair.
_SHARE = 0.1
_SECONDS, _SECONDS_A_PAIR, _MOST_COLUMNS = 0.2, 5e-4, 128
_LEFT_OUT = "anomalies are judged by log p alone"
_SCORES_KEPT = 1000
_ROWS_SCORED = 20_000


def table_unusualness(
    search: Search, schema: Schema, read: DividedRows, scores: UnseenScores, calibration: Calibration
) -> Unusualness | None:
    """Return the ensemble for the rows of a table; None for few rows, or if it would take too long.

    Parameters
    ----------
    search
        The search.
    schema, read
        The columns and the rows.
    scores
        The log p of rows that the model has not seen.
    calibration
        The calibration by them.
    """
    rows, weights = read.in_order()
    if len(rows) < _FEWEST_ROWS:
        return None
    members = search.budget.journal.decided("members", lambda: _affordable(search, rows.shape[1]))
    members = min(members, _MEMBERS)
    if members < _FEWEST_MEMBERS:
        search.remarks.append(f"for lack of time with {rows.shape[1]:,} columns, {_LEFT_OUT}")
        return None
    seed = search.budget.seed
    numbers = rows.numpy(force=True)
    counted = None if weights is None else weights.numpy(force=True)
    coding = RowCoding.of(numbers, [len(one.levels or ()) for one in schema.modelled], counted)
    coded = coding(rows.cpu())
    fitted = MixtureEnsemble.fitted(
        coded.numpy(), members=members, seed=seed, scaled=coding.numeric, weights=counted
    )
    ensemble = fitted.ensemble.shortened()
    if scores.among is None:
        unseen = judged = ensemble.scores(coding(read.held_out.cpu()))
    else:
        # Of a long table, those rows do that have log p.
        rows_scored = torch.arange(len(rows)) if len(rows) <= _ROWS_SCORED else scores.among
        every, unseen = fitted.scores(coded, rows_scored)
        own_places = torch.searchsorted(rows_scored, scores.among)
        # New rows that equal many tie with them.
        often = own_places[scores.places]
        unseen[often] = every[often]
        judged = unseen[own_places]
    own = Calibration.of(unseen, "rows that the members have not seen", _SCORES_KEPT)
    combined = combined_scores(own.log_p(judged), calibration.log_p(scores.log_prob))
    calibrated = Calibration.of(combined, calibration.source)
    return Unusualness(coding, ensemble, own, calibrated, fading=FADING)


def _affordable(search: Search, columns: int) -> int:
    """Return how many members there is time for."""
    needed = _SECONDS + _SECONDS_A_PAIR * min(columns, _MOST_COLUMNS) ** 2
    # Those of the whole fit: what the search has is less reading, or a share beside cross-validation.
    whole = search.budget.limits.seconds
    seconds = search.budget.seconds if math.isinf(whole) else whole
    if math.isinf(seconds):
        return _MEMBERS
    return int(min(_MEMBERS, max(1.0, _SHARE * seconds) * _MEMBERS / needed))
