"""What a fit to a table ends with: the model, and how it was chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from logpx.errors import UsageError
from logpx.scoring import Ending, ModelFitResult
from logpx.tables.fitting.conclusion import Conclusion
from logpx.tables.fitting.rows import DividedRows
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import CandidateRecord
from logpx.tables.fitting.trials import Trial
from logpx.tables.model import TableModel
from logpx.training.history import format_nats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TableFitResult", "result_of"]


@dataclass(frozen=True, kw_only=True, repr=False)
class TableFitResult(ModelFitResult[TableModel]):
    """A fitted table model, and how it was chosen: a `logpx.scoring.ModelFitResult` with more fields.

    Attributes
    ----------
    candidates : list of CandidateRecord
        Every model that was tried, including failed ones, with the likelihood that they are compared by.
    scales : list of dict
        For each modelled column, the chosen scale and the held-out nats per row of all compared scales.
    measured : str
        What rows the likelihood of candidates was measured on, as "1,200 rows set aside".
    training : list of dict
        For each model that was trained by gradient descent its name, its scales, and how it went: the values
        of `logpx.training.FitResult.summary`. Likelihoods are those of the units that it was trained in.
    trials : list of Trial
        The sizes and learning rates that were tried; see `logpx.tables.fitting.trials.Trial`.
    """

    candidates: list[CandidateRecord]
    scales: list[dict[str, Any]]
    measured: str
    training: list[dict[str, Any]] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    @property
    def chosen(self) -> CandidateRecord:
        """The candidate that became the model."""
        return next(record for record in self.candidates if record.chosen)

    @property
    def headline(self) -> str:
        """What was chosen, and its likelihood, in one line."""
        best = self.chosen
        name = "log p" if self.model.kind == "exact" else f"{self.model.kind} of log p"
        value = "unknown" if best.validation is None else format_nats(best.validation, best.standard_error)
        return f"{best.model} on {best.scales} scales, {name} {value} per row ({self.measured})"

    def plot_leaderboard(self, *, ax: Axes | None = None) -> Axes:
        """Plot the models that were tried; see `logpx.plots.plot_leaderboard`."""
        from logpx import plots

        return plots.plot_leaderboard(self.candidates, ax=ax)

    def plot_training(self, *, ax: Axes | None = None) -> Axes:
        """Plot how the model, or a part of a stack, was trained; see `logpx.plots.plot_training`.

        Raises
        ------
        UsageError
            If nothing was trained by gradient descent.
        """
        from logpx import plots

        parts = self.chosen.model.split(" + ")
        runs = [run for run in self.training if run["model"] in parts]
        if not runs:
            raise UsageError(
                f"{self.chosen.model} needs no training by gradient descent",
                fix="plot the candidates instead",
            )
        return plots.plot_training(
            runs[0]["history"], stopped=runs[0]["stopped"], events=runs[0]["events"], ax=ax
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        return super().to_dict() | {
            "chosen": asdict(self.chosen),
            "candidates": [asdict(record) for record in self.candidates],
            "trials": [asdict(trial) for trial in self.trials],
        }


def result_of(search: Search, found: Conclusion, read: DividedRows, **known: Any) -> TableFitResult:
    """Return the result of a fit, of which the seconds, the notes and more are known."""
    budget = search.budget
    return TableFitResult(
        model=found.model,
        candidates=search.records(found.best),
        rows=read.count,
        validation_rows=0 if read.undivided else len(read.held_out),
        ended=_ending(search, found, budget.should_stop()),
        seed=budget.seed,
        scales=search.maps["chosen"].report(search.names),
        verdict=found.verdict,
        training=search.histories,
        trials=search.trials,
        **known,
    )


def _ending(search: Search, found: Conclusion, interrupted: bool) -> Ending:
    """Return what ended the fit: of the chosen model, unless the search itself was cut short."""
    if interrupted:
        return Ending.INTERRUPTED
    return Ending.last_of([found.ended, *([Ending.TIME] if search.cut_short else [])])
