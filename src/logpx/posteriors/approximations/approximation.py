"""What a method returns."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from logpx.distributions import Distribution
from logpx.posteriors.diagnostics.account import EvidenceFound
from logpx.representations import Shown

__all__ = ["Approximation"]


@dataclass(frozen=True, repr=False)
class Approximation(Shown):
    """An approximation q of a posterior, before its draws are weighted.

    Attributes
    ----------
    distribution : Distribution
        q over the unconstrained vector, in float64.
    missed : str or None
        What q leaves out, in words, if that is already known.
    bound : float
        An evidence lower bound in nats, of q or of the fit before its tails were made heavier.
    steps : int
        Training steps; 0 without training.
    evidence : tuple of EvidenceFound
        What wider draws and other probes have found.
    traces : tuple of tuple of float
        The bound in nats at each training step, of every fit.
    """

    distribution: Distribution
    _: KW_ONLY
    missed: str | None = None
    bound: float = -math.inf
    steps: int = 0
    evidence: tuple[EvidenceFound, ...] = ()
    traces: tuple[tuple[float, ...], ...] = ()
