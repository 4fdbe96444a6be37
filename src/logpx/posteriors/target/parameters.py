"""Named parameters in their natural units, and the one unconstrained vector that holds them all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.posteriors.target.circular import recentred
from logpx.posteriors.target.constraints import Constraint

__all__ = ["Parameters"]

_FEW_CIRCLES = 5


class Parameters:
    """The parameters of a log-density.

    Parameters
    ----------
    constraints
        Constraints by name; they give the shapes.

    Attributes
    ----------
    size : int
        The length of the unconstrained vector.

    Raises
    ------
    UsageError
        If there are none, or a value is not a `Constraint`.

    Examples
    --------
    >>> from logpx.posteriors import Positive, Real
    >>> parameters = Parameters({"mean": Real(2), "scale": Positive()})
    >>> values, ladj = parameters.constrain(torch.zeros(5, 3))
    >>> values["mean"].shape, values["scale"].shape, ladj.shape
    (torch.Size([5, 2]), torch.Size([5]), torch.Size([5]))
    """

    def __init__(self, constraints: Mapping[str, Constraint]) -> None:
        if not isinstance(constraints, Mapping) or not constraints:
            raise UsageError(
                f"parameters is {constraints!r}",
                fix="give a dictionary of constraints: {'mean': Real(2), 'scale': Positive()}",
            )
        for name, constraint in constraints.items():
            if not isinstance(constraint, Constraint):
                raise UsageError(
                    f"the parameter {name} is a {type(constraint).__name__}",
                    fix="give a constraint: Real(shape), Positive(shape), Interval(lower, upper), ...",
                )
        self.constraints = dict(constraints)
        self.size = sum(constraint.size for constraint in constraints.values())

    def constrain(self, u: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the parameters and the log abs(det) of the map at vectors ``(n, size)``."""
        values, total = {}, u.new_zeros(len(u))
        parts = torch.split(u, [constraint.size for constraint in self.constraints.values()], 1)
        for (name, constraint), part in zip(self.constraints.items(), parts, strict=True):
            values[name], ladj = constraint.constrain(part)
            total = total + ladj
        return values, total

    @property
    def periods(self) -> Tensor:
        """After how much each number of the vector stands for the same value again; 0 for never."""
        return torch.cat([constraint.periods for constraint in self.constraints.values()])

    def log_window(self, u: Tensor) -> Tensor:
        """Return the part of the log abs(det) that shares values on circles out, shape ``(n,)``."""
        sizes = [constraint.size for constraint in self.constraints.values()]
        parts = zip(self.constraints.values(), torch.split(u, sizes, 1), strict=True)
        return torch.stack([constraint.log_window(part) for constraint, part in parts]).sum(0)

    @property
    def shifts(self) -> Tensor:
        """What added to a vector gives others for the same values, itself first, shape ``(k, size)``."""
        periods = self.periods
        places = (periods > 0.0).nonzero()[:, 0].tolist()
        # With many circles, those on which one or two numbers are a period off.
        most = len(places) if len(places) <= _FEW_CIRCLES else 2
        steps = [torch.zeros(self.size, dtype=torch.float64)]
        for number in range(1, most + 1):
            for chosen in itertools.combinations(places, number):
                for signs in itertools.product((-1.0, 1.0), repeat=number):
                    step = torch.zeros(self.size, dtype=torch.float64)
                    step[list(chosen)] = torch.tensor(signs, dtype=torch.float64) * periods[list(chosen)]
                    steps.append(step)
        return torch.stack(steps)

    @property
    def centres(self) -> Tensor:
        """The middle of the window of each number of the vector that stands for a value on a circle."""
        return torch.cat([constraint.centres for constraint in self.constraints.values()])

    def spread(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Return vectors ``(n, size)`` of draws as draws: where several stand for a value, one by chance."""
        parts = torch.split(u, [constraint.size for constraint in self.constraints.values()], 1)
        moved = [
            constraint.spread(part, generator)
            for constraint, part in zip(self.constraints.values(), parts, strict=True)
        ]
        return torch.cat(moved, 1)

    def recentred(self, u: Tensor, shares: Tensor, widths: Tensor) -> Parameters:
        """Return the parameters with circles cut where there is least mass around points ``(k, size)``.

        Parameters
        ----------
        u
            The points.
        shares
            The mass around each, shape ``(k,)``.
        widths
            How far it spreads, shape ``(k, size)``.
        """
        sizes = [constraint.size for constraint in self.constraints.values()]
        parts = zip(
            self.constraints.items(), torch.split(u, sizes, 1), torch.split(widths, sizes, 1), strict=True
        )
        return Parameters({name: recentred(each, part, shares, width) for (name, each), part, width in parts})

    def unconstrain(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return the vectors ``(n, size)`` of parameters, each of shape ``(n, *shape)``.

        Raises
        ------
        UsageError
            If a parameter is missing, has another shape, or lies outside its constraint.
        """
        parts = []
        for name, constraint in self.constraints.items():
            if name not in values:
                raise UsageError(f"the parameter {name} is missing", fix=f"give values[{name!r}]")
            value = torch.as_tensor(values[name])
            if tuple(value.shape[1:]) != constraint.shape:
                raise UsageError(
                    f"{name} has shape {tuple(value.shape)}", fix=f"give shape (n, *{constraint.shape})"
                )
            part = constraint.unconstrain(
                value.to(torch.get_default_dtype()) if not value.is_floating_point() else value
            )
            if not bool(part.isfinite().all()):
                raise UsageError(f"{name} lies outside of {constraint}", fix="give values that it allows")
            parts.append(part)
        return torch.cat(parts, 1)
