"""What a method returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

from logpx.distributions import Distribution

__all__ = ["Approximation"]


@dataclass(frozen=True)
class Approximation:
    """An approximation q of a posterior, before its draws are weighed.

    Attributes
    ----------
    distribution : Distribution
        q of the unconstrained vector, in float64.
    missed : str or None
        What it leaves out, in words, as far as that is known already.
    bound : float
        An evidence lower bound in nats, of q or of what was fitted before its tails were made heavier.
    steps : int
        Training steps, or 0.
    """

    distribution: Distribution
    missed: str | None = None
    bound: float = -math.inf
    steps: int = 0
