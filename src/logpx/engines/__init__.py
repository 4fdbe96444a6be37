"""Models as functions from Arrow record batches to Arrow record batches, for engines that bring the rows."""

from logpx.engines.batch_function import BatchFunction
from logpx.engines.imputing import ImputeBatches, impute_batches, impute_schema
from logpx.engines.scoring import ScoreBatches, score_batches, score_schema

__all__ = [
    "BatchFunction",
    "ImputeBatches",
    "ScoreBatches",
    "impute_batches",
    "impute_schema",
    "score_batches",
    "score_schema",
]
