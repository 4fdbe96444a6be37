"""Where a user expects the mass of a density: points, ranges and orders of magnitude. None of it binds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.posteriors.target.constraints import Constraint, Real
from logpx.posteriors.target.parameters import Parameters
from logpx.suggestions import suggestion

__all__ = ["Hints", "hints_of"]

_SLICES = 65
_FACTOR = 2.718281828459045


@dataclass(frozen=True)
class _Range:
    """The natural range of one parameter, and the places of its numbers in the unconstrained vector."""

    constraint: Constraint
    places: slice
    lower: Tensor
    upper: Tensor

    def at(self, shares: Tensor) -> Tensor:
        """Return the unconstrained numbers ``(n, size)`` at shares ``(n, *shape)`` of the way."""
        return self.constraint.unconstrain(self.lower + shares * (self.upper - self.lower))


@dataclass(frozen=True)
class Hints:
    """What a search starts from, in unconstrained units.

    Attributes
    ----------
    centre, width : Tensor
        About where each number lies and how far it varies, shape ``(d,)``.
    starts : Tensor
        Points to climb from, shape ``(k, d)``.
    given : bool
        Whether centre and width are a user's, rather than 0 and 1.
    """

    centre: Tensor
    width: Tensor
    starts: Tensor
    given: bool = False
    _: KW_ONLY
    ranges: Sequence[_Range] = ()

    @classmethod
    def none(cls, size: int) -> Hints:
        """Return those of a user who gave none."""
        zeros = torch.zeros(size, dtype=torch.float64)
        return cls(zeros, torch.ones_like(zeros), zeros.new_empty(0, size))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, d)``: uniform where there is a range, else normal."""
        noise = torch.randn(count, len(self.centre), generator=generator, dtype=torch.float64)
        points = self.centre + self.width * noise
        for each in self.ranges:
            shares = torch.rand(count, *each.constraint.shape, generator=generator, dtype=torch.float64)
            points[:, each.places] = each.at(shares)
        return points


def hints_of(
    size: int,
    parameters: Parameters | None,
    unconstrained: Callable[[Any], Tensor],
    *,
    starts: Any = None,
    bounds: Any = None,
    scale: Any = None,
) -> Hints:
    """Read the hints of a user.

    Parameters
    ----------
    size
        The length of the unconstrained vector.
    parameters
        The named parameters, if there are any.
    unconstrained
        From points in the form of the log-density to unconstrained vectors.
    starts
        One point or several, in the form that the log-density takes.
    bounds
        A pair of numbers, or of arrays; for a vector also a pair for each dimension; for named parameters a
        dictionary of pairs.
    scale
        A number above 0, or an array of them; for named parameters a dictionary.

    Raises
    ------
    UsageError
        If a name, a shape or a value is wrong.
    """
    found = Hints.none(size)
    layout = _layout(size, parameters)
    points = found.starts if starts is None else unconstrained(_rows(starts, parameters, size))
    centre, width, ranges = found.centre, found.width, []
    for name, value in _named(scale, "scale", parameters).items():
        constraint, places = layout[name]
        centre[places], width[places] = _of_scale(name, value, constraint)
    for name, value in _named(bounds, "bounds", parameters).items():
        constraint, places = layout[name]
        each = _range(name, value, constraint, places)
        shares = (torch.arange(_SLICES, dtype=torch.float64) + 0.5) / _SLICES
        spread = each.at(shares.reshape(-1, *(1 for _ in constraint.shape)).expand(-1, *constraint.shape))
        centre[places] = spread.mean(0)
        if name not in _named(scale, "scale", parameters):
            width[places] = spread.std(0)
        ranges.append(each)
    given = bounds is not None or scale is not None
    return Hints(centre, width, points, given, ranges=tuple(ranges))


def _layout(size: int, parameters: Parameters | None) -> dict[str, tuple[Constraint, slice]]:
    if parameters is None:
        return {"": (Real(size), slice(0, size))}
    found, first = {}, 0
    for name, constraint in parameters.constraints.items():
        found[name] = (constraint, slice(first, first + constraint.size))
        first += constraint.size
    return found


def _named(value: Any, what: str, parameters: Parameters | None) -> Mapping[str, Any]:
    """Return a hint by name; that for a plain vector has the empty name."""
    if value is None:
        return {}
    if parameters is None:
        if isinstance(value, Mapping):
            raise UsageError(f"{what} is a dictionary, but the parameters have no names", fix="give numbers")
        return {"": value}
    if not isinstance(value, Mapping):
        first = next(iter(parameters.constraints))
        raise UsageError(
            f"{what} is a {type(value).__name__}, but the parameters have names",
            fix=f"give a dictionary: {what}={{{first!r}: ...}}",
        )
    for name in value:
        if name not in parameters.constraints:
            raise UsageError(
                f"{what} names the parameter {name!r}, which is not among those given",
                fix=suggestion(str(name), list(parameters.constraints)),
            )
    return value


