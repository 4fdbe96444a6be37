"""The procedures by which models are fitted."""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from logpx.distributions import DiagonalNormal, Distribution, FullNormal, Moments
from logpx.distributions.moments import triangle_of
from logpx.errors import DataError, DivergedError
from logpx.inference import expectation_maximisation_from
from logpx.inference.shared_e_step import LastingBatches
from logpx.latent import LatentMixture, LinearGaussian
from logpx.training.batches import Batch, MemoryRows
from logpx.training.em_memory import em_memory
from logpx.training.evaluation import EVALUATION_ROWS, evaluate
from logpx.training.history import HistoryRecord, StopReason
from logpx.training.loop import descend
from logpx.training.maximum_a_posteriori import LogPrior, climb_posterior
from logpx.training.plan import plan_for
from logpx.training.run_state import digest
from logpx.training.start import start_on_data
from logpx.training.survey import Survey, collect
from logpx.training.task import Outcome, Task
from logpx.wording import counted

__all__ = [
    "ClosedForm",
    "ExpectationMaximisation",
    "GradientDescent",
    "HasStatistics",
    "LinearGaussianProcedure",
    "MaximumAPosteriori",
    "Procedure",
    "procedure_for",
]

_BLOCK_ROWS = 65_536
_EM_ITERATIONS = 1000
_RESTARTS = 6
_TOLERANCE = 1e-6


class HasStatistics(Protocol):
    """A model whose maximum likelihood fit needs only sufficient statistics."""

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> Any:
        """Return the statistics of rows; those of different rows add up."""

    def update(self, statistics: Any) -> None:
        """Set the parameters from statistics."""


class Procedure(ABC):
    """A procedure that fits a model.

    Attributes
    ----------
    climbs_from_starts : bool
        Whether it is EM, which runs from several starts.
    descends : bool
        Whether it is gradient descent.
    """

    climbs_from_starts: bool = False
    descends: bool = False

    @abstractmethod
    def run(self, task: Task) -> Outcome:
        """Fit the model of the task in place."""

    def with_prior(self, log_prior: LogPrior) -> Procedure:
        """Return the procedure for a model whose parameters have a prior."""
        return MaximumAPosteriori(self, log_prior)


class GradientDescent(Procedure):
    """Maximum likelihood by stochastic gradients, stopped early on validation rows.

    Parameters
    ----------
    log_prior
        The log-prior of the parameters in nats, added to the log-likelihood; None for no prior.
    """

    descends = True

    def __init__(self, log_prior: LogPrior | None = None) -> None:
        self._log_prior = log_prior

    def with_prior(self, log_prior: LogPrior) -> Procedure:
        """Return gradient descent with the prior's gradient in every step."""
        return GradientDescent(log_prior)

    def run(self, task: Task) -> Outcome:
        """Divide the rows, set the model's data-dependent statistics, and descend."""
        rows = task.divide(by_default=True)
        start_on_data(task.model, rows.start.x, rows.start.context)
        options = task.options
        if options.noise is None and not _gains_from_noise(task.model):
            options = replace(options, noise=0.0)
        plan, model = plan_for(rows.training.count, options), task.model
        plan = replace(plan, evaluate_every=max(plan.evaluate_every, model.steps_between_evaluations))
        if rows.validation is not None and model.most_validation_rows is not None:
            rows = replace(rows, validation=rows.validation.slice(0, model.most_validation_rows))
        return descend(task, plan, rows, self._log_prior)


class MaximumAPosteriori(Procedure):
    """The model's own procedure, then a climb of the log-likelihood of all rows plus the log-prior.

    Parameters
    ----------
    likelihood
        The procedure that finds the start.
    log_prior
        The log-prior of the parameters, in nats.
    """

    def __init__(self, likelihood: Procedure, log_prior: LogPrior) -> None:
        self._likelihood, self._log_prior = likelihood, log_prior
        self.climbs_from_starts = likelihood.climbs_from_starts

    def run(self, task: Task) -> Outcome:
        """Fit by maximum likelihood, then climb, in double precision."""
        begun = self._likelihood.run(task)
        rows = task.divide(by_default=False)
        dtype = next(task.model.parameters()).dtype
        task.model.double()
        # In evaluation mode, as after an earlier fit, log-densities have no gradients.
        task.model.train()
        try:
            converged = climb_posterior(
                task.model,
                lambda: (block.to(task.device).double() for block in rows.training.blocks(_BLOCK_ROWS)),
                rows.training.count * rows.mean_weight,
                self._log_prior,
            )
        finally:
            task.model.to(dtype)
        reason = StopReason.CONVERGED if converged else StopReason.BUDGET
        train = _train_score(task) if task.source.resident else None
        return _scored(task, reason, rows.training.count, rows.validation, train, begun.best_epoch + 1)


