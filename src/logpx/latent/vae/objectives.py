"""Objectives for training a VAE: bounds of log p(x), each with its own draws and gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.distributions import Independent, kl_divergence

from logpx.arguments import check_count, check_number
from logpx.configuration import Configured
from logpx.distributions.private_randomness import current_generator, redirected_draws
from logpx.errors import UsageError
from logpx.latent.log_weights import ciwae, dreg, iwae, miwae, stl

__all__ = [
    "AmortisedModel",
    "CombinedImportanceWeightedBound",
    "DoublyReparameterised",
    "EvidenceLowerBound",
    "ImportanceWeightedBound",
    "MultipleImportanceWeightedBound",
    "Objective",
    "StickingTheLandingBound",
]


class AmortisedModel(Protocol):
    """What an objective needs from a model: its three distributions, and the log-weights of draws of z."""

    @property
    def prior(self) -> Any:
        """p(z) with the interface of torch."""

    def likelihood(self, z: Tensor, context: Tensor | None = None) -> Any:
        """Return p(x given z)."""

    def posterior(self, x: Tensor, context: Tensor | None = None) -> Any:
        """Return q(z given x) with the interface of torch."""

    def log_weights(
        self, x: Tensor, draws: int, context: Tensor | None = None, frozen: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return log p(x, z) − log q(z given x) of draws from q, shape ``(draws, n)``, and the draws."""

    def log_weights_at(self, q: Any, z: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x, z) − log q(z) of given z, shape ``(draws, n)``."""


class Objective(Configured, ABC):
    """A bound of log p(x) for every row, to be maximised."""

    @abstractmethod
    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound in nats, with the gradient that training follows.

        Parameters
        ----------
        model
            The model.
        x
            Shape ``(n, *event_shape)``; NaN is missing.
        context
            Shape ``(n, context_features)``, or None.
        step
            How many training steps came before.
        """


class EvidenceLowerBound(Objective):
    """E_q[log p(x | z)] − β KL(q ‖ p), with the KL divergence in closed form where one exists.

    With β = 1, no warm-up and no free bits it is the evidence lower bound. The other settings are for
    training alone; evaluation ignores them.

    Parameters
    ----------
    draws
        Draws of z per row.
    beta
        The weight of the KL divergence.
    warm_up
        The number of steps over which that weight rises from 0.
    free_bits
        Each latent dimension's KL divergence, averaged over the batch, counts as at least this, in nats.

    References
    ----------
    Kingma and Welling 2014, Auto-encoding variational Bayes; Higgins et al. 2017, beta-VAE; Kingma et al.
    2016 (free bits); Sønderby et al. 2016 (warm-up).
    https://arxiv.org/abs/1312.6114
    https://openreview.net/forum?id=Sy2fzU9gl
    https://arxiv.org/abs/1606.04934
    https://arxiv.org/abs/1602.02282
    """

    def __init__(self, draws: int = 1, beta: float = 1.0, warm_up: int = 0, free_bits: float = 0.0) -> None:
        check_count("draws", draws)
        check_count("warm_up", warm_up, least=0)
        for name, value in (("beta", beta), ("free_bits", free_bits)):
            check_number(name, value)
            if value < 0.0:
                raise UsageError(f"{name} is {value}", fix="give 0 or more")
        self.draws, self.beta, self.warm_up, self.free_bits = draws, beta, warm_up, free_bits

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound, or what training maximises instead."""
        q, p = model.posterior(x, context), model.prior
        # Tensors without a leading dimension of draws save a tenth of a step.
        with redirected_draws():
            z = q.rsample() if self.draws == 1 else q.rsample((self.draws,))
        explained = model.likelihood(z, context).log_prob(x)
        divergence = _divergence(q, p, z)
        if self.draws > 1:
            explained = explained.mean(0)
            divergence = divergence if divergence.dim() == 1 else divergence.mean(0)
        if self.free_bits:
            each = _divergence_of_dimensions(q, p)
            divergence = divergence - each.sum(-1)
            divergence = divergence + torch.clamp_min(each.mean(0), self.free_bits).sum()
        weight = self.beta * (1.0 if step >= self.warm_up else step / self.warm_up)
        bound: Tensor = explained - weight * divergence
        return bound


class StickingTheLandingBound(Objective):
    """The evidence lower bound without the score of q in its gradient, whose variance vanishes for exact q.

    References
    ----------
    Roeder, Wu and Duvenaud 2017, Sticking the landing.
    https://arxiv.org/abs/1703.09194
    """

    def __init__(self, draws: int = 1) -> None:
        check_count("draws", draws)
        self.draws = draws

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the mean of the log-weights, with the parameters of q frozen inside log q."""
        return stl(model.log_weights(x, self.draws, context, frozen=True)[0])


