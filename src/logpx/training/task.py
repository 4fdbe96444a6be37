"""The input of a procedure, and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from logpx.distributions import Distribution
from logpx.training.batches import Batch
from logpx.training.compiled import NEVER, CompileChoice
from logpx.training.history import History, HistoryRecord, StepRecord, StopReason
from logpx.training.intake import Source
from logpx.training.journal import Journal
from logpx.training.optimisers import OptimiserFactory, Schedule
from logpx.training.plan import TrainingOptions
from logpx.training.progress import Reporter
from logpx.training.survey import Survey, survey

__all__ = ["Outcome", "Task"]


@dataclass(kw_only=True)
class Task:
    """A model to fit, and everything that belongs to one fit of it.

    Parameters
    ----------
    model
        The model, fitted in place.
    source
        The training rows as given by the caller.
    validation
        The caller's validation rows, or None.
    fraction
        The caller's fraction of rows to set aside, or None.
    options
        The caller's options of the fit.
    seed
        The seed of everything random.
    device
        Where to compute.
    reporter
        Shows the progress of the fit.
    should_stop
        Called before each step; returning true ends the fit.
    journal
        Where the run is kept, if anywhere.
    compile
        Whether to compile the steps of gradient descent.
    optimiser, schedule
        The caller's own, or None; see `logpx.training.fit`.
    on_step, on_validation
        Called with each record of a step, and of an evaluation.
    """

    model: Distribution
    source: Source
    validation: Batch | None = None
    fraction: float | None = None
    options: TrainingOptions = field(default_factory=TrainingOptions)
    optimiser: OptimiserFactory | None = None
    schedule: Schedule | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    reporter: Reporter = field(default_factory=Reporter)
    should_stop: Callable[[], bool] = lambda: False
    journal: Journal = field(default_factory=Journal)
    compile: CompileChoice = NEVER
    on_step: Callable[[StepRecord], object] | None = None
    on_validation: Callable[[HistoryRecord], object] | None = None
    began: float = field(default_factory=time.monotonic)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self._told)

    def _told(self, record: HistoryRecord) -> None:
        self.reporter.record(record)
        if self.on_validation is not None:
            self.on_validation(record)

    def seconds(self) -> float:
        """Return the time since the fit began."""
        return time.monotonic() - self.began

    def divide(self, by_default: bool) -> Survey:
        """Read all rows once and divide them into training and validation.

        Parameters
        ----------
        by_default
            Whether to set rows aside if the caller gave neither validation rows nor a fraction.
        """
        aside = self.validation is None and (by_default or self.fraction is not None)
        fraction = self.fraction if aside else 0.0
        divided = survey(self.source, fraction, self.seed, self.device, constants=self.model.allows_constants)
        validation = divided.validation if self.validation is None else self.validation
        return Survey(divided.training, validation, divided.start, divided.mean_weight)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a procedure ended.

    Parameters
    ----------
    stopped
        Why the fit ended.
    train_rows, validation_rows
        How many rows were used.
    best_validation, best_validation_error
        Mean log-likelihood of the validation rows in nats and its standard error; None without such rows.
    best_epoch
        The number of passes over the training rows after which the model was best.
    planned_steps
        How many steps of gradient descent the limits of steps and time would have allowed; 0 without any.
    """

    stopped: StopReason
    train_rows: int
    validation_rows: int
    best_validation: float | None = None
    best_validation_error: float | None = None
    best_epoch: int = 0
    planned_steps: int = 0