class ClosedForm(Procedure):
    """Maximum likelihood from sufficient statistics, in one pass over the rows.

    All rows are used unless the caller gives a validation fraction: there is nothing to stop early.

    Parameters
    ----------
    model
        The model that provides the statistics.
    """

    def __init__(self, model: HasStatistics) -> None:
        self._model = model

    @torch.no_grad()
    def run(self, task: Task) -> Outcome:
        """Add up the statistics of blocks of rows, and update the model."""
        if task.fraction is None or task.validation is not None:
            return self._from(task, _in_blocks(task.source.read(), task.device), task.validation)
        rows = task.divide(by_default=False)
        return self._from(task, rows.training.blocks(_BLOCK_ROWS), rows.validation)

    def _from(self, task: Task, blocks: Iterable[Batch], validation: Batch | None) -> Outcome:
        total, count = None, 0
        for block in blocks:
            part = self._model.statistics(block.x, block.weights)
            total = part if total is None else total + part
            count += len(block)
        if total is None:
            raise DataError("there are no rows", fix="pass two or more; rows of weight 0 do not count")
        self._model.update(total)
        # Scoring a stream would mean reading it once more.
        train = _train_score(task) if task.source.resident else None
        return _scored(task, StopReason.CLOSED_FORM, count, validation, train, epochs=1)


def _gains_from_noise(model: Distribution) -> bool:
    """Return whether neither the model nor any part of it, such as what a wrapper holds, refuses noise."""
    return all(part.gains_from_noise for part in model.modules() if isinstance(part, Distribution))


class LinearGaussianProcedure(Procedure):
    """Maximum likelihood from mean and covariance, or by EM if cells are missing.

    Parameters
    ----------
    model
        The model.
    """

    climbs_from_starts = True

    def __init__(self, model: LinearGaussian) -> None:
        self._model = model

    def run(self, task: Task) -> Outcome:
        """Add up the moments of all rows, or of those that are not set aside."""
        blocks: Iterable[Batch] = _in_blocks(task.source.read(), task.device)
        validation, rows = task.validation, None
        if task.fraction is not None and validation is None:
            rows = task.divide(by_default=False)
            blocks, validation = rows.training.blocks(_BLOCK_ROWS), rows.validation
        blocks = iter(blocks)
        few, count = self._few(blocks)
        if not few:
            raise DataError("there are no rows", fix="pass two or more; rows of weight 0 do not count")
        if count <= self._model.event_shape[0]:
            rows_alone = Batch.concatenate(few)
            if bool(rows_alone.x.isnan().any()):
                return self._by_em(task)
            train = self._model.update_from_rows(rows_alone.x, rows_alone.weights)
            self._say_if_unbounded()
            return _scored(task, StopReason.CLOSED_FORM, count, validation, train, epochs=1)
        total, count = None, 0
        for block in chain(few, blocks):
            part = Moments.of(block.x, block.weights, full=True)
            total = part if total is None else total + part
            count += len(block)
        assert total is not None
        if bool(total.mean.isnan().any()):
            return self._by_em(task)
        train = self._model.update_from_moments(total)
        if self._model.needs_root(total):
            again: Iterable[Batch] = (
                _in_blocks(task.source.read(), task.device)
                if rows is None
                else rows.training.blocks(_BLOCK_ROWS)
            )
            root = triangle_of(((block.x, block.weights) for block in again), total)
            train = self._model.update_from_root(total.mean, root)
        self._say_if_unbounded()
        return _scored(task, StopReason.CLOSED_FORM, count, validation, train, epochs=1)

    def _by_em(self, task: Task) -> Outcome:
        outcome = ExpectationMaximisation(self._model).run(task)
        self._say_if_unbounded()
        return outcome

    def _say_if_unbounded(self) -> None:
        if self._model.covariance.limited:
            warnings.warn(
                f"up to rounding, {counted(self._model.latent, 'latent dimension', 'explain')} "
                "columns of these rows "
                "without noise: the likelihood has no maximum, and log p depends on where the noise ends; "
                "take fewer latent dimensions, or leave out columns that are functions of others",
                UserWarning,
                stacklevel=2,
            )

    def _few(self, blocks: Iterator[Batch]) -> tuple[list[Batch], int]:
        """Return the first blocks, until there are more rows than columns, and the number of their rows."""
        few: list[Batch] = []
        count = 0
        for block in blocks:
            few.append(block)
            count += len(block)
            if count > self._model.event_shape[0]:
                break
        return few, count


