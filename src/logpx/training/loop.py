"""Maximum likelihood by gradient descent: the one loop for every model without its own procedure."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from logpx.training.averaging import Snapshot, WeightAverage
from logpx.training.batches import Batch, MemoryRows
from logpx.training.checkpoints import Moment
from logpx.training.compiled import StepDensity
from logpx.training.evaluation import EVALUATION_ROWS, Score, evaluate
from logpx.training.gradients import SharedGradients, differentiate, shared_gradients
from logpx.training.guard import Guard
from logpx.training.history import HistoryRecord, StepRecord, StopReason
from logpx.training.maximum_a_posteriori import LogPrior
from logpx.training.memory import RowsAtOnce
from logpx.training.noise import TrainingNoise
from logpx.training.optimisers import optimiser_of, rate_of
from logpx.training.plan import Plan
from logpx.training.run_state import capture, resume
from logpx.training.survey import Survey
from logpx.training.task import Outcome, Task
from logpx.wording import counted

__all__ = ["descend"]

_EXPLANATIONS = {
    StopReason.PATIENCE: "early stop: {plan.patience} evaluations without a better validation likelihood",
    StopReason.TIME: "the time limit of {plan.max_time:g} s was reached",
    StopReason.REQUESTED: "a stop was requested",
}
_MOMENTS = {None: Moment.STEP, StopReason.REQUESTED: Moment.STOPPED}


class _Best:
    """The best state on the validation rows; without such rows, the latest."""

    def __init__(self, state: Sequence[Tensor]) -> None:
        self.snapshot = Snapshot(state)
        self.score: Score | None = None
        self.epoch = 0
        self.evaluations_since = 0

    def offer(self, score: Score | None, epoch: int) -> None:
        self.evaluations_since += 1
        if score is None or self.score is None or score.mean > self.score.mean:
            self.snapshot.update()
            self.score, self.epoch, self.evaluations_since = score, epoch, 0

    def restore(self) -> None:
        self.snapshot.restore()


class _Descent:
    """One training run: its parts, and the state between steps."""

    def __init__(
        self,
        task: Task,
        plan: Plan,
        rows: Survey,
        parameters: list[nn.Parameter],
        *,
        log_prior: LogPrior | None,
        shared: SharedGradients | None,
    ) -> None:
        self.task, self.plan, self.rows, self.parameters = task, plan, rows, parameters
        self.log_prior, self.shared = log_prior, shared
        options = task.options
        self.optimizer = optimiser_of(task.optimiser, parameters, plan, options.learning_rate)
        self.rate = rate_of(task.schedule, self.optimizer, plan)
        self.state = [*parameters, *task.model.buffers()]
        self.average = WeightAverage(parameters, plan.average_decay)
        # Its scales need every column sorted, a cost to avoid without noise.
        self.noise = TrainingNoise(rows.start.x, task.seed) if plan.noise > 0.0 else None
        self.guard = Guard(task.model, task.source.column)
        self.density = StepDensity(
            task.model, task.compile, plan.batch_size, lambda message: self.note("compile", message)
        )
        self.best = _Best(self.state)
        self.good = Snapshot([*self.state, *self.average.values])
        self.validation = None if rows.validation is None else MemoryRows(rows.validation)
        devices = {torch.device("cpu"), task.device}
        self.at_once = RowsAtOnce(plan.batch_size, devices, lambda message: self.note("memory", message))
        self.scored_at_once = RowsAtOnce(
            EVALUATION_ROWS, devices, lambda message: self.note("memory", message)
        )
        self.slow_down = 1.0
        self.step = self.epoch = 0
        # How many batches of this epoch are done, and whether the guard has left any row of them.
        self.position, self.any_row = 0, False
        self.losses: list[float] = []
        self.largest_norm = 0.0
        self.evaluated_at = -1
        self.evaluation_seconds = 0.0

    def differentiate(self, batch: Batch, rows: int) -> tuple[Tensor, Tensor]:
        """Set the gradients of a batch, so many rows at once; return log p of its rows and the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        log_prior = self.log_prior

        def own(part: Batch) -> tuple[Tensor, Tensor]:
            return differentiate(
                self.task.model,
                self.density,
                part,
                rows=rows,
                count=len(batch),
                step=self.step,
                mean_weight=self.rows.mean_weight,
                penalty=None if log_prior is None else lambda: self.penalty(log_prior),
            )

        return own(batch) if self.shared is None else self.shared.of(batch, self.step, own)

    def penalty(self, log_prior: LogPrior) -> Tensor:
        """Return the log-prior's share per row."""
        return log_prior(self.task.model) / (self.rows.training.count * self.rows.mean_weight)

    def advance(self, batch: Batch) -> None:
        """Do one step, or skip it if it is not finite."""
        seconds = self.task.seconds()
        rate = self.rate.begin(self.step, seconds, self.slow_down)
        if self.noise is not None:
            batch = self.noise.add(batch, self.epoch, self.plan.noise_level(self.step, seconds))
        self.density.before_step(self.step, self.seconds_left, batch)
        log_prob, loss = self.at_once.enough_for(lambda rows: self.differentiate(batch, rows), len(batch))
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = get_total_norm(gradients)
        # The only synchronisation of a step.
        loss_value, norm_value = torch.stack([loss, norm]).tolist()
        self.step += 1
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            if self.guard.bad(batch, log_prob):
                self.roll_back(f"{counted(self.guard.blocked, 'row', 'are')} left out from now on")
            return
        self.guard.good()
        if self.plan.gradient_clip is not None and norm_value > self.plan.gradient_clip:
            clip_grads_with_norm_(self.parameters, self.plan.gradient_clip, norm)
        self.optimizer.step()
        self.rate.end()
        self.average.update()
        self.density.after_step(batch)
        self.losses.append(loss_value)
        self.largest_norm = max(self.largest_norm, norm_value)
        if self.task.on_step is not None:
            self.task.on_step(
                StepRecord(
                    epoch=self.epoch,
                    step=self.step,
                    seconds=seconds,
                    train=-loss_value,
                    learning_rate=rate,
                    gradient_norm=norm_value,
                )
            )

    def roll_back(self, why: str) -> None:
        """Return to the last good state, and go on at half the learning rate."""
        self.good.restore()
        self.optimizer.state.clear()
        self.slow_down *= 0.5
        self.note("roll-back", f"not finite: back to the last good state, at half the learning rate; {why}")

    def evaluate(self) -> None:
        """Score the averaged weights on the validation rows, and keep the best state."""
        began = self.task.seconds()
        with self.average.in_place():
            score = self.validate()
            if score is None or math.isfinite(score.mean):
                self.best.offer(score, self.epoch)
        if score is None or math.isfinite(score.mean):
            self.good.update()
        elif self.best.score is not None:
            self.guard.lost(score)
            self.roll_back("the validation rows had no finite log-likelihood")
        self.evaluated_at = self.step
        self.evaluation_seconds = self.task.seconds() - began
        self.task.history.add(
            HistoryRecord(
                epoch=self.epoch,
                step=self.step,
                seconds=self.task.seconds(),
                train=-sum(self.losses) / len(self.losses) if self.losses else None,
                validation=None if score is None else score.mean,
                validation_error=None if score is None else score.error,
                learning_rate=self.optimizer.param_groups[0]["lr"] if self.step else None,
                gradient_norm=self.largest_norm if self.losses else None,
            )
        )
        self.losses.clear()
        self.largest_norm = 0.0

    def validate(self) -> Score | None:
        """Score the model as it now is on the validation rows."""
        rows, model = self.validation, self.task.model
        if rows is None:
            return None
        return self.scored_at_once.enough_for(lambda count: evaluate(model, rows.blocks(count)), rows.count)

    def batches(self) -> Iterator[Batch]:
        """Yield training batches epoch after epoch, without the rows that the guard has blocked."""
        while True:
            shuffled = self.rows.training.shuffled(self.plan.batch_size, self.task.seed, self.epoch)
            for batch in islice(shuffled, self.position, None):
                self.position += 1
                kept = self.guard.filter(batch)
                if len(kept):
                    self.any_row = True
                    yield kept
            if not self.any_row:
                raise self.guard.no_row_left()
            self.epoch += 1
            self.position, self.any_row = 0, False

    def seconds_left(self, per_step: float) -> float:
        """Return the seconds until training ends, at the latest, if steps take so many."""
        plan = self.plan
        limit = math.inf if plan.max_time is None else plan.max_time - self.task.seconds()
        return min(limit, (plan.steps - self.step) * per_step)

    @property
    def planned_steps(self) -> int:
        """How many steps there would have been, at the pace so far, without a reason to stop earlier."""
        progress = self.plan.progress(self.step, self.task.seconds())
        return max(self.step, round(self.step / progress)) if progress else 0

    def reason_to_stop(self) -> StopReason | None:
        """Return why training ends before the next step, or None."""
        plan, seconds = self.plan, self.task.seconds()
        if self.step >= plan.steps:
            return StopReason.BUDGET
        if plan.max_time is not None and seconds + self.evaluation_seconds >= plan.max_time:
            return StopReason.TIME
        if self.validation is not None and self.best.evaluations_since >= plan.patience:
            return StopReason.PATIENCE
        return StopReason.REQUESTED if self.task.should_stop() else None

    def finish(self, reason: StopReason) -> None:
        """Score the last state too, and note anything unusual."""
        if self.evaluated_at < self.step:
            self.evaluate()
        if self.validation is not None and self.best.score is None:
            raise self.guard.diverged_on_validation(self.validate())
        if self.guard.skipped:
            self.note(
                "skipped",
                f"{counted(self.guard.skipped, 'step')} whose loss or gradient was not finite were skipped",
            )
        impossible = self.guard.impossible_rows()
        if impossible:
            warnings.warn(
                f"{counted(len(impossible), 'training row', 'have')} density 0, the first of them "
                f"row {impossible[0] + 1}, "
                "and the training score leaves them out: use a model whose density is positive everywhere",
                UserWarning,
                stacklevel=2,
            )
        if reason is not StopReason.BUDGET:
            self.note(reason.value, _EXPLANATIONS[reason].format(plan=self.plan))

    def keep(self, moment: Moment) -> None:
        """Write a checkpoint if it is time for one. If it fails, training goes on with the older ones."""
        failed = self.task.journal.offer(self.step, lambda: capture(self), moment)
        if failed is not None:
            self.note("checkpoint", f"no checkpoint was written: {failed}")

    def note(self, kind: str, message: str) -> None:
        """Keep an event."""
        self.task.history.happened(self.step, kind, message)

    def run(self) -> StopReason:
        """Train until there is a reason to stop."""
        state = self.task.journal.last()
        if state is None:
            self.evaluate()
            self.keep(Moment.START)
        else:
            resume(self, state)
        batches = self.batches()
        while True:
            reason = self.reason_to_stop()
            self.keep(_MOMENTS.get(reason, Moment.END))
            if reason is not None:
                self.finish(reason)
                return reason
            self.advance(next(batches))
            self.task.reporter.advance(self.plan.progress(self.step, self.task.seconds()))
            if self.step % self.plan.evaluate_every == 0:
                self.evaluate()


