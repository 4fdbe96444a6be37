"""Detection of anomalies: unusual rows, how sure that is, and the columns that make them so."""

from logpx.detection.anomalies import Anomalies
from logpx.detection.drift import ColumnDrift, Drift
from logpx.detection.empirical_null import EmpiricalNull
from logpx.detection.own_rows import OwnRowsSearch
from logpx.detection.reasons import Explainer, Reason
from logpx.detection.search import AnomalySearch
from logpx.detection.selection import (
    AllRows,
    AtLevel,
    FalseDiscoveryRate,
    MostUnusual,
    Selection,
    selection_of,
)
from logpx.detection.synthetic import SyntheticCheck, check_synthetic

__all__ = [
    "AllRows",
    "Anomalies",
    "AnomalySearch",
    "AtLevel",
    "ColumnDrift",
    "Drift",
    "EmpiricalNull",
    "Explainer",
    "FalseDiscoveryRate",
    "MostUnusual",
    "OwnRowsSearch",
    "Reason",
    "Selection",
    "SyntheticCheck",
    "check_synthetic",
    "selection_of",
]
