"""What became of the latent dimensions: which are used, and what the bound lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.latent.log_weights import elbo, iwae
from logpx.latent.vae.model import VAE

__all__ = ["LatentReport", "latent_report"]

# Burda, Grosse and Salakhutdinov 2016.
_ACTIVE = 0.01
_MOST_PAIRED = 1000


@dataclass(frozen=True)
class LatentReport:
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
        where it fits a standard normal prior.
    aggregate_divergence : float
        An estimate of KL(aggregated posterior ‖ prior) in nats: what a richer prior could gain.
    information : float
        An estimate of the nats that z says about which row x is; the logarithm of their number at most.
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
        """How many latent dimensions say anything about x: those whose mean varies by more than 0.01."""
        return int((self.variance > _ACTIVE).sum())

    @property
    def gap(self) -> float:
        """IWAE − ELBO in nats: at least so much is lost by q, of what it lacks of the posterior."""
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
    """Return what the latent dimensions of a VAE do on some rows.

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
    """
    log_weights, z = model.log_weights(x, draws)
    mean, variance = z.mean(0), z.var(0)
    divergence = 0.5 * (mean.square() + variance - variance.log() - 1.0)
    flat = z.flatten(0, 1)
    beyond, information = _surgery(model, x[:_MOST_PAIRED])
    return LatentReport(
        float(elbo(log_weights).mean()),
        float(iwae(log_weights).mean()),
        divergence.mean(0),
        mean.var(0),
        flat.mean(0),
        flat.std(0),
        beyond,
        information,
    )


def _surgery(model: VAE, x: Tensor) -> tuple[float, float]:
    """Divide the mean of KL(q ‖ p) into that of the mean of q, and the information about x."""
    q = model.posterior(x)
    z = q.rsample()
    pairs = q.log_prob(z.unsqueeze(1).expand(-1, len(x), -1))
    aggregate = pairs.logsumexp(1) - math.log(len(x))
    beyond = (aggregate - model.prior.log_prob(z)).mean()
    return float(beyond), float((pairs.diagonal() - aggregate).mean())