class ExpectationMaximisation(Procedure):
    """EM from several starts in double precision, until the likelihood hardly rises.

    Parameters
    ----------
    model
        The mixture.
    accelerate
        As in `logpx.inference.expectation_maximisation`.
    """

    climbs_from_starts = True

    def __init__(self, model: LatentMixture | LinearGaussian, accelerate: bool = True) -> None:
        self._model, self._accelerate = model, accelerate

    def run(self, task: Task) -> Outcome:
        """Start from a sample of the rows, and alternate E- and M-steps over all of them.

        Raises
        ------
        DivergedError
            If every start ends with a component that has shrunk onto a few rows.
        """
        rows = task.divide(by_default=False)
        options = task.options
        task.journal.identify(_identity(task, self._model, rows))
        most = _EM_ITERATIONS if options.max_epochs is None else round(options.max_epochs)
        dtype = next(self._model.parameters()).dtype

        def batches() -> Iterator[tuple[Tensor, Tensor | None]]:
            return ((block.x, block.weights) for block in rows.training.blocks(_BLOCK_ROWS))

        self._model.double()
        try:
            outcome = expectation_maximisation_from(
                self._model,
                LastingBatches(batches) if rows.training.resident else batches,
                rows.start.x,
                seed=task.seed,
                restarts=_RESTARTS if options.restarts is None else options.restarts,
                start=options.start,
                should_stop=task.should_stop,
                max_iterations=most,
                tolerance=_TOLERANCE if options.tolerance is None else options.tolerance,
                accelerate=self._accelerate,
                deadline=None if options.max_time is None else task.began + options.max_time,
                memories=lambda name: em_memory(task.journal.part(name)),
            )
        finally:
            self._model.to(dtype)
        result = outcome.result
        iterations = len(result.history) - 1
        if outcome.collapsed:
            raise DivergedError(
                f"every start ended in a meaningless likelihood: {', '.join(outcome.collapsed[:3])}",
                fix="use fewer components, covariance='tied', or a prior: "
                "prior=latent.ConjugatePrior(covariance_rows=1)",
            )
        if outcome.refused:
            task.history.happened(
                iterations,
                "refused",
                f"{len(outcome.refused)} of {outcome.tried} starts were refused, because a component had "
                f"shrunk onto a few rows ({outcome.refused[0]})",
            )
        reason = StopReason.TIME if iterations < most else StopReason.BUDGET
        if result.converged:
            reason = StopReason.CONVERGED
        train = result.log_likelihood
        return _scored(task, reason, rows.training.count, rows.validation, train, epochs=iterations)


def _identity(task: Task, model: Distribution, rows: Survey) -> dict[str, Any]:
    """Return what has to be the same for EM to be gone on with."""
    options = {name: value for name, value in asdict(task.options).items() if name != "max_time"}
    shapes = [list(tensor.shape) for tensor in model.state_dict().values()]
    return {
        "arguments": {"model": [type(model).__name__, shapes], "seed": task.seed, **options},
        "data": {"rows": rows.training.count, "sha256": digest([rows.start.x])},
    }


def _in_blocks(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    for batch in batches:
        for block in MemoryRows(batch).blocks(_BLOCK_ROWS):
            yield block.to(device)


def _train_score(task: Task) -> float:
    blocks = MemoryRows(collect(task.source.read())).blocks(EVALUATION_ROWS)
    return evaluate(task.model, (block.to(task.device) for block in blocks)).mean


def _scored(
    task: Task, reason: StopReason, rows: int, validation: Batch | None, train: float | None, epochs: int
) -> Outcome:
    mean = error = None
    if validation is not None:
        score = evaluate(task.model, MemoryRows(validation).blocks(EVALUATION_ROWS))
        mean, error = score.mean, score.error
    # Passes count as steps.
    task.history.add(
        HistoryRecord(
            epoch=epochs,
            step=epochs,
            seconds=task.seconds(),
            train=train,
            validation=mean,
            validation_error=error,
        )
    )
    return Outcome(
        stopped=reason,
        train_rows=rows,
        validation_rows=0 if validation is None else len(validation),
        best_validation=mean,
        best_validation_error=error,
        best_epoch=epochs,
    )


@functools.singledispatch
def procedure_for(model: nn.Module) -> Procedure:
    """Return the procedure for a model: gradient descent unless its class is registered otherwise.

    Register your own class with ``procedure_for.register``.

    Examples
    --------
    >>> type(procedure_for(FullNormal(2))).__name__
    'ClosedForm'
    """
    return GradientDescent()


@procedure_for.register(DiagonalNormal)
@procedure_for.register(FullNormal)
def _closed_form(model: DiagonalNormal | FullNormal) -> Procedure:
    return ClosedForm(model)


@procedure_for.register
def _linear_gaussian(model: LinearGaussian) -> Procedure:
    return LinearGaussianProcedure(model)


@procedure_for.register
def _expectation_maximisation(model: LatentMixture) -> Procedure:
    return ExpectationMaximisation(model)
