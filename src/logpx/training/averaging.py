"""The moving average of the weights during training, which generalises better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Snapshot", "WeightAverage"]


class Snapshot:
    """A copy of tensors that can be restored.

    Parameters
    ----------
    tensors
        The live tensors.

    Examples
    --------
    >>> weight = torch.zeros(2)
    >>> snapshot = Snapshot([weight])
    >>> _ = weight.fill_(7.0)
    >>> snapshot.restore()
    >>> weight
    tensor([0., 0.])
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._live = list(tensors)
        self._copies = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Copy the present values of the tensors."""
        for copy, live in zip(self._copies, self._live, strict=True):
            copy.copy_(live)

    @property
    def copies(self) -> list[Tensor]:
        """The copied values."""
        return self._copies

    @torch.no_grad()
    def replace(self, values: Sequence[Tensor]) -> None:
        """Take other values for the copied ones."""
        for copy, value in zip(self._copies, values, strict=True):
            copy.copy_(value)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the copied values."""
        for copy, live in zip(self._copies, self._live, strict=True):
            live.copy_(copy)


class WeightAverage:
    r"""Exponential moving average of parameters.

    :math:`\bar\theta \leftarrow \beta \bar\theta + (1-\beta) \theta` after every step. At first
    :math:`\beta` is smaller, (1 + t) / (10 + t), so that the start is soon forgotten.

    Parameters
    ----------
    parameters
        The live parameters.
    decay
        The final :math:`\beta`.

    References
    ----------
    Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging.

    Examples
    --------
    >>> weight = nn.Parameter(torch.zeros(1))
    >>> average = WeightAverage([weight], decay=0.9)
    >>> with torch.no_grad():
    ...     _ = weight.fill_(1.0)
    >>> average.update()
    >>> with average.in_place():
    ...     print(round(weight.item(), 4))
    0.8182
    >>> weight.item()
    1.0
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._live = list(parameters)
        self._decay = decay
        self.steps = 0
        self.values = [parameter.detach().clone() for parameter in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the present parameters."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.values, tuple(self._live), 1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averaged parameters within the context."""
        raw = Snapshot(self._live)
        with torch.no_grad():
            for live, value in zip(self._live, self.values, strict=True):
                live.copy_(value)
        try:
            yield
        finally:
            raw.restore()
