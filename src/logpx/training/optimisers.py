"""The optimiser of a run of gradient descent and its learning rate: the library's own, or the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from logpx.arguments import is_number
from logpx.errors import UsageError
from logpx.training.plan import Plan

__all__ = ["OptimiserFactory", "Rate", "Schedule", "optimiser_of", "rate_of"]

OptimiserFactory = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Schedule = Callable[[Any], Any]

_EXAMPLE = "lambda parameters: torch.optim.SGD(parameters, lr=0.01)"


def optimiser_of(
    factory: OptimiserFactory | None, parameters: list[nn.Parameter], plan: Plan, given: float | None
) -> torch.optim.Optimizer:
    """Return AdamW that decays matrices only, or what the caller's function makes of the parameters.

    Parameters
    ----------
    factory
        The caller's function, or None.
    parameters
        What is trained.
    plan
        Of the run.
    given
        The caller's learning rate, which holds for an optimiser of their own, too.

    Raises
    ------
    UsageError
        If the function returns anything but an optimiser that takes steps by itself.
    """
    if factory is None:
        matrices = [p for p in parameters if p.dim() > 1]
        others = [p for p in parameters if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": plan.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=plan.learning_rate, fused=True
        )
    if not callable(factory):
        raise UsageError(
            f"optimiser is {factory!r}, where a function of the parameters was expected",
            fix=f"give, say, {_EXAMPLE}",
        )
    found = factory(parameters)
    if not isinstance(found, torch.optim.Optimizer) or isinstance(found, torch.optim.LBFGS):
        raise UsageError(
            f"optimiser made a {type(found).__name__}, where an optimiser that steps by itself was expected",
            fix=f"give, say, {_EXAMPLE}",
        )
    if given is not None:
        for group in found.param_groups:
            group["lr"] = given
    return found


class Rate:
    """The library's own learning rate: a warm-up and half a cosine, times what the optimiser began with."""

    def __init__(self, optimiser: torch.optim.Optimizer, plan: Plan) -> None:
        self.optimiser, self.plan = optimiser, plan
        self.highest = [float(group["lr"]) for group in optimiser.param_groups]

    def begin(self, step: int, seconds: float, slow_down: float) -> float:
        """Set the rates of a step, and return the first."""
        rates = [slow_down * self.at(step, seconds, highest) for highest in self.highest]
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        return rates[0]

    def at(self, step: int, seconds: float, highest: float) -> float:
        """Return the rate of a step."""
        return self.plan.rate(step, seconds, highest)

    def end(self) -> None:
        """Take note that a step was made."""


class _OfProgress(Rate):
    """The caller's function of the used fraction of the budget, times what the optimiser began with."""

    def __init__(self, optimiser: torch.optim.Optimizer, plan: Plan, factor: Schedule) -> None:
        super().__init__(optimiser, plan)
        self.factor = factor

    def at(self, step: int, seconds: float, highest: float) -> float:
        progress = self.plan.progress(step, seconds)
        factor = self.factor(progress)
        if not is_number(factor) or not factor >= 0.0:
            raise UsageError(
                f"schedule returned {factor!r} at {progress:g} of the budget",
                fix="return a factor of 0 or more, such as 1.0 - progress",
            )
        return highest * float(factor)


class _OfTorch(Rate):
    """A scheduler of torch, advanced after every step."""

    def __init__(self, optimiser: torch.optim.Optimizer, plan: Plan, scheduler: LRScheduler) -> None:
        super().__init__(optimiser, plan)
        self.scheduler = scheduler
        self.own = [float(group["lr"]) for group in optimiser.param_groups]

    def begin(self, step: int, seconds: float, slow_down: float) -> float:
        groups = self.optimiser.param_groups
        self.own = [float(group["lr"]) for group in groups]
        for group, own in zip(groups, self.own, strict=True):
            group["lr"] = slow_down * own
        return slow_down * self.own[0]

    def end(self) -> None:
        # Schedulers go on from the rates that they set themselves.
        for group, own in zip(self.optimiser.param_groups, self.own, strict=True):
            group["lr"] = own
        self.scheduler.step()


def rate_of(schedule: Schedule | None, optimiser: torch.optim.Optimizer, plan: Plan) -> Rate:
    """Return how the learning rate changes.

    Parameters
    ----------
    schedule
        None; a function from the used fraction of the budget, 0 to 1, to a factor of the learning rate; or
        one from the optimiser to a scheduler of torch.
    optimiser, plan
        Of the run.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if schedule is None:
        return Rate(optimiser, plan)
    fix = "give a function from 0 ... 1 to a factor, or from an optimiser to a scheduler of torch"
    if not callable(schedule):
        raise UsageError(f"schedule is {schedule!r}, where a function was expected", fix=fix)
    if _is_of_progress(schedule):
        return _OfProgress(optimiser, plan, schedule)
    found = schedule(optimiser)
    if not isinstance(found, LRScheduler):
        raise UsageError(f"schedule made a {type(found).__name__} of the optimiser", fix=fix)
    return _OfTorch(optimiser, plan, found)


def _is_of_progress(schedule: Schedule) -> bool:
    try:
        return is_number(schedule(0.0))
    except (TypeError, AttributeError):
        # A scheduler of torch takes no number.
        return False
