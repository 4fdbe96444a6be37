"""The contract of a family of models of rows in model units."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Distribution
from logpx.scoring import Ending, Family, Limits
from logpx.tables.columns.support import Support
from logpx.tables.families.climb import Climb, climb
from logpx.tables.families.settings import Setting, Value
from logpx.training import FitResult, fit
from logpx.training.journal import Journal
from logpx.wording import counted

__all__ = [
    "BATCH_ROWS",
    "FEW_ROWS",
    "Budget",
    "QuickFamily",
    "TableFamily",
    "descend",
    "score_of_size",
    "train",
    "weighted_log_prob",
    "width_for",
]

# With fewer rows than this, what maximises the likelihood is too narrow.
FEW_ROWS = 40
_ROWS_TO_VALIDATE = 1000
# Smaller than for training to convergence: within a minute, more steps matter more than smoother ones.
BATCH_ROWS = 256
_MOST_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The time and settings that a family may use.

    Attributes
    ----------
    seconds
        The maximum number of seconds to take.
    rows
        The number of different training rows; if they are few, there are several noisy copies of each.
    weights, validation_weights
        How much each of the training rows and of the validation rows counts, shape ``(n,)``; None if all
        count alike. Their sum is the effective number of rows, for each noisy copy.
    kinds
        For each column, ``"normal"`` or the number of its labels.
    supports
        For each column, its bounds, grid, atoms or labels.
    periods
        For each column, the periods that its values may follow, in its own units.
    target
        The places of the columns that will be asked for given all others; empty for none in particular.
    components, latent
        The number of components and of latent dimensions; None leaves it to the family.
    settings
        Values of the family's settings that are not the usual ones.
    seed
        Seed for everything random.
    start
        Which of several fits of the family it is, which are to be stacked and so should differ.
    should_stop
        Called now and then; true ends the work in an orderly way.
    progress
        Passed on to `logpx.training.fit`.
    device
        Where flows are trained; they are then moved back to the CPU.
    spent
        How many of the seconds are spent already, by a process before this one.
    journal
        Where the work is kept, if anywhere.
    limits
        The most steps or epochs of each training; its seconds are those of the whole fit.
    compile
        Passed on to `logpx.training.fit`.
    remark
        Called with what the user should know of the fitted model, such as what was cut short.
    ended
        Called with what ended the fit of the model, or of a part of it; not at all if it is a maximum in
        closed form.
    trained
        Called with the result of each training.
    steps
        The step at which gradient descent ends, without rows to stop by, and for how many it is planned; None
        if time and validation rows end it.
    """

    seconds: float
    rows: int
    kinds: Sequence[str | int]
    weights: Tensor | None = None
    validation_weights: Tensor | None = None
    supports: Sequence[Support] = ()
    periods: Sequence[Sequence[float]] = ()
    target: Sequence[int] = ()
    components: int | None = None
    latent: int | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    start: int = 0
    should_stop: Callable[[], bool] = field(default=lambda: False)
    progress: Any = False
    device: torch.device = field(default=torch.device("cpu"))
    spent: float = 0.0
    journal: Journal = field(default_factory=Journal)
    limits: Limits = field(default_factory=Limits)
    compile: bool | str = "auto"
    remark: Callable[[str], object] = field(default=lambda text: None)
    ended: Callable[[Ending], object] = field(default=lambda ending: None)
    trained: Callable[[FitResult], object] = field(default=lambda result: None)
    steps: tuple[int, int] | None = None

    @property
    def effective_rows(self) -> int:
        """How many rows that count alike tell as much as the training rows."""
        if self.weights is None:
            return self.rows
        share = float(self.weights.sum().square() / self.weights.square().sum()) / len(self.weights)
        return max(1, round(self.rows * share))

    def first_weights(self, count: int) -> Tensor | None:
        """Return how much each of the first training rows counts; None if all count alike."""
        return None if self.weights is None else self.weights[:count]

    @property
    def deadline(self) -> float:
        """The value of ``time.monotonic()`` at which the budget ends if it starts now."""
        return time.monotonic() + self.seconds - self.spent

    def is_over(self, deadline: float) -> bool:
        """Return whether time is up or a stop is requested, and say so: there was more to try."""
        if time.monotonic() > deadline:
            self.ended(Ending.TIME)
            return True
        if self.should_stop():
            self.ended(Ending.INTERRUPTED)
            return True
        return False

    def climbed(self, climb: Climb | None) -> None:
        """Say what ended EM, and what was cut short; nothing of a maximum in closed form."""
        if climb is not None:
            self.ended(self.limits.counted if climb.ending is Ending.STEPS else climb.ending)
            if climb.remark:
                self.remark(climb.remark)

    def continued(self, climb: Climb) -> None:
        """Say on how many rows EM went on from a chosen model, if it did."""
        if climb.rows:
            aside = ", those set aside included" if climb.rows == self.rows else ""
            self.remark(f"then EM on {counted(climb.rows, 'row')}{aside}")


