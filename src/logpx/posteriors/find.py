"""From a log-density to its posterior or its mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

from logpx.errors import DivergedError, UsageError
from logpx.posteriors.approximations.landscape import survey
from logpx.posteriors.approximations.methods import AUTOMATIC, METHODS, PosteriorMethod
from logpx.posteriors.approximations.pathfinder import multi_path_pathfinder
from logpx.posteriors.diagnostics.account import Account, EvidenceFound
from logpx.posteriors.diagnostics.verdict import Trust, diagnose
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.target.constraints import Constraint
from logpx.posteriors.target.curvature import polish
from logpx.posteriors.target.factorised import FactorisedJoint, FactorisedTarget
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.propriety import check_proper
from logpx.posteriors.target.target import Target
from logpx.suggestions import suggestion

__all__ = ["Mode", "find_mode", "posterior"]

_MODE_ALONE, _AUTOMATIC = "map", "auto"
# In nats.
_ALIKE = 0.1
_LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class Mode:
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
) -> Mode:
    """Return the maximum a posteriori estimate: the highest point found from several starts.

    It depends on the units: the mode of the density of σ is not the exponential of that of log σ.

    Parameters
    ----------
    log_density, dim, parameters, seed, vectorised
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
    target = _target(log_density, dim, parameters, vectorised)
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
        About the most seconds of the whole call: each method gets what is left. What cannot be cut short, the
        search for modes and a first method, may take longer.
    vectorised
        Whether the function takes many points; None finds out by trying.

    Returns
    -------
    Posterior or Mode
        With ``sample``, ``log_prob``, ``log_evidence``, ``k_hat``, ``ess``, ``verdict``, ``summary``; for
        ``map``, the mode.

    Raises
    ------
    UsageError
        If the function does not return one number per point, with a gradient; the point is named.
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
        return find_mode(log_density, dim, parameters, seed=seed, vectorised=vectorised)
    target = _target(log_density, dim, parameters, vectorised)
    methods = _methods(method)
    began = time.monotonic()
    paths = multi_path_pathfinder(target, seed)
    check_proper(target, paths[0].point)
    landscape = survey(target, paths, seed)
    account = Account()
    account.add([landscape.evidence])
    results: list[Posterior] = []
    error: DivergedError | None = None
    for each in methods:
        limited = each
        if max_time is not None:
            left = max_time - (time.monotonic() - began)
            if left <= 0.0 and results:
                break
            limited = each.limited_to(max(left, _LEAST_SECONDS))
        try:
            approximation = limited.approximate(target, landscape, seed, draws)
            account.add(approximation.evidence)
            found = Posterior(
                each.name,
                approximation,
                target,
                seed=seed + 1,
                draws=draws,
                landscape=landscape,
                account=account,
                seconds=time.monotonic() - began,
            )
            # The draws are weighted here.
            trust = found.diagnosis.trust
        except DivergedError as failure:
            error = failure
            continue
        if trust is not Trust.DO_NOT:
            return found
        account.add([EvidenceFound.of(each.name, found.diagnosis)])
        results.append(found)
    if not results:
        assert error is not None
        raise error
    return _best(results)


def _best(results: Sequence[Posterior]) -> Posterior:
    """Return the result that covers most of the evidence; among equals, the one with the best weights."""
    most = max(found.log_evidence for found in results)
    alike = [found for found in results if found.log_evidence >= most - _ALIKE] or list(results)
    return min(alike, key=lambda found: diagnose(found.weighted).k_hat)


def _target(
    log_density: Callable[[Any], Tensor],
    dim: int | None,
    parameters: Mapping[str, Constraint] | None,
    vectorised: bool | None,
) -> Target:
    kind = FactorisedTarget if isinstance(log_density, FactorisedJoint) else Target
    return kind(log_density, dim, None if parameters is None else Parameters(parameters), vectorised)


def _methods(method: str | PosteriorMethod) -> Sequence[PosteriorMethod]:
    """Return the methods to try in turn."""
    if isinstance(method, PosteriorMethod):
        return [method]
    if method == _AUTOMATIC:
        return AUTOMATIC
    if method not in METHODS:
        names = [_AUTOMATIC, _MODE_ALONE, *METHODS]
        raise UsageError(f"there is no method {method!r}", fix=suggestion(str(method), names))
    return [METHODS[method]]
