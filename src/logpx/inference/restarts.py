"""EM from several starts: the likelihood of a mixture has many maxima, some of them meaningless."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from logpx.inference.em import Batches, EMMemory, EMModel, EMResult, expectation_maximisation
from logpx.inference.shared_e_step import LastingBatches
from logpx.representations import Shown

__all__ = ["MixtureModel", "Restarts", "expectation_maximisation_from"]

# Starts are compared on at most this many rows, after this many iterations.
_ROWS_TO_COMPARE = 20_000
_ITERATIONS_TO_COMPARE = 30
# Up to this many numbers (values times components), all starts run to the end.
_FEW_NUMBERS = 200_000
_FINALISTS = 2


class MixtureModel(EMModel, Protocol):
    """What restarts need from a model besides EM."""

    components: int

    def initialise_components(self, x: Tensor, seed: int = 0, start: str | None = None) -> None:
        """Set the parameters that EM starts from; different seeds give different starts."""

    def collapsed(self, statistics: Any) -> list[str]:
        """Describe each component that has shrunk onto a few rows."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any) -> Any:
        """Set the state."""


@dataclass(repr=False)
class Restarts(Shown):
    """The result of EM from several starts.

    Attributes
    ----------
    result : EMResult
        The run whose parameters the model now has.
    tried : int
        The number of starts.
    refused : list of str
        For each start with components that collapsed onto a few rows, these components.
    collapsed : list of str
        The collapsed components of the chosen run: empty unless every start was refused.
    """

    result: EMResult
    tried: int
    refused: list[str] = field(default_factory=list)
    collapsed: list[str] = field(default_factory=list)


@torch.no_grad()
def expectation_maximisation_from(
    model: MixtureModel,
    batches: Batches,
    start_rows: Tensor,
    *,
    seed: int = 0,
    restarts: int = 6,
    start: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    memories: Callable[[str], EMMemory | None] = lambda name: None,
    **options: Any,
) -> Restarts:
    """Run EM from several starts, and keep the best without a component collapsed onto a few rows.

    With few rows, every start runs to convergence. With many, the starts are compared after a few iterations
    on a sample (Biernacki, Celeux and Govaert 2003), and the best two run to convergence on all rows.

    Parameters
    ----------
    model
        Fitted in place.
    batches
        As in `expectation_maximisation`.
    start_rows
        Rows, or a random sample of them, to find the starts in; shape ``(n, D)``.
    seed
        Of the first start; the others have the integers that follow.
    restarts
        The number of starts; with one component there is only one.
    start
        One of `logpx.latent.STARTS` for all of them; None takes each in turn.
    should_stop
        Called between runs; returning true ends with the best so far.
    memories
        Returns where a run is kept, by its name; None keeps nothing.
    **options
        Options of `expectation_maximisation`.
    """
    tried = 1 if model.components == 1 else max(1, restarts)
    small = start_rows.numel() * model.components <= _FEW_NUMBERS
    outcome = Restarts(EMResult(), tried)
    deadline = options.get("deadline")

    def over() -> bool:
        return should_stop() or (deadline is not None and time.monotonic() > deadline)

    if tried == 1:
        model.initialise_components(start_rows, seed, start)
        outcome.result = expectation_maximisation(model, batches, memory=memories("start-0"), **options)
        outcome.collapsed = model.collapsed(outcome.result.statistics)
        return outcome
    subset = start_rows[:_ROWS_TO_COMPARE]
    most = min(_ITERATIONS_TO_COMPARE, options.get("max_iterations", 200))
    brief = {**options, "max_iterations": most, "callback": None}
    runs: list[tuple[bool, float, EMResult, Any]] = []

    def keep(result: EMResult) -> None:
        collapsed = model.collapsed(result.statistics)
        if collapsed:
            outcome.refused.append(", ".join(collapsed))
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        runs.append((not collapsed, result.penalised, result, state))

    for number in range(tried):
        if runs and over():
            break
        model.initialise_components(start_rows, seed + number, start)
        memory = memories(f"start-{number}")
        if small:
            keep(expectation_maximisation(model, batches, memory=memory, **options))
        else:
            keep(
                expectation_maximisation(
                    model, LastingBatches(lambda: [(subset, None)]), memory=memory, **brief
                )
            )
    if not small:
        finalists = sorted(runs, key=_quality, reverse=True)[:_FINALISTS]
        runs = []
        for number, (_, _, _, state) in enumerate(finalists):
            if runs and over():
                break
            model.load_state_dict(state)
            memory = memories(f"finalist-{number}")
            keep(expectation_maximisation(model, batches, memory=memory, **options))
    _, _, outcome.result, state = max(runs, key=_quality)
    model.load_state_dict(state)
    outcome.collapsed = model.collapsed(outcome.result.statistics)
    return outcome


def _quality(run: tuple[bool, float, EMResult, Any]) -> tuple[bool, float]:
    return run[:2]
