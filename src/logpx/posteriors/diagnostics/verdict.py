"""The verdict on an approximate posterior, from its importance weights, in numbers and words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch

from logpx.distributions import Distribution
from logpx.inference.pareto import ends_flat, k_hat, k_hat_limit, unseen_share
from logpx.latent.log_weights import effective_sample_size, iwae, iwae_error
from logpx.posteriors.diagnostics.importance import Weighted, weigh
from logpx.posteriors.target.target import Target
from logpx.representations import Shown

__all__ = ["Diagnosis", "Trust", "diagnose", "weigh_enough"]

_TURNS = 2
# KL(q || p) in nats up to which draws can be used as they are: means are then off by less than 0.15
# standard deviations.
_CLOSE = 0.01
_NOISY = 0.05
# In standard deviations: the worst of thirty means and deviations is then off by less than 0.1.
_LARGEST_MCSE = 0.035
# Above this k-hat weights have no variance, and errors that are estimated from them are too small.
_NO_VARIANCE, _UNDERSTATED = 0.5, 2.0
# In nats: the log-evidence is then off by less than 0.1.
_LARGEST_ERROR = 0.03
# In nats: where all of the largest weights are so alike, their differences are those of the shares of modes.
_FLAT = 0.05


class Trust(Enum):
    """How far to trust an approximation."""

    TRUST = "trust"
    AFTER_RESAMPLING = "trust after resampling"
    DO_NOT = "do not trust"


@dataclass(frozen=True, kw_only=True, repr=False)
class Diagnosis(Shown):
    """Numbers about an approximation q of p = p̃ / Z.

    Attributes
    ----------
    elbo, elbo_error : float
        E_q[log p̃ − log q] ≤ log Z, and its standard error.
    log_evidence, log_evidence_error : float
        The log of the mean weight, an estimate of log Z, and about its standard error: that of the delta
        method, together with what weights larger than any drawn would add.
    k_hat : float
        The tail shape of the weights; minus infinity if the largest are all equal.
    limit : float
        The limit below which k-hat has to be for this number of draws.
    ess : float
        The effective sample size of the weights.
    mcse : float
        The largest Monte Carlo standard error of a mean or deviation of the weighted draws, in posterior
        standard deviations.
    draws : int
        The number of draws.
    missed : str or None
        A place of high density that q does not cover, in words.
    undefined : str or None
        At how many draws the log-density is NaN, in words.
    """

    elbo: float
    elbo_error: float
    log_evidence: float
    log_evidence_error: float
    k_hat: float
    limit: float
    ess: float
    mcse: float
    draws: int
    missed: str | None = None
    undefined: str | None = None

    @property
    def divergence(self) -> float:
        """KL(q ‖ p) in nats, as log Z − ELBO; meaningful if the weights can be trusted."""
        return self.log_evidence - self.elbo

    @property
    def precise(self) -> bool:
        """Whether there are enough draws for the evidence and every mean and deviation to be precise."""
        return self._enough_for_moments and self.log_evidence_error < _LARGEST_ERROR

    @property
    def _enough_for_moments(self) -> bool:
        understated = _UNDERSTATED if _NO_VARIANCE < self.k_hat < math.inf else 1.0
        return understated * self.mcse < _LARGEST_MCSE

    @property
    def trust(self) -> Trust:
        """Whether to use draws as they are, resampled, or not at all."""
        if self.missed is not None or not self.k_hat < self.limit or not self.precise:
            return Trust.DO_NOT
        noise = 2.0 * math.hypot(self.elbo_error, self.log_evidence_error)
        close = noise < _NOISY and self.divergence < _CLOSE + noise
        return Trust.TRUST if close else Trust.AFTER_RESAMPLING

    @property
    def verdict(self) -> str:
        """The same in one sentence."""
        effective = f"{self.ess:,.0f} effective of {self.draws:,} draws"
        numbers = f"k-hat {self.k_hat:.2f} (limit {self.limit:.2f}), {effective}"
        if self.undefined is not None:
            numbers += f"; {self.undefined}: these count as impossible"
        if self.trust is Trust.TRUST:
            return f"trust: the draws can be used as they are; {numbers}"
        if self.trust is Trust.AFTER_RESAMPLING:
            return (
                f"trust after resampling: sample(n, resampled=True) is right, plain draws are not; {numbers}"
            )
        return f"do not trust: {self._doubt}; {numbers}"

    @property
    def _doubt(self) -> str:
        if self.missed is not None:
            return self.missed
        if not self.k_hat < self.limit:
            return "importance weights are too uneven to correct the approximation"
        if not self._enough_for_moments:
            return (
                f"means or deviations are only known to within {self.mcse:.1g} deviations: there are too few "
                "effective draws, or tails without a variance"
            )
        return (
            f"the log-evidence is only known to within {self.log_evidence_error:.1g} nats: there are too few "
            "effective draws"
        )


def diagnose(weighted: Weighted, missed: str | None = None) -> Diagnosis:
    """Return the diagnosis of weighted draws."""
    w = weighted.log_weights
    finite = w[w.isfinite()]
    count = len(w)
    elbo = float(w.mean())
    flat = ends_flat(w, _FLAT)
    error = float(w.std()) / math.sqrt(count) if len(finite) == count else math.inf
    return Diagnosis(
        elbo=elbo,
        elbo_error=error,
        log_evidence=float(iwae(w)),
        log_evidence_error=math.hypot(float(iwae_error(w)), 0.0 if flat else unseen_share(w)),
        # Far modes whose share is a little too small have all the largest weights, and equal ones.
        k_hat=-math.inf if flat else float(k_hat(w[:, None])[0]),
        limit=k_hat_limit(count),
        ess=float(effective_sample_size(w)),
        mcse=weighted.mcse,
        draws=count,
        missed=missed,
        undefined=weighted.undefined,
    )


def weigh_enough(q: Distribution, target: Target, draws: int, seed: int) -> Weighted:
    """Draw and weight; draw up to sixteen times as many if only their number keeps a good fit imprecise."""
    weighted = weigh(q, target, draws, seed)
    for turn in range(1, _TURNS + 1):
        found = diagnose(weighted)
        if found.precise or not found.k_hat < found.limit:
            break
        more = weigh(q, target, 3 * len(weighted.u), seed + turn)
        weighted = Weighted(
            torch.cat([weighted.u, more.u]),
            torch.cat([weighted.log_weights, more.log_weights]),
            weighted.undefined or more.undefined,
        )
    return weighted
