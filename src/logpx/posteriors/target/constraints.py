"""The values a parameter may take, and the map from unconstrained numbers to them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import transforms as maps
from torch.nn.functional import logsigmoid, pad

from logpx.arguments import check_count, check_number
from logpx.errors import UsageError
from logpx.representations import Shown

__all__ = [
    "Constraint",
    "CorrelationCholesky",
    "CovarianceMatrix",
    "Interval",
    "Ordered",
    "Positive",
    "Real",
    "Simplex",
    "Stacked",
]


class Constraint(Shown, ABC):
    """A set of values of some shape, and a smooth one-to-one map onto it from unconstrained vectors.

    Parameters
    ----------
    shape
        The shape of the parameter; an integer means a vector, the empty default a single number.

    Attributes
    ----------
    shape : tuple of int
        The shape of the parameter.
    size : int
        The length of the unconstrained vector.
    """

    def __init__(self, shape: int | Sequence[int] = ()) -> None:
        self.shape = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        for length in self.shape:
            check_count("shape", length)
        self.size = math.prod(self.shape)

    @abstractmethod
    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameter and the log abs(det) of the map at unconstrained numbers ``(n, size)``.

        Returns
        -------
        tuple of Tensor
            Shapes ``(n, *shape)`` and ``(n,)``. The determinant is taken over the degrees of freedom: all
            entries but one of a simplex, those below the diagonal (and on it) of a matrix.
        """

    @abstractmethod
    def unconstrain(self, x: Tensor) -> Tensor:
        """Return the unconstrained numbers ``(n, size)`` of parameters ``(n, *shape)``."""

    @property
    def periods(self) -> Tensor:
        """After how much each unconstrained number stands for the same value again; 0 for never."""
        return torch.zeros(self.size, dtype=torch.float64)

    @property
    def circle(self) -> tuple[float, float] | None:
        """The ends of the period of its values, or None if they have none."""
        return None

    def log_window(self, u: Tensor) -> Tensor:
        """Return the part of the log abs(det) that shares values out among numbers, shape ``(n,)``."""
        return u.new_zeros(len(u))

    @property
    def centres(self) -> Tensor:
        """The middle of the window of each unconstrained number with a period."""
        return torch.zeros(self.size, dtype=torch.float64)

    def spread(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Return unconstrained numbers ``(n, size)`` of draws as draws: of several, each in its turn."""
        return u

    def repeated(self, count: int) -> Constraint:
        """Return the constraint of several such values along a new first axis."""
        return Stacked(self, count)

    def __repr__(self) -> str:
        """Show the shape."""
        return f"{type(self).__name__}({self.shape})"


class _EntrywiseConstraint(Constraint):
    """Each entry mapped separately, by one of torch's transforms."""

    map: Any

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Map each entry."""
        x = self.map(u)
        ladj: Tensor = self.map.log_abs_det_jacobian(u, x).sum(-1)
        return x.reshape(len(u), *self.shape), ladj

    def unconstrain(self, x: Tensor) -> Tensor:
        """Map each entry back."""
        u: Tensor = self.map.inv(x.reshape(len(x), -1))
        return u


class Real(_EntrywiseConstraint):
    """Any real number.

    Examples
    --------
    >>> Real(3).constrain(torch.ones(1, 3))
    (tensor([[1., 1., 1.]]), tensor([0.]))
    """

    map = maps.identity_transform

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers unchanged."""
        return u.reshape(len(u), *self.shape), u.new_zeros(len(u))


class Positive(_EntrywiseConstraint):
    """Numbers above 0, through the exponential function.

    Examples
    --------
    >>> Positive().constrain(torch.zeros(1, 1))
    (tensor([1.]), tensor([0.]))
    """

    map = maps.ExpTransform()

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Exponentiate; instead of 0, where a density may have a pole, return the smallest normal number."""
        x = u.exp().clamp_min(torch.finfo(u.dtype).tiny)
        return x.reshape(len(u), *self.shape), u.sum(-1)


class Interval(_EntrywiseConstraint):
    """Numbers between two bounds, through the logistic function.

    Parameters
    ----------
    lower, upper
        The bounds.
    shape
        The shape of the parameter.

    Examples
    --------
    >>> Interval(-1.0, 1.0).constrain(torch.zeros(1, 1))
    (tensor([0.]), tensor([-0.6931]))
    """

    def __init__(self, lower: float, upper: float, shape: int | Sequence[int] = ()) -> None:
        super().__init__(shape)
        check_number("lower", lower)
        check_number("upper", upper)
        if not lower < upper:
            raise UsageError(f"an interval from {lower} to {upper}", fix="give a lower bound below the upper")
        self.map = maps.ComposeTransform(
            [maps.SigmoidTransform(), maps.AffineTransform(float(lower), float(upper) - float(lower))]
        )


class Ordered(Constraint):
    """Increasing numbers, through the first of them and the logarithms of the differences.

    Parameters
    ----------
    length
        How many numbers.

    Examples
    --------
    >>> Ordered(3).constrain(torch.zeros(1, 3))
    (tensor([[0., 1., 2.]]), tensor([0.]))
    """

    def __init__(self, length: int) -> None:
        check_count("length", length)
        super().__init__(length)

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Add up the differences."""
        steps = torch.cat([u[:, :1], u[:, 1:].exp()], 1)
        return steps.cumsum(1), u[:, 1:].sum(1)

    def unconstrain(self, x: Tensor) -> Tensor:
        """Take the logarithms of the differences."""
        return torch.cat([x[:, :1], x.diff(dim=1).log()], 1)


class Simplex(Constraint):
    """Numbers above 0 that sum to 1, by breaking a stick.

    Parameters
    ----------
    length
        How many numbers; one fewer are free.

    Examples
    --------
    >>> Simplex(3).constrain(torch.zeros(1, 2))[0]
    tensor([[0.3333, 0.3333, 0.3333]])
    """

    def __init__(self, length: int) -> None:
        check_count("length", length, least=2)
        super().__init__(length)
        self.size = length - 1

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Break off shares of the rest one after another, in logarithms, which do not underflow."""
        odds = u - self._rest(u)
        off, left = logsigmoid(odds), logsigmoid(-odds)
        log_x = pad(off, (0, 1)) + pad(left.cumsum(1), (1, 0))
        x = log_x.exp().clamp_min(torch.finfo(u.dtype).tiny)
        return x, (log_x[:, :-1] + left).sum(1)

    def unconstrain(self, x: Tensor) -> Tensor:
        """Compare each number with the sum of those after it."""
        after = x.flip(1).cumsum(1).flip(1)[:, 1:]
        return x[:, :-1].log() - after.log() + self._rest(x)

    def _rest(self, like: Tensor) -> Tensor:
        return torch.arange(self.size, 0, -1, dtype=like.dtype, device=like.device).log()


class CorrelationCholesky(Constraint):
    """Lower triangular matrices with rows of length 1: Cholesky factors of correlation matrices.

    Parameters
    ----------
    features
        The number of rows and columns.

    Examples
    --------
    >>> CorrelationCholesky(2).constrain(torch.zeros(1, 1))[0]
    tensor([[[1., 0.],
             [0., 1.]]])
    """

    def __init__(self, features: int) -> None:
        check_count("features", features, least=2)
        super().__init__((features, features))
        self.size = features * (features - 1) // 2
        self.map: Any = maps.CorrCholeskyTransform()

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Map the vector."""
        x = self.map(u)
        return x, self.map.log_abs_det_jacobian(u, x)

    def unconstrain(self, x: Tensor) -> Tensor:
        """Map the factor back."""
        u: Tensor = self.map.inv(x)
        return u


class CovarianceMatrix(Constraint):
    """Symmetric positive definite matrices, through their Cholesky factors with a log-diagonal.

    Parameters
    ----------
    features
        The number of rows and columns.

    Examples
    --------
    >>> CovarianceMatrix(2).constrain(torch.zeros(1, 3))[0]
    tensor([[[1., 0.],
             [0., 1.]]])
    """

    def __init__(self, features: int) -> None:
        check_count("features", features)
        super().__init__((features, features))
        self.size = features * (features + 1) // 2
        self._row, self._column = torch.tril_indices(features, features)
        self._diagonal = self._row == self._column

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply the factor by its transpose."""
        features = self.shape[0]
        diagonal = self._diagonal.to(u.device)
        factor = u.new_zeros(len(u), *self.shape)
        # The inner where keeps unused exponentials from overflowing, which would spoil the gradient.
        factor[:, self._row, self._column] = torch.where(diagonal, torch.where(diagonal, u, 0.0).exp(), u)
        # From u to L: L_ii for each i. From L to L Lᵀ: 2 L_ii^(D - i), i counted from 0.
        powers = torch.arange(features + 1, 1, -1, dtype=u.dtype, device=u.device)
        ladj = features * math.log(2.0) + (u[:, diagonal] * powers).sum(1)
        return factor @ factor.mT, ladj

    def unconstrain(self, x: Tensor) -> Tensor:
        """Factorise."""
        entries = torch.linalg.cholesky(x)[:, self._row, self._column]
        diagonal = self._diagonal.to(x.device)
        return torch.where(diagonal, torch.where(diagonal, entries, 1.0).log(), entries)


class Stacked(Constraint):
    """Several values with the same constraint, such as the rows of a matrix of transition probabilities.

    Parameters
    ----------
    constraint
        The constraint of each.
    count
        How many values; they lie along a new first axis.

    Examples
    --------
    >>> Stacked(Simplex(2), 3).constrain(torch.zeros(1, 3))[0].shape
    torch.Size([1, 3, 2])
    """

    def __init__(self, constraint: Constraint, count: int) -> None:
        check_count("count", count)
        super().__init__((count, *constraint.shape))
        self.size = count * constraint.size
        self.constraint, self.count = constraint, count

    def constrain(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Map each."""
        x, ladj = self.constraint.constrain(u.reshape(len(u) * self.count, self.constraint.size))
        return x.reshape(len(u), *self.shape), ladj.reshape(len(u), self.count).sum(1)

    def unconstrain(self, x: Tensor) -> Tensor:
        """Map each back."""
        u = self.constraint.unconstrain(x.reshape(len(x) * self.count, *self.constraint.shape))
        return u.reshape(len(x), self.size)

    @property
    def periods(self) -> Tensor:
        """The periods of each."""
        return self.constraint.periods.repeat(self.count)

    @property
    def circle(self) -> tuple[float, float] | None:
        """The ends of the period of each."""
        return self.constraint.circle

    def log_window(self, u: Tensor) -> Tensor:
        """Add up those of each."""
        each = self.constraint.log_window(u.reshape(len(u) * self.count, self.constraint.size))
        return each.reshape(len(u), self.count).sum(1)

    @property
    def centres(self) -> Tensor:
        """The middles of each."""
        return self.constraint.centres.repeat(self.count)

    def spread(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Move each."""
        each = self.constraint.spread(u.reshape(len(u) * self.count, self.constraint.size), generator)
        return each.reshape(len(u), self.size)

    def __repr__(self) -> str:
        """Show what is stacked."""
        return f"Stacked({self.constraint!r}, {self.count})"
