"""A network of one input that is increasing by construction, for neural autoregressive flows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from logpx.arguments import check_count, check_number
from logpx.nets.layers import soft_bound
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.monotone_inverse import monotone_inverse

__all__ = ["MonotoneNetworkFunction"]


class MonotoneNetworkFunction(Univariate):
    r"""An increasing network of one input on all of the line, whose weights are the parameters.

    A layer of k units adds steps to a line of slope 1,

    .. math:: f(x) = x + \frac1k \sum_{j=1}^{k} \frac{e^{w_j} - 1}{a_j} \tanh(a_j (x - t_j)), \qquad
        f'(x) = 1 + \frac1k \sum_j (e^{w_j} - 1) \operatorname{sech}^2(a_j (x - t_j)) > 0,

    steep or flat around the places :math:`t_j`, which start side by side on [-bound, bound]. Layers follow
    one another, then comes a shift. Far outside the slope is 1. The inverse is found by Newton's method.

    Parameters
    ----------
    units
        The number k of units of a layer; the function takes 1 + 3 k × layers numbers.
    layers
        The number of layers.
    bound
        The half-width of the interval that the units start on.

    Raises
    ------
    UsageError
        If a number is not positive.

    References
    ----------
    Huang, Krueger, Lacoste and Courville 2018, Neural autoregressive flows: networks with positive weights,
    whose parameters come from a conditioner.
    https://arxiv.org/abs/1804.00779

    Examples
    --------
    >>> function = MonotoneNetworkFunction()
    >>> function(torch.tensor([0.3, 9.0]), torch.zeros(2, function.parameters))[0]
    tensor([0.3000, 9.0000])
    """

    # Of the logarithms of a unit's slope and of its steepness, so that slopes stay within float32.
    largest_log_slope, largest_log_steepness = 5.0, 2.5

    def __init__(self, units: int = 8, layers: int = 2, bound: float = 4.0) -> None:
        check_count("units", units)
        check_count("layers", layers)
        check_number("bound", bound, above=0.0)
        self.units, self.layers, self.bound = units, layers, bound
        self.parameters = 1 + 3 * units * layers

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the function to every element."""
        layers, least = self._layers(params), 0.5 * math.exp(-self.largest_log_slope)

        def network(x: Tensor) -> tuple[Tensor, Tensor]:
            total = torch.zeros_like(x)
            for steps, steepness, places in layers:
                u = torch.tanh(steepness * (x.unsqueeze(-1) - places))
                slope = 1.0 + (steps * (1.0 - u * u)).mean(-1)
                x = x + (steps / steepness * u).mean(-1)
                # Rounding must not make a flat place flatter than it can be.
                total = total + slope.clamp_min(least).log()
            return x, total

        shift = params[..., 0]
        x = x.expand(shift.shape)
        if not inverse:
            y, log_slope = network(x)
            return y + shift, log_slope
        target = x - shift
        # No layer moves anything further than the sum of its steps.
        reach = sum((steps / steepness).abs().mean(-1) for steps, steepness, _ in layers)
        return monotone_inverse(network, target, target - reach, target + reach, iterations=60)

    def _layers(self, params: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return each layer's steps, steepness and places, all of shape (..., units)."""
        raw = params[..., 1:].reshape(*params.shape[:-1], self.layers, 3, self.units)
        ends = torch.linspace(-1.0, 1.0, self.units + 2, dtype=params.dtype, device=params.device)
        start, width = self.bound * ends[1:-1], 2.0 * self.bound / (self.units + 1)
        found = []
        for layer in raw.unbind(-3):
            heights, steepness, places = layer.unbind(-2)
            found.append(
                (
                    torch.expm1(soft_bound(heights, self.largest_log_slope)),
                    torch.exp(soft_bound(steepness, self.largest_log_steepness)) / width,
                    start + soft_bound(places, 2.0 * self.bound),
                )
            )
        return found