def _rows(starts: Any, parameters: Parameters | None, size: int) -> Any:
    """Return starts as several points, also where one is given."""
    if parameters is None:
        if isinstance(starts, Mapping):
            raise UsageError("starts is a dictionary, but the parameters have no names", fix="give an array")
        points = _tensor("starts", starts, f"an array of shape (n, {size})")
        if points.dim() not in (1, 2) or points.shape[-1] != size or not len(points):
            raise UsageError(
                f"starts have shape {tuple(points.shape)}", fix=f"give one row per point: shape (n, {size})"
            )
        return points.reshape(-1, size)
    named = _named(starts, "starts", parameters)
    found = {}
    for name, constraint in parameters.constraints.items():
        if name not in named:
            raise UsageError(f"starts lack the parameter {name}", fix=f"give starts[{name!r}]")
        value = _tensor(f"starts[{name!r}]", named[name], "numbers")
        found[name] = value[None] if value.shape == constraint.shape else value
        if found[name].shape[1:] != constraint.shape or not found[name].dim():
            raise UsageError(
                f"starts[{name!r}] has shape {tuple(value.shape)}",
                fix=f"give shape (n, *{constraint.shape}), one entry per point",
            )
    return found


def _tensor(name: str, value: Any, expected: str) -> Tensor:
    try:
        return torch.as_tensor(value).double()
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{name} is {value!r}", fix=f"give {expected}") from None


def _shaped(name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    if value.shape not in (torch.Size(()), torch.Size(shape)):
        raise UsageError(f"{name} has shape {tuple(value.shape)}", fix=f"give one number, or shape {shape}")
    if not bool(value.isfinite().all()):
        raise UsageError(f"{name} is not finite", fix="give finite numbers, or leave the hint out")
    return value.expand(shape)


def _range(name: str, value: Any, constraint: Constraint, places: slice) -> _Range:
    title = f"bounds[{name!r}]" if name else "bounds"
    pair = "a pair: a lower and an upper number"
    if name:
        pair += ", or an array of each" if constraint.shape else ""
    else:
        pair += f", or a pair for each dimension: shape ({constraint.size}, 2)"
        value = _tensor(title, value, pair)
        if value.shape not in ((2,), (constraint.size, 2)):
            raise UsageError(f"{title} has shape {tuple(value.shape)}", fix=f"give {pair}")
        value = value.mT if value.dim() == 2 else value
    if not isinstance(value, (Sequence, Tensor, np.ndarray)) or len(value) != 2:
        raise UsageError(f"{title} is {value!r}", fix=f"give {pair}")
    lower, upper = (_shaped(title, _tensor(title, end, pair), constraint.shape) for end in value)
    if not bool((lower < upper).all()):
        raise UsageError(f"{title} has a lower bound that is not below the upper", fix=f"give {pair}")
    found = _Range(constraint, places, lower, upper)
    shares = torch.tensor([0.02, 0.3, 0.98], dtype=torch.float64)
    inner = lower + shares.reshape(-1, *(1 for _ in constraint.shape)) * (upper - lower)
    if not _allows(constraint, inner):
        raise UsageError(
            f"{title} goes beyond {constraint!r}", fix="give bounds inside of the constraint, or starts="
        )
    return found


def _of_scale(name: str, value: Any, constraint: Constraint) -> tuple[Tensor, Tensor]:
    """Return centre and width in unconstrained units."""
    title = f"scale[{name!r}]" if name else "scale"
    size = _shaped(title, _tensor(title, value, "a number above 0"), constraint.shape)
    if not bool((size > 0.0).all()):
        raise UsageError(f"{title} is not above 0", fix="give the order of magnitude, such as 1e-3 or 1e6")
    # Of either sign; where that is impossible, of the same sign.
    for ends in (torch.stack([-size, size]), torch.stack([size / _FACTOR, size * _FACTOR])):
        if _allows(constraint, ends):
            low, high = constraint.unconstrain(ends)
            return 0.5 * (low + high), 0.5 * (high - low).abs()
    raise UsageError(
        f"{title} has no meaning for {constraint!r}", fix="give bounds= or starts= for it, or nothing"
    )


def _allows(constraint: Constraint, values: Tensor) -> bool:
    """Return whether all of several values ``(n, *shape)`` satisfy a constraint."""
    try:
        u = constraint.unconstrain(values)
        if not bool(u.isfinite().all()):
            return False
        there = constraint.constrain(u)[0]
    except (RuntimeError, ValueError):
        return False
    return bool(torch.allclose(there, values, rtol=1e-6, atol=1e-12))
