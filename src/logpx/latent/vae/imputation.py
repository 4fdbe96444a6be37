"""Missing cells of a VAE filled in, by draws of z weighted by importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from logpx.distributions.seeding import seeded

if TYPE_CHECKING:
    from logpx.latent.vae.model import VAE

__all__ = ["filled"]

_BLOCK_ROWS = 256


@torch.no_grad()
def filled(model: VAE, x: Tensor, draws: int | None, samples: int, seed: int) -> Tensor:
    """Return rows with conditional means, or with `draws` draws, in place of NaN; see `VAE.impute`."""
    parts = []
    for block, rows in enumerate(torch.split(x, _BLOCK_ROWS)):
        with seeded(seed, block, x.device):
            log_weights, z = model.log_weights(rows, samples)
            weights = torch.softmax(log_weights, 0)
            if draws is None:
                found = torch.einsum("kn,kn...->n...", weights, model.likelihood(z).mean)
            else:
                chosen = torch.multinomial(weights.mT, draws, replacement=True).mT
                own = z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, z.shape[-1]))
                found = model.likelihood(own).sample()
        parts.append(torch.where(rows.isnan(), found, rows))
    return torch.cat(parts, 0 if draws is None else 1) if parts else x
