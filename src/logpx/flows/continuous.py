"""A map along the paths of an ordinary differential equation, with the integral of its divergence."""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap

from logpx.arguments import check_count, check_number
from logpx.configuration import Configured
from logpx.errors import NotConvergedError, UsageError
from logpx.transforms import Transform

__all__ = ["AdaptiveSolver", "Continuous", "FixedStepSolver", "Solver"]

Right = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]


class Solver(Configured, ABC):
    """How an ordinary differential equation is solved."""

    @abstractmethod
    def solve(self, right: Right, state: tuple[Tensor, ...], begin: float, end: float) -> tuple[Tensor, ...]:
        """Return the state at the end.

        Parameters
        ----------
        right
            The derivative of the state, given the time, a number or one per row, and the state.
        state
            At the begin.
        begin, end
            Times.
        """


class FixedStepSolver(Solver):
    """The classical Runge-Kutta method of order 4, in steps of equal length.

    Parameters
    ----------
    steps
        The number of steps; doubling it divides the error by 16.
    """

    def __init__(self, steps: int = 50) -> None:
        check_count("steps", steps)
        self.steps = steps

    def solve(self, right: Right, state: tuple[Tensor, ...], begin: float, end: float) -> tuple[Tensor, ...]:
        """Return the state at the end, after ``4 * steps`` evaluations."""
        length = (end - begin) / self.steps
        like = state[0]

        def moved(slopes: tuple[Tensor, ...], share: float) -> tuple[Tensor, ...]:
            return tuple(each + share * length * slope for each, slope in zip(state, slopes, strict=True))

        for step in range(self.steps):
            # Tensors, so that a network sees a time of its own precision.
            at = [like.new_tensor(begin + (step + share) * length) for share in (0.0, 0.5, 1.0)]
            first = right(at[0], state)
            second = right(at[1], moved(first, 0.5))
            third = right(at[1], moved(second, 0.5))
            fourth = right(at[2], moved(third, 1.0))
            slopes = zip(first, second, third, fourth, strict=True)
            state = moved(tuple((a + 2.0 * b + 2.0 * c + d) / 6.0 for a, b, c, d in slopes), 1.0)
        return state


# Dormand and Prince's method of order 5, with one of order 4 to know its error.
_TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERRORS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0


