"""Heavier tails for an approximation: importance weights need a proposal that is nowhere much too thin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress

import torch

from logpx.distributions import Distribution, Mixture, StandardNormal
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.families import SphericalT
from logpx.posteriors.diagnostics.account import EvidenceFound
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.diagnostics.noise_space import noise_space, with_noise
from logpx.posteriors.diagnostics.verdict import Diagnosis, diagnose
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["heavy_noises", "with_heavier_tails"]

_DEGREES = (30.0, 10.0, 5.0, 2.0, 1.0)
_ABOUT = 1.25
_GOOD = 0.5
_ERRORS = 4.0
_FEWEST = 50.0
_NEGLIGIBLE = 1e-3


def heavy_noises(size: int, of_curvature: bool = False) -> list[SphericalT]:
    """Return Student's t distributions to replace standard normal noise, those with the lightest tails first.

    Parameters
    ----------
    size
        The number of dimensions d.
    of_curvature
        Whether the noise belongs to a normal distribution with the curvature at a mode: a t distribution of
        that curvature has a larger scale, and is returned too.
    """
    return [
        SphericalT(size, degrees, scale).double()
        for degrees in _DEGREES
        for scale in ((1.0, math.sqrt(1.0 + size / degrees)) if of_curvature else (1.0,))
    ]


def with_heavier_tails(
    q: Distribution, noises: list[SphericalT], target: Target, seed: int, draws: int
) -> Approximation:
    """Return q; if its tails are too thin, q with the noise that gives the best importance weights.

    Tails are too thin if the weights show it, or if heavier ones find more evidence: mass that q never draws
    does not show in its own weights.

    Parameters
    ----------
    q
        A fitted distribution; it stays unchanged unless its noise is standard normal.
    noises
        Candidates to replace the noise, the lightest tails first.
    target
        The log-density.
    seed
        Of the draws that compare tails.
    draws
        How many draws compare them.

    Returns
    -------
    Approximation
        With what it still leaves out, if anything, and the evidence lower bound of the original q.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, section 9.11 (proposals with heavier tails); Geweke
    1989, Bayesian inference in econometric models using Monte Carlo integration.
    https://artowen.su.domains/mc/
    """
    try:
        return _compared(q, noises, target, seed, draws)
    except TimeIsUpError:
        # The verdict's own checks have to do.
        return Approximation(q)


def _compared(
    q: Distribution, noises: list[SphericalT], target: Target, seed: int, draws: int
) -> Approximation:
    found = diagnose(weigh(q, target, draws, seed))
    heaviest = min((float(noise.degrees) for noise in noises), default=math.inf)
    probing = [noise for noise in noises if float(noise.degrees) == heaviest]
    probes = [other for _, other in _diagnosed(_heavier(q, probing), target, seed, draws)]
    if found.k_hat < _GOOD and not any(_misses(found, other) for other in probes):
        return Approximation(q, bound=found.elbo, evidence=_evidence(probes))
    tried = [(q, found), *_diagnosed(_heavier(q, noises), target, seed, draws)]
    every = [*probes, *(other for _, other in tried)]
    good = [pair for pair in tried if pair[1].k_hat < _GOOD]
    whole = [pair for pair in good if not any(_misses(pair[1], other) for other in every)]
    if not whole:
        best, chosen = min(tried, key=lambda pair: pair[1].k_hat)
        most = max(every, key=lambda other: other.log_evidence)
        missed = _warning(chosen, most) if _misses(chosen, most) else None
        return Approximation(best, missed=missed, bound=found.elbo, evidence=_evidence(every))
    # The first that is about as precise as the best: heavier tails lower the evidence lower bound.
    least = min(other.mcse for _, other in whole)
    best = next(proposal for proposal, other in whole if other.mcse <= _ABOUT * least)
    return Approximation(best, bound=found.elbo, evidence=_evidence(every))


def _warning(found: Diagnosis, most: Diagnosis) -> str:
    return (
        f"it misses mass: wider draws give a log-evidence of {most.log_evidence:.2f} nats, its own only "
        f"{found.log_evidence:.2f}"
    )


def _evidence(probes: Iterable[Diagnosis]) -> tuple[EvidenceFound, ...]:
    found = (EvidenceFound.of("wider draws", probe) for probe in probes)
    return tuple(each for each in found if each is not None)


def _diagnosed(
    proposals: Iterable[Distribution], target: Target, seed: int, draws: int
) -> Iterator[tuple[Distribution, Diagnosis]]:
    for proposal in proposals:
        # Far out, where only the heaviest tails reach, a log-density may well overflow or raise an error.
        with suppress(Exception):
            yield proposal, diagnose(weigh(proposal, target, draws, seed))


def _misses(found: Diagnosis, other: Diagnosis) -> bool:
    """Return whether another proposal finds mass that draws from this one do not show."""
    error = math.hypot(found.log_evidence_error, other.log_evidence_error)
    more = other.log_evidence - found.log_evidence > _ERRORS * error + _NEGLIGIBLE
    return more and other.ess > _FEWEST


def _heavier(q: Distribution, noises: list[SphericalT]) -> Iterator[Distribution]:
    """Yield q with each noise instead of its own, if that is standard normal."""
    if isinstance(q, Mixture):
        weights = torch.softmax(q.logits.detach(), 0).tolist()
        for parts in zip(*(_heavier(part, noises) for part in q.components), strict=True):
            yield Mixture(parts, weights).double()
    elif isinstance(noise_space(q).base, StandardNormal):
        yield from (with_noise(q, noise) for noise in noises)
