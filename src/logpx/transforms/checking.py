"""Checks of a map of one's own: what maps of logpx are tested for, with a report that says how far off."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import biject_to

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.transforms.autoregressive import Autoregressive
from logpx.transforms.base import Transform
from logpx.transforms.jacobians import (
    DIRECTIONS,
    Failure,
    Inputs,
    check_gradients,
    check_ladj,
    check_pattern,
    number,
    place,
    worst,
)
from logpx.transforms.univariate import Univariate

__all__ = ["CheckReport", "Finding", "check"]

# Relative to the size of the values.
_ROUND_TRIP, _SINGLE = 1e-6, 1e-3
# Parameters are moved by this much, for a map that starts as the identity can hide a wrong ladj.
_MOVED = 0.1


@dataclass(frozen=True, repr=False)
class Finding(Shown):
    """The outcome of one check.

    Attributes
    ----------
    name : str
        What was checked.
    status : str
        ``ok``, ``failed``, ``note`` (worth knowing, and no fault) or ``skipped``.
    message : str
        By how much and where.
    """

    name: str
    status: str
    message: str

    def __str__(self) -> str:
        return f"{self.status:<7} {self.name}: {self.message}"


@dataclass(frozen=True, repr=False)
class CheckReport(Shown):
    """What `check` found.

    Attributes
    ----------
    name : str
        The class of the map.
    findings : tuple of Finding
        One for each check.

    Examples
    --------
    >>> from logpx.transforms import Affine
    >>> report = check(Affine(2))
    >>> report.ok, len(report.failures)
    (True, 0)
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def ok(self) -> bool:
        """Whether none failed."""
        return not self.failures

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join([self._verdict, *(f"  {finding}" for finding in self.findings)])

    @property
    def _verdict(self) -> str:
        failed = len(self.failures)
        verdict = "all checks hold" if not failed else f"{failed} of {len(self.findings)} checks failed"
        return f"{self.name}: {verdict}"

    def _shown_parts(self) -> Mapping[str, object]:
        return {"verdict": self._verdict, "failures": [finding.name for finding in self.failures]}

    def _shown_rows(self) -> Sequence[Mapping[str, object]]:
        return [{"check": one.name, "status": one.status, "found": one.message} for one in self.findings]


def check(
    transform: Transform | Univariate,
    x: Tensor | None = None,
    context: Tensor | None = None,
    *,
    rows: int = 16,
    seed: int = 0,
) -> CheckReport:
    """Check a map of your own as those of logpx are checked.

    Both directions are evaluated in double precision: the round trip, the ladj against automatic
    differentiation, gradients of values and ladj with respect to inputs, context and parameters against
    finite differences, the pattern of the Jacobian, rows that must not depend on each other, any leading
    shape, finite numbers at large inputs, and the same in single precision. All is done on a copy, whose
    parameters are moved a little, since a map that starts as the identity can hide a wrong ladj.

    Parameters
    ----------
    transform
        A map; or a function of one number, which is checked in an autoregressive layer of three features.
    x
        Rows to check it at, shape ``(n, *event_shape)``; by default random ones in its domain.
    context
        A context for each row, shape ``(n, context_features)``; random by default.
    rows
        The number of random rows.
    seed
        Of the random rows, and of how parameters are moved.

    Returns
    -------
    CheckReport
        True if all checks hold; printed, it says by how much and where they do not.

    Raises
    ------
    UsageError
        If it is no map, or its domain has no name and no rows are given.

    Examples
    --------
    >>> class Doubled(Transform):
    ...     def forward(self, x, context=None):
    ...         return 2.0 * x, x.new_zeros(x.shape[:-1])
    ...
    ...     def inverse(self, z, context=None):
    ...         return 0.5 * z, z.new_zeros(z.shape[:-1])
    >>> report = check(Doubled(2))
    >>> report.ok
    False
    >>> print(report.failures[0].message.partition(";")[0])
    off by 1.386 nats at row 0, x = (-2.31, -0.373): 0 returned, where the Jacobian has 1.386
    """
    transform = _map_of(transform)
    check_count("rows", rows)
    check_count("seed", seed, least=None)
    generator = torch.Generator().manual_seed(int(seed))
    moved = copy.deepcopy(transform).double().cpu().eval()
    x = _rows(moved, rows, generator) if x is None else x.detach().double().cpu()
    if context is None and moved.context_features:
        context = torch.randn(len(x), *moved.context_shape, generator=generator, dtype=torch.float64)
    context = None if context is None else context.detach().double().cpu()
    with torch.no_grad():
        moved.initialise(x, context)
        for parameter in moved.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(_MOVED * noise)
    given = Inputs(moved, x, context)
    findings = []
    for name, run in _CHECKS:
        findings.append(_finding(name, run, given))
    return CheckReport(type(transform).__name__, tuple(findings))


def _map_of(transform: object) -> Transform:
    if isinstance(transform, Univariate):
        return Autoregressive(3, transform, hidden=(8, 8))
    inner = getattr(transform, "transform", None)
    if not isinstance(transform, Transform) and isinstance(inner, Transform):
        return inner
    if not isinstance(transform, Transform):
        raise UsageError(
            f"a {type(transform).__name__}, where a map was expected",
            fix="give a subclass of logpx.transforms.Transform or logpx.transforms.Univariate",
        )
    return transform


