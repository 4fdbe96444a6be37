"""Extrapolation of a fixed-point iteration that can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

__all__ = ["Extrapolation"]


class Extrapolation:
    """Squared extrapolation of EM (SQUAREM, scheme S3).

    From three successive parameter vectors it jumps along their first and second differences. Parameters of
    logpx models are unconstrained, so every jump gives a valid model.

    Parameters
    ----------
    model
        A torch module whose parameters are the state of the iteration. If it has a method ``feasible``, jumps
        to where that returns false are undone: beyond a limit of the M-step the likelihood may be higher.

    Attributes
    ----------
    pending : bool
        Whether the parameters come from a jump that has not been judged yet.
    resting : bool
        Whether to make no jumps for now.

    References
    ----------
    Varadhan and Roland 2008, Simple and globally convergent methods for accelerating the convergence of any
    EM algorithm.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = list(model.parameters())
        self._feasible: Callable[[], bool] = getattr(model, "feasible", lambda: True)
        self._points: list[Tensor] = [self._now()]
        self._longest = 1.0
        self.pending = self.resting = False

    def step(self) -> None:
        """Record the parameters after an M-step; after the second one, jump."""
        self._points = [self._now()] if self.resting else [*self._points, self._now()]
        if len(self._points) < 3:
            return
        first, second, third = self._points
        r = second - first
        v = (third - second) - r
        curvature = float(v.norm())
        length = min(float(r.norm()) / curvature, self._longest) if curvature > 0.0 else 1.0
        if length > 1.0:
            self._put(first + 2.0 * length * r + length * length * v)
            if self._feasible():
                self.pending = True
            else:
                self.judge(worse=True)
            return
        # A jump of length 1 is the EM step itself.
        self._points = [third]
        self._longest = max(self._longest, 4.0)

    def judge(self, worse: bool) -> None:
        """Keep the jump and allow longer ones, or undo it and allow only shorter ones."""
        self.pending = False
        if worse:
            self._put(self._points[-1])
            self._longest = max(1.0, self._longest / 4.0)
        else:
            self._longest *= 4.0
        self._points = [self._now()]

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of the recorded points."""
        return {f"extrapolation/{index}": point.clone() for index, point in enumerate(self._points)}

    def values(self) -> dict[str, float]:
        """Return the rest of the state."""
        return {"longest": self._longest, "pending": self.pending, "resting": self.resting}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from recorded points and the rest of the state."""
        count = sum(name.startswith("extrapolation/") for name in tensors)
        points, now = [tensors[f"extrapolation/{index}"] for index in range(count)], self._now()
        if any(point.shape != now.shape or point.dtype != now.dtype for point in points):
            raise ValueError("a point has another shape or type than the parameters")
        self._points = points
        self._longest = values["longest"]
        self.pending, self.resting = values["pending"], values["resting"]

    def _now(self) -> Tensor:
        return parameters_to_vector(self._parameters).detach().clone()

    def _put(self, values: Tensor) -> None:
        with torch.no_grad():
            vector_to_parameters(values, self._parameters)
