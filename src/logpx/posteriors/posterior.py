"""The approximate posterior: its draws, density and evidence, and how far to trust them."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.distributions.seeding import checked_count, checked_seed, derived_seed
from logpx.errors import UsageError
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.forward_kl import minimise_forward_kl
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.diagnostics.account import Account
from logpx.posteriors.diagnostics.beyond import share_beyond
from logpx.posteriors.diagnostics.divergences import Divergences, compare_with_draws
from logpx.posteriors.diagnostics.importance import DRAWS, Weighted, weigh
from logpx.posteriors.diagnostics.markov_chain_check import share_that_leaves
from logpx.posteriors.diagnostics.missed_modes import missed_mode
from logpx.posteriors.diagnostics.summaries import Summary, named_columns, summarise
from logpx.posteriors.diagnostics.verdict import Diagnosis, Trust, diagnose, weigh_enough
from logpx.posteriors.figures import PosteriorFigures
from logpx.posteriors.target.costs import TimeIsUpError
from logpx.posteriors.target.target import Target

__all__ = ["Posterior"]

_POLISHED = "polished"
# Above it, log-evidences were too low by a tenth of a nat or more, for funnels and where splines end.
_SHARE_THAT_LEAVES = 0.02
_SHARE_BEYOND = 0.02
# Draws to weight once time is up.
_FEW = 500


class Posterior(PosteriorFigures):
    """An approximation q of the posterior, with the log-density that it approximates.

    Parameters
    ----------
    method
        The name of the method.
    approximation
        The method's result.
    target
        The log-density.
    seed
        Of the weighted draws.
    draws
        How many draws to weight; up to sixteen times as many where a good fit needs them.
    landscape
        The modes that were met, and how much may still be unseen.
    account
        The evidence that others have found.
    seconds
        How long the method took.

    Attributes
    ----------
    method : str
        The name of the method.
    distribution : Distribution
        q over the unconstrained vector.
    target : Target
        The log-density of that vector.
    steps : int
        Training steps; 0 without training.
    seconds : float
        How long the whole call took up to this result.
    costs : Costs
        Seconds, calls of the log-density and its gradients by stage: the search, and every method tried.
    traces : tuple of tuple of float
        The bound in nats at each training step, of every fit.
    note : str or None
        What else the verdict has to say, such as that time was up.
    gradient_evaluations : int
        At how many points the method computed the gradient of the log-density.
    landscape : Landscape or None
        The modes that were met before the fit, and how much may still be unseen.
    """

    def __init__(
        self,
        method: str,
        approximation: Approximation,
        target: Target,
        *,
        seed: int = 0,
        draws: int = DRAWS,
        landscape: Landscape | None = None,
        account: Account | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.method, self.distribution, self.target = method, approximation.distribution, target
        self.steps, self.seconds, self.traces = approximation.steps, seconds, approximation.traces
        self.costs = target.meter.costs
        self.note: str | None = None
        self.gradient_evaluations = target.meter.gradients
        self._approximation, self._seed, self._count = approximation, seed, draws
        self.landscape, self._account = landscape, account or Account()

    @cached_property
    def weighted(self) -> Weighted:
        """Draws from q with their importance weights; computed on first use, and kept.

        Raises
        ------
        UsageError
            If the log-density is NaN at many draws; a point is named.
        DivergedError
            If it is plus infinity at a draw; the point is named.
        """
        return weigh_enough(self.distribution, self.target, self._count, self._seed)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """All numbers about its quality, from `weighted` draws and where a Markov chain takes them."""
        try:
            weighted = self.weighted
        except TimeIsUpError:
            # The least that a result needs.
            with self.target.meter.limited(math.inf):
                self._count = min(self._count, _FEW)
                weighted = self.weighted
        found = diagnose(weighted)
        with self.target.meter.limited(math.inf):
            missed = self._missed(found)
        if missed is not None:
            # Its own weights cannot know: whoever reads k-hat alone is told, too.
            return replace(found, missed=missed, k_hat=math.inf)
        missed = self._approximation.missed or self._unchecked() or self._left(found)
        return found if missed is None else replace(found, missed=missed)

    @property
    def k_hat(self) -> float:
        """The tail shape of the importance weights: below 0.7 they can be trusted."""
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
        """A lower bound of the log-evidence, in nats, from q or from the fit before heavier tails."""
        return max(self.diagnosis.elbo, self._approximation.bound)

    @property
    def verdict(self) -> str:
        """Whether to trust it, in one sentence."""
        said = self.diagnosis.verdict
        return said if self.note is None else f"{said}; {self.note}"

    def sample(self, n: int, seed: int = 0, resampled: bool = False) -> Any:
        """Draw from the posterior.

        Parameters
        ----------
        n
            The number of draws.
        seed
            Of the draws.
        resampled
            Whether to resample the draws of the diagnosis by their Pareto-smoothed importance weights, which
            is right wherever k-hat is good.

        Returns
        -------
        Tensor or dict of Tensor
            Shape ``(n, dim)``; for named parameters, each of shape ``(n, *shape)``. Float64.
        """
        return self.target.natural(self._draws(checked_count(n), seed, resampled))

    def log_prob(self, theta: Any) -> Tensor:
        """Return log q in nats, shape ``(n,)``, as a density of the parameters in their own units.

        Parameters
        ----------
        theta
            Points in the form that `sample` returns.
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
            each = torch.stack([self.distribution.log_prob(u + shift) for shift in parameters.shifts])
            volume = parameters.constrain(u)[1] - parameters.log_window(u)
            return torch.logsumexp(each, 0) - volume

    def upper_bound(self, draws: Any) -> tuple[float, float]:
        """Return an upper bound of the log-evidence from exact draws, and its standard error.

        E_p[log p̃ − log q] ≥ log Z. Draws from MCMC will do, as far as they are exact.

        Parameters
        ----------
        draws
            Draws in the form that `sample` returns.
        """
        u = self.target.of_draws(draws)
        with torch.no_grad():
            values = self.target.log_prob(u) - self.distribution.log_prob(u)
        return float(values.mean()), float(values.std()) / math.sqrt(len(values))

    def metropolis(self, n: int, seed: int = 0) -> tuple[Any, float]:
        """Return draws of a Markov chain that proposes from q, exact in the limit, and its acceptance rate.

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
        https://arxiv.org/abs/1904.12072
        """
        n, seed = checked_count(n), checked_seed(seed)
        proposed = weigh(self.distribution, self.target, n + 1, seed)
        decisions = np.log(np.random.default_rng(seed).random(n))
        weights = proposed.log_weights.tolist()
        place, places, accepted = int(np.argmax(np.isfinite(weights))), [], 0
        for index in range(1, n + 1):
            if weights[index] - weights[place] >= decisions[index - 1]:
                place, accepted = index, accepted + 1
            places.append(place)
        return self.target.natural(proposed.u[places]), accepted / max(n, 1)

    def polished(
        self, draws: Any, seed: int = 0, max_time: float | None = 60.0, max_steps: int | None = None
    ) -> Posterior:
        """Return an approximation fitted further by maximum likelihood, to draws from the posterior.

        Such draws show what q misses; its own draws cannot. A fifth of them is held out for stopping; if the
        fit makes these no likelier, this posterior itself is returned. The draws of `metropolis` will do: the
        polished posterior has a higher acceptance rate.

        Parameters
        ----------
        draws
            Draws in the form that `sample` returns, exact or from MCMC.
        seed
            Of the fit, and of the new diagnosis.
        max_time
            The most seconds of a fit by gradient descent.
        max_steps
            The most training steps.

        Raises
        ------
        UsageError
            If draws have the wrong shape, are too few, or are not finite.

        References
        ----------
        Gabrié, Rotskoff and Vanden-Eijnden 2022, Adaptive Monte Carlo augmented with normalizing flows.
        https://arxiv.org/abs/2105.12603

        Examples
        --------
        >>> from logpx.posteriors import posterior
        >>> found = posterior(lambda x: (3.0 * x - x.exp()).sum(-1), dim=1, method="laplace")
        >>> draws = torch.distributions.Gamma(3.0, 1.0).sample((4000, 1)).log()
        >>> better = found.polished(draws)
        >>> better.divergences(draws).forward < found.divergences(draws).forward
        True
        """
        began = time.monotonic()
        seed, u = checked_seed(seed), self.target.of_draws(draws)
        found = minimise_forward_kl(self.distribution, u, seed, max_time, max_steps)
        if not found.gain > 0.0:
            return self
        return Posterior(
            self.method if self.method.endswith(_POLISHED) else f"{self.method}, {_POLISHED}",
            Approximation(found.distribution, steps=self.steps + found.steps),
            self.target,
            seed=derived_seed(seed, 1),
            draws=self._count,
            landscape=self.landscape,
            account=self._account,
            seconds=self.seconds + time.monotonic() - began,
        )

    def divergences(self, draws: Any) -> Divergences:
        """Estimate the KL divergences in both directions from draws of the posterior, each with its error.

        Parameters
        ----------
        draws
            At least 20 draws in the form that `sample` returns, exact or from MCMC in the order of the chain.

        Raises
        ------
        UsageError
            If draws have the wrong shape, are too few, or their log-density is not finite.

        Examples
        --------
        >>> from logpx.posteriors import posterior
        >>> found = posterior(lambda x: -0.5 * x.square().sum(-1), dim=1, method="laplace")
        >>> found.divergences(found.sample(100)).verdict
        'q and the draws agree'
        """
        u = self.target.of_draws(draws)
        return compare_with_draws(self.distribution, self.target, self.weighted.log_weights, u)

    def summary(self, resampled: bool = True) -> Summary:
        """Return mean, standard deviation, quantiles and Monte Carlo standard error of each parameter.

        On a circle the mean is the circular one, and deviations and quantiles are taken along the shorter
        way from it: an arc over the seam goes from a large number to a small one.

        Parameters
        ----------
        resampled
            Whether to use importance weights, as is right wherever k-hat is good.
        """
        count = len(self.weighted.u)
        weights = self.weighted.smoothed if resampled else torch.full((count,), 1.0 / count).double()
        draws = self.target.natural(self.weighted.u)
        return summarise(draws, weights, self.verdict, self.circles)

    @property
    def circles(self) -> dict[str, tuple[float, float]]:
        """The ends of the periods of parameters on circles, by name."""
        parameters = self.target.parameters
        constraints = {} if parameters is None else parameters.constraints
        found = {name: constraint.circle for name, constraint in constraints.items()}
        return {name: ends for name, ends in found.items() if ends is not None}

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
        from_dict: Any = arviz.from_dict
        if "posterior" in inspect.signature(from_dict).parameters:
            # Before version 1, groups are arguments.
            return from_dict(**chains)
        return from_dict(chains)

    def __repr__(self) -> str:
        """Show what it is and whether to trust it."""
        found = self.diagnosis
        cost = f"; {self.costs.total}" if self.costs.stages else ""
        return (
            f"Posterior by {self.method}: log evidence {found.log_evidence:.3f} ± "
            f"{found.log_evidence_error:.3f} nats (ELBO {self.elbo:.3f}); {self.verdict}{cost}"
        )

    def _draws(self, n: int, seed: int, resampled: bool) -> Tensor:
        with torch.no_grad():
            if not resampled:
                return self.distribution.sample(n, seed=seed).double()
            generator = torch.Generator().manual_seed(checked_seed(seed))
            chosen = torch.multinomial(self.weighted.smoothed, n, replacement=True, generator=generator)
            return self.weighted.u[chosen]

    def _missed(self, found: Diagnosis) -> str | None:
        """Return what others have found and q leaves out, in words: a mode, evidence, or modes unseen."""
        if self.landscape is not None:
            modes = self.landscape.modes
            mode = None
            if modes:
                mode = missed_mode(
                    self.weighted,
                    self.distribution,
                    self.target,
                    torch.stack([each.mode for each in modes]),
                    torch.tensor([each.log_mass for each in modes]).double(),
                    found.log_evidence,
                )
            if mode is not None:
                return f"it misses a mode at {self.target.describe(mode)}"
            if not self.landscape.complete:
                return (
                    f"the search for modes is not over: about {self.landscape.unseen:.0%} of the mass may "
                    f"lie at modes that none of {self.landscape.climbs:,} climbs has met"
                )
            probes = self.landscape.probes
            if probes is not None:
                parts = (probes.u, probes.values, probes.log_proposal)
                share = share_beyond(self.weighted, self.distribution, *parts)
                if share > _SHARE_BEYOND:
                    return f"about {share:.0%} of the mass lies where it has almost no draws"
        more = self._account.more_than(found.log_evidence, found.log_evidence_error)
        if more is None:
            return None
        return (
            f"it misses mass: {more.source} found a log-evidence of {more.log_evidence:.2f} nats, its own "
            f"draws only {found.log_evidence:.2f}"
        )

    def _unchecked(self) -> str | None:
        """Return, in words, what there was no time for."""
        if self.landscape is not None and self.landscape.cut_short:
            return "time was up before the search for modes was over"
        return None

    def _left(self, found: Diagnosis) -> str | None:
        """Return, in words, how often a Markov chain takes draws to places without draws."""
        if found.trust is Trust.DO_NOT:
            return None
        try:
            share = share_that_leaves(self.weighted, self.distribution, self.target, self._seed)
        except TimeIsUpError:
            return "time was up before a Markov chain had checked its draws"
        if share < _SHARE_THAT_LEAVES:
            return None
        return f"a Markov chain takes {share:.0%} of its draws to where it has almost none"
