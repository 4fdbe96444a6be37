"""Maps that act on each element separately."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn import functional

from logpx.arguments import check_instance
from logpx.errors import DataError, UsageError
from logpx.transforms.base import Transform, sum_over_event
from logpx.transforms.supports import by_feature, over_event, real_event

__all__ = ["UNIT_HALF_WIDTH", "Affine", "Exp", "Logit", "Sigmoid", "Softplus", "Standardize", "Tanh"]

# The half-width of a uniform distribution of unit variance.
UNIT_HALF_WIDTH = math.sqrt(3.0)


class _Elementwise(Transform):
    """A map given by two functions that return value and elementwise log-derivative.

    A function whose domain is an interval is evaluated at the nearest number inside, so that the value is
    finite, and its log-derivative is minus infinity beyond the ends: no density is there. The ends themselves
    stand for the numbers inside that were rounded to them.
    """

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every element of x; the ladj sums the elements' log-derivatives."""
        z, log_derivative = self._forward(x)
        return z, sum_over_event(log_derivative, self.event_shape)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every element of z back; the ladj sums the elements' log-derivatives."""
        x, log_derivative = self._inverse(z)
        return x, sum_over_event(log_derivative, self.event_shape)


class Affine(_Elementwise):
    r"""Trained shift and scale of every element, :math:`z = (x - \mu) e^{-\alpha}`.

    Parameters
    ----------
    event_shape
        The shape of one x.

    Examples
    --------
    >>> import torch
    >>> Affine(2).forward(torch.ones(3, 2))[1]
    tensor([0., 0., 0.], grad_fn=<SumBackward1>)
    """

    def __init__(self, event_shape: int | Sequence[int]) -> None:
        super().__init__(event_shape)
        self.shift = nn.Parameter(torch.zeros(self.event_shape))
        self.log_scale = nn.Parameter(torch.zeros(self.event_shape))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - self.shift) * torch.exp(-self.log_scale), (-self.log_scale).expand_as(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.shift + z * torch.exp(self.log_scale), self.log_scale.expand_as(z)


def _check_given(given: Mapping[int, tuple[float, ...]], event_shape: tuple[int, ...]) -> None:
    for feature, values in given.items():
        if len(event_shape) != 1 or not 0 <= feature < event_shape[0] or not values[1] > 0.0:
            raise UsageError(
                f"mean and scale {values} given for feature {feature} of an event of shape {event_shape}",
                fix="name features of a vector, from 0, and give positive scales",
            )


def _by_feature(
    name: str, given: Mapping[int, Sequence[float]] | None, example: str
) -> dict[int, tuple[float, ...]]:
    if given is not None:
        check_instance(name, given, Mapping, example)
    # Keys of JSON objects are text.
    return {int(feature): tuple(values) for feature, values in (given or {}).items()}


def _check_ends(bounded: Mapping[int, tuple[float, ...]]) -> None:
    for lower, upper in bounded.values():
        if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
            raise UsageError(f"a feature bounded by [{lower}, {upper}]", fix="give finite lower < upper")


class Standardize(_Elementwise):
    """Shift and scale to zero mean and unit standard deviation, set once from training rows.

    The identity until `initialise` has seen data. The flag for this is in the state dict, so a loaded
    model is never initialised again.

    Parameters
    ----------
    event_shape
        The shape of one x.
    given
        For features of a vector, by their number, a mean and a scale to use instead of those of the rows.
    bounded
        The ends (lower, upper) of features that live on an interval, by their number. Their mean and scale
        are those of a uniform distribution: the interval is mapped onto [-√3, √3], end on end whatever the
        precision. Outside it the ladj is minus infinity.

    Examples
    --------
    >>> import torch
    >>> standardize = Standardize(1)
    >>> standardize.initialise(torch.tensor([[1.0], [3.0]]))
    >>> standardize.forward(torch.tensor([[4.0]]))[0]
    tensor([[2.]])
    """

    mean: Tensor
    scale: Tensor
    initialised: Tensor
    lower: Tensor
    upper: Tensor
    furthest: Tensor

    def __init__(
        self,
        event_shape: int | Sequence[int],
        given: Mapping[int, tuple[float, float]] | None = None,
        bounded: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.given = _by_feature("given", given, "{0: (0.5, 2.0)}")
        self.bounded = _by_feature("bounded", bounded, "{0: (0.0, 1.0)}")
        _check_ends(self.bounded)
        self._fixed = self.given | {
            feature: (0.5 * lower + 0.5 * upper, (0.5 * upper - 0.5 * lower) / UNIT_HALF_WIDTH)
            for feature, (lower, upper) in self.bounded.items()
        }
        _check_given(self._fixed, self.event_shape)
        self.register_buffer("mean", torch.zeros(self.event_shape))
        self.register_buffer("scale", torch.ones(self.event_shape))
        if self.bounded:
            self.register_buffer("lower", torch.full(self.event_shape, -math.inf))
            self.register_buffer("upper", torch.full(self.event_shape, math.inf))
            self.register_buffer("furthest", torch.full(self.event_shape, math.inf))
        self._set_fixed()
        self.register_buffer("initialised", torch.tensor(False))

    def _set_fixed(self) -> None:
        for feature, (mean, scale) in self._fixed.items():
            # As tensors, of which those too large for the precision become infinite.
            given = torch.tensor([mean, scale], dtype=torch.float64)
            self.mean[feature], self.scale[feature] = given[0], given[1]
        for feature, (lower, upper) in self.bounded.items():
            ends = torch.tensor([lower, upper], dtype=torch.float64)
            self.lower[feature], self.upper[feature] = ends[0], ends[1]
            self.furthest[feature] = UNIT_HALF_WIDTH

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # Numbers given are rounded anew in another precision: the float32 nearest to 0.1 is not the float64.
        result = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._set_fixed()
        return result

    @property
    def domain(self) -> Any:
        """The intervals of bounded features, and any other numbers."""
        return by_feature(self.bounded, self.event_shape[0]) if self.bounded else real_event(self.event_shape)

    @property
    def codomain(self) -> Any:
        """The interval of unit variance for bounded features, and any other numbers."""
        if not self.bounded:
            return real_event(self.event_shape)
        unit = (-UNIT_HALF_WIDTH, UNIT_HALF_WIDTH)
        return by_feature(dict.fromkeys(self.bounded, unit), self.event_shape[0])

    @property
    def needs_data(self) -> bool:
        """Whether it is still to be initialised."""
        return not self.initialised

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set mean and standard deviation (divisor n) from the rows, once.

        Raises
        ------
        DataError
            If there are no rows, a value is not finite, or an element is constant over all rows, so
            that it has no density.
        """
        if self.needs_data:
            rows = x.reshape(-1, *self.event_shape).double()
            if not len(rows):
                raise DataError("no rows to take mean and scale from", fix="give at least two different rows")
            mean, scale = rows.mean(0), rows.std(0, correction=0)
            lost = ~torch.isfinite(scale)
            if lost.any():
                raise DataError(
                    "a value is not finite, or too large to be squared",
                    column=int(lost.flatten().nonzero()[0].item()),
                    fix="leave such rows out, or change the column's unit",
                )
            for feature, values in self._fixed.items():
                mean[feature], scale[feature] = values
            # Rounding of the mean alone gives a constant column a spread of a few ulps.
            constant = scale <= 1e-14 * mean.abs()
            if constant.any():
                position = constant.flatten().nonzero()[0].item()
                raise DataError(
                    "every row has the same value, so that no density exists on it",
                    column=int(position),
                    fix="leave the column out, or fit a table, whose constant columns are set aside",
                )
            self.mean.copy_(mean)
            self.scale.copy_(scale)
            self.initialised.fill_(True)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_derivative = (x - self.mean) / self.scale, (-self.scale.log()).expand_as(x)
        if not self.bounded:
            return z, log_derivative
        beyond = (x < self.lower) | (x > self.upper)
        return z.clamp(-self.furthest, self.furthest), _no_density(beyond, log_derivative)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_derivative = self.mean + z * self.scale, self.scale.log().expand_as(z)
        if not self.bounded:
            return x, log_derivative
        return x.clamp(self.lower, self.upper), _no_density(z.abs() > self.furthest, log_derivative)


def _no_density(beyond: Tensor, log_derivative: Tensor) -> Tensor:
    return log_derivative.masked_fill(beyond, -math.inf)


def _log_sigmoid_derivative(x: Tensor) -> Tensor:
    return functional.logsigmoid(x) + functional.logsigmoid(-x)


class Sigmoid(_Elementwise):
    r"""The logistic function, from the real line to (0, 1).

    The inverse moves values that were rounded to 0 or 1 to the nearest number inside; beyond, its ladj is
    minus infinity.

    Examples
    --------
    >>> import torch
    >>> Sigmoid(1).forward(torch.zeros(1, 1))
    (tensor([[0.5000]]), tensor([-1.3863]))
    """

    @property
    def codomain(self) -> Any:
        """Numbers from 0 to 1."""
        return over_event(constraints.unit_interval, self.event_shape)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.sigmoid(x), _log_sigmoid_derivative(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        limits = torch.finfo(z.dtype)
        beyond = (z < 0.0) | (z > 1.0)
        z = z.clamp(limits.tiny, 1.0 - limits.eps / 2)
        log_z, log_rest = torch.log(z), torch.log1p(-z)
        return log_z - log_rest, _no_density(beyond, -log_z - log_rest)


class Logit(Sigmoid):
    """The inverse of `Sigmoid`: from (0, 1) to the real line. Outside, the ladj is minus infinity.

    Examples
    --------
    >>> import torch
    >>> Logit(1).forward(torch.full((1, 1), 0.5))
    (tensor([[0.]]), tensor([1.3863]))
    """

    @property
    def domain(self) -> Any:
        """Numbers from 0 to 1."""
        return super().codomain

    @property
    def codomain(self) -> Any:
        """All numbers."""
        return super().domain

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super()._inverse(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return super()._forward(z)


class Softplus(_Elementwise):
    r""":math:`z = \log(1 + e^x)`, from the real line to the positive numbers.

    At negative numbers the ladj of the inverse is minus infinity.

    Examples
    --------
    >>> import torch
    >>> Softplus(1).forward(torch.zeros(1, 1))
    (tensor([[0.6931]]), tensor([-0.6931]))
    """

    @property
    def codomain(self) -> Any:
        """Numbers from 0 on."""
        return over_event(constraints.nonnegative, self.event_shape)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # torch's softplus overflows beyond its threshold, or is inexact below it.
        return -functional.logsigmoid(-x), functional.logsigmoid(x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        beyond = z < 0.0
        z = z.clamp_min(torch.finfo(z.dtype).tiny)
        log_rest = torch.log(-torch.expm1(-z))
        return z + log_rest, _no_density(beyond, -log_rest)


class Tanh(_Elementwise):
    """The hyperbolic tangent, from the real line to (-1, 1).

    Outside, the ladj of the inverse is minus infinity.

    Examples
    --------
    >>> import torch
    >>> Tanh(1).forward(torch.zeros(1, 1))
    (tensor([[0.]]), tensor([0.]))
    """

    @property
    def codomain(self) -> Any:
        """Numbers from -1 to 1."""
        return over_event(constraints.interval(-1.0, 1.0), self.event_shape)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(x), math.log(4.0) + _log_sigmoid_derivative(2.0 * x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        limit = 1.0 - torch.finfo(z.dtype).eps / 2
        beyond = z.abs() > 1.0
        z = z.clamp(-limit, limit)
        return torch.atanh(z), _no_density(beyond, -torch.log1p(-z) - torch.log1p(z))


class Exp(_Elementwise):
    r""":math:`z = e^x`, from the real line to the positive numbers.

    Where the exponential overflows, beyond 88 in single precision and 709 in double precision, z is the
    largest number and the ladj minus infinity; so is the ladj of the inverse at negative numbers.

    Examples
    --------
    >>> import torch
    >>> Exp(1).forward(torch.zeros(1, 1))
    (tensor([[1.]]), tensor([0.]))
    """

    @property
    def codomain(self) -> Any:
        """Numbers from 0 on."""
        return over_event(constraints.nonnegative, self.event_shape)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Rounded down, so that the exponential of the limit itself is finite.
        limit = math.log(torch.finfo(x.dtype).max) * (1.0 - torch.finfo(x.dtype).eps)
        return torch.exp(x.clamp_max(limit)), _no_density(x > limit, x)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_z = torch.log(z.clamp_min(torch.finfo(z.dtype).tiny))
        return log_z, _no_density(z < 0.0, -log_z)
