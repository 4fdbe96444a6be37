"""Noise over exactly one level, so that a density bounds the probability of whole levels from below."""

from __future__ import annotations

from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.images.noise import Noise

__all__ = ["Dequantisation", "UniformDequantisation"]


class Dequantisation(Configured, nn.Module):
    r"""A distribution q(u given x) on :math:`(0, 1)^D`.

    With any of them :math:`\log P(x) \ge E_q[\log p(x + u) - \log q(u | x)]`, by Jensen's inequality.
    """

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Draw one u per picture.

        Parameters
        ----------
        x
            Whole levels as floating-point numbers, shape ``(n, C, H, W)``.
        source
            Where randomness comes from.

        Returns
        -------
        u : Tensor
            Of the shape of `x`, in [0, 1].
        log_q : Tensor
            Its log-density in nats, shape ``(n,)``.
        """
        raise NotImplementedError


class UniformDequantisation(Dequantisation):
    """Uniform noise over one level, whatever the picture: log q is 0.

    References
    ----------
    Theis, van den Oord and Bethge 2016, A note on the evaluation of generative models, section 3.1.

    Examples
    --------
    >>> import torch
    >>> u, log_q = UniformDequantisation().noise(torch.zeros(2, 1, 4, 4), Noise(0))
    >>> u.shape, log_q.tolist()
    (torch.Size([2, 1, 4, 4]), [0.0, 0.0])
    """

    def noise(self, x: Tensor, source: Noise) -> tuple[Tensor, Tensor]:
        """Draw uniforms."""
        return source.uniform(len(x), tuple(x.shape[1:]), x), x.new_zeros(len(x))
