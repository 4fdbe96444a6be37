"""The logistic distribution on whole levels: no noise has to be added to the data."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

__all__ = ["DiscretisedLogistic"]


class DiscretisedLogistic(Distribution):
    r"""A logistic distribution rounded to the levels 0, ..., L - 1, of which the outer two take the tails.

    With :math:`\sigma(b) - \sigma(a) = \sigma(b) \, \sigma(-a) (1 - e^{a - b})` nothing cancels, however far
    out a level is. The probabilities sum to 1.

    Parameters
    ----------
    location, log_scale
        Of the logistic distribution, in units in which levels lie between -1 and 1.
    levels
        The number of levels L.

    References
    ----------
    Salimans et al. 2017, PixelCNN++, equation 2.

    Examples
    --------
    >>> level = DiscretisedLogistic(torch.tensor(0.1), torch.tensor(-2.0), levels=256)
    >>> round(level.log_prob(torch.arange(256.0)).exp().sum().item(), 5)
    1.0
    """

    arg_constraints: ClassVar = {"location": constraints.real, "log_scale": constraints.real}
    has_rsample = False

    def __init__(self, location: Tensor, log_scale: Tensor, levels: int) -> None:
        shape = torch.broadcast_shapes(location.shape, log_scale.shape)  # type: ignore[no-untyped-call]
        self.location, self.log_scale = location.expand(shape), log_scale.expand(shape)
        self.levels = levels
        super().__init__(self.location.shape, validate_args=False)

    @property
    def support(self) -> Any:
        """The levels."""
        return constraints.integer_interval(0, self.levels - 1)  # type: ignore[no-untyped-call]

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of levels."""
        width = 2.0 / (self.levels - 1)
        centred = (value * width - 1.0 - self.location) * torch.exp(-self.log_scale)
        half = 0.5 * width * torch.exp(-self.log_scale)
        below, above = centred - half, centred + half
        inside = logsigmoid(above) + logsigmoid(-below) + torch.log(-torch.expm1(-2.0 * half))
        edge = torch.where(value <= 0.0, logsigmoid(above), logsigmoid(-below))
        return torch.where((value <= 0.0) | (value >= self.levels - 1), edge, inside)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw levels."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            uniform = torch.rand(shape, dtype=self.location.dtype, device=self.location.device)
            uniform = uniform.clamp(torch.finfo(uniform.dtype).tiny, 1.0 - torch.finfo(uniform.dtype).eps)
            x = self.location + self.log_scale.exp() * torch.logit(uniform)
            drawn: Tensor = torch.round((x + 1.0) * (0.5 * (self.levels - 1))).clamp(0, self.levels - 1)
            return drawn

    @property
    def mean(self) -> Tensor:
        """The middle of the distribution in levels, which is the mean but for the tails."""
        return ((self.location + 1.0) * (0.5 * (self.levels - 1))).clamp(0, self.levels - 1)