class AdaptiveSolver(Solver):
    """Dormand and Prince's method of order 5, with steps as long as a tolerance allows.

    Every row takes its own steps, so that its answer depends on no other. A row without an answer is NaN,
    and a warning says which.

    Parameters
    ----------
    tolerance
        The largest error of a step in any number, relative to 1 + its size.
    most_steps
        After how many steps to give a row up.

    References
    ----------
    Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.5.
    """

    def __init__(self, tolerance: float = 1e-6, most_steps: int = 10_000) -> None:
        check_number("tolerance", tolerance, above=0.0)
        check_count("most_steps", most_steps)
        self.tolerance, self.most_steps = tolerance, most_steps

    def solve(self, right: Right, state: tuple[Tensor, ...], begin: float, end: float) -> tuple[Tensor, ...]:
        """Return the state at the end, with NaN and a warning for rows that have no answer.

        A row has none if it takes more than `most_steps`, or steps too short for its precision, or if its
        numbers are not finite.

        Raises
        ------
        NotConvergedError
            If no row has an answer.
        """
        if not state[0].numel():
            return state
        at = state[0].new_full(state[0].shape[:-1], begin)
        length = torch.full_like(at, 0.05 * (end - begin))
        shortest = torch.finfo(at.dtype).eps * abs(end - begin)
        known = _finite(state, at.dim())
        state = _chosen(known, state, tuple(torch.zeros_like(each) for each in state))
        running, lost = known, ~known
        for _ in range(self.most_steps):
            if not running.any():
                break
            remaining = end - at
            last = length.abs() >= remaining.abs()
            length = torch.where(last, remaining, length)
            following, error = self._step(right, state, at, torch.where(running, length, 0.0))
            if not error.isfinite().all():
                # Once more without those that overflow: of them nothing may reach a gradient.
                safe = torch.where(running & error.isfinite(), length, 0.0)
                following = self._step(right, state, at, safe)[0]
            accepted = running & (error <= 1.0)
            if accepted.any():
                state = _chosen(accepted, following, state)
            at = torch.where(accepted, at + length, at)
            running = running & ~(accepted & last)
            factor = (_SAFETY * error.clamp_min(1e-10) ** -0.2).clamp(_SHRINK, _GROW)
            length = length * torch.where(error.isfinite(), factor, _SHRINK)
            stuck = running & (length.abs() <= shortest)
            running, lost = running & ~stuck, lost | stuck
        return self._without(lost | running, state)

    def _step(
        self, right: Right, state: tuple[Tensor, ...], at: Tensor, length: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the state after a step of every row, and its error in units of the tolerance."""
        slopes: list[tuple[Tensor, ...]] = []
        lengths = [_wide(length, each) for each in state]
        moved = state
        for time, weights in zip(_TIMES, _STAGES, strict=True):
            moved = tuple(
                each + lengths[i] * _combined(weights, slopes, i, each) for i, each in enumerate(state)
            )
            slopes.append(right(at + time * length, moved))
        with torch.no_grad():
            errors = [
                (lengths[i] * _combined(_ERRORS, slopes, i, each)).abs()
                / (self.tolerance * (1.0 + torch.maximum(each.abs(), moved[i].abs())))
                for i, each in enumerate(state)
            ]
            largest = torch.stack([error.reshape(*at.shape, -1).amax(-1) for error in errors]).amax(0)
        return moved, largest

    def _without(self, lost: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the state with NaN for the rows that have no answer, and say so."""
        if not lost.any():
            return state
        found = lost.flatten().nonzero().flatten().tolist()
        first = ", ".join(map(str, found[:5])) + (", …" if len(found) > 5 else "")
        message = (
            f"the differential equation takes more than {self.most_steps} steps, or is not finite, for "
            f"{len(found)} of {lost.numel()} rows, counted from 0: {first}"
        )
        fix = "look at those rows, raise the tolerance or most_steps, or take a FixedStepSolver"
        if lost.all():
            raise NotConvergedError(message, fix=fix)
        warnings.warn(f"{message}; they are NaN. fix: {fix}", RuntimeWarning, stacklevel=2)
        return _chosen(lost, tuple(torch.full_like(each, torch.nan) for each in state), state)


def _wide(rows: Tensor, like: Tensor) -> Tensor:
    """Return one value per row so that it broadcasts with more numbers of each row."""
    return rows.reshape(*rows.shape, *[1] * (like.dim() - rows.dim()))


def _chosen(rows: Tensor, one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return some rows of one state and the rest of the other."""
    return tuple(torch.where(_wide(rows, a), a, b) for a, b in zip(one, other, strict=True))


def _finite(state: tuple[Tensor, ...], dims: int) -> Tensor:
    """Return which rows have only finite numbers."""
    parts = [each.isfinite().reshape(*each.shape[:dims], -1).all(-1) for each in state]
    return torch.stack(parts).all(0)


def _combined(
    weights: tuple[float, ...], slopes: list[tuple[Tensor, ...]], part: int, like: Tensor
) -> Tensor:
    found = torch.zeros_like(like)
    for weight, slope in zip(weights, slopes, strict=True):
        found = found + weight * slope[part]
    return found


class Continuous(Transform):
    r"""The map from x at time 1 to z at time 0 along :math:`\dot x = v(x, t)`.

    .. math:: \log |\det \partial z / \partial x| = -\int_0^1 \operatorname{tr} \frac{dv}{dx} \, dt

    The trace is computed exactly, in as many products with the Jacobian as there are features.

    Parameters
    ----------
    features
        The number of features.
    velocity
        Called as ``velocity(x, t, context)``.
    context
        The number of context features.
    solver
        Of the equation.
    """

    def __init__(self, features: int, velocity: nn.Module, context: int, solver: Solver) -> None:
        super().__init__(features, context)
        self.velocity, self.solver = velocity, solver

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Follow the paths back to noise."""
        return self._solved(x, context, 1.0, 0.0)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Follow the paths from noise to data."""
        return self._solved(z, context, 0.0, 1.0)

    def _solved(self, u: Tensor, context: Tensor | None, begin: float, end: float) -> tuple[Tensor, Tensor]:
        basis = torch.eye(u.shape[-1], dtype=u.dtype, device=u.device)

        def right(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            velocity, products = self._products(state[0], t, context, basis)
            return velocity, products.diagonal(dim1=-2, dim2=-1).sum(-1)

        value, ladj = self.solver.solve(right, (u, u.new_zeros(u.shape[:-1])), begin, end)
        return value, ladj

    def moved(self, u: Tensor, context: Tensor | None, begin: float, end: float) -> Tensor:
        """Follow the paths without the ladj, which draws do not need."""
        found = self.solver.solve(lambda t, state: (self.velocity(state[0], t, context),), (u,), begin, end)
        return found[0]

    def estimated(self, x: Tensor, context: Tensor | None, probes: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return noise, and estimates of the ladj by products :math:`\epsilon^\top J \epsilon`.

        Parameters
        ----------
        x
            Shape ``(n, features)``.
        context
            As of `forward`.
        probes
            Random signs, shape ``(n, draws, features)``.

        Returns
        -------
        Tensor
            Noise, shape ``(n, features)``.
        Tensor
            One estimate of the ladj per draw, shape ``(n, draws)``.

        References
        ----------
        Hutchinson 1989, A stochastic estimator of the trace of the influence matrix.
        """

        def right(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            velocity, products = self._products(state[0], t, context, probes)
            return velocity, (products * probes).sum(-1)

        z, ladj = self.solver.solve(right, (x, x.new_zeros(probes.shape[:-1])), 1.0, 0.0)
        return z, ladj

    def _products(
        self, x: Tensor, t: Tensor, context: Tensor | None, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the velocity and the products of its Jacobian with directions, shape ``(*rows, k, D)``."""
        own: Any = getattr(self.velocity, "with_products", None)
        if own is not None:
            velocity, products = own(x, t, context, directions)
            return velocity, products
        wide = directions.expand(*x.shape[:-1], *directions.shape[-2:]).movedim(-2, 0)

        _load_forward_mode()

        def along(direction: Tensor) -> Any:
            return jvp(lambda u: self.velocity(u, t, context), (x,), (direction,))

        found: tuple[Tensor, Tensor] = vmap(along)(wide)
        return found[0][0], found[1].movedim(0, -2)


@functools.cache
def _load_forward_mode() -> None:
    """Let torch load what it differentiates forwards by, which uses parts that it has deprecated itself."""
    with warnings.catch_warnings(), torch.autograd.forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        make_dual: Any = torch.autograd.forward_ad.make_dual
        make_dual(torch.zeros(1), torch.ones(1))


def check_velocity(velocity: nn.Module, features: int, context: int) -> None:
    """Refuse a network that does not turn positions into velocities."""
    own = next(velocity.parameters(), torch.empty(0))
    x, t = own.new_zeros(2, features), own.new_zeros(())
    try:
        with torch.no_grad():
            found = velocity(x, t, own.new_zeros(2, context) if context else None)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UsageError(
            f"the velocity does not take rows of {features} features: {error}",
            fix="give a module that is called as velocity(x, t, context)",
        ) from error
    if not isinstance(found, Tensor) or found.shape != x.shape:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(
            f"the velocity of rows of shape {(2, features)} has the shape {shape}",
            fix="return a tensor of the shape of x",
        )
