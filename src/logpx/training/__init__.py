"""Training: batches, the gradient loop, early stopping, roll-back, history."""

from logpx.training.fit import fit
from logpx.training.history import Event, HistoryRecord, StepRecord, StopReason
from logpx.training.procedure import ClosedForm, GradientDescent, Procedure, procedure_for
from logpx.training.result import FitResult

__all__ = [
    "ClosedForm",
    "Event",
    "FitResult",
    "GradientDescent",
    "HistoryRecord",
    "Procedure",
    "StepRecord",
    "StopReason",
    "fit",
    "procedure_for",
]
