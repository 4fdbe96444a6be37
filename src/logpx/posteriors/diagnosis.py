"""Whether to believe an approximate posterior: the importance weights of its draws, in numbers and words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import DivergedError
from logpx.inference.pareto import k_hat, k_hat_limit, smoothed
from logpx.latent.log_weights import effective_sample_size, iwae, iwae_error
from logpx.posteriors.target import Target

__all__ = ["Diagnosis", "Trust", "Weighted", "diagnose", "weigh"]

_CHUNK = 4096
# KL(q || p) in nats up to which draws can be taken as they are: means are then off by less than 0.15
# standard deviations.
_CLOSE = 0.01
# The deviation of a normal distribution is then known to 4 percent.
_FEWEST_EFFECTIVE = 400.0


class Trust(Enum):
    """How far to trust an approximation."""

    TRUST = "trust"
    AFTER_RESAMPLING = "trust after resampling"
    DO_NOT = "do not trust"


@dataclass(frozen=True)
class Weighted:
    """Draws from q, with their importance weights.

    Attributes
    ----------
    u : Tensor
        Unconstrained draws, shape ``(S, d)``.
    log_weights : Tensor
        log p(u) − log q(u) in nats, shape ``(S,)``; minus infinity where p is 0.
    """

    u: Tensor
    log_weights: Tensor

    @property
    def smoothed(self) -> Tensor:
        """Pareto-smoothed weights that sum to 1, shape ``(S,)``."""
        return torch.softmax(smoothed(self.log_weights), 0)


@dataclass(frozen=True)
class Diagnosis:
    """Numbers about an approximation q of p = p̃ / Z.

    Attributes
    ----------
    elbo, elbo_error : float
        E_q[log p̃ − log q] ≤ log Z, and its standard error.
    log_evidence, log_evidence_error : float
        The log of the mean weight, an estimate of log Z, and its standard error by the delta method.
    k_hat : float
        The shape of the weights' tail; minus infinity where they are all equal.
    limit : float
        What it has to be below for so many draws.
    ess : float
        The effective sample size of the weights.
    draws : int
        How many draws there are.
    missed : str or None
        A place of high density that q does not cover, in words.
    """

    elbo: float
    elbo_error: float
    log_evidence: float
    log_evidence_error: float
    k_hat: float
    limit: float
    ess: float
    draws: int
    missed: str | None = None

    @property
    def divergence(self) -> float:
        """KL(q ‖ p) in nats, as log Z − ELBO; meaningful where the weights can be trusted."""
        return self.log_evidence - self.elbo

    @property
    def trust(self) -> Trust:
        """Whether to take draws as they are, resampled, or not at all."""
        if self.missed is not None or not self.k_hat < self.limit or self.ess < _FEWEST_EFFECTIVE:
            return Trust.DO_NOT
        noise = 2.0 * math.hypot(self.elbo_error, self.log_evidence_error)
        return Trust.TRUST if self.divergence < _CLOSE + noise else Trust.AFTER_RESAMPLING

    @property
    def verdict(self) -> str:
        """The same in a sentence."""
        effective = f"{self.ess:,.0f} effective of {self.draws:,} draws"
        numbers = f"k-hat {self.k_hat:.2f} (limit {self.limit:.2f}), {effective}"
        if self.trust is Trust.TRUST:
            return f"trust: the draws can be taken as they are; {numbers}"
        if self.trust is Trust.AFTER_RESAMPLING:
            return (
                f"trust after resampling: sample(n, resampled=True) is right, plain draws are not; {numbers}"
            )
        why = self.missed or "importance weights are too uneven to correct the approximation"
        return f"do not trust: {why}; {numbers}"


@torch.no_grad()
def weigh(q: Distribution, target: Target, draws: int, seed: int) -> Weighted:
    """Draw from q and weigh the draws.

    Raises
    ------
    DivergedError
        If the log-density of a draw is not a number, or plus infinity; the point is named.
    """
    u, log_q = q.sample_with_log_prob(draws, seed=seed)
    values = torch.cat([target.log_prob(part) for part in torch.split(u.double(), _CHUNK)])
    wrong = values.isnan() | (values == torch.inf)
    if bool(wrong.any()):
        bad = int(wrong.nonzero()[0])
        raise DivergedError(
            f"log_density is {float(values[bad])} at {target.describe(u[bad].double())}",
            fix="make it a number for every point of the parameters' range",
        )
    return Weighted(u.double(), values - log_q.double())


def diagnose(weighted: Weighted, missed: str | None = None) -> Diagnosis:
    """Return what the weights say."""
    w = weighted.log_weights
    finite = w[w.isfinite()]
    count = len(w)
    elbo = float(w.mean())
    error = float(w.std()) / math.sqrt(count) if len(finite) == count else math.inf
    return Diagnosis(
        elbo,
        error,
        float(iwae(w)),
        float(iwae_error(w)),
        float(k_hat(w[:, None])[0]),
        k_hat_limit(count),
        float(effective_sample_size(w)),
        count,
        missed,
    )
