"""How long and how fast to train: defaults for the number of rows, and the learning rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from logpx.arguments import check_count
from logpx.errors import UsageError

__all__ = ["USUAL_LEARNING_RATE", "Plan", "TrainingOptions", "plan_for"]

#: The highest learning rate, unless another is given.
USUAL_LEARNING_RATE = 5e-3

# The ratio of the budget to the warm-up.
_WARM_UPS = 20


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The caller's options; None leaves the choice to `plan_for`.

    Parameters
    ----------
    batch_size, learning_rate, weight_decay, gradient_clip, max_epochs, max_steps, max_time, patience, noise
        As in `logpx.training.fit`.
    last_step
        As in `logpx.training.fit`.
    restarts, start, tolerance
        As in `logpx.training.fit`; only for EM.
    """

    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    gradient_clip: float | None = 5.0
    max_epochs: float | None = None
    max_steps: int | None = None
    max_time: float | None = None
    patience: int | None = None
    noise: float | None = None
    last_step: int | None = None
    restarts: int | None = None
    start: str | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.restarts is not None:
            check_count("restarts", self.restarts)
        for name in ("batch_size", "learning_rate", "gradient_clip", "max_time", "patience", "tolerance"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(
                    f"{name} is {value}, where a positive number was expected", fix=f"raise {name}"
                )
        for name in ("weight_decay", "max_epochs", "max_steps", "noise", "last_step"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} is {value}, where 0 or more was expected", fix=f"raise {name}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A complete set of choices for gradient descent.

    Parameters
    ----------
    batch_size
        Rows per step.
    learning_rate
        The highest learning rate, reached after the warm-up.
    weight_decay
        Of AdamW, on matrices only.
    gradient_clip
        The largest gradient norm, or None.
    max_steps
        The planned number of steps.
    max_time
        The most seconds, or None.
    average_decay
        Of the moving average of the weights.
    noise
        The level of the training noise at the start.
    patience
        How many evaluations without a better validation likelihood end training.
    evaluate_every
        Steps between evaluations.
    steps_per_epoch
        Steps in one pass over the training rows.
    last_step
        The step that training ends at, if before the planned number.
    warm_up
        Steps over which the learning rate rises; it is fully risen after a twentieth of the time at latest.
    """

    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float | None
    max_steps: int
    max_time: float | None
    patience: int
    evaluate_every: int
    steps_per_epoch: int
    warm_up: int
    average_decay: float
    noise: float
    last_step: int | None = None

    @property
    def steps(self) -> int:
        """The most steps that are done."""
        return self.max_steps if self.last_step is None else min(self.max_steps, self.last_step)

    def noise_level(self, step: int, seconds: float) -> float:
        """Return the level of the training noise at a step."""
        return self.noise * (1.0 - self.progress(step, seconds)) ** 2

    def progress(self, step: int, seconds: float) -> float:
        """Return the used fraction of the budget of steps or time, whichever is larger, from 0 to 1."""
        of_steps = step / max(1, self.max_steps)
        of_time = 0.0 if self.max_time is None else seconds / self.max_time
        return min(1.0, max(of_steps, of_time))

    def rate(self, step: int, seconds: float, highest: float | None = None) -> float:
        """Return the learning rate at a step: a linear warm-up times half a cosine down to 0.

        Parameters
        ----------
        step, seconds
            What has been done.
        highest
            The highest learning rate, if another than the plan's.

        References
        ----------
        Loshchilov and Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts, equation 5.
        https://arxiv.org/abs/1608.03983
        """
        # warm_up is at most a twentieth of the steps, so time only matters where it runs out before them.
        of_time = 0.0 if self.max_time is None else seconds / self.max_time
        rise = min(1.0, max((step + 1) / self.warm_up, _WARM_UPS * of_time))
        return (
            (self.learning_rate if highest is None else highest)
            * rise
            * 0.5
            * (1.0 + math.cos(math.pi * self.progress(step, seconds)))
        )


def plan_for(rows: int, options: TrainingOptions) -> Plan:
    """Return the plan for a number of training rows; the caller's options override the defaults.

    Examples
    --------
    >>> for rows in (15, 900, 9_000, 900_000):
    ...     plan = plan_for(rows, TrainingOptions())
    ...     print(plan.batch_size, plan.max_steps, plan.evaluate_every, round(plan.noise, 3))
    15 349 25 0.25
    32 2700 28 0.1
    256 8538 35 0.032
    1024 10000 500 0.0
    """
    batch_size = options.batch_size or min(1024, max(32, 2 ** round(math.log2(max(1, rows) / 40))))
    batch_size = min(batch_size, rows)
    steps_per_epoch = max(1, rows // batch_size)
    max_steps = _steps(rows, steps_per_epoch, options)
    return Plan(
        batch_size=batch_size,
        learning_rate=options.learning_rate or USUAL_LEARNING_RATE,
        weight_decay=1e-4 if options.weight_decay is None else options.weight_decay,
        gradient_clip=options.gradient_clip,
        max_steps=max_steps,
        max_time=options.max_time,
        patience=options.patience or 30,
        evaluate_every=max(1, min(max(steps_per_epoch, 25), 500)),
        steps_per_epoch=steps_per_epoch,
        warm_up=max(1, min(200, max_steps // _WARM_UPS)),
        average_decay=0.998,
        noise=_noise(rows) if options.noise is None else options.noise,
        last_step=options.last_step,
    )


def _steps(rows: int, steps_per_epoch: int, options: TrainingOptions) -> int:
    asked = [] if options.max_steps is None else [options.max_steps]
    if options.max_epochs is not None:
        asked.append(round(options.max_epochs * steps_per_epoch))
    if asked:
        return min(asked)
    if rows < 10:
        return 100
    return round(min(10_000.0, 90.0 * math.sqrt(rows)))


def _noise(rows: int) -> float:
    return min(0.25, 3.0 / math.sqrt(rows)) if rows < 50_000 else 0.0
