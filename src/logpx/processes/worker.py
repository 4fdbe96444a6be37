"""The side of the other processes: they carry out the leader's orders until it lets them go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from logpx.errors import LogpxError, ResourceError, is_out_of_memory
from logpx.processes.link import Link
from logpx.processes.messages import Message, pack, unpack
from logpx.processes.team import END, FORGET, MODEL, state_of

__all__ = ["Handler", "Order", "Worker", "described_error"]


class Order:
    """An order of the leader.

    Parameters
    ----------
    values, tensors
        What all processes are given.
    share
        What this one is given besides.
    """

    def __init__(self, values: Any, tensors: list[Tensor], share: list[Tensor]) -> None:
        self.values, self.tensors, self.share = values, tensors, share


class Worker:
    """A process that computes for the leader.

    Parameters
    ----------
    link
        The connection with the leader.
    handlers
        What carries out an order, by name.
    build
        Builds a model from its description.
    own
        The model that is meant where the leader gives no description.

    Attributes
    ----------
    rank : int
        The number of this process, from 1.
    models : dict of int to Module
        By the leader's number.
    kept : dict of int to dict
        What handlers keep for later orders about a model.
    """

    def __init__(
        self,
        link: Link,
        handlers: Mapping[str, Handler],
        build: Callable[[Any], nn.Module],
        own: nn.Module | None = None,
    ) -> None:
        self._link, self._build, self._own = link, build, own
        self.rank = link.place.rank
        self._handlers = {MODEL: _take_model, FORGET: _forget, **handlers}
        self.models: dict[int, nn.Module] = {}
        self.kept: dict[int, dict[str, Any]] = {}

    def serve(self) -> Message:
        """Carry out orders until the last one; return what comes with it.

        Raises
        ------
        ProcessLost
            If the leader has ended without a last order.
        """
        while True:
            (name, count, values), tensors = unpack(self._link.receive(0))
            if name == END:
                return values, tensors
            order = Order(values, tensors[count:], tensors[:count])
            try:
                answer, found = self._handlers[name](self, order)
                content = pack({"values": answer}, found)
            # Whatever went wrong, the leader has to hear of it.
            except Exception as error:
                content = pack({"error": described_error(error)})
            self._link.send(0, content)

    def model(self, order: Order) -> nn.Module:
        """Return the model of an order in the state that comes with it."""
        model = self.models[order.values["model"]]
        for own, given in zip(state_of(model), order.tensors, strict=True):
            # By a new tensor, as the precision may be another.
            own.data = given.to(own.device)
        return model

    def build(self, values: Any) -> nn.Module:
        """Return the model of a description, or this process's own if there is none."""
        if values["description"] is not None:
            return self._build(values["description"])
        if self._own is None:
            raise RuntimeError("the leader has a model of its own, and this process has none")
        return self._own


Handler = Callable[[Worker, Order], Message]


def _take_model(worker: Worker, order: Order) -> Message:
    values = order.values
    model = worker.build(values).to(_own_device(values["device"]))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad_(name in values["trained"])
    worker.models[values["number"]] = model
    worker.kept[values["number"]] = {}
    return None, []


def _own_device(kind: str) -> torch.device:
    """Return this process's device of a kind: each on a machine has another, as far as there are enough."""
    if kind == "cpu":
        return torch.device(kind)
    count = torch.accelerator.device_count()
    return torch.device(kind, int(os.environ.get("LOCAL_RANK", "0")) % max(1, count))


def _forget(worker: Worker, order: Order) -> Message:
    number = order.values["number"]
    worker.models.pop(number, None)
    worker.kept.pop(number, None)
    return None, []


def described_error(error: Exception) -> list[str | None]:
    """Return the name of an error's class, if it is one of `logpx.errors`, its message, and how to fix it."""
    if is_out_of_memory(error):
        fix = "use fewer processes on a machine, one with more memory, or fewer rows"
        return [ResourceError.__name__, "out of memory", fix]
    if isinstance(error, LogpxError):
        return [type(error).__name__, error.message, error.fix]
    return ["", f"{type(error).__name__}: {error}", None]
