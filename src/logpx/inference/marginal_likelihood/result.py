"""log p(x) with its kind, error and diagnostics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.inference.pareto import k_hat_limit
from logpx.representations import Shown

__all__ = ["Evidence"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence(Shown):
    """log p(x) of each row, exact, bounded or estimated.

    Attributes
    ----------
    value : Tensor
        In nats, shape ``(n,)``, float64.
    kind : str
        ``exact``; ``lower bound`` or ``upper bound``, which hold in expectation over the draws; or
        ``estimate``.
    method : str
        The name of the method.
    samples : int
        Draws, or chains, per row; 0 for exact values.
    standard_error : Tensor
        Of the value, from the spread of the draws, shape ``(n,)``; 0 for exact values.
    effective_sample_size : Tensor
        How many equal weights would be as precise, shape ``(n,)``.
    k_hat : Tensor
        The tail shape of the weights, shape ``(n,)``; see `logpx.inference.k_hat`.
    corrected : Tensor or None
        The value with its bias reduced by the jackknife: an estimate, not a bound.
    """

    value: Tensor
    kind: str
    method: str
    samples: int
    standard_error: Tensor
    effective_sample_size: Tensor
    k_hat: Tensor
    corrected: Tensor | None = None

    @property
    def mean(self) -> float:
        """The mean over the rows, in nats."""
        return float(self.value.mean())

    @property
    def mean_error(self) -> float:
        """The standard error of the mean over these rows, from the draws alone."""
        return float(self.standard_error.square().sum().sqrt()) / max(1, len(self.value))

    @property
    def reliable(self) -> Tensor:
        """Whether the weights' tail is short enough for the number of draws, shape ``(n,)``."""
        if not self.samples:
            return torch.ones_like(self.k_hat, dtype=torch.bool)
        return self.k_hat < k_hat_limit(self.samples)

    def __str__(self) -> str:
        """Return the number with its kind, never one without the other."""
        shown = f"{self.mean:.4f}" if not self.samples else f"{self.mean:.4f} ± {self.mean_error:.4f}"
        words = f"log p(x) {shown} nats per row, {self.kind} ({self.method}"
        words += f", {self.samples} draws per row)" if self.samples else ")"
        suspicious = int((~self.reliable).sum()) if self.samples else 0
        if suspicious and not math.isnan(self.mean):
            words += f"; the weights of {suspicious} of {len(self.value)} rows are dominated by few draws"
        return words
