"""The data-dependent start of a model: of whatever in it needs data, however deeply nested."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from logpx.distributions import Distribution
from logpx.training.hidden import hidden_modules
from logpx.transforms import ActNorm, Inverse, Standardize, Transform

__all__ = ["start_on_data"]

# In its own units, how far a column may lie from 0, and by which factor its deviation may differ from 1.
_FAR = 5.0


@torch.no_grad()
def start_on_data(model: Distribution, x: Tensor, context: Tensor | None) -> None:
    """Set data-dependent statistics from training rows, once.

    A model's own `initialise` comes first. What still needs data is found among all its modules, and set from
    the first rows that reach it when the model is asked for their log-density: a transform inside a component
    of a mixture, or a flow behind an embedding.

    Parameters
    ----------
    model
        The model to be trained.
    x
        Training rows, shape ``(n, *event_shape)``.
    context
        Shape ``(n, context_features)``, or None.

    Warns
    -----
    UserWarning
        If no row reaches a transform that needs data, a standardization from earlier rows is far off, or a
        part is held where torch does not know of it.
    """
    hidden = [each for each in hidden_modules(model) if any(True for _ in each.parameters())]
    if hidden:
        warnings.warn(
            f"{type(hidden[0]).__name__} is held in a plain list, dictionary or function, where torch does "
            "not know of it: its parameters are neither trained nor saved; hold it as an attribute, or in a "
            "torch.nn.ModuleList or ModuleDict",
            UserWarning,
            stacklevel=2,
        )
    earlier = _started(model)
    own = getattr(model, "initialise", None)
    if own is not None:
        own(x, context)
    waiting = [each for each in _within(model) if _waits(each, own is not None)]
    waiting += [part for each in hidden for part in (each, *_within(each)) if _waits(part, begun=False)]
    if not waiting and not earlier:
        return
    with _before_first_call(waiting, _initialise), _before_first_call(earlier, _check_units):
        model.log_prob(x, context)
    missed = [each for each in waiting if isinstance(each, Transform) and each.needs_data]
    if missed:
        warnings.warn(
            f"{type(missed[0]).__name__} needs data for its start, but no row reaches it in log_prob: it "
            "stays as it was built",
            UserWarning,
            stacklevel=2,
        )


def _within(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules inside, but for those of inverses, whose data side is not the model's."""
    for child in model.children():
        yield child
        if not isinstance(child, Inverse):
            yield from _within(child)


def _started(model: nn.Module) -> list[nn.Module]:
    """Return what earlier rows have set: standardizations, or else the first normalization within the net."""
    set_before = [each for each in _within(model) if not getattr(each, "needs_data", True)]
    scales = [each for each in set_before if isinstance(each, Standardize)]
    return [*(scales or [each for each in set_before if isinstance(each, ActNorm)][:1])]


def _waits(module: nn.Module, begun: bool) -> bool:
    if isinstance(module, Distribution):
        return not begun and hasattr(module, "initialise")
    parts = (each for each in _within(module) if isinstance(each, Transform))
    return isinstance(module, Transform) and module.needs_data and not any(each.needs_data for each in parts)


def _initialise(module: Any, x: Tensor, context: Tensor | None) -> None:
    module.initialise(x, context)


def _check_units(module: Any, x: Tensor, context: Tensor | None) -> None:
    z = module.forward(x)[0].reshape(-1, *module.event_shape).double()
    mean, deviation = z.mean(0), z.std(0, correction=0)
    far = (mean.abs() > _FAR) | (deviation > _FAR) | (deviation < 1.0 / _FAR)
    if bool(far.any()):
        column = int(far.flatten().nonzero()[0])
        warnings.warn(
            "the model keeps means and scales from the rows it was first fitted to, and in their units "
            f"column {column} has mean {float(mean.flatten()[column]):.3g} and deviation "
            f"{float(deviation.flatten()[column]):.3g} now: build a new model for such rows",
            UserWarning,
            stacklevel=2,
        )


@contextmanager
def _before_first_call(
    modules: Sequence[nn.Module], action: Callable[[Any, Tensor, Tensor | None], None]
) -> Iterator[None]:
    """Let every module act on the first rows that it is called with."""

    def replaced(module: Any, name: str) -> Callable[..., Any]:
        def call(x: Tensor, context: Tensor | None = None) -> Any:
            delattr(module, name)
            action(module, x, context)
            return getattr(module, name)(x, context)

        return call

    names = ["log_prob" if isinstance(module, Distribution) else "forward" for module in modules]
    for module, name in zip(modules, names, strict=True):
        setattr(module, name, replaced(module, name))
    try:
        yield
    finally:
        for module, name in zip(modules, names, strict=True):
            module.__dict__.pop(name, None)
