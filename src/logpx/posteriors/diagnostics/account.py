"""One account of the evidence: what any method or probe has found is not forgotten by a later one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from logpx.posteriors.diagnostics.verdict import Diagnosis

__all__ = ["Account", "EvidenceFound"]

_ERRORS = 4.0
_NEGLIGIBLE = 0.02
_FEWEST = 50.0


@dataclass(frozen=True)
class EvidenceFound:
    """An estimate of the log-evidence.

    Attributes
    ----------
    source : str
        What found it.
    log_evidence, error : float
        In nats.
    """

    source: str
    log_evidence: float
    error: float

    @classmethod
    def of(cls, source: str, found: Diagnosis) -> EvidenceFound | None:
        """Return what weighted draws show, or None if it rests on a handful of them.

        The mean weight exceeds the evidence by a factor c with probability 1 / c at most, so that a large
        estimate says more than a small one.
        """
        if not (found.ess > _FEWEST and math.isfinite(found.log_evidence)):
            return None
        return cls(source, found.log_evidence, found.log_evidence_error)


@dataclass
class Account:
    """All estimates so far.

    Examples
    --------
    >>> account = Account()
    >>> account.add([EvidenceFound("wider draws", -0.08, 0.01)])
    >>> account.more_than(-0.64, 0.01).source
    'wider draws'
    """

    found: list[EvidenceFound] = field(default_factory=list)

    def add(self, estimates: Iterable[EvidenceFound | None]) -> None:
        """Add estimates."""
        self.found += [estimate for estimate in estimates if estimate is not None]

    def more_than(self, log_evidence: float, error: float) -> EvidenceFound | None:
        """Return the highest estimate that a result with less evidence contradicts, or None."""
        higher = [
            other
            for other in self.found
            if other.log_evidence - log_evidence > _ERRORS * math.hypot(error, other.error) + _NEGLIGIBLE
        ]
        return max(higher, key=lambda other: other.log_evidence, default=None)
