"""From a log-density to its posterior or its mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError
from logpx.posteriors.approximations.methods import METHODS, PosteriorMethod, automatic_methods
from logpx.posteriors.approximations.pathfinder import multi_path_pathfinder
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.run import PosteriorRun, Progress
from logpx.posteriors.target.constraints import Constraint
from logpx.posteriors.target.curvature import polish
from logpx.posteriors.target.factorised import FactorisedJoint, FactorisedTarget
from logpx.posteriors.target.hints import Hints, hints_of
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.target import Target
from logpx.representations import Shown
from logpx.suggestions import suggestion
from logpx.training.progress import reporter_for

__all__ = ["Mode", "find_mode", "posterior"]

_MODE_ALONE, _AUTOMATIC = "map", "auto"


@dataclass(frozen=True, repr=False)
class Mode(Shown):
    """The highest point of a log-density.

    Attributes
    ----------
    point : Tensor or dict of Tensor
        Shape ``(dim,)``; for named parameters, one tensor each.
    log_density : float
        The log-density there, in nats.
    jacobian : bool
        Whether the density is that of the unconstrained vector (with the log abs(det) of the map) rather than
        that of the parameters in their own units.
    converged : bool
        Whether the gradient vanished.
    """

    point: Any
    log_density: float
    jacobian: bool
    converged: bool


def find_mode(
    log_density: Callable[[Any], Tensor],
    dim: int | None = None,
    parameters: Mapping[str, Constraint] | None = None,
    jacobian: bool = False,
    seed: int = 0,
    vectorised: bool | None = None,
    *,
    starts: Any = None,
    bounds: Any = None,
    scale: Any = None,
) -> Mode:
    """Return the maximum a posteriori estimate: the highest point found from several starts.

    It depends on the units: the mode of the density of σ is not the exponential of that of log σ.

    Parameters
    ----------
    log_density, dim, parameters, seed, vectorised, starts, bounds, scale
        As in `posterior`.
    jacobian
        False for the mode of the density of the parameters in their own units; True for that of the
        unconstrained vector, around which Laplace's method expands.

    Raises
    ------
    DivergedError
        If the log-density rises without end, or is NaN; the point is named.

    Examples
    --------
    >>> from logpx.posteriors import Positive
    >>> exponential = lambda theta: -2.0 * theta["rate"]
    >>> mode = find_mode(exponential, parameters={"rate": Positive()}, jacobian=True)
    >>> round(float(mode.point["rate"]), 6)
    0.5
    """
    seed, target = checked_seed(seed), _target(log_density, dim, parameters, vectorised)
    target.hints = _hints(target, starts, bounds, scale)
    best = multi_path_pathfinder(target, seed, jacobian)[0]
    point = polish(target, best.point, jacobian) if best.converged else best.point
    natural = target.natural(point[None])
    shown = natural[0] if parameters is None else {name: value[0] for name, value in natural.items()}
    evaluate = target.log_prob if jacobian else target.without_jacobian
    with torch.no_grad():
        value = float(evaluate(point[None])[0])
    return Mode(shown, value, jacobian, best.converged)


@overload
def posterior(  # type: ignore[overload-overlap]
    log_density: Callable[[Any], Tensor],
    dim: int | None,
    method: Literal["map"],
    *,
    parameters: Mapping[str, Constraint] | None = ...,
    seed: int = ...,
    draws: int = ...,
    max_time: float | None = ...,
    vectorised: bool | None = ...,
    starts: Any = ...,
    bounds: Any = ...,
    scale: Any = ...,
    progress: bool | Callable[[Progress], object] | None = ...,
) -> Mode: ...


@overload
def posterior(  # type: ignore[overload-overlap]
    log_density: Callable[[Any], Tensor],
    dim: int | None = ...,
    *,
    method: Literal["map"],
    parameters: Mapping[str, Constraint] | None = ...,
    seed: int = ...,
    draws: int = ...,
    max_time: float | None = ...,
    vectorised: bool | None = ...,
    starts: Any = ...,
    bounds: Any = ...,
    scale: Any = ...,
    progress: bool | Callable[[Progress], object] | None = ...,
) -> Mode: ...


@overload
def posterior(
    log_density: Callable[[Any], Tensor],
    dim: int | None = ...,
    method: str | PosteriorMethod = ...,
    *,
    parameters: Mapping[str, Constraint] | None = ...,
    seed: int = ...,
    draws: int = ...,
    max_time: float | None = ...,
    vectorised: bool | None = ...,
    starts: Any = ...,
    bounds: Any = ...,
    scale: Any = ...,
    progress: bool | Callable[[Progress], object] | None = ...,
) -> Posterior: ...


def posterior(
    log_density: Callable[[Any], Tensor],
    dim: int | None = None,
    method: str | PosteriorMethod = _AUTOMATIC,
    *,
    parameters: Mapping[str, Constraint] | None = None,
    seed: int = 0,
    draws: int = 10_000,
    max_time: float | None = None,
    vectorised: bool | None = None,
    starts: Any = None,
    bounds: Any = None,
    scale: Any = None,
    progress: bool | Callable[[Progress], object] | None = None,
) -> Posterior | Mode:
    r"""Approximate the posterior of a log-density that need not integrate to 1, and say whether to trust it.

    Parameters
    ----------
    log_density
        A differentiable function in torch, of points ``(n, dim)`` or of a dictionary of parameters
        ``(n, *shape)``, which returns ``(n,)`` in nats; or the same for one point. It is called with float64.
        For many rows of data, a `FactorisedJoint`.
    dim
        The number of dimensions, if it is a function of a vector.
    method
        A name in `logpx.posteriors.METHODS`, or a `PosteriorMethod` with its own options; ``auto`` goes from
        cheap to rich until the result can be trusted. ``map`` gives only the mode, as `find_mode` does.
    parameters
        Names and constraints, if it is a function of a dictionary.
    seed
        Of everything random.
    draws
        How many draws the diagnosis weights; up to sixteen times as many where a good fit needs them.
    max_time
        The most seconds of the whole call: half of it for the search for modes, and each method gets what is
        left. Once it is up, the best so far is returned, and the verdict says so. A single call of the
        function is never cut short.
    vectorised
        Whether the function takes many points; None finds out by trying.
    starts
        Points to climb from, beside those of our own: shape ``(n, dim)``, or a dictionary of ``(n, *shape)``;
        a single point will do. The density has to be finite there.
    bounds
        A hint, no constraint: about the range in which modes lie, in natural units. The search also starts
        from points spread over it, and finds what lies outside of it as well. A pair for all dimensions, or
        one for each, shape ``(dim, 2)``; for named parameters a dictionary of pairs. Use `Interval` for
        bounds that values cannot cross.
    scale
        A hint: the order of magnitude of each dimension, in which the search measures. A number above 0, or
        one for each; for named parameters a dictionary. Without it, the magnitude is taken to be about 1.
    progress
        None: a bar if stderr is a terminal. True: a bar there, lines elsewhere. False: nothing. A function:
        called with a `Progress` about once a second, and at the end of each stage.

    Returns
    -------
    Posterior or Mode
        With ``sample``, ``log_prob``, ``log_evidence``, ``k_hat``, ``ess``, ``verdict``, ``summary``; for
        ``map``, the mode.

    Raises
    ------
    UsageError
        If the function does not return one number per point, with a gradient; the point is named. If
        `max_time` does not suffice for a single start.
    DivergedError
        If the log-density rises without end, does not fall in some direction, or is not finite where it must
        be; the point is named.

    Examples
    --------
    >>> found = posterior(lambda x: -0.5 * (x - 1.0).square().sum(-1), dim=2, method="laplace")
    >>> round(found.log_evidence, 6), found.diagnosis.trust.value
    (1.837877, 'trust')
    """
    if method == _MODE_ALONE:
        return find_mode(
            log_density,
            dim,
            parameters,
            seed=seed,
            vectorised=vectorised,
            starts=starts,
            bounds=bounds,
            scale=scale,
        )
    seed = checked_seed(seed)
    with reporter_for(progress) as reporter:
        target = _target(log_density, dim, parameters, vectorised)
        target.hints = _hints(target, starts, bounds, scale)
        run = PosteriorRun(target, seed=seed, draws=draws, max_time=max_time, reporter=reporter)
        return run.posterior(_methods(method, target.size))


def _hints(target: Target, starts: Any, bounds: Any, scale: Any) -> Hints:
    return hints_of(
        target.size, target.parameters, target.unconstrained, starts=starts, bounds=bounds, scale=scale
    )


def _target(
    log_density: Callable[[Any], Tensor],
    dim: int | None,
    parameters: Mapping[str, Constraint] | None,
    vectorised: bool | None,
) -> Target:
    kind = FactorisedTarget if isinstance(log_density, FactorisedJoint) else Target
    return kind(log_density, dim, None if parameters is None else Parameters(parameters), vectorised)


def _methods(method: str | PosteriorMethod, size: int) -> Sequence[PosteriorMethod]:
    """Return the methods to try in turn."""
    if isinstance(method, PosteriorMethod):
        return [method]
    if method == _AUTOMATIC:
        return automatic_methods(size)
    if method not in METHODS:
        names = [_AUTOMATIC, _MODE_ALONE, *METHODS]
        raise UsageError(f"there is no method {method!r}", fix=suggestion(str(method), names))
    return [METHODS[method]]