def descend(task: Task, plan: Plan, rows: Survey, log_prior: LogPrior | None = None) -> Outcome:
    """Train the model of a task in place, and leave it at its best state.

    However training ends, even by a KeyboardInterrupt, the model is left at the best state so far. A
    log-prior of the parameters, in nats, counts once for all rows; reported likelihoods exclude it.

    Raises
    ------
    DivergedError
        If training does not stay finite.
    """
    validation_rows = 0 if rows.validation is None else len(rows.validation)
    parameters = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    if not parameters:
        return Outcome(
            stopped=StopReason.NOTHING_TO_TRAIN,
            train_rows=rows.training.count,
            validation_rows=validation_rows,
        )
    with shared_gradients(
        task.model, plan.batch_size, seed=task.seed, mean_weight=rows.mean_weight
    ) as shared:
        descent = _Descent(task, plan, rows, parameters, log_prior=log_prior, shared=shared)
        task.model.train()
        try:
            reason = descent.run()
        finally:
            descent.best.restore()
            descent.optimizer.zero_grad(set_to_none=True)
            task.model.eval()
    score = descent.best.score
    return Outcome(
        stopped=reason,
        train_rows=rows.training.count,
        validation_rows=validation_rows,
        best_validation=None if score is None else score.mean,
        best_validation_error=None if score is None else score.error,
        best_epoch=descent.best.epoch,
        planned_steps=descent.planned_steps,
    )
