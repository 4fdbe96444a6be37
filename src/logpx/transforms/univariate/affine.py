"""Affine functions of one number: shift, and shift with a bounded scale."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.arguments import check_number
from logpx.transforms.univariate.base import Univariate

__all__ = ["AffineFunction", "ShiftFunction"]


class ShiftFunction(Univariate):
    r""":math:`z = x - \mu`: volume-preserving, as in NICE.

    References
    ----------
    Dinh, Krueger and Bengio 2014, NICE: Non-linear Independent Components Estimation.
    https://arxiv.org/abs/1410.8516

    Examples
    --------
    >>> import torch
    >>> ShiftFunction()(torch.tensor([3.0]), torch.tensor([[1.0]]))
    (tensor([2.]), tensor([0.]))
    """

    parameters = 1

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Shift every element; the log-derivative is 0."""
        shift = params[..., 0]
        return (x + shift if inverse else x - shift), torch.zeros_like(x)


class AffineFunction(Univariate):
    r""":math:`z = (x - \mu) e^{-\alpha}` with a log-scale that is bounded by construction.

    The second parameter a gives :math:`\alpha = a / (1 + |a| / b)`, which stays inside (-b, b), so a stack
    of many layers cannot explode, whatever its conditioners return.

    Parameters
    ----------
    bound
        The bound b of the log-scale; the default lets one layer scale by a factor of up to 1000.

    Examples
    --------
    >>> import torch
    >>> AffineFunction()(torch.tensor([3.0]), torch.tensor([[1.0, 0.0]]))
    (tensor([2.]), tensor([-0.]))
    """

    parameters = 2

    def __init__(self, bound: float = 6.907755278982137) -> None:
        check_number("bound", bound, above=0.0)
        self.bound = bound

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Shift and scale every element."""
        shift, raw = params.unbind(-1)
        log_derivative = raw / (-1.0 - raw.abs() / self.bound)
        if inverse:
            log_scale = -log_derivative
            return torch.addcmul(shift, x, log_scale.exp()), log_scale.expand_as(x)
        return (x - shift) * log_derivative.exp(), log_derivative.expand_as(x)
