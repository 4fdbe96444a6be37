"""An E-step by several processes: each computes the statistics of its batches, and one adds them in order."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from logpx.inference.partial_sums import PartialSum, ShardSum, flattened, restored
from logpx.processes.messages import Message
from logpx.processes.team import Team, state_of
from logpx.processes.worker import Handler, Order, Worker

__all__ = [
    "HANDLERS",
    "Batch",
    "LastingBatches",
    "SharedEStep",
    "SumOfBatches",
    "SummedRows",
    "TimeIsUp",
]

Batch = tuple[Tensor, Tensor | None]

_ORDER, _BATCHES = "statistics", "batches"


class TimeIsUp(Exception):
    """An E-step was abandoned."""


class LastingBatches:
    """Batches that are the same rows each time, and stay in memory: other processes get them only once.

    Parameters
    ----------
    batches
        Returns the batches.
    """

    def __init__(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self._batches = batches

    def __call__(self) -> Iterable[Batch]:
        """Return the batches."""
        return self._batches()


class SummedRows(ABC):
    """Where the statistics of all rows come from."""

    @abstractmethod
    def total(self, deadline: float | None, pause: Callable[[], object]) -> Any:
        """Return the statistics of all rows at the model's present parameters, or None if there are none.

        Parameters
        ----------
        deadline
            A value of ``time.monotonic()`` at which to give up; None for none.
        pause
            Called now and then where `kept` has something.

        Raises
        ------
        TimeIsUp
            At the deadline.
        """

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what is added up since `total` was called last, as tensors and JSON values."""
        return None

    def go_on(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Begin the next sum with what was kept of it; one that keeps nothing begins anew."""
        return


class SumOfBatches(SummedRows):
    """The statistics of batches, one after the other.

    Parameters
    ----------
    model
        The model.
    batches
        Yields the batches: the same in each E-step.
    """

    def __init__(self, model: Any, batches: Callable[[], Iterable[Batch]]) -> None:
        self._model, self._batches = model, batches
        self._part = ShardSum(number=0)
        self._begun: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None = None

    def total(self, deadline: float | None, pause: Callable[[], object]) -> Any:
        """Return the statistics of all batches, added in their order."""
        begun, self._begun = self._begun, None
        self._part = ShardSum(number=0)
        for index, (rows, weights) in enumerate(self._batches()):
            if begun is not None:
                like = self._model.statistics(rows[:1], None if weights is None else weights[:1])
                self._part, begun = PartialSum.of(*begun, like).part(0), None
            if index < self._part.batches:
                continue
            if deadline is not None and time.monotonic() > deadline:
                raise TimeIsUp
            if index:
                pause()
            self._part = self._part.plus(self._model.statistics(rows, weights))
        return self._part.sum

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the sum of the batches so far."""
        found = PartialSum()
        found.take(self._part)
        return found.kept()

    def go_on(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Begin the next sum with the batches that were added already."""
        self._begun = tensors, values


class SharedEStep(SummedRows):
    """The E-steps of one run of EM by several processes.

    Batch i is that of process i modulo their number. The statistics of every batch come back one by one, and
    are added in the order of the batches: the sum has the same bits for any number of processes.

    Parameters
    ----------
    team
        The processes.
    number
        The model's number in orders.
    model
        The model.
    batches
        Yields the batches: the same in each E-step.
    """

    def __init__(
        self, team: Team, number: int, model: nn.Module, batches: Callable[[], Iterable[Batch]]
    ) -> None:
        self._team, self._number, self._model = team, number, model
        self._batches, self._lasting = batches, isinstance(batches, LastingBatches)
        self._sent = False

    def total(self, deadline: float | None, pause: Callable[[], object]) -> Any:
        """Return the statistics of all batches, added in their order."""
        # Batches that do not last may be more than memory holds: one for each process at a time.
        several = None if self._lasting else self._team.size
        batches, total = iter(self._batches()), None
        while part := list(islice(batches, several)):
            for found in self._statistics(part, deadline):
                total = found if total is None else total + found
        return total

    def _statistics(self, batches: Sequence[Batch], deadline: float | None) -> Iterator[Any]:
        """Yield the statistics of each batch, in order."""
        size = self._team.size
        left = None if deadline is None else deadline - time.monotonic()
        known = self._lasting and self._sent
        values = {"model": self._number, "seconds": left, "keep": self._lasting, "known": known}
        shares = [
            [] if known else [tensor for batch in batches[rank::size] for tensor in _pair(batch)]
            for rank in range(1, size)
        ]
        own, answers = self._team.together(
            _ORDER,
            values,
            state_of(self._model),
            lambda: _each(self._model, batches[::size], left),
            shares=shares,
        )
        self._sent = self._lasting
        if own is None or any(specifications is None for specifications, _ in answers):
            raise TimeIsUp
        others = []
        for specifications, tensors in answers:
            given = iter(tensors)
            others.append([restored(own[0], one, given) for one in specifications])
        for found in zip_longest(own, *others):
            yield from (one for one in found if one is not None)


def _pair(batch: Batch) -> list[Tensor]:
    rows, weights = batch
    # No weights are an empty tensor, as rows are never none.
    return [rows, rows.new_empty(0) if weights is None else weights]


def _each(model: Any, batches: Iterable[Batch], seconds: float | None) -> list[Any] | None:
    """Return the statistics of batches; None if they took more seconds than there are."""
    deadline, found = None if seconds is None else time.monotonic() + seconds, []
    for rows, weights in batches:
        if deadline is not None and time.monotonic() > deadline:
            return None
        found.append(model.statistics(rows, weights))
    return found


@torch.no_grad()
def _carry_out(worker: Worker, order: Order) -> Message:
    values, kept = order.values, worker.kept[order.values["model"]]
    model = worker.model(order)
    batches = kept.get(_BATCHES) if values["known"] else None
    if batches is None:
        device = next(model.parameters()).device
        given = iter(tensor.to(device) for tensor in order.share)
        batches = [
            (rows, weights if len(weights) else None) for rows, weights in zip(given, given, strict=True)
        ]
    if values["keep"]:
        kept[_BATCHES] = batches
    statistics = _each(model, batches, values["seconds"])
    if statistics is None:
        return None, []
    tensors: list[Tensor] = []
    return [flattened(one, tensors) for one in statistics], tensors


#: What carries out the orders of a shared E-step.
HANDLERS: dict[str, Handler] = {_ORDER: _carry_out}
