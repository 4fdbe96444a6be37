"""Likelihoods of values that are one of several levels, ordered or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, distributions
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from logpx.arguments import check_count
from logpx.distributions.likelihoods.base import Likelihood, WrappedCells

__all__ = ["CategoricalLikelihood", "DiscretisedLogistic", "DiscretisedLogisticLikelihood"]

_MOST_LOG_SCALE = 7.0


class _Levels(Likelihood):
    def __init__(self, event_shape: int | Sequence[int], levels: int) -> None:
        super().__init__(event_shape)
        check_count("levels", levels, least=2)
        self.levels = levels

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells are levels, or missing."""
        return ((x >= 0.0) & (x <= self.levels - 1) & (x == x.floor())) | x.isnan()

    @property
    def expected(self) -> str:
        """The possible values, in words."""
        return f"a whole number from 0 to {self.levels - 1}"


class CategoricalLikelihood(_Levels):
    """Codes without an order, each with its own probability.

    Parameters
    ----------
    event_shape
        The shape of x.
    levels
        The number of codes.

    Examples
    --------
    >>> CategoricalLikelihood(2, levels=4)(torch.zeros(1, 8)).log_prob(torch.tensor([[0.0, 3.0]]))
    tensor([-2.7726])
    """

    def __init__(self, event_shape: int | Sequence[int], levels: int) -> None:
        super().__init__(event_shape, levels)
        self.numbers = levels

    def cells(self, *parameters: Tensor) -> WrappedCells:
        """Return the cells, given the logits of every code."""
        return _LabelCells(self.event_shape, self.base(*parameters))

    def base(self, *parameters: Tensor) -> Any:
        """Return categorical distributions."""
        return _Codes(torch.stack(parameters, -1))


class _LabelCells(WrappedCells):
    def best_guess(self, weights: Tensor) -> Tensor:
        probabilities = torch.einsum("kn,kn...->n...", weights, self.base.probabilities)
        return probabilities.argmax(-1).to(probabilities.dtype)


class _Codes:
    """Categorical distributions of codes held as floating-point numbers."""

    def __init__(self, logits: Tensor) -> None:
        self._categorical: Any = distributions.Categorical(logits=logits, validate_args=False)

    def log_prob(self, x: Tensor) -> Tensor:
        log_prob: Tensor = self._categorical.log_prob(x.long())
        return log_prob

    def sample(self, sample_shape: Any) -> Tensor:
        codes: Tensor = self._categorical.sample(sample_shape)
        return codes.to(self._categorical.logits.dtype)

    @property
    def probabilities(self) -> Tensor:
        probabilities: Tensor = self._categorical.probs
        return probabilities

    @property
    def mean(self) -> Tensor:
        logits: Tensor = self._categorical.logits
        return logits.argmax(-1).to(logits.dtype)


class DiscretisedLogistic(distributions.Distribution):
    r"""A logistic distribution rounded to the levels 0, ..., L - 1; the outer two take the tails.

    With :math:`\sigma(b) - \sigma(a) = \sigma(b) \, \sigma(-a) (1 - e^{a - b})` nothing cancels, however far
    out a level is. The probabilities sum to 1.

    Parameters
    ----------
    location, log_scale
        Of the logistic distribution, in units where levels lie between -1 and 1.
    levels
        The number of levels L.

    References
    ----------
    Salimans et al. 2017, PixelCNN++, equation 2.
    https://arxiv.org/abs/1701.05517

    Examples
    --------
    >>> level = DiscretisedLogistic(torch.tensor(0.1), torch.tensor(-2.0), levels=256)
    >>> round(level.log_prob(torch.arange(256.0)).exp().sum().item(), 5)
    1.0
    """

    arg_constraints: ClassVar = {"location": constraints.real, "log_scale": constraints.real}
    has_rsample = False

    def __init__(self, location: Tensor, log_scale: Tensor, levels: int) -> None:
        shape = torch.broadcast_shapes(location.shape, log_scale.shape)
        self.location, self.log_scale = location.expand(shape), log_scale.expand(shape)
        self.levels = levels
        super().__init__(self.location.shape, validate_args=False)

    @property
    def support(self) -> Any:
        """The levels."""
        return constraints.integer_interval(0, self.levels - 1)

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
        """The middle of the distribution in levels, which is the mean except for the tails."""
        return ((self.location + 1.0) * (0.5 * (self.levels - 1))).clamp(0, self.levels - 1)


class DiscretisedLogisticLikelihood(_Levels):
    """Ordered levels, such as pixels: a mixture of logistic distributions rounded to the levels.

    Parameters
    ----------
    event_shape
        The shape of x.
    levels
        The number of levels 0, ..., levels - 1.
    components
        The number of logistic distributions mixed for each value.

    References
    ----------
    Salimans et al. 2017, PixelCNN++; Kingma et al. 2016, Improved variational inference with inverse
    autoregressive flow.
    https://arxiv.org/abs/1701.05517
    https://arxiv.org/abs/1606.04934

    Examples
    --------
    >>> likelihood = DiscretisedLogisticLikelihood((1, 2, 2), levels=256, components=2)
    >>> likelihood.outputs, likelihood(torch.zeros(3, 24)).log_prob(torch.zeros(3, 1, 2, 2)).shape
    (24, torch.Size([3]))
    """

    def __init__(self, event_shape: int | Sequence[int], levels: int = 256, components: int = 1) -> None:
        super().__init__(event_shape, levels)
        check_count("components", components)
        self.components = components
        self.numbers = 2 if components == 1 else 3 * components

    def base(self, *parameters: Tensor) -> Any:
        """Return rounded logistic distributions, or mixtures of them."""
        count = self.components
        location = torch.stack(parameters[:count], -1)
        log_scale = torch.stack(parameters[count : 2 * count], -1).clamp(-_MOST_LOG_SCALE, _MOST_LOG_SCALE)
        if count == 1:
            return DiscretisedLogistic(location[..., 0], log_scale[..., 0], self.levels)
        weights = distributions.Categorical(
            logits=torch.stack(parameters[2 * count :], -1), validate_args=False
        )
        parts = DiscretisedLogistic(location, log_scale, self.levels)
        return distributions.MixtureSameFamily(weights, parts, validate_args=False)
