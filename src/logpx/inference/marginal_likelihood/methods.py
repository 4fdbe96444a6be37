"""The methods: each an object that computes the evidence of a block of rows."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from logpx.distributions.private_randomness import redirected_draws
from logpx.errors import UsageError
from logpx.inference.marginal_likelihood.model import log_joint, without_nan
from logpx.inference.marginal_likelihood.result import Evidence
from logpx.inference.pareto import k_hat
from logpx.latent import log_weights as weights
from logpx.representations import Shown

__all__ = ["Elbo", "EvidenceMethod", "Exact", "ImportanceWeighted", "MonteCarlo", "from_weights"]

# The most numbers that the draws of one step may take.
_NUMBERS_AT_ONCE = 2_000_000


class EvidenceMethod(Shown, ABC):
    """A method that computes log p(x).

    Attributes
    ----------
    name : str
        Its name in `evidence`.
    kind : str
        What its values are: exact, a bound or an estimate.
    """

    name: ClassVar[str]
    kind: ClassVar[str]

    @abstractmethod
    def of_block(self, model: Any, x: Tensor, samples: int) -> Evidence:
        """Return the evidence of some rows, shape ``(n, D)``, with draws from torch's global generator."""

    def check(self, model: Any) -> None:
        """Raise a `UsageError` if the method is not for the model."""
        for name in ("prior", "likelihood", "posterior"):
            if not hasattr(model, name):
                raise UsageError(
                    f"{self.name} is for latent-variable models, and a {type(model).__name__} has no {name}",
                    fix="use method='exact' if log_prob is exact, as that of a flow is",
                )


class Exact(EvidenceMethod):
    """The model's own log p(x), where that is exact."""

    name = "exact"
    kind = "exact"

    def check(self, model: Any) -> None:
        """Refuse a model whose log_prob is not exact."""
        kind = getattr(model, "kind", "exact")
        if not hasattr(model, "log_prob") or kind != "exact":
            raise UsageError(
                f"log p(x) of a {type(model).__name__} is not exact",
                fix="use a bound: method='iwae', 'ais' or 'elbo'",
            )

    def of_block(self, model: Any, x: Tensor, samples: int) -> Evidence:
        """Return the model's own log_prob."""
        value = model.log_prob(x).double()
        zero = torch.zeros_like(value)
        return Evidence(
            value=value,
            kind=self.kind,
            method=self.name,
            samples=0,
            standard_error=zero,
            effective_sample_size=zero + torch.inf,
            k_hat=zero - torch.inf,
        )


class _Importance(EvidenceMethod):
    kind = "lower bound"

    def of_block(self, model: Any, x: Tensor, samples: int) -> Evidence:
        """Draw, weight and summarise."""
        proposal = self.proposal(model, x)
        step = max(1, _NUMBERS_AT_ONCE // max(1, x.numel()))
        parts = []
        for first in range(0, samples, step):
            with redirected_draws():
                z = proposal.sample((min(step, samples - first), *self.rows(x)))
            parts.append((log_joint(model, x, z) - proposal.log_prob(z)).double())
        log_weights = torch.cat(parts)
        found = self.summary(without_nan(log_weights), samples)
        # Undefined weights count as 0, which keeps the bound one; but nobody knows what they hide.
        undefined = log_weights.isnan().any(0)
        return dataclasses.replace(found, k_hat=found.k_hat.masked_fill(undefined, torch.nan))

    @abstractmethod
    def proposal(self, model: Any, x: Tensor) -> Any:
        """Return the distribution that z is drawn from."""

    def rows(self, x: Tensor) -> tuple[int, ...]:
        """Return the batch shape that the proposal lacks."""
        return ()

    def summary(self, log_weights: Tensor, samples: int) -> Evidence:
        """Return the evidence from log-weights of shape ``(K, n)``."""
        return from_weights(log_weights, self.kind, self.name)


class MonteCarlo(_Importance):
    """Draws from the prior: the naive estimate. Its error grows exponentially with the latent dimensions."""

    name = "monte_carlo"

    def proposal(self, model: Any, x: Tensor) -> Any:
        """Return the prior."""
        return model.prior

    def rows(self, x: Tensor) -> tuple[int, ...]:
        """Return the number of rows."""
        return (len(x),)


class ImportanceWeighted(_Importance):
    """Draws from the model's posterior, exact or approximate: the importance-weighted bound."""

    name = "iwae"

    def proposal(self, model: Any, x: Tensor) -> Any:
        """Return the posterior."""
        return model.posterior(x)


class Elbo(ImportanceWeighted):
    """The mean of the log-weights under the model's posterior: the evidence lower bound."""

    name = "elbo"

    def summary(self, log_weights: Tensor, samples: int) -> Evidence:
        """Return the mean of the log-weights instead of the log of their mean."""
        found = from_weights(log_weights, self.kind, self.name)
        spread = log_weights.std(0) if samples > 1 else torch.full_like(log_weights[0], torch.nan)
        return Evidence(
            value=weights.elbo(log_weights),
            kind=self.kind,
            method=self.name,
            samples=samples,
            standard_error=spread / samples**0.5,
            effective_sample_size=found.effective_sample_size,
            k_hat=found.k_hat,
        )


def from_weights(log_weights: Tensor, kind: str, method: str) -> Evidence:
    """Return the log of the mean of weights ``(K, n)``, with its diagnostics."""
    return Evidence(
        value=weights.iwae(log_weights),
        kind=kind,
        method=method,
        samples=len(log_weights),
        standard_error=weights.iwae_error(log_weights),
        effective_sample_size=weights.effective_sample_size(log_weights),
        k_hat=k_hat(log_weights),
        corrected=weights.jackknife(log_weights),
    )
