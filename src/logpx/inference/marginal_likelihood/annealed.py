"""Annealed importance sampling: from the prior to the posterior in small steps, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_count, check_number
from logpx.errors import UsageError
from logpx.inference.marginal_likelihood.hamiltonian import Chains
from logpx.inference.marginal_likelihood.methods import EvidenceMethod, from_weights
from logpx.inference.marginal_likelihood.result import Evidence

__all__ = ["AnnealedImportanceSampling"]

_WANTED_ACCEPTANCE = 0.65
_PILOT_CHAINS = 8
_SIGMOID_WIDTH = 4.0


class AnnealedImportanceSampling(EvidenceMethod):
    r"""Chains from the prior to the posterior, through :math:`p(z) p(x \mid z)^{\beta}` with β from 0 to 1.

    Each chain gives a weight whose mean is p(x), whatever the number of temperatures; with more temperatures
    the weights spread less, and the log of their mean is a tighter lower bound. Transitions are Hamiltonian.
    Pilot chains adapt their step sizes and the temperatures, and are then discarded, so that the final chains
    are valid.

    Run backwards from exact draws of the posterior, the same chains give an upper bound; such draws are known
    for rows that the model itself has drawn: see `simulated_sandwich`.

    Parameters
    ----------
    temperatures
        The number of steps of β.
    leapfrog
        Leapfrog steps, and so gradient evaluations, per transition.
    step
        The initial leapfrog step size, before adaptation, in units of the prior.

    References
    ----------
    Neal 2001, Annealed importance sampling; Grosse, Ghahramani and Adams 2015, Sandwiching the marginal
    likelihood using bidirectional Monte Carlo; Wu et al. 2017, On the quantitative analysis of decoder-based
    generative models.
    https://arxiv.org/abs/physics/9803008
    https://arxiv.org/abs/1511.02543
    https://arxiv.org/abs/1611.04273
    """

    name = "ais"
    kind = "lower bound"

    def __init__(self, temperatures: int = 500, leapfrog: int = 10, step: float = 0.3) -> None:
        check_count("temperatures", temperatures)
        check_count("leapfrog", leapfrog)
        check_number("step", step, above=0.0)
        self.temperatures, self.leapfrog, self.step = temperatures, leapfrog, step

    def check(self, model: Any) -> None:
        """Refuse a model without latent variables, or with discrete ones."""
        for name in ("prior", "likelihood"):
            if not hasattr(model, name):
                raise UsageError(
                    f"ais is for latent-variable models, and a {type(model).__name__} has no {name}",
                    fix="use method='exact' if log_prob is exact, as that of a flow is",
                )
        if not getattr(model.prior, "has_rsample", False):
            raise UsageError(
                f"the latent variable of a {type(model).__name__} is discrete, but ais needs gradients",
                fix="use method='exact'",
            )

    def of_block(self, model: Any, x: Tensor, samples: int) -> Evidence:
        """Run the chains forwards."""
        return from_weights(self._forwards(Chains(model, x, self.leapfrog), samples), self.kind, self.name)

    def upper_bound(self, model: Any, x: Tensor, z: Tensor, samples: int) -> Evidence:
        """Return upper bounds of log p(x), from chains that run backwards from exact posterior draws.

        Parameters
        ----------
        model
            The model.
        x
            Rows, shape ``(n, D)``.
        z
            One exact draw from the posterior of each row, shape ``(n, q)``.
        samples
            Chains per row.
        """
        chains = Chains(model, x, self.leapfrog)
        schedule, steps = self._adapted(chains)
        state = chains.at(z.expand(samples, *z.shape))
        log_weights = torch.zeros_like(state.prior.value, dtype=torch.float64)
        for index in range(self.temperatures, 0, -1):
            state, _ = chains.move(state, schedule[index], steps[index - 1])
            log_weights += (schedule[index] - schedule[index - 1]) * state.likelihood.value
        found = from_weights(-log_weights, "upper bound", self.name)
        corrected = None if found.corrected is None else -found.corrected
        return Evidence(
            value=-found.value,
            kind="upper bound",
            method=self.name,
            samples=samples,
            standard_error=found.standard_error,
            effective_sample_size=found.effective_sample_size,
            k_hat=found.k_hat,
            corrected=corrected,
        )

    def _forwards(self, chains: Chains, samples: int) -> Tensor:
        schedule, steps = self._adapted(chains)
        state = chains.start(samples)
        log_weights = torch.zeros_like(state.prior.value, dtype=torch.float64)
        for index in range(1, self.temperatures + 1):
            log_weights += (schedule[index] - schedule[index - 1]) * state.likelihood.value
            if index < self.temperatures:
                state, _ = chains.move(state, schedule[index], steps[index - 1])
        return log_weights

    def _adapted(self, chains: Chains) -> tuple[Tensor, Tensor]:
        """Return temperatures ``(T + 1,)`` and step sizes ``(T, n)``, one per row, adapted by pilot chains.

        Temperatures are spaced so that each interval has the same share of the log-likelihood's spread.
        """
        schedule = self._sigmoid(chains.x)
        step = torch.full((len(chains.x),), self.step, dtype=torch.float64, device=chains.x.device)
        state = chains.start(_PILOT_CHAINS)
        spreads, steps = [_spread(state.likelihood.value)], []
        for temperature in schedule[1:]:
            state, acceptance = chains.move(state, temperature, step)
            step = step * torch.exp(0.2 * (acceptance.double().mean(0) - _WANTED_ACCEPTANCE))
            steps.append(step)
            spreads.append(_spread(state.likelihood.value))
        spread = torch.stack(spreads)
        length = torch.cumsum(0.5 * (spread[1:] + spread[:-1]) * schedule.diff(), 0)
        length = torch.cat([length.new_zeros(1), length / length[-1].clamp_min(1e-300)])
        wanted = torch.linspace(0.0, 1.0, len(schedule), dtype=length.dtype, device=length.device)
        place = torch.searchsorted(length, wanted).clamp(1, self.temperatures)
        share = (wanted - length[place - 1]) / (length[place] - length[place - 1]).clamp_min(1e-300)
        spaced = torch.lerp(schedule[place - 1], schedule[place], share.clamp(0.0, 1.0))
        spaced[0], spaced[-1] = 0.0, 1.0
        return spaced, torch.stack(steps)[place[1:] - 1]

    def _sigmoid(self, x: Tensor) -> Tensor:
        ends = torch.linspace(-_SIGMOID_WIDTH, _SIGMOID_WIDTH, self.temperatures + 1, dtype=torch.float64)
        values = torch.sigmoid(ends)
        return ((values - values[0]) / (values[-1] - values[0])).to(x.device)


def _spread(log_likelihood: Tensor) -> Tensor:
    """Return the standard deviation over chains, as its root mean square over rows."""
    variance = log_likelihood.double().var(0)
    return variance[variance.isfinite()].mean().nan_to_num(nan=1.0).clamp_min(1e-12).sqrt()
