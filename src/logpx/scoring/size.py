"""How large a model is, without what is only there to compare it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from logpx.representations import Shown

__all__ = ["ModelSize"]

# Modules of a model that its own log p does not need.
_BESIDE = ("baselines", "companions", "calibration", "reference", "unusualness")


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelSize(Shown):
    """The size of a model.

    Attributes
    ----------
    parameters : int
        The number of parameters.
    bytes : int
        What parameters and buffers take.

    Examples
    --------
    >>> from logpx.distributions import FullNormal
    >>> ModelSize.of(FullNormal(2)).parameters
    8
    """

    parameters: int
    bytes: int

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Return the size of a model without its baselines."""
        own = _own(model, lambda part: part.parameters())
        return cls(
            parameters=sum(one.numel() for one in own),
            bytes=sum(
                one.numel() * one.element_size() for one in [*own, *_own(model, lambda p: p.buffers())]
            ),
        )


def _own(model: nn.Module, tensors: Callable[[nn.Module], Iterable[Tensor]]) -> list[Tensor]:
    beside = [part for name in _BESIDE if isinstance(part := getattr(model, name, None), nn.Module)]
    others = {id(one) for part in beside for one in tensors(part)}
    return [one for one in tensors(model) if id(one) not in others]
