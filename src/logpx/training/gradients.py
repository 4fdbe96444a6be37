"""The gradient of the mean log-likelihood of a batch: in one process, or each of several for its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn

from logpx.distributions import Distribution
from logpx.distributions.private_randomness import private_randomness, redirected_draws
from logpx.distributions.seeding import derived_seed
from logpx.processes.messages import Message
from logpx.processes.team import Team, current_team, parameters_of, state_of
from logpx.processes.worker import Handler, Order, Worker
from logpx.training.batches import Batch
from logpx.training.compiled import may_draw
from logpx.training.memory import RowsAtOnce

__all__ = ["HANDLERS", "SharedGradients", "differentiate", "shared_gradients"]

_ORDER = "gradients"
# With fewer rows of a batch for each process, messages take longer than the work.
_LEAST_ROWS = 32


def differentiate(
    model: Distribution,
    density: Callable[[Batch], Tensor],
    batch: Batch,
    *,
    rows: int,
    count: int,
    step: int,
    mean_weight: float,
    penalty: Callable[[], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Add the gradients of rows of a batch to those of the parameters; return log p of the rows and the loss.

    Parameters
    ----------
    model
        The model.
    density
        Returns log p of rows.
    batch
        The rows.
    rows
        How many to take at once.
    count
        How many rows the whole batch has, to whose mean the gradients belong.
    step
        The number of steps done.
    mean_weight
        Of all rows.
    penalty
        Returns what is added to the mean log-likelihood once.
    """
    found, losses = [], []
    for start in range(0, len(batch), rows):
        part = batch.slice(start, start + rows) if rows < len(batch) else batch
        log_prob = density(part)
        loss = -_mean(log_prob, part.weights, mean_weight)
        if len(part) < count:
            loss = loss * (len(part) / count)
        penalised = loss if penalty is None or start else loss - penalty()
        torch.autograd.backward(penalised, inputs=model.trained_in(step))
        found.append(log_prob.detach())
        losses.append(loss.detach())
    if len(losses) == 1:
        return found[0], losses[0]
    return torch.cat(found), torch.stack(losses).sum()


def _mean(log_prob: Tensor, weights: Tensor | None, mean_weight: float) -> Tensor:
    if weights is None:
        return log_prob.mean()
    # Dividing by the mean weight of all rows, not of the batch, keeps the gradient unbiased.
    return (log_prob * weights).mean() / mean_weight


class SharedGradients:
    """The gradients of one run by several processes, each of which takes consecutive rows of every batch.

    Parameters
    ----------
    team
        The processes.
    number
        The model's number in orders.
    model
        The model.
    seed
        What the others draw in a step, if the model does, depends on the seed, the step and their rank.
    mean_weight
        Of all rows.
    """

    def __init__(
        self, team: Team, number: int, model: Distribution, *, seed: int, mean_weight: float
    ) -> None:
        self._team, self._number, self._model = team, number, model
        self._seed, self._mean_weight = seed, mean_weight

    def of(
        self, batch: Batch, step: int, own: Callable[[Batch], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of a batch to those of the parameters; return log p of its rows and the loss.

        Parameters
        ----------
        batch
            The rows.
        step
            The number of steps done.
        own
            Does this for the rows of this process.
        """
        mine, *others = _divided(batch, self._team.size)
        values = {
            "model": self._number,
            "step": step,
            "count": len(batch),
            "mean_weight": self._mean_weight,
            "seed": self._seed,
            "given": [batch.context is not None, batch.weights is not None],
        }
        (log_prob, loss), answers = self._team.together(
            _ORDER,
            values,
            state_of(self._model),
            lambda: own(mine),
            shares=[_tensors(share) for share in others],
        )
        parameters = parameters_of(self._model)
        found = [log_prob]
        # In the order of the ranks, so that the sum is the same whoever answers first.
        for places, (part, part_loss, *gradients) in answers:
            found.append(part.to(log_prob))
            loss = loss + part_loss.to(loss)
            for place, gradient in zip(places, gradients, strict=True):
                _add(parameters[place], gradient)
        return torch.cat(found), loss


@contextmanager
def shared_gradients(
    model: Distribution, batch_size: int, *, seed: int, mean_weight: float
) -> Iterator[SharedGradients | None]:
    """Have other processes help with the gradients of a run, if there are any and enough for them to do.

    Parameters
    ----------
    model, seed, mean_weight
        As in `SharedGradients`.
    batch_size
        The rows of a batch.
    """
    team = current_team()
    if team is None or batch_size < _LEAST_ROWS * team.size:
        yield None
        return
    with team.models(model) as number:
        if number is None:
            yield None
        else:
            yield SharedGradients(team, number, model, seed=seed, mean_weight=mean_weight)


def _divided(batch: Batch, size: int) -> list[Batch]:
    """Return consecutive parts of a batch, of which the first are the longest."""
    edges = [-(-len(batch) * rank // size) for rank in range(size + 1)]
    return [batch.slice(start, stop) for start, stop in pairwise(edges)]


def _tensors(batch: Batch) -> list[Tensor]:
    return [tensor for tensor in (batch.x, batch.context, batch.weights) if tensor is not None]


@torch.no_grad()
def _add(parameter: nn.Parameter, gradient: Tensor) -> None:
    gradient = gradient.to(parameter.device)
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient


def _carry_out(worker: Worker, order: Order) -> Message:
    values, kept = order.values, worker.kept[order.values["model"]]
    model = worker.model(order)
    assert isinstance(model, Distribution)
    parameters = parameters_of(model)
    device = parameters[0].device
    given = iter(tensor.to(device) for tensor in order.share)
    x = next(given)
    context, weights = (next(given) if there else None for there in values["given"])
    batch = Batch(x, torch.arange(len(x)), context, weights)
    if "at once" not in kept:
        model.train()
        devices = {torch.device("cpu"), device}
        kept["at once"] = RowsAtOnce(values["count"], devices, lambda message: None)
    if not len(batch):
        return [], [x.new_empty(0), x.new_zeros(())]

    def work(rows: int) -> tuple[Tensor, Tensor]:
        for parameter in parameters:
            parameter.grad = None
        return differentiate(
            model,
            lambda part: model.training_objective(part.x, part.context),
            batch,
            rows=rows,
            count=values["count"],
            step=values["step"],
            mean_weight=values["mean_weight"],
        )

    foreign = any(may_draw(type(module)) for module in model.modules())
    seed = derived_seed(values["seed"], values["step"], worker.rank)
    with private_randomness(seed), redirected_draws() if foreign else nullcontext():
        log_prob, loss = kept["at once"].enough_for(work, len(batch))
    return _answer(parameters, log_prob, loss)


def _answer(parameters: Sequence[nn.Parameter], log_prob: Tensor, loss: Tensor) -> Message:
    places: dict[nn.Parameter, int] = {}
    for place, parameter in enumerate(parameters):
        if parameter.grad is not None:
            places.setdefault(parameter, place)
    gradients = [parameter.grad for parameter in places if parameter.grad is not None]
    return list(places.values()), [log_prob, loss, *gradients]


#: What carries out the orders of shared gradients.
HANDLERS: dict[str, Handler] = {_ORDER: _carry_out}
