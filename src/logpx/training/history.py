"""What happened during training, as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from logpx.representations import Shown

__all__ = ["Event", "History", "HistoryRecord", "StepRecord", "StopReason"]


class StopReason(StrEnum):
    """Why training ended."""

    BUDGET = "budget"
    PATIENCE = "patience"
    TIME = "time"
    REQUESTED = "requested"
    CONVERGED = "converged"
    CLOSED_FORM = "closed form"
    NOTHING_TO_TRAIN = "nothing to train"


@dataclass(frozen=True, kw_only=True, repr=False)
class HistoryRecord(Shown):
    """The state of training at one evaluation; likelihoods are means in nats per row.

    Parameters
    ----------
    epoch
        Completed passes over the training rows.
    step
        Completed steps.
    seconds
        Seconds since the start.
    train
        Mean log-likelihood of the training rows since the last record, at each step's weights, or None.
    validation, validation_error
        Mean log-likelihood of the validation rows at the averaged weights, and its standard error, or None.
    learning_rate
        The learning rate of the last step.
    gradient_norm
        The largest gradient norm since the last record, before clipping.
    """

    epoch: int
    step: int
    seconds: float
    train: float | None = None
    validation: float | None = None
    validation_error: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None

    def __str__(self) -> str:
        """Return one readable line."""
        return self.line()

    def line(
        self,
        value: Callable[[float], float] = lambda mean: mean,
        difference: Callable[[float], float] = lambda nats: nats,
        unit: str = "nats",
    ) -> str:
        """Return one readable line, in nats or another unit.

        Parameters
        ----------
        value, difference
            From a likelihood, and from a difference of two, to the unit.
        unit
            Its name.
        """
        parts = [f"epoch {self.epoch}", f"step {self.step}"]
        if self.train is not None:
            parts.append(f"train {value(self.train):.3f}")
        if self.validation is not None:
            error = self.validation_error
            error = None if error is None else difference(error)
            parts.append(f"validation {format_nats(value(self.validation), error, unit)}")
        return ", ".join([*parts, f"{self.seconds:.1f} s"])


def format_nats(mean: float, error: float | None, unit: str = "nats") -> str:
    """Return a mean log-likelihood with its standard error, in nats or another unit.

    Examples
    --------
    >>> format_nats(-1.0, 0.02)
    '-1.000 ± 0.020 nats'
    """
    return f"{mean:.3f} {unit}" if error is None else f"{mean:.3f} ± {error:.3f} {unit}"


@dataclass(frozen=True, kw_only=True, repr=False)
class StepRecord(Shown):
    """One step of gradient descent.

    Parameters
    ----------
    epoch
        Completed passes over the training rows.
    step
        Completed steps, this one included.
    seconds
        Seconds since the start.
    train
        Mean log-likelihood of the batch in nats per row, before the step.
    learning_rate
        The learning rate of the step.
    gradient_norm
        The norm of the gradient, before clipping.
    """

    epoch: int
    step: int
    seconds: float
    train: float
    learning_rate: float
    gradient_norm: float


@dataclass(frozen=True, repr=False)
class Event(Shown):
    """Something out of the ordinary.

    Parameters
    ----------
    step
        The step at which it happened.
    kind
        One of ``"skipped"``, ``"roll-back"``, ``"early stop"``, ``"time"``, ``"requested"``,
        ``"checkpoint"``, ``"compile"``, ``"memory"``.
    message
        What happened, in one sentence.
    """

    step: int
    kind: str
    message: str


@dataclass
class History:
    """Records and events in order, and a function that receives each new record.

    Parameters
    ----------
    tell
        Called with each record.
    """

    tell: Callable[[HistoryRecord], None] = lambda record: None
    records: list[HistoryRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, record: HistoryRecord) -> None:
        """Keep a record and pass it on."""
        self.records.append(record)
        self.tell(record)

    def happened(self, step: int, kind: str, message: str) -> None:
        """Keep an event."""
        self.events.append(Event(step, kind, message))


def plain(value: Any) -> Any:
    """Return dataclasses and lists of them as JSON values; a non-finite number becomes None."""
    if isinstance(value, (HistoryRecord, Event)):
        return {name: plain(item) for name, item in asdict(value).items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
