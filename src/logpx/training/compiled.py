"""The log-density of training steps in native code, where the time to compile it comes back."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution as TorchDistribution
from torch.utils._python_dispatch import TorchDispatchMode

from logpx.distributions import Distribution, Flow
from logpx.errors import UsageError
from logpx.training.batches import Batch

__all__ = ["ALWAYS", "AUTO", "NEVER", "CompileChoice", "StepDensity", "compile_choice", "may_draw"]

# Steps that are timed before the decision, after the first ones, in which caches fill.
_FIRST_STEPS, _TIMED_STEPS = 5, 12
# Processor seconds to compile one operator of the forward pass, its backward pass included, and to begin at
# all; measured on two cores of 2023.
_SECONDS_PER_OPERATOR, _SECONDS_TO_BEGIN = 0.2, 6.0
# Compiled code is expected to save this share of a step, and must be expected to save this many times what
# compiling costs.
_EXPECTED_SAVING, _LEAST_PAY_OFF = 0.2, 2.0
# Compiling cannot be interrupted: it may take this share of a limit of time, at most.
_MOST_OF_THE_TIME = 0.25
# Compiled code is kept only if it takes less than this share of the plain code's time.
_WORTH_KEEPING = 0.97
_COMPARED_STEPS = 5
# Parts of the names of modules of torch.nn that draw random numbers in training.
_DRAWING = ("Dropout", "RReLU", "RNN", "LSTM", "GRU", "Attention", "Transformer", "Fractional")


def may_draw(kind: type[nn.Module]) -> bool:
    """Return whether a module may draw random numbers of its own in training."""
    room, name = kind.__module__, kind.__name__
    if room.startswith(("logpx.", "torch._dynamo")):
        return False
    return not room.startswith("torch.nn.") or any(part in name for part in _DRAWING)


class CompileChoice(ABC):
    """Whether to compile, as a caller asks for it."""

    name: str

    @abstractmethod
    def now(self, step: int, seconds: Sequence[float], left: float, cost: Callable[[], float]) -> bool:
        """Return whether to compile before a step.

        Parameters
        ----------
        step
            The number of steps done.
        seconds
            The seconds that the latest of them took.
        left
            The seconds until the end of the run if nothing is compiled, an infinite number if unknown.
        cost
            Returns the seconds that compiling is expected to take.
        """

    def for_run(self, *, repeatable: bool) -> CompileChoice:
        """Return the choice for a run that has to give the same bits whenever it is repeated, or not."""
        return self


class _Never(CompileChoice):
    name = "off"

    def now(self, step: int, seconds: Sequence[float], left: float, cost: Callable[[], float]) -> bool:
        return False


class _Always(CompileChoice):
    name = "on"

    def now(self, step: int, seconds: Sequence[float], left: float, cost: Callable[[], float]) -> bool:
        return True


class _Auto(CompileChoice):
    name = "auto"

    def now(self, step: int, seconds: Sequence[float], left: float, cost: Callable[[], float]) -> bool:
        if step != _FIRST_STEPS + _TIMED_STEPS or left < _LEAST_PAY_OFF * _SECONDS_TO_BEGIN:
            return False
        return cost() <= min(_MOST_OF_THE_TIME, _EXPECTED_SAVING / _LEAST_PAY_OFF) * left

    def for_run(self, *, repeatable: bool) -> CompileChoice:
        return NEVER if repeatable else self


NEVER, ALWAYS, AUTO = _Never(), _Always(), _Auto()
_CHOICES: dict[Any, CompileChoice] = {
    "auto": AUTO, "on": ALWAYS, "off": NEVER, True: ALWAYS, False: NEVER
}  # fmt: skip


def compile_choice(value: Any) -> CompileChoice:
    """Return the choice that an argument of `fit` names.

    Raises
    ------
    UsageError
        If it names none.

    Examples
    --------
    >>> compile_choice("off").name, compile_choice(True).name
    ('off', 'on')
    """
    if not isinstance(value, (str, bool)) or value not in _CHOICES:
        raise UsageError(f"compile is {value!r}", fix='give "auto", "on" or "off"')
    return _CHOICES[value]


class StepDensity:
    """log p of the rows of a training step, by the model's own code or by compiled code.

    Compiled code serves batches of one size; others, and everything but training steps, use the model's own.
    It is used only if it gives the same numbers, and with "auto" only if it is faster, too.

    Parameters
    ----------
    model
        The model.
    choice
        Whether to compile.
    batch_size
        The rows of the batches that compiled code is for.
    note
        Called with a sentence when something is compiled, or cannot be.
    """

    def __init__(
        self, model: Distribution, choice: CompileChoice, batch_size: int, note: Callable[[str], None]
    ) -> None:
        self._model, self._choice, self._batch_size, self._note = model, choice, batch_size, note
        self._compiled: Callable[[Tensor, Tensor | None], Tensor] | None = None
        self._plain_seconds: list[float] = []
        self._compiled_seconds: list[float] = []
        self._began: tuple[float, float] | None = None
        self._load = 1.0
        self._shape: torch.Size | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """Return log p of every row."""
        if self._compiled is not None and self._fits(batch):
            return self._compiled(batch.x, batch.context)
        return self._model.training_objective(batch.x, batch.context)

    def before_step(self, step: int, left: Callable[[float], float], batch: Batch) -> None:
        """Compile before a step if that is the choice.

        Parameters
        ----------
        step
            The number of steps done.
        left
            Returns the seconds until the end of the run, given the seconds per step.
        batch
            The rows of the step.
        """
        if self._choice is NEVER or len(batch) != self._batch_size:
            return
        seconds = self._plain_seconds[-_TIMED_STEPS:]
        each = statistics.median(seconds) if seconds else math.inf
        if self._compiled is None and self._choice.now(
            step, seconds, left(each) if seconds else math.inf, lambda: self._cost(batch)
        ):
            self._compile(batch)
        self._began = time.perf_counter(), time.process_time()

    def after_step(self, batch: Batch) -> None:
        """Note how long the step took, and give compiled code up if it does not pay."""
        if self._choice is NEVER or self._began is None:
            return
        wall, processor = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self._began = None
        if self._compiled is None:
            self._plain_seconds.append(wall)
            del self._plain_seconds[:-_TIMED_STEPS]
            # How much longer everything takes because others use the machine.
            self._load = max(1.0, wall / max(processor / torch.get_num_threads(), 1e-9))
        elif self._choice is AUTO and self._fits(batch) and len(self._compiled_seconds) < _COMPARED_STEPS:
            self._compiled_seconds.append(wall)
            if len(self._compiled_seconds) == _COMPARED_STEPS:
                ratio = statistics.median(self._compiled_seconds) / statistics.median(self._plain_seconds)
                if ratio > _WORTH_KEEPING:
                    self._give_up(f"compiled steps took {ratio:.2f} times as long as plain ones")

    def _fits(self, batch: Batch) -> bool:
        context = None if batch.context is None else batch.context.shape
        return len(batch) == self._batch_size and context == self._shape

    def _cost(self, batch: Batch) -> float:
        counter = _OperatorCounter()
        with counter, torch.no_grad():
            self._model.log_prob(batch.x, batch.context)
        return self._load * (_SECONDS_TO_BEGIN + counter.count * _SECONDS_PER_OPERATOR)

    def _compile(self, batch: Batch) -> None:
        began = time.perf_counter()
        drawing = any(may_draw(type(module)) for module in self._model.modules())
        likelihood = type(self._model).training_objective is Distribution.training_objective
        if drawing or not likelihood or not isinstance(self._model, Flow):
            self._give_up("only flows that draw no random numbers in training are compiled")
            return
        self._shape = None if batch.context is None else batch.context.shape
        checked = TorchDistribution._validate_args
        try:
            with warnings.catch_warnings():
                # The compiler uses parts of torch that torch has deprecated.
                warnings.simplefilter("ignore")
                compiled: Any = torch.compile(self._model.log_prob, fullgraph=True, dynamic=False)
                difference = self._difference(compiled, batch)
        # Whatever goes wrong in a compiler, training goes on without it.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self._give_up(f"the model could not be compiled: {reason[:150]}")
            return
        finally:
            # Loading the compiler turns the checks of torch's distributions off for the whole process.
            TorchDistribution.set_default_validate_args(checked)
        if not difference <= _tolerance(batch.x.dtype):
            self._give_up(f"compiled code differs from the model by {difference:.1e}, relative")
            return
        self._compiled = compiled
        self._note(f"compiled in {time.perf_counter() - began:.1f} s")

    def _difference(self, compiled: Callable[..., Tensor], batch: Batch) -> float:
        """Return how far values and gradients of compiled code are from the model's own, relative."""
        parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        worst = 0.0
        results = []
        for function in (self._model.log_prob, compiled):
            log_prob = function(batch.x, batch.context)
            gradients = torch.autograd.grad(log_prob.mean(), parameters, allow_unused=True)
            results.append([log_prob.detach(), *(g for g in gradients if g is not None)])
        expected, found = results
        scale = max((float(each.norm()) for each in expected[1:]), default=0.0)
        for index, (mine, other) in enumerate(zip(expected, found, strict=True)):
            # A gradient that is nearly 0 has only rounding errors to compare.
            size = max(float(mine.norm()), 1e-3 * scale if index else 0.0)
            worst = max(worst, float((mine - other).norm()) / size if size else 0.0)
        return worst

    def _give_up(self, why: str) -> None:
        self._compiled, self._choice = None, NEVER
        self._note(f"{why}; training goes on without compiled code")


def _tolerance(dtype: torch.dtype) -> float:
    return 100.0 * torch.finfo(dtype).eps


class _OperatorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that run inside it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))
