"""The result of `fit`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logpx.distributions import Distribution
from logpx.markup import card, html_table
from logpx.training.history import Event, HistoryRecord, StopReason, format_nats, plain
from logpx.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FitResult"]

_LAST_TENTH = 0.9
_MOST_RECORDS = 200


@dataclass(frozen=True, repr=False, kw_only=True)
class FitResult:
    """A fitted model, and how the fit went.

    Parameters
    ----------
    model
        The caller's model, fitted, in evaluation mode, with its best weights.
    history
        One record per evaluation.
    events
        Anything unusual: skipped steps, roll-backs, an early end.
    best_validation, best_validation_error
        Mean log-likelihood of the validation rows in nats and its standard error; None without such rows. As
        it chose the weights, it is a little optimistic: report the likelihood of a test set.
    best_epoch
        The number of passes over the training rows after which the weights were best.
    stopped
        Why the fit ended.
    train_rows, validation_rows
        How many rows were used.
    seconds
        How long it took.
    seed
        The seed of the fit.
    planned_steps
        How many steps of gradient descent the limits of steps and time would have allowed; 0 without any.
    """

    model: Distribution
    history: list[HistoryRecord]
    events: list[Event]
    best_validation: float | None
    best_validation_error: float | None
    best_epoch: int
    stopped: StopReason
    train_rows: int
    validation_rows: int
    seconds: float
    seed: int
    planned_steps: int = 0

    @property
    def still_rising(self) -> bool | None:
        """Whether the validation likelihood was still rising when time or the budget ended the fit.

        That is, whether its best value lies within the last tenth of the steps. None without gradient descent
        or without validation rows.
        """
        measured = [record for record in self.history if record.validation is not None]
        if len(measured) < 2 or not measured[-1].step:
            return None
        if self.stopped not in (StopReason.TIME, StopReason.BUDGET, StopReason.REQUESTED):
            return False
        return self.best_step >= _LAST_TENTH * measured[-1].step

    @property
    def best_step(self) -> int:
        """The step with the best validation likelihood, which was kept; 0 without validation rows."""
        return 0 if self._best is None else self._best.step

    @property
    def seconds_to_best(self) -> float:
        """How long training took until then."""
        return 0.0 if self._best is None else self._best.seconds

    @property
    def _best(self) -> HistoryRecord | None:
        scored = [record for record in self.history if record.validation is not None]
        return max(scored, key=lambda record: record.validation or -math.inf, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        names = [name for name in self.__dataclass_fields__ if name != "model"]
        return {name: plain(getattr(self, name)) for name in names}

    def summary(self, most: int = _MOST_RECORDS) -> dict[str, Any]:
        """Return how the fit went as JSON values, with at most so many records, the best and last among them.

        Examples
        --------
        >>> import torch
        >>> from logpx.distributions import DiagonalNormal
        >>> from logpx.training import fit
        >>> result = fit(DiagonalNormal(2), torch.randn(100, 2))
        >>> result.summary()["stopped"].value
        'closed form'
        """
        names = ("events", "best_epoch", "stopped", "train_rows", "validation_rows", "seconds")
        values = self.to_dict()
        records = values["history"]
        places = range(len(records))
        scored = [place for place in places if records[place]["validation"] is not None]
        best = [max(scored, key=lambda place: records[place]["validation"])] if scored else []
        step = max(1, -(-len(records) // max(most - 2, 1)))
        kept = sorted({*places[::step], *best, *places[-1:]})
        return {**{name: values[name] for name in names}, "history": [records[place] for place in kept]}

    def plot_training(self, *, ax: Axes | None = None) -> Axes:
        """Plot the likelihood over the steps; see `logpx.plots.plot_training`."""
        from logpx import plots

        return plots.plot_training(self.history, stopped=self.stopped.value, events=self.events, ax=ax)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        first, *rest = repr(self).split("\n")
        return card(
            first.partition(":")[0], first.partition(": ")[2], html_table([{"": line} for line in rest])
        )

    def __repr__(self) -> str:
        """Return a summary of a few lines."""
        if self.best_validation is not None:
            value = f"validation {format_nats(self.best_validation, self.best_validation_error)} per row"
        elif self.history and self.history[-1].train is not None:
            value = f"train {format_nats(self.history[-1].train, None)} per row"
        else:
            value = "no likelihood was computed"
        steps = self.history[-1].step if self.history else 0
        effort = f", {counted(steps, 'step')}, best after epoch {self.best_epoch}" if steps else ""
        lines = [
            f"FitResult of {type(self.model).__name__}: {value}",
            f"  rows: {self.train_rows} training, {self.validation_rows} validation; seed {self.seed}",
            f"  ended: {self.stopped} ({self.seconds:.1f} s{effort})",
        ]
        lines += [f"  step {event.step}: {event.message}" for event in self.events[:2]]
        if len(self.events) > 2:
            lines.append(f"  and {len(self.events) - 2} more events")
        return "\n".join(lines)
