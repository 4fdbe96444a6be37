"""A posterior that has been found: draws, density, evidence, and how far to trust them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_count, checked_seed
from logpx.errors import UsageError
from logpx.posteriors.curvature import log_mass
from logpx.posteriors.diagnosis import Diagnosis, Weighted, diagnose, weigh
from logpx.posteriors.summaries import Summary, named_columns, summarise
from logpx.posteriors.target import Target

__all__ = ["Posterior"]

_DRAWS = 10_000
_SHARE_THAT_MATTERS = 0.01


class Posterior:
    """An approximation q of the posterior, with the log-density that it approximates.

    Attributes
    ----------
    method : str
        How it was found.
    distribution : Distribution
        q of the unconstrained vector.
    diagnosis : Diagnosis
        All numbers about its quality.
    steps : int
        Training steps, or 0.
    seconds : float
        How long it took.
    gradient_evaluations : int
        At how many points the gradient of the log-density was computed.
    """

    def __init__(
        self,
        method: str,
        distribution: Distribution,
        target: Target,
        seed: int,
        steps: int = 0,
        seconds: float = 0.0,
        modes: list[Tensor] | None = None,
        draws: int = _DRAWS,
    ) -> None:
        self.method, self.distribution, self.target = method, distribution, target
        self.steps, self.seconds = steps, seconds
        self.gradient_evaluations = target.evaluations
        self.weighted: Weighted = weigh(distribution, target, draws, seed)
        self.diagnosis: Diagnosis = diagnose(self.weighted)
        missed = self._missed(modes or [])
        if missed is not None:
            self.diagnosis = diagnose(self.weighted, missed)

    @property
    def k_hat(self) -> float:
        """The shape of the tail of the importance weights: below 0.7 they can be trusted."""
        return self.diagnosis.k_hat

    @property
    def ess(self) -> float:
        """The effective sample size of the importance weights."""
        return self.diagnosis.ess

    @property
    def log_evidence(self) -> float:
        """An estimate of the log of the integral of the density, in nats."""
        return self.diagnosis.log_evidence

    @property
    def elbo(self) -> float:
        """A lower bound of the same, in nats."""
        return self.diagnosis.elbo

    @property
    def verdict(self) -> str:
        """Whether to trust it, in a sentence."""
        return self.diagnosis.verdict

    def sample(self, n: int, seed: int = 0, resampled: bool = False) -> Any:
        """Draw from the posterior.

        Parameters
        ----------
        n
            The number of draws.
        seed
            Of the draws.
        resampled
            Whether draws are taken from a pool by their Pareto-smoothed importance weights, which is right
            wherever k-hat is good; the pool is as large as the diagnosis.

        Returns
        -------
        Tensor or dict of Tensor
            Shape ``(n, dim)``; of named parameters each of shape ``(n, *shape)``. Float64.
        """
        return self.target.natural(self._draws(checked_count(n), seed, resampled))

    def log_prob(self, theta: Any) -> Tensor:
        """Return log q in nats, shape ``(n,)``: per unit of the parameters in their own units.

        Parameters
        ----------
        theta
            What `sample` returns.
        """
        parameters = self.target.parameters
        with torch.no_grad():
            if parameters is None:
                return self.distribution.log_prob(torch.as_tensor(theta).double())
            if not isinstance(theta, Mapping):
                raise UsageError(f"parameters given as a {type(theta).__name__}", fix="give a dictionary")
            u = parameters.unconstrain(
                {name: torch.as_tensor(value).double() for name, value in theta.items()}
            )
            return self.distribution.log_prob(u) - parameters.constrain(u)[1]

    def upper_bound(self, draws: Any) -> tuple[float, float]:
        """Return an upper bound of the log-evidence from exact draws, and its standard error.

        E_p[log p̃ − log q] ≥ log Z: draws from MCMC serve, as far as they are exact.

        Parameters
        ----------
        draws
            In the form that `sample` returns.
        """
        u = self._unconstrained(draws)
        with torch.no_grad():
            values = self.target.log_prob(u) - self.distribution.log_prob(u)
        return float(values.mean()), float(values.std()) / math.sqrt(len(values))

    def metropolis(self, n: int, seed: int = 0) -> tuple[Any, float]:
        """Return draws of a Markov chain that proposes from q: exact in the limit, and the acceptance rate.

        Parameters
        ----------
        n
            The length of the chain.
        seed
            Of proposals and decisions.

        References
        ----------
        Hastings 1970 (independence sampler); Albergo, Kanwar and Shanahan 2019, Flow-based generative models
        for Markov chain Monte Carlo in lattice field theory.
        """
        proposed = weigh(self.distribution, self.target, checked_count(n) + 1, checked_seed(seed))
        decisions = np.log(np.random.default_rng(seed).random(n))
        weights = proposed.log_weights.tolist()
        place, places, accepted = int(np.argmax(np.isfinite(weights))), [], 0
        for index in range(1, n + 1):
            if weights[index] - weights[place] >= decisions[index - 1]:
                place, accepted = index, accepted + 1
            places.append(place)
        return self.target.natural(proposed.u[places]), accepted / max(n, 1)

    def summary(self, resampled: bool = True) -> Summary:
        """Return mean, standard deviation, quantiles and Monte Carlo standard error of every parameter.

        Parameters
        ----------
        resampled
            Whether draws are weighted by importance, as they should be wherever k-hat is good.
        """
        count = len(self.weighted.u)
        weights = self.weighted.smoothed if resampled else torch.full((count,), 1.0 / count).double()
        return summarise(self.target.natural(self.weighted.u), weights, self.diagnosis)

    def to_arviz(self, n: int = 4000, seed: int = 0, resampled: bool = True) -> Any:
        """Return draws as ArviZ's ``InferenceData`` (a ``DataTree`` since version 1).

        Raises
        ------
        UsageError
            If ArviZ is not installed.
        """
        try:
            import arviz
        except ImportError:
            raise UsageError("ArviZ is not installed", fix="pip install 'logpx[arviz]'") from None
        draws = named_columns(self.sample(n, seed, resampled))
        chains = {"posterior": {name: value.numpy()[None] for name, value in draws.items()}}
        if "posterior" in inspect.signature(arviz.from_dict).parameters:
            # Before version 1, groups are arguments.
            return arviz.from_dict(**chains)
        return arviz.from_dict(chains)

    def __repr__(self) -> str:
        """Say what it is and whether to trust it."""
        found = self.diagnosis
        return (
            f"Posterior by {self.method}: log evidence {found.log_evidence:.3f} ± "
            f"{found.log_evidence_error:.3f} nats (ELBO {found.elbo:.3f}); {found.verdict}"
        )

    def _draws(self, n: int, seed: int, resampled: bool) -> Tensor:
        with torch.no_grad():
            if not resampled:
                return self.distribution.sample(n, seed=seed).double()
            generator = torch.Generator().manual_seed(checked_seed(seed))
            chosen = torch.multinomial(self.weighted.smoothed, n, replacement=True, generator=generator)
            return self.weighted.u[chosen]

    def _unconstrained(self, draws: Any) -> Tensor:
        parameters = self.target.parameters
        if parameters is None:
            return torch.as_tensor(draws).double()
        return parameters.unconstrain(
            {name: torch.as_tensor(value).double() for name, value in draws.items()}
        )

    @torch.no_grad()
    def _missed(self, modes: list[Tensor]) -> str | None:
        """Return where a mode that matters has far more weight than any draw, which no draw would tell."""
        highest = float(self.weighted.log_weights.max())
        for mode in modes:
            weight = float(self.target.log_prob(mode[None])[0] - self.distribution.log_prob(mode[None])[0])
            if weight > highest + math.log(len(self.weighted.u)):
                share = log_mass(self.target, mode) - self.log_evidence
                if share > math.log(_SHARE_THAT_MATTERS):
                    return f"it misses a mode at {self.target.describe(mode)}"
        return None
