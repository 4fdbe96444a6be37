"""The standard normal's distribution function, exact in the lower tail."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import log_ndtr

__all__ = ["normal_mass"]


def normal_mass(z: Tensor) -> Tensor:
    """Return the mass of the standard normal distribution below z.

    That of PyTorch, ``torch.special.ndtr``, is a difference from one, and 0 below -8.3.

    Examples
    --------
    >>> f"{normal_mass(torch.tensor(-20.0, dtype=torch.float64)).item():.4g}"
    '2.754e-89'
    """
    return torch.exp(log_ndtr(z))
