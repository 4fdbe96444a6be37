"""The result of a fit as JSON values and tensors, for the other processes that took part in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from logpx.images import ImageFitResult
from logpx.processes.messages import Message
from logpx.processes.team import state_of
from logpx.scoring import (
    BitsPerDimension,
    ColumnCalibration,
    Comparison,
    Ending,
    ModelVerdict,
    NatsPerRow,
    RankTest,
)
from logpx.tables import TableFitResult
from logpx.tables.fitting.selection import CandidateRecord
from logpx.tables.fitting.trials import Trial
from logpx.training import Event, FitResult, HistoryRecord, StopReason

__all__ = ["packed_result", "unpacked_result"]

_KINDS: tuple[type[Any], ...] = (
    BitsPerDimension,
    CandidateRecord,
    ColumnCalibration,
    Comparison,
    Ending,
    Event,
    FitResult,
    HistoryRecord,
    ImageFitResult,
    ModelVerdict,
    NatsPerRow,
    RankTest,
    StopReason,
    TableFitResult,
    Trial,
)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


class _Packing:
    def __init__(self, own: nn.Module | None, describe: Callable[[nn.Module], Any]) -> None:
        self._own, self._describe = own, describe
        self._known: list[nn.Module] = []
        self.tensors: list[Tensor] = []

    def value(self, value: Any) -> Any:
        if isinstance(value, nn.Module):
            return self._model(value)
        if isinstance(value, Enum):
            return {"kind": self._name(value), "value": value.value}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple)):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {"kind": kind, "items": [self.value(item) for item in value]}
        if isinstance(value, Mapping):
            return {"kind": "dict", "items": [[self.value(k), self.value(v)] for k, v in value.items()]}
        named = fields(value) if is_dataclass(value) else ()
        return {
            "kind": self._name(value),
            "fields": {one.name: self.value(getattr(value, one.name)) for one in named},
        }

    def _name(self, value: Any) -> str:
        if type(value) not in _KINDS:
            raise TypeError(f"a {type(value).__name__} cannot be sent to another process")
        return type(value).__name__

    def _model(self, model: nn.Module) -> Any:
        for place, known in enumerate(self._known):
            if known is model:
                return {"kind": "model", "place": place}
        self._known.append(model)
        state = state_of(model)
        self.tensors += state
        description = None if model is self._own else self._describe(model)
        return {"kind": "model", "place": len(self._known) - 1, "count": len(state), "model": description}


def packed_result(
    result: Any, own: nn.Module | None, describe: Callable[[nn.Module], Any]
) -> tuple[Any, list[Tensor]]:
    """Return a result as JSON values and tensors.

    Parameters
    ----------
    result
        The result of a fit.
    own
        A model that the other processes have, too.
    describe
        Returns the description of another model.
    """
    packing = _Packing(own, describe)
    return packing.value(result), packing.tensors


class _Unpacking:
    def __init__(
        self, tensors: list[Tensor], own: nn.Module | None, build: Callable[[Any], nn.Module]
    ) -> None:
        self._tensors, self._own, self._build = iter(tensors), own, build
        self._known: list[nn.Module] = []

    def value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind = value["kind"]
        if kind == "model":
            return self._model(value)
        if kind == "dict":
            return {self.value(name): self.value(item) for name, item in value["items"]}
        if kind in ("list", "tuple"):
            items = [self.value(item) for item in value["items"]]
            return tuple(items) if kind == "tuple" else items
        if "value" in value:
            return _BY_NAME[kind](value["value"])
        return _BY_NAME[kind](**{name: self.value(item) for name, item in value["fields"].items()})

    @torch.no_grad()
    def _model(self, value: Any) -> nn.Module:
        place: int = value["place"]
        if place < len(self._known):
            return self._known[place]
        description = value["model"]
        model = self._own if description is None else self._build(description)
        assert model is not None
        self._known.append(model)
        for own in state_of(model):
            own.data = next(self._tensors).to(own.device)
        model.eval()
        return model


def unpacked_result(message: Message, own: nn.Module | None, build: Callable[[Any], nn.Module]) -> Any:
    """Return the result that `packed_result` packed.

    Parameters
    ----------
    message
        The values and the tensors.
    own
        The model that is meant where there is no description.
    build
        Builds a model from its description.
    """
    values, tensors = message
    return _Unpacking(tensors, own, build).value(values)
