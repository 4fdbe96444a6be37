"""Rational-quadratic splines of many elements as one step of autograd: few passes over the parameters.

What `logpx.transforms.univariate.splines` composes of operators of torch is here one evaluation, which finds
the bin of an element first and then computes nothing but that bin, with an analytic backward pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from logpx.transforms.univariate.nodes import differentiable_gradients, is_transposed

__all__ = ["CircularEnds", "FixedEnds", "FreeEnds", "SplineEnds", "SplineShape", "spline_node"]

_Plain = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]


class SplineEnds(ABC):
    """What lies beyond the first and the last bin."""

    @abstractmethod
    def neighbours(self, index: Tensor, bins: int) -> Tensor:
        """Return the bin before each element's, its own, and the bin after: first dimension 3."""

    @abstractmethod
    def ratios(self, index: Tensor, bins: int) -> Tensor:
        """Return the numbers of the parameters of the slopes at both ends of the bin: first dimension 2."""

    def fixed(self, index: Tensor, bins: int) -> Tensor | None:
        """Return at which ends of the bin the slope is 1, whatever the parameters; None for nowhere."""
        return None


class FreeEnds(SplineEnds):
    """An interval, with a parameter for the slope at each end."""

    def neighbours(self, index: Tensor, bins: int) -> Tensor:
        """Let bins at the ends be their own neighbours."""
        return torch.stack([(index - 1).clamp_(min=0), index, (index + 1).clamp_(max=bins - 1)])

    def ratios(self, index: Tensor, bins: int) -> Tensor:
        """Return the numbers of the knots."""
        return torch.stack([index, index + 1])


class FixedEnds(FreeEnds):
    """An interval of the line, outside of which the function is the identity."""

    def ratios(self, index: Tensor, bins: int) -> Tensor:
        """Return the numbers of the inner knots."""
        return torch.stack([index - 1, index]).clamp_(0, bins - 2)

    def fixed(self, index: Tensor, bins: int) -> Tensor | None:
        """Fix both ends."""
        return torch.stack([index == 0, index == bins - 1])


class CircularEnds(SplineEnds):
    """A circle, on which the last bin comes before the first."""

    def neighbours(self, index: Tensor, bins: int) -> Tensor:
        """Go round."""
        return torch.stack([index - 1, index, index + 1]).remainder_(bins)

    def ratios(self, index: Tensor, bins: int) -> Tensor:
        """Return the numbers of the knots after the first, which is the last one."""
        return torch.stack([index - 1, index]).remainder_(bins)


@dataclass(frozen=True, kw_only=True)
class SplineShape:
    """What is the same for all splines of a kind.

    Attributes
    ----------
    bins : int
        The number of bins.
    lower, upper : float
        The interval.
    ends : SplineEnds
        What lies beyond the bins.
    common : float
        The share of the interval that is given to the bins in equal parts.
    sharpness : float
        The factor of all parameters.
    log_ratio : float
        The bound of the logarithm of a slope's ratio, divided by the sharpness.
    """

    bins: int
    lower: float
    upper: float
    ends: SplineEnds
    common: float
    sharpness: float
    log_ratio: float


