"""How the latent dimensions are used, and how far the bound is from log p(x)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.seeding import seeded
from logpx.errors import UsageError
from logpx.latent.log_weights import elbo, iwae
from logpx.latent.vae.model import VAE
from logpx.representations import Shown

__all__ = ["InferenceGap", "LatentReport", "inference_gap", "latent_report"]

# Burda, Grosse and Salakhutdinov 2016.
_ACTIVE = 0.01
_MOST_PAIRED = 1000
_LEARNING_RATE = 0.03


@dataclass(frozen=True, kw_only=True, repr=False)
class LatentReport(Shown):
    """The state of a VAE on some rows.

    Attributes
    ----------
    elbo, iwae : float
        Means over the rows, in nats; both are lower bounds of log p(x).
    divergence : Tensor
        KL(q ‖ N(0, 1)) of each latent dimension, averaged over rows, shape ``(latent,)``.
    variance : Tensor
        The variance over rows of the mean of z, shape ``(latent,)``.
    aggregate_mean, aggregate_scale : Tensor
        Mean and standard deviation of z under the aggregated posterior, the mean of q over the rows; 0 and 1
        if it matches a standard normal prior.
    aggregate_divergence : float
        An estimate of KL(aggregated posterior ‖ prior) in nats: what a richer prior could gain.
    information : float
        An estimate, in nats, of how much z tells about which row x is; at most the log of the number of rows.
    """

    elbo: float
    iwae: float
    divergence: Tensor
    variance: Tensor
    aggregate_mean: Tensor
    aggregate_scale: Tensor
    aggregate_divergence: float
    information: float

    @property
    def active(self) -> int:
        """How many latent dimensions say anything about x: those whose mean has a variance above 0.01."""
        return int((self.variance > _ACTIVE).sum())

    @property
    def gap(self) -> float:
        """IWAE − ELBO in nats: q loses at least this much by differing from the posterior."""
        return self.iwae - self.elbo

    @property
    def warning(self) -> str | None:
        """What is wrong and what to do, or None."""
        total = len(self.variance)
        if self.active == 0:
            return (
                "the posterior has collapsed: no latent dimension says anything about x; "
                "fix: warm the KL divergence up, EvidenceLowerBound(warm_up=...), or give it free bits"
            )
        if self.active < total / 2:
            return f"{total - self.active} of {total} latent dimensions are unused; fix: take fewer"
        return None


@torch.no_grad()
def latent_report(model: VAE, x: Tensor, draws: int = 64) -> LatentReport:
    """Report how a VAE uses its latent dimensions on some rows.

    Parameters
    ----------
    model
        The model.
    x
        Shape ``(n, *event_shape)``.
    draws
        Draws per row.

    References
    ----------
    Burda, Grosse and Salakhutdinov 2016 (active units); Hoffman and Johnson 2016, ELBO surgery (aggregated
    posterior).
    https://arxiv.org/abs/1509.00519
    """
    log_weights, z = model.log_weights(x, draws)
    mean, variance = z.mean(0), z.var(0)
    divergence = 0.5 * (mean.square() + variance - variance.log() - 1.0)
    flat = z.flatten(0, 1)
    beyond, information = _surgery(model, x[:_MOST_PAIRED])
    return LatentReport(
        elbo=float(elbo(log_weights).mean()),
        iwae=float(iwae(log_weights).mean()),
        divergence=divergence.mean(0),
        variance=mean.var(0),
        aggregate_mean=flat.mean(0),
        aggregate_scale=flat.std(0),
        aggregate_divergence=beyond,
        information=information,
    )


def _surgery(model: VAE, x: Tensor) -> tuple[float, float]:
    """Split the mean of KL(q ‖ p) into the KL divergence of the mean of q, and the information about x."""
    q = model.posterior(x)
    z = q.rsample()
    pairs = q.log_prob(z.unsqueeze(1).expand(-1, len(x), -1))
    aggregate = pairs.logsumexp(1) - math.log(len(x))
    beyond = (aggregate - model.prior.log_prob(z)).mean()
    return float(beyond), float((pairs.diagonal() - aggregate).mean())


@dataclass(frozen=True, repr=False)
class InferenceGap(Shown):
    """How far the evidence lower bound of a VAE is from log p(x), in nats per row.

    Attributes
    ----------
    elbo : float
        The evidence lower bound with the encoder's q.
    refined : float
        The same with q optimised for every row separately.
    evidence : float
        The importance-weighted bound, a stand-in for log p(x).
    """

    elbo: float
    refined: float
    evidence: float

    @property
    def amortization(self) -> float:
        """The cost of one encoder for all rows; a larger encoder, or longer training, lowers it."""
        return self.refined - self.elbo

    @property
    def approximation(self) -> float:
        """The cost of the family of q, even at its best; a richer `VariationalPosterior` lowers it."""
        return self.evidence - self.refined


def inference_gap(model: VAE, x: Tensor, steps: int = 300, draws: int = 1000, seed: int = 0) -> InferenceGap:
    """Refine q for every row, and split the gap of the bound into its causes.

    Parameters
    ----------
    model
        The model, which is not changed.
    x
        Some rows, shape ``(n, *event_shape)``.
    steps
        Gradient steps of the refinement.
    draws
        Draws per row of the importance-weighted bound and of both evidence lower bounds.
    seed
        The seed of all draws.

    Raises
    ------
    UsageError
        If there are no rows.

    References
    ----------
    Cremer, Li and Duvenaud 2018, Inference suboptimality in variational autoencoders.
    https://arxiv.org/abs/1801.03558

    Examples
    --------
    >>> from logpx.distributions.likelihoods import NormalLikelihood
    >>> vae = VAE(NormalLikelihood(3), latent=1, hidden=(4,)).eval()
    >>> gap = inference_gap(vae, torch.zeros(2, 3), steps=5, draws=20)
    >>> abs(gap.amortization + gap.approximation - (gap.evidence - gap.elbo)) < 1e-6
    True
    """
    check_count("steps", steps, least=0)
    check_count("draws", draws)
    if not len(x):
        raise UsageError("there are no rows", fix="give at least one row")
    with torch.no_grad():
        raw = model.encode(x)
    best = raw.clone().requires_grad_()
    optimiser = torch.optim.Adam([best], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    with seeded(seed, 0):
        for _ in range(steps):
            # Rows are independent: the gradient of the sum is that of each.
            bound = model.log_weights_of(best, x, 8, frozen=True)[0].mean(0).sum()
            (best.grad,) = torch.autograd.grad(-bound, [best])
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            evidence = model.log_prob_lower(x, draws, seed).log_prob
            first, refined = (_bound(model, each, x, draws, seed) for each in (raw, best.detach()))
    return InferenceGap(*(float(value.double().mean()) for value in (first, refined, evidence)))


def _bound(model: VAE, raw: Tensor, x: Tensor, draws: int, seed: int) -> Tensor:
    with seeded(seed, 1):
        parts = [model.log_weights_of(raw, x, 1)[0] for _ in range(draws)]
    return torch.cat(parts).mean(0)