class TableFamily(Family, ABC):
    """A kind of model of rows in model units.

    Attributes
    ----------
    name, summary, options
        As in `logpx.scoring.Family`; the options are ``components`` and ``latent``.
    least_features : int
        The fewest columns that it can model.
    allows_missing, allows_labels : bool
        Whether rows may have missing cells, or columns that hold labels.
    least_latent : int
        The fewest latent dimensions that a model can have.
    needs_many_rows : bool
        Whether it is defined only for more rows than columns, and not to be trusted with a few dozen.
    takes_cells : bool
        Whether it models cells as they are, in table units, instead of dequantised rows in model units.
    settings : dict of str to Setting
        What a search may choose; empty if the family chooses by itself.
    """

    least_features: int = 1
    allows_missing: ClassVar[bool] = False
    allows_labels: ClassVar[bool] = False
    least_latent: ClassVar[int] = 0
    needs_many_rows: ClassVar[bool] = True
    takes_cells: ClassVar[bool] = False
    settings: Mapping[str, Setting] = MappingProxyType({})

    def usual(self, rows: int, features: int) -> dict[str, Value]:
        """Return the values of the settings that suit a table."""
        return {}

    def check(self, option: str, value: Any) -> None:
        """Refuse invalid numbers of components or of latent dimensions."""
        check_count(option, value, least=self.least_latent if option == "latent" else 1)

    @abstractmethod
    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Fit to rows, shape ``(n, d)``, float64; choose sizes on the validation rows.

        Rows are in model units, or if the family `takes_cells` in table units.
        """


class QuickFamily(TableFamily):
    """A family fitted in seconds: tried on every set of column maps, and fitted to all rows once chosen."""

    @abstractmethod
    def refit(self, model: Any, rows: Tensor, budget: Budget) -> None:
        """Fit a chosen model in place to all rows, including those set aside, if there is time."""


class ClimbingFamily(QuickFamily):
    """A quick family whose models climb by EM, on as many rows of a long table as it can afford."""

    most_numbers: ClassVar[int] = 400_000

    def affordable(self, rows: Tensor) -> Tensor:
        """Return the first rows, with at most `most_numbers` cells."""
        return rows[: self.most_numbers // rows.shape[1]]

    @torch.no_grad()
    def refit(self, model: Any, rows: Tensor, budget: Budget) -> None:
        """Continue EM on all rows that are affordable, from the model's parameters."""
        part = self.affordable(rows)
        done = climb(
            model,
            part,
            budget.deadline,
            max_iterations=budget.limits.iterations(20),
            tolerance=1e-4,
            weights=budget.first_weights(len(part)),
            journal=budget.journal,
            of_rows=budget.rows,
        )
        budget.continued(done)


def width_for(rows: int) -> int:
    """Return the width of a network's hidden layers that suits the number of rows of a table."""
    return 32 if rows < 2_000 else 64 if rows < 10_000 else 128


def train(
    model: Distribution, training: Tensor, validation: Tensor, budget: Budget, **options: Any
) -> Distribution:
    """Train a model of rows in model units until validation stops rising or time is up."""
    long = budget.rows > 40 * BATCH_ROWS
    return descend(model, training.float(), validation.float(), budget, long=long, **options)


def descend(
    model: Distribution, training: Tensor, validation: Tensor, budget: Budget, *, long: bool, **options: Any
) -> Distribution:
    """Train a model by gradient descent within a budget, and say what ended it.

    Parameters
    ----------
    long
        Whether there are so many rows that batches need not be chosen by their number.
    **options
        Options of `logpx.training.fit`.
    """
    stopping = _stopped_by(validation, budget) if budget.steps is None else _stopped_at(budget)
    trained = fit(
        model,
        training,
        weights=budget.weights,
        batch_size=BATCH_ROWS if long else None,
        seed=budget.seed,
        progress=budget.progress,
        device=budget.device,
        checkpoint=budget.journal.part("descent"),
        compile=budget.limits.compiling(budget.compile),
        **stopping,
        **options,
    )
    budget.ended(budget.limits.ending(trained))
    budget.trained(trained)
    return model.cpu()


def _stopped_by(validation: Tensor, budget: Budget) -> dict[str, Any]:
    """Return the options of training that ends when validation stops rising, or time is up."""
    return {
        "validation": validation,
        "validation_weights": budget.validation_weights,
        "max_time": None if math.isinf(budget.seconds) else budget.seconds,
        "should_stop": budget.should_stop,
        **budget.limits.training(_MOST_STEPS),
    }


def _stopped_at(budget: Budget) -> dict[str, Any]:
    """Return the options of training to a step, at the rates of a longer one: time is no part of its plan."""
    assert budget.steps is not None
    last, planned = budget.steps
    deadline = budget.deadline
    return {
        "validation_fraction": 0.0,
        "max_steps": planned,
        "last_step": last,
        "should_stop": lambda: budget.should_stop() or time.monotonic() > deadline,
    }


def weighted_log_prob(model: Any, x: Tensor, weights: Tensor | None) -> float:
    """Return the mean log p of rows, which count by their weights of shape ``(n,)``; by default alike."""
    log_prob = model.log_prob(x)
    if weights is None:
        return float(log_prob.mean())
    return float((log_prob.double() * weights).sum() / weights.sum())


def score_of_size(model: Any, training: Tensor, validation: Tensor, budget: Budget) -> float:
    """Return the validation likelihood per row, or for few rows BIC, which is then the better guide.

    With no more rows than columns BIC counts too many parameters: validation rows decide, if there are any.
    """
    rows = budget.effective_rows
    with torch.no_grad():
        wide = rows <= training.shape[1] and validation is not training
        if wide or rows >= _ROWS_TO_VALIDATE:
            return weighted_log_prob(model, validation, budget.validation_weights)
        penalty: float = 0.5 * model.free_parameters * math.log(rows) / rows
        return weighted_log_prob(model, training, budget.first_weights(len(training))) - penalty
