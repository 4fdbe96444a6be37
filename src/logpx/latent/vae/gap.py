"""What a bound lacks, and why: the family of q, or the encoder that has to serve every row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.seeding import seeded
from logpx.errors import UsageError
from logpx.latent.vae.model import VAE

__all__ = ["InferenceGap", "inference_gap"]

_LEARNING_RATE = 0.03


@dataclass(frozen=True)
class InferenceGap:
    """How far the evidence lower bound of a VAE is from log p(x), in nats per row.

    Attributes
    ----------
    elbo : float
        The evidence lower bound with the encoder's q.
    refined : float
        The same with the q of every row optimised by itself.
    evidence : float
        The importance-weighted bound, which stands for log p(x).
    """

    elbo: float
    refined: float
    evidence: float

    @property
    def amortization(self) -> float:
        """What one encoder for all rows costs; a larger or longer trained encoder lowers it."""
        return self.refined - self.elbo

    @property
    def approximation(self) -> float:
        """What the best q of its family lacks; a richer `Posterior` lowers it."""
        return self.evidence - self.refined


def inference_gap(model: VAE, x: Tensor, steps: int = 300, draws: int = 1000, seed: int = 0) -> InferenceGap:
    """Refine q for every row, and divide the gap of the bound.

    Parameters
    ----------
    model
        The model; it stays as it is.
    x
        Some rows, shape ``(n, *event_shape)``.
    steps
        Gradient steps of the refinement.
    draws
        Draws per row of the importance-weighted bound and of both evidence lower bounds.
    seed
        Of all draws.

    Raises
    ------
    UsageError
        If there are no rows.

    References
    ----------
    Cremer, Li and Duvenaud 2018, Inference suboptimality in variational autoencoders.

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
        raise UsageError("the gap of no rows", fix="give at least one row")
    with torch.no_grad():
        raw = model.encode(x)
    best = raw.clone().requires_grad_()
    optimiser = torch.optim.Adam([best], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    with seeded(seed, 0, x.device):
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
    with seeded(seed, 1, x.device):
        parts = [model.log_weights_of(raw, x, 1)[0] for _ in range(draws)]
    return torch.cat(parts).mean(0)
