"""The integral of a sum of squared polynomials, a smooth monotone function that is not piecewise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from logpx.arguments import check_count, check_number
from logpx.nets.layers import soft_bound
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.monotone_inverse import monotone_inverse

__all__ = ["SumOfSquaresFunction"]


class SumOfSquaresFunction(Univariate):
    r"""An increasing polynomial on [-bound, bound] with linear tails.

    With k polynomials of degree d in :math:`t = x / b`,

    .. math:: f(x) = \mu + \int_0^x \frac{\epsilon + \frac1k \sum_i p_i(u / b)^2}{1 + \epsilon} \, du,
        \qquad p_i(t) = 1 + \sum_{j=0}^{d} a_{ij} t^j,

    which is a polynomial of degree 2 d + 1 in closed form. Its inverse is found by Newton's method.

    Parameters
    ----------
    polynomials
        The number k of polynomials; it takes 1 + k (d + 1) numbers.
    degree
        Their degree d.
    bound
        The half-width b of the interval; outside it the function continues linearly.

    Raises
    ------
    UsageError
        If there are no polynomials, the degree is not 1 to 8, or the bound is not positive and finite.

    References
    ----------
    Jaini, Selby and Yu 2019, Sum-of-Squares Polynomial Flow, equation 9.
    https://arxiv.org/abs/1905.02325

    Examples
    --------
    >>> function = SumOfSquaresFunction()
    >>> function(torch.tensor([0.3, 9.0]), torch.zeros(2, function.parameters))[0]
    tensor([0.3000, 9.0000])
    """

    smallest_slope = 1e-2
    largest_coefficient = 5.0

    def __init__(self, polynomials: int = 3, degree: int = 3, bound: float = 5.0) -> None:
        check_count("polynomials", polynomials)
        check_count("degree", degree, most=8)
        check_number("bound", bound, above=0.0)
        self.polynomials, self.degree, self.bound = polynomials, degree, bound
        self.parameters = 1 + polynomials * (degree + 1)

    def _polynomials(self, params: Tensor) -> Tensor:
        """Return the coefficients of every p_i, of shape (..., polynomials, degree + 1)."""
        raw = params[..., 1:].reshape(*params.shape[:-1], self.polynomials, self.degree + 1)
        bounded = soft_bound(raw, self.largest_coefficient)
        return torch.cat([1.0 + bounded[..., :1], bounded[..., 1:]], -1)

    def _integral(self, polynomials: Tensor) -> Tensor:
        """Return the coefficients of f(x) / x as a polynomial in t, of shape (..., 2 degree + 1)."""
        products = (polynomials.unsqueeze(-1) * polynomials.unsqueeze(-2)).mean(-3)
        # Sum the anti-diagonals: with each row shifted one place further, they become columns.
        size = self.degree + 1
        padded = functional.pad(products, (0, size)).flatten(-2)[..., : size * (2 * size - 1)]
        squares = padded.reshape(*padded.shape[:-1], size, 2 * size - 1).sum(-2)
        order = torch.arange(1, 2 * size, dtype=squares.dtype, device=squares.device)
        least = functional.pad(squares.new_full((1,), self.smallest_slope), (0, 2 * size - 2))
        return (squares + least) / (order * (1.0 + self.smallest_slope))

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the function to every element."""
        shift, polynomials = params[..., 0], self._polynomials(params)
        integral = self._integral(polynomials)

        def inside(x: Tensor) -> tuple[Tensor, Tensor]:
            t = x / self.bound
            squares = _horner(polynomials, t.unsqueeze(-1)).square().mean(-1)
            slope = (self.smallest_slope + squares) / (1.0 + self.smallest_slope)
            return x * _horner(integral, t), slope.log()

        if not inverse:
            clamped = x.clamp(-self.bound, self.bound)
            y, log_slope = inside(clamped)
            return y + shift + (x - clamped) * log_slope.exp(), log_slope
        target = x - shift
        low, high = (inside(torch.full_like(x, end))[0] for end in (-self.bound, self.bound))
        reachable = torch.maximum(torch.minimum(target, high), low)
        # Polynomials of these degrees are so tame that Newton's method has long converged by then.
        y, log_slope = monotone_inverse(inside, reachable, -self.bound, self.bound, iterations=20)
        return y + (target - reachable) * log_slope.exp(), log_slope


def _horner(coefficients: Tensor, t: Tensor) -> Tensor:
    """Return polynomials at t; coefficients are the last dimension."""
    value: Tensor = coefficients[..., -1] + torch.zeros_like(t)
    for power in range(coefficients.shape[-1] - 2, -1, -1):
        value = torch.addcmul(coefficients[..., power], value, t)
    return value
