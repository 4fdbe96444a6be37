"""Scoring: what tables and images share, from the noise of a row to the mean of log p beside baselines."""

from logpx.scoring.bounds import LogOfMean, MeanOfLogs, Pool, Single
from logpx.scoring.column_calibration import ColumnCalibration
from logpx.scoring.conformal import Calibration, benjamini_hochberg, check_level
from logpx.scoring.evaluation import (
    Comparison,
    Evaluation,
    ImpossibleRow,
    MeanScore,
    ScoredBatch,
    Tally,
)
from logpx.scoring.families import Families, Family
from logpx.scoring.fit_result import ModelFitResult, Stopwatch
from logpx.scoring.leaderboard import Difference, Leaderboard, LeaderboardEntry, compare_models
from logpx.scoring.limits import Ending, Limits
from logpx.scoring.noise import Noise
from logpx.scoring.ranks import RankReference, RankTest, RankTests
from logpx.scoring.row_keys import KeyedRows, NumberedRows, RowIdentity, RowsByContent, keyed_uniforms
from logpx.scoring.running_mean import RunningMean
from logpx.scoring.sampling import sample_blocks
from logpx.scoring.score_columns import score_columns, score_schema
from logpx.scoring.score_totals import ScoreTotals
from logpx.scoring.size import ModelSize
from logpx.scoring.units import BitsPerDimension, NatsPerRow, Unit
from logpx.scoring.verdict import ModelVerdict
from logpx.scoring.weighted_mean import WeightedMean

__all__ = [
    "BitsPerDimension",
    "Calibration",
    "ColumnCalibration",
    "Comparison",
    "Difference",
    "Ending",
    "Evaluation",
    "Families",
    "Family",
    "ImpossibleRow",
    "KeyedRows",
    "Leaderboard",
    "LeaderboardEntry",
    "Limits",
    "LogOfMean",
    "MeanOfLogs",
    "MeanScore",
    "ModelFitResult",
    "ModelSize",
    "ModelVerdict",
    "NatsPerRow",
    "Noise",
    "NumberedRows",
    "Pool",
    "RankReference",
    "RankTest",
    "RankTests",
    "RowIdentity",
    "RowsByContent",
    "RunningMean",
    "ScoreTotals",
    "ScoredBatch",
    "Single",
    "Stopwatch",
    "Tally",
    "Unit",
    "WeightedMean",
    "benjamini_hochberg",
    "check_level",
    "compare_models",
    "keyed_uniforms",
    "sample_blocks",
    "score_columns",
    "score_schema",
]
