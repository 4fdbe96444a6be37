"""The state of a run of gradient descent between two steps: all that the steps to come depend on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from logpx.distributions.private_randomness import current_generator
from logpx.errors import ModelFolderError, UsageError
from logpx.training.averaging import Snapshot, WeightAverage
from logpx.training.checkpoints import TrainingState
from logpx.training.evaluation import Score
from logpx.training.guard import Guard
from logpx.training.history import Event, HistoryRecord
from logpx.training.kept_values import DescentValues, checked_values
from logpx.training.memory import RowsAtOnce
from logpx.training.noise import TrainingNoise
from logpx.training.plan import Plan
from logpx.training.survey import Survey
from logpx.training.task import Task

__all__ = ["Run", "capture", "digest", "resume"]


class Best(Protocol):
    """The best state so far."""

    snapshot: Snapshot
    score: Score | None
    epoch: int
    evaluations_since: int


class Run(Protocol):
    """The parts of a run."""

    task: Task
    plan: Plan
    rows: Survey
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    noise: TrainingNoise | None
    guard: Guard
    at_once: RowsAtOnce
    scored_at_once: RowsAtOnce
    good: Snapshot
    slow_down: float
    step: int
    epoch: int
    position: int
    any_row: bool
    losses: list[float]
    largest_norm: float
    evaluated_at: int
    evaluation_seconds: float

    @property
    def best(self) -> Best:
        """The best state so far."""


_NUMBERS = (
    "slow_down", "step", "epoch", "position", "any_row", "losses", "largest_norm", "evaluated_at",
    "evaluation_seconds",
)  # fmt: skip


def capture(run: Run) -> TrainingState:
    """Return the state of a run."""
    best, history = run.best, run.task.history
    values = {
        "identity": _identity(run),
        **{name: copy(getattr(run, name)) for name in _NUMBERS},
        "learning_rates": [group["lr"] for group in run.optimizer.param_groups],
        "seconds": run.task.seconds(),
        "at_once": [run.at_once.count, run.scored_at_once.count],
        "average_steps": run.average.steps,
        "noise_epoch": None if run.noise is None else run.noise.epoch,
        "guard": run.guard.state(),
        "best": {
            "score": None if best.score is None else asdict(best.score),
            "epoch": best.epoch,
            "evaluations_since": best.evaluations_since,
        },
        "records": [asdict(record) for record in history.records],
        "events": [asdict(event) for event in history.events],
    }
    return TrainingState(run.step, _tensors(run), values)


def resume(run: Run, state: TrainingState) -> None:
    """Bring a run into a state.

    Raises
    ------
    UsageError
        If the state is one of another model, data, seed or options.
    ModelFolderError
        If it is not a state.
    """
    checked_values(DescentValues, state.values, "the state of a run of gradient descent")
    try:
        _check_identity(_identity(run), state.values["identity"])
        _check_shapes(run, state.tensors)
        _restore_tensors(run, state.tensors)
        _restore_values(run, state.values)
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        if isinstance(error, UsageError):
            raise
        raise ModelFolderError(
            f"the checkpoint of step {state.step} is not the state of this run: {error}",
            fix="resume with the logpx that wrote it, or start again in another folder",
        ) from error


def _tensors(run: Run) -> dict[str, Tensor]:
    tensors = {f"model/{name}": tensor.detach() for name, tensor in _named(run.task.model).items()}
    tensors |= _numbered("average", run.average.values)
    tensors |= _numbered("best", run.best.snapshot.copies)
    tensors |= _numbered("good", run.good.copies)
    for index, parameter in enumerate(run.parameters):
        own = run.optimizer.state.get(parameter, {})
        tensors |= {f"optimiser/{index}/{name}": tensor for name, tensor in own.items()}
    for device in _devices(run):
        generator = current_generator(device)
        if generator is not None:
            tensors[f"generator/{device.type}"] = generator.get_state()
    if run.noise is not None:
        tensors["generator/noise"] = run.noise.generator.get_state()
    return tensors


@torch.no_grad()
def _restore_tensors(run: Run, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in _named(run.task.model).items():
        tensor.copy_(tensors[f"model/{name}"])
    for live, kept in zip(run.average.values, _in_order("average", tensors), strict=True):
        live.copy_(kept)
    run.best.snapshot.replace(_in_order("best", tensors))
    run.good.replace(_in_order("good", tensors))
    run.optimizer.state.clear()
    for index, parameter in enumerate(run.parameters):
        start = f"optimiser/{index}/"
        own = {
            name.removeprefix(start): tensor.to(parameter.device)
            for name, tensor in tensors.items()
            if name.startswith(start)
        }
        if own:
            run.optimizer.state[parameter] = own
    for device in _devices(run):
        generator = current_generator(device)
        if generator is not None:
            generator.set_state(tensors[f"generator/{device.type}"])
    if run.noise is not None:
        run.noise.generator.set_state(tensors["generator/noise"])


def _check_shapes(run: Run, tensors: Mapping[str, Tensor]) -> None:
    """Raise a `ValueError` if a kept tensor could not take the place of a live one."""
    live = {f"model/{name}": tensor for name, tensor in _named(run.task.model).items()}
    live |= _numbered("average", run.average.values)
    live |= _numbered("best", run.best.snapshot.copies) | _numbered("good", run.good.copies)
    for name, tensor in live.items():
        if tensors[name].shape != tensor.shape or tensors[name].dtype != tensor.dtype:
            raise ValueError(f"{name} has another shape or type")
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimiser":
            parameter = run.parameters[int(rest.partition("/")[0])]
            if tensor.shape not in (parameter.shape, torch.Size()) or not tensor.is_floating_point():
                raise ValueError(f"{name} is no state of an optimiser")
        elif name not in live and kind != "generator":
            raise ValueError(f"{name} belongs to no run")


def _restore_values(run: Run, values: Mapping[str, Any]) -> None:
    for name in _NUMBERS:
        setattr(run, name, values[name])
    for group, rate in zip(run.optimizer.param_groups, values["learning_rates"], strict=True):
        group["lr"] = rate
    run.at_once.count, run.scored_at_once.count = values["at_once"]
    run.task.began = time.monotonic() - values["seconds"]
    run.average.steps = values["average_steps"]
    if run.noise is not None:
        run.noise.epoch = values["noise_epoch"]
    run.guard.restore(values["guard"], run.task.device)
    best = values["best"]
    run.best.score = None if best["score"] is None else Score(**best["score"])
    run.best.epoch, run.best.evaluations_since = best["epoch"], best["evaluations_since"]
    run.task.history.records[:] = [HistoryRecord(**record) for record in values["records"]]
    run.task.history.events[:] = [Event(**event) for event in values["events"]]


def _named(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _numbered(what: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{what}/{index}": tensor for index, tensor in enumerate(tensors)}


def _in_order(what: str, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    count = sum(name.startswith(f"{what}/") for name in tensors)
    return [tensors[f"{what}/{index}"] for index in range(count)]


def _devices(run: Run) -> set[torch.device]:
    return {torch.device("cpu"), run.task.device}


def _identity(run: Run) -> dict[str, Any]:
    """Return what has to be the same for a run to go on, each under the name that an error gives it."""
    weights = {name: [str(tensor.dtype), *tensor.shape] for name, tensor in _named(run.task.model).items()}
    return {
        "model": {"class": type(run.task.model).__name__, "weights": weights},
        "seed": run.task.seed,
        # A run may be given more time.
        "options": {name: value for name, value in asdict(run.plan).items() if name != "max_time"},
        "data": {
            "rows": run.rows.training.count,
            "sha256": digest([run.rows.start.x, run.rows.start.context]),
            "validation": None if run.rows.validation is None else digest([run.rows.validation.x]),
        },
    }


def digest(tensors: Sequence[Tensor | None]) -> str:
    """Return the SHA-256 of the content of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_identity(now: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    for name, value in now.items():
        if kept[name] == value:
            continue
        parts = [key for key in value if value[key] != kept[name].get(key)] if name == "options" else []
        shown = f"{name} ({', '.join(parts)})" if parts else name
        raise UsageError(
            f"the checkpoint was written by a fit with other {shown}",
            fix="resume with the same model, data, seed and options, or begin a run in another folder",
        )
