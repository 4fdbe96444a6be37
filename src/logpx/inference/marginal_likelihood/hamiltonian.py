"""Hamiltonian transitions between the prior and the posterior, for many chains at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from logpx.distributions.private_randomness import redirected_draws
from logpx.inference.marginal_likelihood.model import LatentVariableModel

__all__ = ["Chains", "State"]

_SHORTEST, _LONGEST = 0.4, 1.2


class LogDensityAt(NamedTuple):
    """A log-density at z, shape ``(K, n)``, and its gradient, ``(K, n, q)``."""

    value: Tensor
    gradient: Tensor


class State(NamedTuple):
    """The state of chains: z of shape ``(K, n, q)``, and log p(z) and log p(x given z) there."""

    z: Tensor
    prior: LogDensityAt
    likelihood: LogDensityAt

    def log_density(self, temperature: Tensor) -> Tensor:
        """Return log p(z) + temperature × log p(x given z), up to a constant."""
        return self.prior.value + temperature * self.likelihood.value

    def gradient(self, temperature: Tensor) -> Tensor:
        """Return the gradient of `log_density`."""
        return self.prior.gradient + temperature * self.likelihood.gradient

    def where(self, accepted: Tensor, other: State) -> State:
        """Return this state where it was accepted, otherwise the other."""

        def chosen(new: LogDensityAt, old: LogDensityAt) -> LogDensityAt:
            gradient = torch.where(accepted[..., None], new.gradient, old.gradient)
            return LogDensityAt(torch.where(accepted, new.value, old.value), gradient)

        z = torch.where(accepted[..., None], self.z, other.z)
        return State(z, chosen(self.prior, other.prior), chosen(self.likelihood, other.likelihood))


@dataclass(frozen=True)
class Chains:
    """Chains of z for rows x of a model.

    Parameters
    ----------
    model
        The model, with its prior and likelihood.
    x
        Rows, shape ``(n, D)``.
    leapfrog
        Leapfrog steps per transition.
    """

    model: LatentVariableModel
    x: Tensor
    leapfrog: int

    def at(self, z: Tensor) -> State:
        """Return the state of chains at z, shape ``(K, n, q)``."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            log_prior = self.model.prior.log_prob(z)
            log_likelihood = self.model.likelihood(z).log_prob(self.x)
            found = [
                LogDensityAt(value.detach(), *torch.autograd.grad(value.sum(), z))
                for value in (log_prior, log_likelihood)
            ]
        return State(z.detach(), *found)

    def start(self, chains: int) -> State:
        """Return the state of chains started from prior draws."""
        with redirected_draws():
            z = self.model.prior.sample((chains, len(self.x)))
        return self.at(z)

    def move(self, state: State, temperature: Tensor, step: Tensor) -> tuple[State, Tensor]:
        """Make a transition that leaves the density at a temperature invariant.

        Parameters
        ----------
        state
            The present state.
        temperature
            A number in [0, 1].
        step
            The leapfrog step size of each row, shape ``(n,)``.

        Returns
        -------
        state : State
            The next state.
        acceptance : Tensor
            The acceptance probability of the proposal, shape ``(K, n)``.
        """
        # Random step sizes: trajectories of a fixed length can return to where they started.
        with redirected_draws():
            uniform, momentum = torch.rand_like(state.prior.value), torch.randn_like(state.z)
            decision = torch.rand_like(state.prior.value)
        jitter = uniform * (_LONGEST - _SHORTEST) + _SHORTEST
        step = (step.to(state.z) * jitter).unsqueeze(-1)
        energy = state.log_density(temperature) - 0.5 * momentum.square().sum(-1)
        proposal = state
        momentum = momentum + 0.5 * step * proposal.gradient(temperature)
        for index in range(self.leapfrog):
            proposal = self.at(proposal.z + step * momentum)
            last = index == self.leapfrog - 1
            momentum = momentum + (0.5 if last else 1.0) * step * proposal.gradient(temperature)
        change = proposal.log_density(temperature) - 0.5 * momentum.square().sum(-1) - energy
        # A trajectory that is no longer finite is rejected.
        acceptance = change.nan_to_num(nan=-torch.inf).clamp_max(0.0).exp()
        return proposal.where(decision < acceptance, state), acceptance