class _Kept:
    """What an evaluation keeps for the way back."""

    @classmethod
    def of(cls, values: Iterator[Tensor | None]) -> Self:
        """Take back as many `values` as there are."""
        return cls(**dict(zip(cls.__annotations__, values, strict=False)))

    def values(self) -> tuple[Tensor | None, ...]:
        """Return all values in order."""
        return tuple(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class _Selected(_Kept):
    """The bin of each element. The first dimension of pairs is x and y, or both ends of the bin."""

    number: Tensor
    # 1 for every bin that ends before the element, the last bin left out, and else 0.
    passed: Tensor
    weights: Tensor
    # The factor from weights to shares, of x and of y.
    factor: Tensor
    neighbours: Tensor
    shares: Tensor
    means: Tensor
    ratio_index: Tensor
    raw: Tensor
    ratios: Tensor
    slopes: Tensor
    fixed: Tensor | None
    left: Tensor
    right: Tensor
    bottom: Tensor
    top: Tensor


@dataclass(frozen=True, kw_only=True)
class _Place(_Kept):
    """Where in its bin an element lies, and what follows from it."""

    width: Tensor
    height: Tensor
    slope: Tensor
    position: Tensor
    rest: Tensor
    rise: Tensor
    fall: Tensor
    total: Tensor
    steep: Tensor
    derivative: Tensor


def spline_node(
    shape: SplineShape, plain: _Plain, x: Tensor, params: Tensor, inverse: bool
) -> tuple[Tensor, Tensor]:
    """Evaluate a spline, or its inverse, at every element.

    Parameters
    ----------
    shape
        The kind of spline.
    plain
        The same function, composed of operators that autograd can differentiate twice.
    x
        Any shape.
    params
        Shape ``(*x.shape, parameters)``: widths, heights, slopes.
    inverse
        Whether to apply the inverse function.

    Returns
    -------
    y, log_derivative : Tensor
        Of the shape of `x`.
    """
    if torch.is_grad_enabled() and (x.requires_grad or params.requires_grad):
        found: tuple[Tensor, Tensor] = _Spline.apply(x, params, shape, plain, inverse)  # type: ignore[no-untyped-call]
        return found
    layout = _Layout(params)
    y, log_derivative, *_ = _evaluate(shape, layout.elements(x), layout.numbers(params), inverse)
    return layout.back(y), layout.back(log_derivative)


class _Layout:
    """How elements lie in memory: those of one parameter together, whichever way the net returned them."""

    def __init__(self, params: Tensor) -> None:
        self._turned = is_transposed(params)

    def numbers(self, params: Tensor) -> Tensor:
        """Return parameters with those of one element far apart, so that sums over them are fast."""
        raw = params.movedim(-1, 0)
        return raw.transpose(1, 2) if self._turned else raw.contiguous()

    def elements(self, x: Tensor) -> Tensor:
        return x.t().contiguous() if self._turned else x.contiguous()

    def back(self, y: Tensor) -> Tensor:
        return y.t() if self._turned else y

    def empty_numbers(self, raw: Tensor) -> Tensor:
        if not self._turned:
            return torch.empty_like(raw)
        count, features, rows = raw.shape
        return raw.new_empty(features, count, rows).transpose(0, 1)

    def back_numbers(self, raw: Tensor) -> Tensor:
        return (raw.transpose(1, 2) if self._turned else raw).movedim(0, -1)


class _Spline(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, params: Tensor, shape: SplineShape, plain: _Plain, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        layout = _Layout(params)
        y, log_derivative, selected, place, beyond = _evaluate(
            shape, layout.elements(x), layout.numbers(params), inverse
        )
        ctx.shape, ctx.plain, ctx.inverse, ctx.layout = shape, plain, inverse, layout
        ctx.save_for_backward(x, params, beyond, *selected.values(), *place.values())
        return layout.back(y), layout.back(log_derivative)

    @staticmethod
    def backward(ctx: Any, of_y: Tensor, of_log: Tensor) -> tuple[Tensor | None, ...]:
        # Raises an error of its own if one of them was changed in place.
        x, params, beyond, *parts = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = ctx.plain
            of_x, of_params = differentiable_gradients(
                ctx, lambda x, params: plain(x, params, ctx.inverse), (x, params), (of_y, of_log)
            )
            return of_x, of_params, None, None, None
        saved = iter(parts)
        layout, selected, place = ctx.layout, _Selected.of(saved), _Place.of(saved)
        of_y, of_log = layout.elements(of_y), layout.elements(of_log)
        by_position = _by_position(selected.slopes, place, beyond) / place.width
        if ctx.inverse:
            # By the implicit function theorem, with y = f(x): dx = (dy - df) / f'(x).
            of_x = torch.addcmul(of_y, of_log, by_position, value=-1.0).div_(place.derivative)
            of_y, of_log = -of_x, -of_log
        else:
            of_x = torch.addcmul(of_y * place.derivative, of_log, by_position)
        of_params = None
        if ctx.needs_input_grad[1]:
            raw = layout.empty_numbers(layout.numbers(params))
            _of_parameters(ctx.shape, selected, place, (beyond, of_y, of_log, by_position), raw)
            of_params = layout.back_numbers(raw)
        return (layout.back(of_x) if ctx.needs_input_grad[0] else None), of_params, None, None, None


def _evaluate(
    shape: SplineShape, x: Tensor, raw: Tensor, inverse: bool
) -> tuple[Tensor, Tensor, _Selected, _Place, Tensor]:
    inside = x.clamp(shape.lower, shape.upper)
    selected = _selected(shape, inside, raw, inverse)
    beyond = x - inside
    if inverse:
        root = _root(selected, inside)
        place = _place(selected, root)
        value = _value(selected, place)
        # One Newton step, so that `forward` gives back y as it rounds it.
        root += (inside - value).div_(place.derivative)
        root = torch.maximum(torch.minimum(root, selected.right), selected.left)
        place = _place(selected, root)
        y, log_derivative = root, place.derivative.log().neg_()
    else:
        place = _place(selected, inside)
        y, log_derivative = _value(selected, place), place.derivative.log()
    if selected.fixed is None:
        edge = torch.where(beyond > 0.0, selected.slopes[1], selected.slopes[0])
        beyond = beyond / edge if inverse else beyond
        y = y + beyond if inverse else y.addcmul_(beyond, edge)
    else:
        y = y + beyond
    return y, log_derivative, selected, place, beyond


def _selected(shape: SplineShape, inside: Tensor, raw: Tensor, inverse: bool) -> _Selected:
    bins, span = shape.bins, shape.upper - shape.lower
    sizes = raw[: 2 * bins].view(2, bins, *raw.shape[1:])
    weights = raw.new_empty(2, bins, *inside.shape)
    largest = sizes.amax(1, keepdim=True)
    torch.add(largest.mul_(-shape.sharpness), sizes, alpha=shape.sharpness, out=weights).exp_()
    # Sums of the first weights, by a product with a triangle of ones.
    ones = torch.ones(bins + 1, bins, dtype=raw.dtype).tril_(-1)
    sums = (ones @ weights.view(2, bins, -1)).view(2, bins + 1, *inside.shape)
    factor = (1.0 - shape.common) / sums[:, -1]
    part = shape.common / bins
    offsets = torch.arange(bins + 1, dtype=raw.dtype).mul_(part * span).add_(shape.lower)
    scale = factor * span
    side = int(inverse)
    apart = offsets[1:-1].view(-1, *[1] * inside.dim())
    knots = torch.addcmul(apart, sums[side, 1:-1], scale[side])
    passed = torch.ge(inside, knots, out=torch.empty_like(knots))
    index = passed.sum(0).long()
    both = torch.stack([index, index + 1])
    at = sums.gather(1, both.expand(2, *both.shape))
    (left, right), (bottom, top) = torch.addcmul(offsets[both], at, scale.unsqueeze(1))
    last = index == bins - 1
    right.masked_fill_(last, shape.upper)
    top.masked_fill_(last, shape.upper)
    neighbours = shape.ends.neighbours(index, bins)
    shares = weights.gather(1, neighbours.expand(2, *neighbours.shape)).mul_(factor.unsqueeze(1)).add_(part)
    means = shares[1] / shares[0]
    ratio_index = shape.ends.ratios(index, bins)
    chosen = raw[2 * bins :].gather(0, ratio_index)
    ratios = chosen.div(_bounding(shape, chosen)).exp_()
    before, after = means[:-1], means[1:]
    slopes = 2.0 * ratios * before * after / (before + after)
    fixed = shape.ends.fixed(index, bins)
    if fixed is not None:
        slopes.masked_fill_(fixed, 1.0)
    return _Selected(
        number=index,
        passed=passed,
        weights=weights,
        factor=factor,
        neighbours=neighbours,
        shares=shares,
        means=means,
        ratio_index=ratio_index,
        raw=chosen,
        ratios=ratios,
        slopes=slopes,
        fixed=fixed,
        left=left,
        right=right,
        bottom=bottom,
        top=top,
    )


def _bounding(shape: SplineShape, raw: Tensor) -> Tensor:
    """Return what the parameters of slopes are divided by to give the logarithms of bounded ratios."""
    each = 1.0 / shape.sharpness
    return torch.rsub(raw.abs(), each, alpha=-each / shape.log_ratio)


def _place(bin: _Selected, x: Tensor) -> _Place:
    start, end = bin.slopes
    width, height = bin.right - bin.left, bin.top - bin.bottom
    slope = height / width
    # Distances to both ends, each from its own difference, so that nothing is lost near an end.
    position, rest = (x - bin.left) / width, (bin.right - x) / width
    rising = torch.addcmul(start * rest, slope, position)
    falling = torch.addcmul(end * position, slope, rest)
    rise, fall = position * rising, rest * falling
    steep = (position * falling).addcmul_(rest, rising)
    total = rise + fall
    return _Place(
        width=width,
        height=height,
        slope=slope,
        position=position,
        rest=rest,
        rise=rise,
        fall=fall,
        total=total,
        steep=steep,
        derivative=(slope / total).square_().mul_(steep),
    )


def _value(bin: _Selected, place: _Place) -> Tensor:
    upper = place.rise > place.fall
    share = torch.where(upper, -place.fall, place.rise) / place.total
    return torch.addcmul(torch.where(upper, bin.top, bin.bottom), share, place.height)


def _root(bin: _Selected, y: Tensor) -> Tensor:
    """Return the root of the bin's quadratic; see `rational_quadratic`, which finds it likewise."""
    width, height = bin.right - bin.left, bin.top - bin.bottom
    slope = height / width
    rise, fall = (y - bin.bottom) / height, (bin.top - y) / height
    start, end = bin.slopes
    total = start + end + slope
    share = slope / total
    tilt = (start * fall - end * rise) / total
    root = torch.sqrt(tilt * tilt + 4.0 * share * share * rise * fall + torch.finfo(y.dtype).tiny)
    rising = tilt >= 0.0
    reach = tilt.abs() + root
    span = 2.0 * share * torch.where(rising, rise, fall)
    shorter = span < reach
    near = shorter == rising
    part = torch.minimum(span, reach) / (reach + span)
    found: Tensor = torch.where(near, bin.left, bin.right) + torch.where(near, part, -part) * width
    return found


def _by_position(slopes: Tensor, place: _Place, beyond: Tensor) -> Tensor:
    """Return the derivative of the log-derivative by the position in the bin; 0 outside the interval."""
    start, end = slopes
    lean = place.rest - place.position
    of_total = (start + end - 2.0 * place.slope) * lean
    of_steep = 2.0 * (end * place.position - start * place.rest + place.slope * lean)
    found: Tensor = of_steep / place.steep - 2.0 * of_total / place.total
    return found.masked_fill_(beyond != 0.0, 0.0)


def _of_parameters(
    shape: SplineShape, bin: _Selected, place: _Place, given: tuple[Tensor, ...], raw: Tensor
) -> None:
    """Write the gradient of the parameters, given those of value and log-derivative, at a fixed x."""
    beyond, of_y, of_log, by_position = given
    start, end = bin.slopes
    width, slope, position, rest = place.width, place.slope, place.position, place.rest
    across, reciprocal = position * rest, 1.0 / place.total
    lift = of_y * place.height * across * reciprocal * reciprocal
    log_by_total, log_by_steep = -2.0 * of_log * reciprocal, of_log / place.steep
    squares = torch.stack([rest, position]).square_()
    # Of the slopes at the ends, and of the mean slope of the bin.
    of_slopes = log_by_total * across + log_by_steep * squares
    of_slopes[0].addcmul_(lift, place.fall)
    of_slopes[1].addcmul_(lift, place.rise, value=-1.0)
    if bin.fixed is None:
        of_slopes[0].addcmul_(of_y, beyond.clamp(max=0.0))
        of_slopes[1].addcmul_(of_y, beyond.clamp(min=0.0))
    of_slope = (
        lift * (end * squares[1] - start * squares[0])
        + log_by_total * (squares[0] + squares[1])
        + 2.0 * (log_by_steep * across + of_log / slope)
    )
    # Of the ends of the bin.
    along = torch.addcmul(of_y * place.derivative, of_log, by_position)
    stretched = of_slope * slope / width
    of_height = of_y * place.rise * reciprocal + of_slope / width
    of_first = torch.stack([stretched - along * rest, of_y - of_height])
    of_second = torch.stack([-along * position - stretched, of_height])
    of_second.masked_fill_(bin.number == shape.bins - 1, 0.0)
    _of_tables(shape, bin, of_slopes, (of_first, of_second), raw)


def _of_tables(
    shape: SplineShape, bin: _Selected, of_slopes: Tensor, of_ends: tuple[Tensor, Tensor], raw: Tensor
) -> None:
    bins, span = shape.bins, shape.upper - shape.lower
    of_first, of_second = of_ends
    if bin.fixed is not None:
        of_slopes.masked_fill_(bin.fixed, 0.0)
    # Of a / q(|a|) with q(a) = (1 + a / b) / s, the derivative is 1 / (s q(|a|)²).
    of_raw = (of_slopes * bin.slopes).div_(_bounding(shape, bin.raw).square_().mul_(shape.sharpness))
    raw[2 * bins :].zero_().scatter_add_(0, bin.ratio_index, of_raw)
    # From slopes to the mean slopes of three bins, and on to their shares of x and y.
    before, after = bin.means[:-1], bin.means[1:]
    harmonic = 2.0 * of_slopes * bin.ratios / (before + after).square_()
    of_means = torch.zeros_like(bin.means)
    torch.mul(harmonic, after * after, out=of_means[:-1])
    of_means[1:].addcmul_(harmonic, before * before)
    of_shares = torch.empty_like(bin.shares)
    torch.div(of_means, bin.shares[0], out=of_shares[1])
    torch.mul(of_shares[1], bin.means, out=of_shares[0]).neg_()
    # A share moves the ends of its own bin and of those after it.
    of_shares[:, 1] += of_second * span
    shift = (of_first + of_second) * span
    mean = _mean(shape, bin, of_shares, shift)
    # From shares to the parameters, through the weights.
    scale = bin.factor * shape.sharpness
    out = raw[: 2 * bins].view(2, bins, *raw.shape[1:])
    shift, level = (shift * scale).unsqueeze(1), mean.mul_(scale).neg_().unsqueeze(1)
    torch.addcmul(level, bin.passed, shift, out=out[:, :-1])
    out[:, -1:] = level
    places = bin.neighbours.expand(2, *bin.neighbours.shape)
    out.scatter_add_(1, places, of_shares.mul_(scale.unsqueeze(1)))
    out.mul_(bin.weights)


def _mean(shape: SplineShape, bin: _Selected, of_shares: Tensor, shift: Tensor) -> Tensor:
    """Return the gradients of the shares, averaged by the weights."""
    part = shape.common / shape.bins
    # The weights of the bins before this one add up to where it begins.
    begins = torch.stack([bin.left, bin.bottom]).sub_(shape.lower) / (shape.upper - shape.lower)
    before = begins - part * bin.number.to(begins.dtype)
    first, own, last = (of_shares * (bin.shares - part)).unbind(1)
    found: Tensor = torch.addcmul(first + own + last, shift, before).div_(1.0 - shape.common)
    return found
