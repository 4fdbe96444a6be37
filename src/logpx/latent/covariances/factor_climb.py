"""Climbs of the likelihood of factor analysis, in the logarithms of the noise variances."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from logpx.latent.covariances.roots import leading

__all__ = ["Profile", "ProfileAt", "RootProfile", "climb"]

_ROUNDING = 1e-13
_LONGEST_STEP = 4.0
_SHRINKS = 0.9
# In the logarithms: starts so near each other have met.
_NEAR = 0.1
# Of few rows, at the units of several starts at once.
_MOST_NUMBERS = 10_000_000


def climb(
    profile_at: ProfileAt,
    logarithms: Tensor,
    floor: Tensor,
    most: int,
    deadline: float | None,
    no_gain: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Climb from each of several noise variances, shape ``(starts, D)``, until all arrive or time is up.

    Takes Newton steps in the logarithms of the noise variances, with Jöreskog's approximation of the second
    derivatives, and an EM step wherever a Newton step would not raise the likelihood. Of starts that meet,
    one goes on. Returns where each has got to, and how high.
    """
    least, reached = floor.log(), logarithms.clone()
    climbing = torch.arange(len(reached), device=reached.device)
    profile = profile_at(logarithms)
    values = profile.value.clone()
    before = torch.full_like(values, torch.inf)
    for _ in range(most):
        if deadline is not None and time.monotonic() > deadline:
            break
        step = profile.newton_step(least)
        # Shortened in its direction, not cut feature by feature.
        step = step * (_LONGEST_STEP / step.abs().amax(1, keepdim=True)).clamp_max(1.0)
        trial = profile_at((profile.logarithms + step).maximum(least))
        # Close to the maximum, values differ by less than their rounding errors.
        rounding = _ROUNDING * profile.value.abs().clamp_min(1.0)
        lower = ~(trial.value >= profile.value - rounding)
        if bool(lower.any()):
            trial = profile_at(torch.where(lower[:, None], profile.em_step(floor), trial.logarithms))
        change = (trial.logarithms - profile.logarithms).abs().amax(1)
        gain = (trial.value - profile.value).abs()
        reached[climbing], values[climbing] = trial.logarithms, trial.value
        on = gain >= (profile.no_gain if no_gain is None else no_gain)
        if no_gain is None:
            # The likelihood is flat at its maximum, where steps that shrink still add digits.
            on |= change <= _SHRINKS * before
        on &= (change >= profile.no_change) & ~_met(trial)
        if not bool(on.any()):
            break
        climbing, profile, before = climbing[on], trial.only(on), change[on]
    return reached, values


def _met(profile: Profile | RootProfile) -> Tensor:
    """Return which starts are where a higher one is, shape ``(starts,)``."""
    logarithms, value = profile.logarithms, profile.value
    near = (logarithms[:, None] - logarithms).abs().amax(-1) < _NEAR
    order = torch.arange(len(value), device=value.device)
    higher = (value > value[:, None]) | ((value == value[:, None]) & (order < order[:, None]))
    return (near & higher).any(1)


class _Blocks:
    """Tensors of several blocks, of which some can be taken."""

    def only(self, chosen: Tensor) -> Self:
        """Return a copy with some of the blocks, a boolean of shape ``(blocks,)``."""
        some = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(some, name, value[chosen])
        return some


