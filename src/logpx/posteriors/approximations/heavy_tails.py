"""Heavier tails for an approximation: importance weights need a proposal that is nowhere far too thin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from logpx.distributions import Distribution, Flow, FullNormal, Mixture, StandardNormal
from logpx.distributions.seeding import draw_rows
from logpx.posteriors.diagnostics.importance import weigh
from logpx.posteriors.diagnostics.verdict import Diagnosis, diagnose
from logpx.posteriors.moved import Moved
from logpx.posteriors.target.target import Target

__all__ = ["DRAWS", "SphericalT", "widened"]

_DEGREES = (30.0, 10.0, 5.0, 2.0, 1.0)
_PROBING = (1.0,)
_ABOUT = 1.25
_GOOD = 0.5
DRAWS = 10_000
_ERRORS = 4.0
_FEWEST = 50.0
_NEGLIGIBLE = 1e-3


class SphericalT(Distribution):
    r"""Student's t distribution of a vector, equally likely in all directions.

    Parameters
    ----------
    size
        The number of dimensions d.
    degrees
        Degrees of freedom.

    References
    ----------
    Kotz and Nadarajah 2004, Multivariate t distributions and their applications.

    Examples
    --------
    >>> SphericalT(2, degrees=2.0).log_prob(torch.zeros(1, 2)).exp()  # 1 / (2 π)
    tensor([0.1592])
    """

    degrees: Tensor

    def __init__(self, size: int, degrees: float) -> None:
        super().__init__(size)
        self.register_buffer("degrees", torch.tensor(degrees))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(n,)``."""
        size, degrees = self.event_shape[0], self.degrees
        constant = torch.lgamma(0.5 * (degrees + size)) - torch.lgamma(0.5 * degrees)
        constant = constant - 0.5 * size * (degrees * math.pi).log()
        return constant - 0.5 * (degrees + size) * torch.log1p(x.square().sum(-1) / degrees)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, d)``."""
        size, degrees = self.event_shape[0], self.degrees

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            noise = torch.randn(rows, size, generator=generator, device=device, dtype=degrees.dtype)
            half = (0.5 * degrees).expand(rows, 1).contiguous()
            spread = torch._standard_gamma(half, generator=generator) / half
            return noise / spread.sqrt()

        return draw_rows(n, seed, degrees, draw)


def widened(
    q: Distribution, target: Target, seed: int, draws: int = DRAWS
) -> tuple[Distribution, str | None, float]:
    """Return q, or, where its tails are too thin, q with those of Student's t that suit the weights best.

    Too thin they are where the weights say so, or where wider ones find more evidence: mass that q never
    draws does not show in its own weights.

    Parameters
    ----------
    q
        A fitted distribution; one that holds neither normal distributions nor a flow of normal noise stays as
        it is.
    target
        The log-density.
    seed
        Of the draws that compare tails.
    draws
        How many these are.

    Returns
    -------
    Distribution, str or None, float
        What was found; if it still leaves mass out, that in words; and the evidence lower bound of q as it
        was, in nats.

    References
    ----------
    Owen 2013, Monte Carlo theory, methods and examples, section 9.11 (proposals with heavier tails); Geweke
    1989, Bayesian inference in econometric models using Monte Carlo integration.
    """
    found = diagnose(weigh(q, target, draws, seed))
    probes = [other for _, other in _diagnosed(_heavier(q, _PROBING), target, seed, draws)]
    if found.k_hat < _GOOD and not any(_misses(found, other) for other in probes):
        return q, None, found.elbo
    tried = [(q, found), *_diagnosed(_heavier(q, _DEGREES), target, seed, draws)]
    every = [*probes, *(other for _, other in tried)]
    good = [pair for pair in tried if pair[1].k_hat < _GOOD]
    whole = [pair for pair in good if not any(_misses(pair[1], other) for other in every)]
    if not whole:
        best, chosen = min(tried, key=lambda pair: pair[1].k_hat)
        most = max(every, key=lambda other: other.log_evidence)
        return best, _warning(chosen, most) if _misses(chosen, most) else None, found.elbo
    # Of those that are about as precise the first: wider tails cost evidence lower bound.
    least = min(other.mcse for _, other in whole)
    best = next(proposal for proposal, other in whole if other.mcse <= _ABOUT * least)
    return best, None, found.elbo


def _warning(found: Diagnosis, most: Diagnosis) -> str:
    return (
        f"it misses mass: wider draws find a log-evidence of {most.log_evidence:.2f} nats, its own "
        f"{found.log_evidence:.2f}"
    )


def _diagnosed(
    proposals: Iterable[Distribution], target: Target, seed: int, draws: int
) -> Iterator[tuple[Distribution, Diagnosis]]:
    for proposal in proposals:
        # Far out, where only the heaviest tails reach, a log-density may well overflow, or refuse.
        with suppress(Exception):
            yield proposal, diagnose(weigh(proposal, target, draws, seed))


def _misses(found: Diagnosis, other: Diagnosis) -> bool:
    """Return whether another proposal meets with mass that draws from this one do not tell of."""
    error = math.hypot(found.log_evidence_error, other.log_evidence_error)
    more = other.log_evidence - found.log_evidence > _ERRORS * error + _NEGLIGIBLE
    return more and other.ess > _FEWEST


def _heavier(q: Distribution, degrees: Sequence[float]) -> Iterator[Distribution]:
    if isinstance(q, Mixture):
        weights = torch.softmax(q.logits.detach(), 0).tolist()
        for parts in zip(*(_heavier(part, degrees) for part in q.components), strict=True):
            yield Mixture(parts, weights).double()
    if not isinstance(q, Moved):
        return
    inside, size = q.inside, q.event_shape[0]
    for number in degrees:
        noise = SphericalT(size, number).to(inside._like())
        if isinstance(inside, StandardNormal):
            # A normal distribution of the curvature at a mode: a t distribution of that curvature is wider.
            for factor in (q.factor, q.factor * math.sqrt(1.0 + size / number)):
                yield Moved(noise, q.shift, factor)
        elif isinstance(inside, FullNormal):
            with torch.no_grad():
                yield Moved(noise, q.outside(inside.mean[None])[0], q.factor @ inside.cholesky)
        elif isinstance(inside, Flow) and isinstance(inside.base, StandardNormal):
            yield Moved(Flow(noise, inside.transform), q.shift, q.factor)
