"""How long a fit may go on, in seconds, steps and epochs, and which of these limits ended it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.training import FitResult, StopReason

__all__ = ["Ending", "Limits"]


class Ending(StrEnum):
    """What ended a fit, from what leaves nothing to be done to what leaves most."""

    CONVERGED = "converged"
    PATIENCE = "early stopping"
    EPOCHS = "epochs"
    STEPS = "steps"
    TIME = "time"
    INTERRUPTED = "interrupted"

    @classmethod
    def last_of(cls, endings: Iterable[Ending]) -> Ending:
        """Return the one that leaves most to be done; of none, that the fit has converged.

        Examples
        --------
        >>> Ending.last_of([Ending.STEPS, Ending.CONVERGED]).value
        'steps'
        """
        order = list(cls)
        return max(endings, key=order.index, default=cls.CONVERGED)


_REASONS = {
    StopReason.PATIENCE: Ending.PATIENCE,
    StopReason.TIME: Ending.TIME,
    StopReason.REQUESTED: Ending.INTERRUPTED,
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Limits(Shown):
    """The most that a fit may take.

    Attributes
    ----------
    seconds : float
        About how many seconds; may be infinite.
    steps : int or None
        Gradient steps, or iterations of EM, of each model that is tried.
    epochs : int or None
        Passes over the training rows; one iteration of EM is one.

    Examples
    --------
    >>> Limits.of(None, 400, None, usual_seconds=60.0).repeatable
    True
    >>> Limits.of(None, None, None, usual_seconds=60.0).seconds
    60.0
    """

    seconds: float = math.inf
    steps: int | None = None
    epochs: int | None = None

    @classmethod
    def of(
        cls, seconds: float | None, steps: int | None, epochs: int | None, *, usual_seconds: float
    ) -> Limits:
        """Return the limits that a caller asks for; without any, the usual number of seconds.

        Raises
        ------
        UsageError
            If one of them is not above 0.
        """
        if seconds is not None and not seconds > 0.0:
            raise UsageError(f"max_time is {seconds}", fix="give a number of seconds above 0")
        for name, value in (("max_steps", steps), ("max_epochs", epochs)):
            if value is not None:
                check_count(name, value)
        if seconds is None:
            seconds = usual_seconds if steps is None and epochs is None else math.inf
        return cls(seconds=seconds, steps=steps, epochs=epochs)

    @property
    def repeatable(self) -> bool:
        """Whether nothing depends on how fast the machine is."""
        return math.isinf(self.seconds)

    @property
    def unfinished_by_time(self) -> bool:
        """Whether time may end what a number of steps or epochs would end otherwise."""
        return not self.repeatable and (self.steps is not None or self.epochs is not None)

    @property
    def counted(self) -> Ending:
        """What ends iterations that are steps and epochs alike."""
        if self.epochs is not None and (self.steps is None or self.epochs < self.steps):
            return Ending.EPOCHS
        return Ending.STEPS

    def iterations(self, usual: int) -> int:
        """Return the most iterations of EM, of which each is a step and an epoch."""
        asked = [limit for limit in (self.steps, self.epochs) if limit is not None]
        return min(asked, default=usual)

    def training(self, usual: int) -> dict[str, Any]:
        """Return the options of `logpx.training.fit`, with the usual number of steps if no count is given."""
        if self.steps is None and self.epochs is None:
            return {"max_steps": usual}
        return {"max_steps": self.steps, "max_epochs": self.epochs}

    def compiling(self, asked: bool | str) -> bool | str:
        """Return whether to compile steps, as asked for: what the clock decides could not be repeated."""
        return "off" if asked == "auto" and self.repeatable else asked

    def ending(self, trained: FitResult) -> Ending:
        """Return what ended the training of a model."""
        if trained.stopped is StopReason.BUDGET:
            steps = trained.history[-1].step if trained.history else 0
            return Ending.STEPS if self.epochs is None or steps == self.steps else Ending.EPOCHS
        return _REASONS.get(trained.stopped, Ending.CONVERGED)
