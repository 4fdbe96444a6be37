"""Each model's own way of being fitted."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import nn

from logpx.distributions import DiagonalNormal, FullNormal
from logpx.errors import DataError
from logpx.training.batches import Batch, MemoryRows
from logpx.training.evaluation import EVALUATION_ROWS, evaluate
from logpx.training.history import Record, StopReason
from logpx.training.loop import descend
from logpx.training.plan import plan_for
from logpx.training.survey import collect
from logpx.training.task import Outcome, Task

__all__ = ["ClosedForm", "GradientDescent", "Procedure", "procedure_for"]

_BLOCK_ROWS = 65_536


class Procedure(ABC):
    """A way of fitting a model."""

    @abstractmethod
    def run(self, task: Task) -> Outcome:
        """Fit the model of the task in place."""


class GradientDescent(Procedure):
    """Maximum likelihood by stochastic gradients, stopped early on validation rows."""

    def run(self, task: Task) -> Outcome:
        """Divide the rows, set the model's data-dependent statistics, and descend."""
        rows = task.divide(by_default=True)
        initialise = getattr(task.model, "initialise", None)
        if initialise is not None:
            initialise(rows.start.x, rows.start.context)
        return descend(task, plan_for(rows.training.count, task.wishes), rows)


class ClosedForm(Procedure):
    """Maximum likelihood from sufficient statistics, in one pass over the rows.

    All rows are used, unless a validation fraction was asked for: there is nothing to stop early.
    """

    def run(self, task: Task) -> Outcome:
        """Add up the statistics of blocks of rows, and update the model."""
        if task.fraction is not None and task.validation is None:
            divided = task.divide(by_default=False)
            return self._from(task, divided.training.blocks(_BLOCK_ROWS), divided.validation)
        blocks = (
            block.to(task.device)
            for batch in task.source.read()
            for block in MemoryRows(batch).blocks(_BLOCK_ROWS)
        )
        return self._from(task, blocks, task.validation)

    def _from(self, task: Task, blocks: Iterable[Batch], validation: Batch | None) -> Outcome:
        model, total, count = task.model, None, 0
        for block in blocks:
            statistics = model.statistics(block.x, block.weights)
            total = statistics if total is None else total + statistics
            count += len(block)
        if total is None:
            raise DataError("there are no rows", fix="pass two or more; rows of weight 0 do not count")
        model.update(total)
        train = None
        if task.source.resident:
            everything = MemoryRows(collect(task.source.read()))
            train = evaluate(
                model, (block.to(task.device) for block in everything.blocks(EVALUATION_ROWS))
            ).mean
        score = None
        if validation is not None:
            score = evaluate(model, MemoryRows(validation).blocks(EVALUATION_ROWS))
        mean, error = (None, None) if score is None else (score.mean, score.error)
        task.history.add(Record(1, 0, task.seconds(), train, mean, error))
        aside = 0 if validation is None else len(validation)
        return Outcome(StopReason.CLOSED_FORM, count, aside, mean, error, best_epoch=1)


@functools.singledispatch
def procedure_for(model: nn.Module) -> Procedure:
    """Return how a model is fitted: by gradient descent, unless its class is registered with something better.

    Examples
    --------
    >>> type(procedure_for(FullNormal(2))).__name__
    'ClosedForm'
    """
    return GradientDescent()


@procedure_for.register(DiagonalNormal)
@procedure_for.register(FullNormal)
def _(model: nn.Module) -> Procedure:
    return ClosedForm()
