"""What an autoregressive layer may ask of its conditioner beyond an evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["IncrementalConditioner"]


class IncrementalConditioner(ABC):
    """A causal net that can be evaluated as its inputs become known, one after another.

    `logpx.transforms.Autoregressive` inverts such a net in one sweep. A causal net without this capability
    is inverted by Jacobi iteration.
    """

    @abstractmethod
    def sequential(
        self, solve: Callable[[int, Tensor], Tensor], rows: torch.Size, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Find the inputs one after another, at the total cost of one evaluation.

        Parameters
        ----------
        solve
            Called as ``solve(i, parameters_of_feature_i)``; returns input i, of shape `rows`.
        rows
            The leading shape.
        context
            Shape ``(*rows, context)`` or ``(context,)``.

        Returns
        -------
        x : Tensor
            The inputs, shape ``(*rows, features)``.
        parameters : Tensor
            What one evaluation of the net would return for them.
        """
