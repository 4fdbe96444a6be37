"""Bayesian model choice: the difference of two log-evidences."""

from __future__ import annotations

import math
from dataclasses import dataclass

from logpx.posteriors.diagnostics.verdict import Trust
from logpx.posteriors.posterior import Posterior
from logpx.representations import Shown

__all__ = ["BayesFactor", "compare"]


@dataclass(frozen=True, repr=False)
class BayesFactor(Shown):
    """How much better one model explains the data than another.

    Attributes
    ----------
    log_factor : float
        The difference of the log-evidences, in nats: above 0 the first model explains the data better.
    error : float
        Its standard error.
    trusted : bool
        Whether both evidences can be trusted.
    """

    log_factor: float
    error: float
    trusted: bool

    def __str__(self) -> str:
        """Return the result in words."""
        side = "first" if self.log_factor > 0.0 else "second"
        if not self.trusted:
            verdict = "do not trust: one of the two posteriors cannot be trusted"
        elif abs(self.log_factor) < 2.0 * self.error:
            verdict = "undecided within twice the error"
        else:
            verdict = f"the {side} explains the data better"
        return f"log Bayes factor {self.log_factor:.3f} ± {self.error:.3f} nats: {verdict}"


def compare(first: Posterior, second: Posterior) -> BayesFactor:
    """Return the log Bayes factor of two models of the same data.

    Both log-densities must be complete: the priors integrate to 1, and the likelihoods keep their constants.

    Examples
    --------
    >>> from logpx.posteriors import posterior
    >>> def model(scale):
    ...     return posterior(lambda x: -0.5 * (x / scale).square().sum(-1), dim=1, method="laplace")
    >>> factor = compare(model(1.0), model(2.0))
    >>> round(factor.log_factor, 6), factor.trusted
    (-0.693147, True)
    """
    parts = (first.diagnosis, second.diagnosis)
    return BayesFactor(
        parts[0].log_evidence - parts[1].log_evidence,
        math.hypot(*(part.log_evidence_error for part in parts)),
        all(part.trust is not Trust.DO_NOT for part in parts),
    )
