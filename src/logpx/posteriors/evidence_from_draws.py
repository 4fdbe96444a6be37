"""The evidence of a log-density from draws of its posterior, whoever made them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_seed
from logpx.errors import DivergedError, UsageError
from logpx.posteriors.approximations.landscape import survey
from logpx.posteriors.approximations.particle_fit import mixture_of_particles
from logpx.posteriors.approximations.pathfinder import multi_path_pathfinder
from logpx.posteriors.diagnostics.bridge_sampling import batch_means_error, bridge_sampling
from logpx.posteriors.diagnostics.verdict import Trust
from logpx.posteriors.target.constraints import Constraint
from logpx.posteriors.target.parameters import Parameters
from logpx.posteriors.target.target import Target
from logpx.representations import Shown

__all__ = ["EvidenceFromDraws", "evidence_from_draws"]

_FEWEST_PER_DIMENSION = 20
_LARGEST_ERROR = 0.1
_ERRORS = 4.0
_LEAST_OVERLAP = 0.02
_SHARE_THAT_MATTERS = 0.02
_DEVIATIONS = 3.0
_MOST_FOR_CUTS = 1000


@dataclass(frozen=True, repr=False)
class EvidenceFromDraws(Shown):
    """A log-evidence from draws, and whether to trust it.

    Attributes
    ----------
    log_evidence, error : float
        In nats, with its standard error.
    overlap : float
        The share of the mass that the draws and the distribution fitted to them have in common, about.
    doubt : str or None
        Why not to trust it, in words.
    """

    log_evidence: float
    error: float
    overlap: float
    doubt: str | None = None

    @property
    def trust(self) -> Trust:
        """Whether to trust the evidence."""
        return Trust.TRUST if self.doubt is None else Trust.DO_NOT

    @property
    def verdict(self) -> str:
        """The same in one sentence."""
        return "trust" if self.doubt is None else f"do not trust: {self.doubt}"

    def __str__(self) -> str:
        """Return the number and the verdict."""
        return f"log evidence {self.log_evidence:.3f} ± {self.error:.3f} nats; {self.verdict}"


def evidence_from_draws(
    log_density: Callable[[Any], Tensor],
    draws: Any,
    *,
    parameters: Mapping[str, Constraint] | None = None,
    seed: int = 0,
    vectorised: bool | None = None,
) -> EvidenceFromDraws:
    """Estimate the log-evidence by bridge sampling between draws and a mixture fitted to them.

    The mixture is fitted to one half of the draws and held against the other, and the other way round.

    Parameters
    ----------
    log_density, parameters, vectorised
        As in `posterior`.
    draws
        Draws of the posterior, exact or of Markov chains in their order: shape ``(n, dim)``, or for several
        chains ``(chains, n, dim)``; for named parameters a dictionary of ``(n, *shape)``, or ArviZ's
        ``InferenceData``.
    seed
        Of everything random.

    Raises
    ------
    UsageError
        If there are too few draws, or one lies outside of the density.

    References
    ----------
    Meng and Wong 1996, Simulating ratios of normalizing constants via a simple identity; Gronau et al. 2017,
    A tutorial on bridge sampling.
    https://arxiv.org/abs/1703.05984

    Examples
    --------
    >>> draws = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    >>> found = evidence_from_draws(lambda x: -0.5 * x.square().sum(-1), draws)
    >>> abs(found.log_evidence - math.log(2 * math.pi)) < 0.01, found.verdict
    (True, 'trust')
    """
    seed, named = checked_seed(seed), None if parameters is None else Parameters(parameters)
    given = _in_one_piece(draws, named)
    size = int(given.shape[1]) if named is None else None
    target = Target(log_density, size, named, vectorised)
    points = target.unconstrained(given)
    equal = torch.full((len(points),), 1.0 / len(points)).double()
    few = points[:: max(1, len(points) // _MOST_FOR_CUTS)]
    target = target.recentred(few, equal[: len(few)], torch.zeros_like(few))
    u = target.of_draws(given)
    fewest = 2 * _FEWEST_PER_DIMENSION * (target.size + 1)
    if len(u) < fewest:
        raise UsageError(f"{len(u)} draws of {target.size} dimensions", fix=f"give {fewest} or more")
    with torch.no_grad():
        values = target.log_prob(u)
    if not bool(values.isfinite().all()):
        bad = int((~values.isfinite()).nonzero()[0])
        raise UsageError(
            f"log_density is {float(values[bad])} at draw {bad + 1}, {target.describe(u[bad])}",
            fix="give draws of this posterior",
        )
    halves = len(u) // 2
    parts = [(u[:halves], u[halves:], values[halves:]), (u[halves:], u[:halves], values[:halves])]
    estimates = [_bridged(target, *part, seed + number) for number, part in enumerate(parts)]
    found = sum(each.log_evidence for each in estimates) / len(estimates)
    error = math.sqrt(sum(each.error**2 for each in estimates)) / len(estimates)
    overlap = min(each.overlap for each in estimates)
    doubt = _doubt(estimates, error, overlap) or _missed(target, u, found, seed)
    return EvidenceFromDraws(found, error, overlap, doubt)


def _in_one_piece(draws: Any, parameters: Parameters | None) -> Any:
    """Return draws of several chains one after another, those of ArviZ as a dictionary."""
    group = getattr(draws, "posterior", None)
    if group is not None and parameters is not None:
        draws = {
            name: torch.as_tensor(group[name].to_numpy().copy()).flatten(0, 1)
            for name in parameters.constraints
        }
    if isinstance(draws, Mapping) or parameters is not None:
        return draws
    values = torch.as_tensor(draws).double()
    if values.dim() not in (2, 3):
        raise UsageError(
            f"draws of shape {tuple(values.shape)}", fix="give shape (n, dim), or (chains, n, dim)"
        )
    return values.flatten(0, 1) if values.dim() == 3 else values


@torch.no_grad()
def _bridged(target: Target, fitted: Tensor, drawn: Tensor, values: Tensor, seed: int) -> EvidenceFromDraws:
    with torch.enable_grad():
        q = mixture_of_particles(fitted, 1, seed)
    u, log_q = q.sample_with_log_prob(len(drawn), seed=seed)
    proposed = target.log_prob(u) - log_q.double()
    proposed = proposed.masked_fill(proposed.isnan(), -math.inf)
    posterior = values - q.log_prob(drawn).double()
    meeting = bridge_sampling(proposed, posterior)
    error = math.hypot(
        float(meeting.of_proposal.std()) / math.sqrt(len(proposed)), batch_means_error(meeting.of_posterior)
    )
    # Of a draw from p, the probability of being one of q at equal numbers: a half where they are alike.
    overlap = 2.0 * float(torch.sigmoid(meeting.log_evidence - posterior).mean())
    return EvidenceFromDraws(meeting.log_evidence, error, min(overlap, 1.0))


def _doubt(estimates: list[EvidenceFromDraws], error: float, overlap: float) -> str | None:
    if not math.isfinite(error) or error > _LARGEST_ERROR:
        return f"the error of {error:.2g} nats is too large: give more draws"
    if overlap < _LEAST_OVERLAP:
        return "no mixture of normal distributions comes near the draws"
    first, second = estimates
    apart = abs(first.log_evidence - second.log_evidence)
    if apart > _ERRORS * 2.0 * error + 0.02:
        return f"the two halves of the draws differ by {apart:.2g} nats: the chain is too short"
    return None


def _missed(target: Target, u: Tensor, log_evidence: float, seed: int) -> str | None:
    """Return, in words, a mode that matters and has no draws."""
    try:
        landscape = survey(target, multi_path_pathfinder(target, seed), seed)
    except DivergedError:
        return None
    for mode in landscape.modes:
        if mode.log_mass > log_evidence + math.log(_SHARE_THAT_MATTERS):
            near = mode.distances(u) < _DEVIATIONS * math.sqrt(target.size)
            if not bool(near.any()):
                return f"there are no draws near the mode at {target.describe(mode.mode)}"
    return None
