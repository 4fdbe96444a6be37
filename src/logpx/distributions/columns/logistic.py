"""Mixtures of logistic distributions: densities, masses of intervals and their logarithms, without loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["log_density", "log_mass"]


def log_density(z: Tensor) -> Tensor:
    """Return the log-density of the standard logistic distribution.

    Examples
    --------
    >>> log_density(torch.zeros(1)).exp()
    tensor([0.2500])
    """
    return functional.logsigmoid(z) + functional.logsigmoid(-z)


def log_mass(left: Tensor, width: Tensor) -> Tensor:
    r"""Return the logarithm of the mass between two points of the standard logistic distribution.

    Uses :math:`\sigma(b) - \sigma(a) = \sigma(b) \, \sigma(-a) \, (1 - e^{a - b})`, which is exact in both
    tails and for intervals however narrow.

    Parameters
    ----------
    left
        The left end a.
    width
        b − a, above 0.

    Examples
    --------
    >>> log_mass(torch.tensor([-50.0]), torch.tensor([100.0])).exp()
    tensor([1.])
    """
    return (
        functional.logsigmoid(left + width) + functional.logsigmoid(-left) + torch.log(-torch.expm1(-width))
    )
