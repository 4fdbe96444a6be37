"""The most probable label of a missing cell, under a model that integrates z out by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.distributions.seeding import seeded
from logpx.latent import VAE

__all__ = ["with_label_guesses"]

_ROWS_AT_ONCE = 256


@torch.no_grad()
def with_label_guesses(
    model: VAE, y: Tensor, filled: Tensor, levels: Sequence[int | None], samples: int = 100
) -> Tensor:
    """Return completed rows whose missing labels are the most probable ones: a mean of codes is none.

    Parameters
    ----------
    model
        The model.
    y
        Rows in model units, shape ``(n, d)``; NaN is missing.
    filled
        The same rows with every cell filled in.
    levels
        For each column the number of its labels, None where it holds numbers.
    samples
        Draws of z per row.

    References
    ----------
    Mattei and Frellsen 2019, MIWAE, section 3.3.
    """
    labelled = torch.tensor([size is not None for size in levels], device=y.device)
    wanted = y.isnan() & labelled
    if not bool(wanted.any()):
        return filled
    parts = []
    for block, rows in enumerate(torch.split(y, _ROWS_AT_ONCE)):
        with seeded(0, block, y.device):
            log_weights, z = model.log_weights(rows, samples)
        parts.append(_most_probable(model, log_weights, z, levels))
    return torch.where(wanted, torch.cat(parts), filled)


def _most_probable(model: VAE, log_weights: Tensor, z: Tensor, levels: Sequence[int | None]) -> Tensor:
    """Return the code of the highest posterior probability in every column of labels, else 0."""
    cells, shape = model.likelihood(z), (z.shape[1], len(levels))
    best, highest = z.new_zeros(shape), z.new_full(shape, -math.inf)
    for code in range(max(size or 0 for size in levels)):
        # All columns that have such a code at once.
        has = torch.tensor([size is not None and code < size for size in levels], device=z.device)
        candidate = torch.where(has, float(code), math.nan).to(z.dtype).expand(shape)
        joint = log_weights.unsqueeze(-1) + cells.log_prob_of_cells(candidate)
        value = torch.logsumexp(joint, 0)
        better = has & (value > highest)
        best, highest = torch.where(better, float(code), best), torch.where(better, value, highest)
    return best
