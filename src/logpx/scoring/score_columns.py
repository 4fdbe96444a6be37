"""The columns in which scores of rows are written, named after what the numbers are."""

from __future__ import annotations

import pyarrow as pa

from logpx.scoring.evaluation import ScoredBatch

__all__ = ["score_columns", "score_schema"]

_NAMES = {
    "exact": ["log_prob"],
    "lower bound": ["log_prob_lower", "log_prob_se"],
    "estimate": ["log_prob_estimate", "log_prob_se"],
}


def score_schema(kind: str) -> pa.Schema:
    """Return the names and types of the columns: all numbers but exact ones have a standard error.

    Examples
    --------
    >>> score_schema("lower bound").names
    ['log_prob_lower', 'log_prob_se']
    """
    return pa.schema([(name, pa.float64()) for name in _NAMES[kind]])


def score_columns(batch: ScoredBatch) -> dict[str, pa.Array]:
    """Return the columns of the scores of a batch."""
    numbers = (batch.log_prob, batch.standard_error)
    return {name: pa.array(cells) for name, cells in zip(_NAMES[batch.kind], numbers, strict=False)}
