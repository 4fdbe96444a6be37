"""The layer of a model that first returns a non-finite number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["broken_layer"]


def broken_layer(model: nn.Module, call: Callable[[], object]) -> str | None:
    """Return name and class of the first layer that maps finite to non-finite numbers, or None.

    Parameters
    ----------
    model
        The model.
    call
        Runs the model.

    Examples
    --------
    >>> class Root(nn.Module):
    ...     def forward(self, x):
    ...         return x.sqrt()
    >>> model = nn.Sequential(nn.Identity(), Root())
    >>> broken_layer(model, lambda: model(torch.tensor([-1.0])))
    '1 (Root)'
    """
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, given: Any, returned: Any) -> None:
            if not found and _finite(given) and not _finite(returned):
                found.append(f"{name} ({type(module).__name__})")

        return look

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _finite(values: Any) -> bool:
    return all(bool(value.isfinite().all()) for value in _tensors(values))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