def _rows(transform: Transform, rows: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(rows, *transform.event_shape, generator=generator, dtype=torch.float64)
    try:
        found: Tensor = biject_to(transform.domain)(noise)
    except NotImplementedError:
        raise UsageError(
            f"the domain of {type(transform).__name__} has no name", fix="give rows inside as x=..."
        ) from None
    return found


def _finding(name: str, run: Callable[[Inputs], tuple[str, str]], given: Inputs) -> Finding:
    try:
        status, message = run(given)
    except Failure as failure:
        status, message = "failed", str(failure)
    except NotImplementedError as error:
        status, message = "failed", f"not implemented: {error}".rstrip(": ")
    except Exception as error:  # whatever a map of one's own may raise
        status, message = "failed", f"raised {type(error).__name__}: {error}"
    return Finding(name, status, message)


@torch.no_grad()
def _check_shapes(given: Inputs) -> tuple[str, str]:
    for direction in DIRECTIONS:
        u = given.inputs(direction)
        for leading in ((len(u),), (1, len(u)), (len(u), 1), ()):
            part, context = u.reshape(*leading, *u.shape[1:]) if leading else u[0], given.context
            if context is not None:
                context = context.reshape(*leading, *context.shape[1:]) if leading else context[0]
            y, ladj = given.call(direction, part, context)
            if y.shape != part.shape or tuple(ladj.shape) != leading:
                raise Failure(
                    f"{direction} of shape {tuple(part.shape)} returned shape {tuple(y.shape)} and a ladj of "
                    f"shape {tuple(ladj.shape)}, where {tuple(part.shape)} and {leading} were expected"
                )
    return "ok", "values have the shape of x, and there is one ladj for each row"


@torch.no_grad()
def _check_round_trip(given: Inputs) -> tuple[str, str]:
    largest = 0.0
    for first, second in (DIRECTIONS, DIRECTIONS[::-1]):
        u = given.inputs(first)
        there, ladj = given.call(first, u, given.context)
        back, ladj_back = given.call(second, there, given.context)
        error = (back - u).abs() / (1.0 + u.abs())
        size, where = worst(error)
        if not size <= _ROUND_TRIP:
            raise Failure(
                f"{first}, then {second}, misses by {number((back - u).flatten()[where].abs())} at "
                f"{place(u, where, first)}: {number(back.flatten()[where])} came back"
            )
        sums, row = worst((ladj + ladj_back).abs() / (1.0 + ladj.abs()))
        if not sums <= _ROUND_TRIP:
            raise Failure(
                f"the ladjs of {first} and {second} add up to {number((ladj + ladj_back)[row])} nats "
                f"instead of 0 at row {row}"
            )
        largest = max(largest, size)
    return "ok", f"within {largest:.1e} in both orders, and the ladjs add up to 0"


@torch.no_grad()
def _check_rows(given: Inputs) -> tuple[str, str]:
    for direction in DIRECTIONS:
        u = given.inputs(direction)
        y, ladj = given.call(direction, u, given.context)
        context = None if given.context is None else given.context[:1]
        one, own = given.call(direction, u[:1], context)
        error = max(float((one - y[:1]).abs().max()), float((own - ladj[:1]).abs().max()))
        if not error <= 1e-9 * (1.0 + float(y[:1].abs().max())):
            raise Failure(f"{direction} of row 0 alone differs by {error:.3g} from row 0 among others")
    return "ok", "rows do not depend on each other"


@torch.no_grad()
def _check_large(given: Inputs) -> tuple[str, str]:
    found = []
    for direction in DIRECTIONS:
        u = given.inputs(direction)[:1]
        context = None if given.context is None else given.context[:1]
        for size in (1e3, -1e3, 1e30, -1e30):
            y, ladj = given.call(direction, torch.full_like(u, size), context)
            # Outside a domain the ladj is minus infinity, and the value finite.
            if not bool(y.isfinite().all()) or bool((ladj.isnan() | (ladj == math.inf)).any()):
                found.append(f"{direction} at {size:g}")
    if found:
        return "note", "not finite: " + ", ".join(found)
    return "ok", "finite up to 1e30, or without a density there"


@torch.no_grad()
def _check_single(given: Inputs) -> tuple[str, str]:
    single = Inputs(copy.deepcopy(given.transform).float(), given.x.float(), _float(given.context))
    largest = 0.0
    for direction, other in (DIRECTIONS, DIRECTIONS[::-1]):
        u = given.inputs(direction)
        y, ladj = single.call(direction, u.float(), single.context)
        if y.dtype != torch.float32 or ladj.dtype != torch.float32:
            raise Failure(f"{direction} of float32 returned {y.dtype} and a ladj of {ladj.dtype}")
        back = single.call(other, y, single.context)[0]
        expected = given.call(direction, u.float().double(), given.context)[1]
        trip, where = worst((back.double() - u).abs() / (1.0 + u.abs()))
        off, row = worst((ladj.double() - expected).abs() / (1.0 + expected.abs()))
        if not trip <= _SINGLE:
            raise Failure(
                f"{direction} and back misses by {trip:.1e} (relative) at {place(u, where, direction)}"
            )
        if not off <= _SINGLE:
            raise Failure(f"the ladj of {direction} is off by {off:.1e} (relative) at row {row}")
        largest = max(largest, trip, off)
    return "ok", f"within {largest:.1e}"


def _float(context: Tensor | None) -> Tensor | None:
    return None if context is None else context.float()


_CHECKS: tuple[tuple[str, Callable[[Inputs], tuple[str, str]]], ...] = (
    ("shapes", _check_shapes),
    ("round trip", _check_round_trip),
    ("ladj of forward", lambda given: check_ladj(given, "forward")),
    ("ladj of inverse", lambda given: check_ladj(given, "inverse")),
    ("gradients of forward", lambda given: check_gradients(given, "forward")),
    ("gradients of inverse", lambda given: check_gradients(given, "inverse")),
    ("Jacobian", check_pattern),
    ("rows", _check_rows),
    ("large inputs", _check_large),
    ("single precision", _check_single),
)