class ImportanceWeightedBound(Objective):
    """The log of the mean of K weights: a tighter bound for the decoder.

    Parameters
    ----------
    draws
        The number K of draws per row.
    followed
        How many of them the gradient follows: these are resampled by their weights, which leaves the mean of
        the gradient unchanged and saves most of the backward pass. None follows all.

    References
    ----------
    Burda, Grosse and Salakhutdinov 2016, Importance weighted autoencoders; section 3 on following one draw.
    https://arxiv.org/abs/1509.00519
    """

    def __init__(self, draws: int = 50, followed: int | None = None) -> None:
        check_count("draws", draws)
        if followed is not None:
            check_count("followed", followed)
        self.draws, self.followed = draws, followed

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound."""
        if self.followed is None:
            return iwae(model.log_weights(x, self.draws, context)[0])
        q = model.posterior(x, context)
        with redirected_draws():
            z = q.rsample((self.draws,))
        with torch.no_grad():
            log_weights = model.log_weights_at(q, z, x, context)
            weights = torch.softmax(log_weights, 0).mT
            generator = current_generator(x.device)
            chosen = torch.multinomial(weights, self.followed, replacement=True, generator=generator).mT
        own = z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, z.shape[-1]))
        followed = model.log_weights_at(q, own, x, context).mean(0)
        return followed + (iwae(log_weights) - followed.detach())


class MultipleImportanceWeightedBound(Objective):
    """The mean of importance-weighted bounds: between the evidence lower bound and the tightest one.

    Parameters
    ----------
    groups
        The number of bounds.
    draws
        The draws for each bound.

    References
    ----------
    Rainforth et al. 2018, Tighter variational bounds are not necessarily better (MIWAE).
    https://arxiv.org/abs/1802.04537
    """

    def __init__(self, groups: int = 8, draws: int = 8) -> None:
        check_count("groups", groups)
        check_count("draws", draws)
        self.groups, self.draws = groups, draws

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound."""
        return miwae(model.log_weights(x, self.groups * self.draws, context)[0], self.groups)


class CombinedImportanceWeightedBound(Objective):
    """A convex combination of the evidence lower bound and the importance-weighted one.

    Parameters
    ----------
    share
        The weight of the former, in [0, 1].
    draws
        Draws per row.

    References
    ----------
    Rainforth et al. 2018, Tighter variational bounds are not necessarily better (CIWAE).
    https://arxiv.org/abs/1802.04537
    """

    def __init__(self, share: float = 0.5, draws: int = 50) -> None:
        check_number("share", share)
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"share is {share}", fix="give a number from 0 to 1")
        check_count("draws", draws)
        self.share, self.draws = share, draws

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound."""
        return ciwae(model.log_weights(x, self.draws, context)[0], self.share)


class DoublyReparameterised(Objective):
    """The importance-weighted bound, with an encoder gradient whose variance does not grow with K.

    Parameters
    ----------
    draws
        The number K of draws per row.

    References
    ----------
    Tucker et al. 2019, Doubly reparameterized gradient estimators for Monte Carlo objectives.
    https://arxiv.org/abs/1810.04152
    """

    def __init__(self, draws: int = 50) -> None:
        check_count("draws", draws)
        self.draws = draws

    def rows(self, model: AmortisedModel, x: Tensor, context: Tensor | None, step: int) -> Tensor:
        """Return the bound."""
        return dreg(*model.log_weights(x, self.draws, context, frozen=True))


def _divergence(q: Any, p: Any, z: Tensor) -> Tensor:
    """Return KL(q ‖ p) in closed form, shape ``(n,)``, or an estimate from each draw."""
    try:
        closed: Tensor = kl_divergence(q, p)
    except NotImplementedError:
        estimate: Tensor = q.log_prob(z) - p.log_prob(z)
        return estimate
    return closed


def _divergence_of_dimensions(q: Any, p: Any) -> Tensor:
    if not isinstance(q, Independent) or not isinstance(p, Independent):
        raise UsageError(
            "free bits need independent latent dimensions, but these depend on each other",
            fix="take DiagonalPosterior and StandardPrior, or free_bits=0",
        )
    each: Tensor = kl_divergence(q.base_dist, p.base_dist)
    return each