class Profile(_Blocks):
    """The likelihood of noise variances with their best loadings, from the scaled scatter's eigenvalues.

    Parameters
    ----------
    values, vectors
        The eigenvalues, increasing, and eigenvectors, of the scatter of features divided by the noise's
        deviations: shapes ``(blocks, D)`` and ``(blocks, D, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(blocks, D)``.
    rank
        The number of factors.
    """

    # In the logarithms, and in nats.
    no_change, no_gain = 1e-12, 1e-12

    def __init__(self, values: Tensor, vectors: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        rest = values.shape[-1] - rank
        self._values, self._rest = values[:, :rest], vectors[:, :, :rest]
        self._leading, self._vectors = values[:, rest:].clamp_min(1.0), vectors[:, :, rest:]
        # Of each eigenvector's variance, what its loading leaves.
        self._left = torch.cat([self._values, values[:, rest:].clamp_max(1.0)], 1)
        unexplained = (values[:, rest:] / self._leading).sum(-1) + self._values.sum(-1)
        self.value = -0.5 * (self._leading.log().sum(-1) + unexplained + logarithms.sum(-1))

    @classmethod
    def of_scatter(cls, averages: Tensor, logarithms: Tensor, rank: int) -> Profile:
        """Return the profile of average scatters of shape ``(blocks, D, D)``."""
        roots = torch.exp(0.5 * logarithms)
        scaled = averages / roots.unsqueeze(-1) / roots.unsqueeze(-2)
        values, vectors = torch.linalg.eigh(scaled)
        return cls(values, vectors, logarithms, rank)

    @classmethod
    def of_factor(cls, factor: Tensor, logarithms: Tensor, rank: int) -> Profile:
        """Return it from square roots of the scatters: exact for far smaller noise, and twice as slow."""
        scaled = factor * torch.exp(-0.5 * logarithms).unsqueeze(-1)
        vectors, values, _ = torch.linalg.svd(scaled)
        squares = functional.pad(values.square(), (0, vectors.shape[-1] - values.shape[-1]))
        return cls(squares.flip(-1), vectors.flip(-1), logarithms, rank)

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(blocks, D, q)``."""
        scales = (self._leading - 1.0).sqrt().unsqueeze(-2)
        found: Tensor = self._roots.unsqueeze(-1) * (self._vectors * scales).flip(-1)
        return found

    def slopes(self) -> Tensor:
        """Return twice the derivatives of the value with respect to the logarithms, ``(blocks, D)``."""
        vectors = torch.cat([self._rest, self._vectors], -1)
        return (vectors.square() @ (self._left - 1.0).unsqueeze(-1)).squeeze(-1)

    def em_step(self, floor: Tensor) -> Tensor:
        """Return the logarithms after an EM step at the best loadings: of what these leave unexplained.

        As a sum over eigenvectors nothing cancels, as it does in variances less squares of loadings.
        """
        vectors = torch.cat([self._rest, self._vectors], -1)
        left = (vectors.square() @ self._left.unsqueeze(-1)).squeeze(-1)
        return (left * self.logarithms.exp()).maximum(floor).log()

    def newton_step(self, least: Tensor) -> Tensor:
        """Return a Newton step in the logarithms, which are at `least` or above, shape ``(blocks, D)``.

        Jöreskog 1967, Some contributions to maximum likelihood factor analysis, section 5.
        """
        squares = self._rest.square()
        gradient = (squares * (self._values - 1.0).unsqueeze(-2)).sum(-1)
        curvature = (self._rest @ self._rest.mT).square()
        # What is held at the floor does not move, nor does it move others.
        free = ((self.logarithms > least) | (gradient > 0.0)).to(gradient.dtype)
        curvature = curvature * free.unsqueeze(-1) * free.unsqueeze(-2)
        step: Tensor = torch.linalg.solve(curvature + torch.diag_embed(1.0 - free + 1e-8), gradient * free)
        return step


class RootProfile(_Blocks):
    """The same for the scatter RᵀR of few rows, from the singular values of R in the scaled features.

    Parameters
    ----------
    root
        R, shape ``(n, D)``.
    logarithms
        The logarithms of the noise variances, shape ``(blocks, D)``.
    rank
        The number of factors.
    """

    # Without the second derivatives between features the last digits take many steps, and noise at its floor,
    # on which the likelihood hardly depends, goes up and down.
    no_change, no_gain = 1e-7, 1e-8

    def __init__(self, root: Tensor, logarithms: Tensor, rank: int) -> None:
        self.logarithms = logarithms
        self._roots = torch.exp(0.5 * logarithms)
        groups = torch.split(self._roots, max(1, _MOST_NUMBERS // root.numel()))
        parts = [leading(root / roots.unsqueeze(-2), rank) for roots in groups]
        values, self._vectors, rest = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        self._leading = values.clamp_min(1.0)
        self._variances = root.square().sum(0) / logarithms.exp()
        unexplained = (values / self._leading).sum(-1) + rest
        self.value = -0.5 * (self._leading.log().sum(-1) + unexplained + logarithms.sum(-1))

    def loadings(self) -> Tensor:
        """Return the best loadings, shape ``(blocks, D, q)``."""
        scales = (self._leading - 1.0).sqrt().unsqueeze(-2)
        return self._roots.unsqueeze(-1) * self._vectors * scales

    def slopes(self) -> Tensor:
        """Return twice the derivatives of the value with respect to the logarithms, ``(blocks, D)``."""
        return self._left() - 1.0

    def em_step(self, floor: Tensor) -> Tensor:
        """Return the logarithms after an EM step at the best loadings: of what these leave unexplained."""
        return (self._left() * self.logarithms.exp()).maximum(floor).log()

    def newton_step(self, least: Tensor) -> Tensor:
        """Return a step in the logarithms, shape ``(blocks, D)``, each feature by itself."""
        curvature = (1.0 - self._vectors.square().sum(-1)).clamp_min(1e-4).square()
        # Each feature's step is cut by itself: they know nothing of each other.
        return (self.slopes() / curvature).clamp(-0.5 * _LONGEST_STEP, 0.5 * _LONGEST_STEP)

    def _left(self) -> Tensor:
        explained = (self._vectors.square() * (self._leading - 1.0).unsqueeze(-2)).sum(-1)
        return self._variances - explained


ProfileAt = Callable[[Tensor], Profile | RootProfile]
