"""Fit a model to rows, by its own procedure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from logpx.arguments import names_checked
from logpx.distributions import Distribution
from logpx.distributions.private_randomness import private_randomness, redirected_draws
from logpx.distributions.seeding import checked_seed
from logpx.errors import DataError, UsageError
from logpx.latent import ConjugatePrior, GaussianMixture
from logpx.processes.team import current_team
from logpx.training.batches import Batch
from logpx.training.compiled import NEVER, CompileChoice, compile_choice, may_draw
from logpx.training.device import usable_device
from logpx.training.history import HistoryRecord, StepRecord
from logpx.training.intake import Intake, Source, open_source
from logpx.training.journal import Journal, journal_of
from logpx.training.maximum_a_posteriori import LogPrior, checked_log_prior
from logpx.training.optimisers import OptimiserFactory, Schedule
from logpx.training.plan import TrainingOptions
from logpx.training.procedure import Procedure, procedure_for
from logpx.training.progress import reporter_for
from logpx.training.result import FitResult
from logpx.training.survey import collect
from logpx.training.task import Outcome, Task

__all__ = ["fit"]


@names_checked
def fit(
    model: Distribution,
    data: Any,
    validation: Any = None,
    *,
    context: Any = None,
    weights: Any = None,
    prior: LogPrior | ConjugatePrior | None = None,
    validation_context: Any = None,
    validation_weights: Any = None,
    validation_fraction: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    optimiser: OptimiserFactory | None = None,
    schedule: Schedule | None = None,
    gradient_clip: float | None = 5.0,
    max_epochs: float | None = None,
    max_steps: int | None = None,
    max_time: float | None = None,
    patience: int | None = None,
    noise: float | None = None,
    last_step: int | None = None,
    restarts: int | None = None,
    start: str | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    progress: bool | Callable[[HistoryRecord], object] | None = None,
    device: torch.device | str | None = None,
    compile: bool | str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint: str | os.PathLike[str] | Journal | None = None,
    resume: str | os.PathLike[str] | None = None,
    every: float = 30.0,
    on_step: Callable[[StepRecord], object] | None = None,
    on_validation: Callable[[HistoryRecord], object] | None = None,
) -> FitResult:
    """Fit a model in place by maximum likelihood, with its own procedure.

    Normal distributions are fitted in closed form, mixtures of them by EM, everything else by gradient
    descent: AdamW with a warm-up and a cosine decay, clipped gradients, averaged weights, and early stopping
    on rows that are set aside. Defaults depend on the number of rows.

    Parameters
    ----------
    model
        The model; the fit starts from its weights, and leaves it in evaluation mode, at its best state.
    data
        A tensor, a NumPy array, a pandas, Polars or Arrow frame of numeric columns; or a stream: an object
        that can be iterated over repeatedly, and yields batches of those types, or (batch, context) or
        (batch, context, weights) tuples. A stream is read once before training and once per epoch, and may be
        larger than memory.
    validation
        Rows for early stopping, in any of these forms, kept in memory. By default a part of the data is set
        aside.
    context
        Shape ``(n, context_features)``, for a conditional model and data in memory.
    weights
        Shape ``(n,)``, at least 0: a row of weight 2 counts like two rows. For data in memory.
    prior
        A prior of the model's parameters, for a maximum a posteriori fit: a function from the model to the
        log-density of its parameters in nats, with a gradient; it counts once for all rows. A
        `GaussianMixture` also takes a `logpx.latent.ConjugatePrior`, which keeps the fit within EM. Models
        with their own procedure are first fitted by maximum likelihood. Reported likelihoods exclude the
        prior.
    validation_context, validation_weights
        The context and the weights of `validation`.
    validation_fraction
        The fraction of rows to set aside, chosen by a hash of the row's index; at most 50,000 rows. By
        default a tenth, more of small data, none of fewer than ten rows or if the procedure needs no early
        stopping. 0 trains on all rows.
    batch_size
        Rows per step.
    learning_rate
        The highest learning rate.
    weight_decay
        Of AdamW; biases and scales are never decayed.
    optimiser
        A function from the list of trained parameters to an optimiser of torch, in place of AdamW:
        ``lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9)``. Its learning rate is the
        highest unless `learning_rate` is given. Such runs keep no checkpoints.
    schedule
        In place of the warm-up and the cosine: a function from the used fraction of the budget of steps or
        time, 0 to 1, to a factor of the learning rate, such as ``lambda progress: 1.0 - progress``; or one
        from the optimiser to a scheduler of torch, which is advanced after every step.
    gradient_clip
        The largest gradient norm; None for no clipping.
    max_epochs, max_steps
        The planned length, over which the learning rate falls to 0. For EM an epoch is an iteration.
    max_time
        The most seconds; the learning rate falls to 0 by then. The limit only ever shortens training.
    patience
        How many evaluations without a better validation likelihood end training. There is about one per
        epoch, with at least 25 and at most 500 steps in between.
    noise
        The initial level of normal noise on training rows, relative to a column's spread; it falls to 0. By
        default only small data get noise, up to 0.25 for the smallest.
    last_step
        The step that training by gradient descent ends at, where it is planned for more: the learning rate
        and the noise are those of the planned length. So a model is trained like another one that was stopped
        early, and needs no validation rows.
    restarts
        The number of starts of EM, 6 by default; the best that has not collapsed onto a few rows is kept.
    start
        For mixtures, one of `logpx.latent.STARTS` for all starts of EM; by default each in turn.
    tolerance
        When EM ends; see `logpx.inference.expectation_maximisation`.
    seed
        Of the division of the rows and their order. The same seed gives the same weights, bit for bit, on one
        CPU with the same number of threads (unless `max_time` ended training, or ``compile="auto"`` found it
        worth while to compile). Torch's global generator is
        left unchanged.
    progress
        None: a bar if stderr is a terminal. True: a bar there, plain lines elsewhere. False: nothing. A
        function: called with each `HistoryRecord`.
    device
        Where to compute, and where the model is left; by default where it already is.
    compile
        Whether steps of gradient descent run as native code, by `torch.compile`: ``"on"``, ``"off"``, or
        ``"auto"`` to compile once the steps to come, as the first ones were timed, take so long that it
        pays, and to keep the native code only if it is faster. That depends on the clock, so ``"auto"``
        compiles nothing in a run that is to be repeatable: with checkpoints, or with `max_steps` but no
        `max_time`. Where nothing can be compiled, training goes on without, and says so in the events.
    should_stop
        Called before each step; returning true ends training in an orderly way.
    checkpoint
        A folder in which a run of gradient descent or EM is kept: all that the rest of the run depends on,
        written at the start, every `every` seconds, and when training ends. A closed form needs none.
    resume
        The folder of a run to go on with, given the same model, data, seed and options. The result is then
        that of a run without an interruption: the same weights, bit for bit, where `seed` promises them.
        Given together with the same `checkpoint`, a run that is not there yet is started.
    every
        Seconds between checkpoints; more if writing one takes longer than 2 % of that.
    on_step, on_validation
        Called with a `StepRecord` after each finite step of gradient descent, and with each `HistoryRecord`.

    Returns
    -------
    FitResult
        With the model, the history and the events.

    Raises
    ------
    DataError
        If a value is not finite, a column never varies, there are too few rows, or their shape is wrong; with
        row (counted from 1) and column.
    DivergedError
        If training does not stay finite even after three roll-backs to a good state.
    UsageError
        If arguments do not go together, or a run is resumed with others than it was begun with.
    ModelFolderError
        If none of the checkpoints can be read.
    ResourceError
        If the first checkpoint cannot be written. Later ones that fail are warned of.

    Examples
    --------
    >>> import logpx
    >>> noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> x = noise @ torch.tensor([[3.0, 1.0], [0.0, 0.1]])
    >>> result = fit(logpx.distributions.FullNormal(2), x)
    >>> result.stopped.value, result.train_rows
    ('closed form', 500)
    >>> flow = logpx.flows.RealNVP(features=2, layers=2, hidden=(8,))
    >>> result = fit(flow, x, max_steps=50)
    >>> result.history[-1].step, result.validation_rows
    (50, 100)
    """
    if not isinstance(model, Distribution):
        raise UsageError(
            f"the model is a {type(model).__name__}, where a distribution was expected",
            fix="pass a model of logpx, or your own subclass of logpx.distributions.Distribution",
        )
    options = TrainingOptions(
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        max_epochs=max_epochs,
        max_steps=max_steps,
        max_time=max_time,
        patience=patience,
        noise=noise,
        last_step=last_step,
        restarts=restarts,
        start=start,
        tolerance=tolerance,
    )
    journal = journal_of(checkpoint, resume, every, should_stop)
    # A part of a larger fit that is limited in time repeats nothing to the bit.
    kept = journal.keeps and (max_time is None or not isinstance(checkpoint, Journal))
    compiling = _compiling(compile, repeatable=kept or (max_time is None and max_steps is not None))
    procedure = _procedure_of(model, options, prior)
    _check_descent(procedure, model, optimiser, schedule, kept=journal.keeps)
    seed = checked_seed(seed)
    intake = Intake.of(model)
    source = open_source(data, intake, context, weights, "data")
    held_out = _held_out(validation, validation_context, validation_weights, intake)
    where = _device_of(model) if device is None else usable_device(device)
    model.to(where)
    if held_out is not None:
        held_out = held_out.to(where)
    reporter = reporter_for(progress, type(model).__name__)
    task = Task(
        model=model,
        source=source,
        validation=held_out,
        fraction=validation_fraction,
        options=options,
        seed=seed,
        device=where,
        reporter=reporter,
        optimiser=optimiser,
        schedule=schedule,
        should_stop=should_stop,
        journal=journal,
        compile=compiling,
        on_step=on_step,
        on_validation=on_validation,
    )
    with journal.held(), _own_randomness(model, seed), _named_columns(source), reporter:
        try:
            outcome = procedure.run(task)
        finally:
            model.eval()
    return _result(task, outcome)


def _compiling(compile: bool | str, *, repeatable: bool) -> CompileChoice:
    """Return when steps are compiled; never where each process has its own share of a batch."""
    choice = compile_choice(compile).for_run(repeatable=repeatable)
    # Compiled code serves batches of one size.
    return choice if current_team() is None else NEVER


def _result(task: Task, outcome: Outcome) -> FitResult:
    return FitResult(
        model=task.model,
        history=task.history.records,
        events=task.history.events,
        best_validation=outcome.best_validation,
        best_validation_error=outcome.best_validation_error,
        best_epoch=outcome.best_epoch,
        planned_steps=outcome.planned_steps,
        stopped=outcome.stopped,
        train_rows=outcome.train_rows,
        validation_rows=outcome.validation_rows,
        seconds=task.seconds(),
        seed=task.seed,
    )


def _held_out(validation: Any, context: Any, weights: Any, intake: Intake) -> Batch | None:
    if validation is None:
        for name, given in (("validation_context", context), ("validation_weights", weights)):
            if given is not None:
                raise UsageError(f"{name} without validation", fix="pass validation too, or neither")
        return None
    return collect(
        open_source(validation, intake, context, weights, "validation data").read(), "validation data"
    )


def _procedure_of(
    model: Distribution, options: TrainingOptions, prior: LogPrior | ConjugatePrior | None
) -> Procedure:
    """Return the procedure for a model and a prior."""
    procedure = procedure_for(model)
    for_em = (options.restarts, options.start, options.tolerance)
    if not procedure.climbs_from_starts and for_em != (None, None, None):
        raise UsageError(
            f"restarts, start and tolerance are for EM, and a {type(model).__name__} is not fitted by EM",
            fix="leave them out",
        )
    return _with_prior(procedure, model, prior)


def _check_descent(
    procedure: Procedure, model: Distribution, optimiser: Any, schedule: Any, *, kept: bool
) -> None:
    if optimiser is None and schedule is None:
        return
    if not procedure.descends:
        raise UsageError(
            f"optimiser and schedule are for gradient descent, and a {type(model).__name__} needs none",
            fix="leave them out",
        )
    if kept:
        raise UsageError(
            "a run with an optimiser or a schedule of one's own keeps no checkpoints",
            fix="leave out checkpoint and resume, or optimiser and schedule",
        )


def _with_prior(
    procedure: Procedure, model: Distribution, prior: LogPrior | ConjugatePrior | None
) -> Procedure:
    if prior is None:
        return procedure
    if not isinstance(prior, ConjugatePrior):
        return procedure.with_prior(checked_log_prior(prior, model))
    if not isinstance(model, GaussianMixture):
        raise UsageError(
            f"a ConjugatePrior is for Gaussian mixtures, and the model is a {type(model).__name__}",
            fix="give a function from the model to the log-density of its parameters",
        )
    model.take_prior(prior)
    return procedure


def _device_of(model: Distribution) -> torch.device:
    return next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))


@contextmanager
def _own_randomness(model: Distribution, seed: int) -> Iterator[None]:
    # What the library itself draws needs no redirection, which costs small models half their speed.
    foreign = any(may_draw(type(module)) for module in model.modules())
    with private_randomness(seed), redirected_draws() if foreign else nullcontext():
        yield


@contextmanager
def _named_columns(source: Source) -> Iterator[None]:
    """Put the data's column names into errors of models, which know columns only by index."""
    try:
        yield
    except DataError as error:
        if isinstance(error.column, int):
            error.column = source.column(error.column)
        raise
