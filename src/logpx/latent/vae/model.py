"""The variational autoencoder: a decoder, and an encoder that proposes z."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from logpx.arguments import check_count, check_instance
from logpx.distributions import Distribution, LowerBound
from logpx.distributions.likelihoods import CellDistribution, Likelihood
from logpx.distributions.missing import check_finite_or_missing, has_missing
from logpx.distributions.private_randomness import redirected_draws
from logpx.distributions.row_blocks import row_blocks
from logpx.distributions.seeding import checked_count, seeded
from logpx.errors import DataError, UsageError
from logpx.latent.log_weights import iwae, iwae_error
from logpx.latent.vae.networks import EncoderUnits
from logpx.latent.vae.objectives import EvidenceLowerBound, Objective
from logpx.latent.vae.posteriors import DiagonalPosterior, VariationalPosterior
from logpx.latent.vae.priors import Prior, StandardPrior, VampPrior
from logpx.nets import MLP
from logpx.nets.signatures import called
from logpx.transforms.base import check_event

__all__ = ["VAE"]

_BLOCK_ROWS = 256
# How many blocks rows with keys share.
_KEYED_BLOCKS = 16
_BLOCK_NUMBERS = 4_000_000


class VAE(Distribution):
    r"""A model :math:`p(x) = \int p(x \mid z) p(z) \, dz` with an encoder :math:`q(z \mid x)`.

    `log_prob` is a lower bound: in evaluation mode the importance-weighted bound with `draws` fixed draws, in
    training mode the objective. `logpx.evidence` gives tighter bounds with their errors. A missing cell is
    NaN: the bound is then that of the observed cells, and the encoder sees the mean in its place.

    Parameters
    ----------
    likelihood
        How the decoder's numbers become p(x given z); see `logpx.distributions.likelihoods`.
    latent
        The number of latent dimensions.
    hidden
        Widths of the default encoder's hidden layers; the default decoder has them in reverse order.
    encoder
        Your own module instead: from x, flattened unless `flatten` is False, to `posterior.outputs` numbers;
        called as ``encoder(x, context)`` if there is a context.
    decoder
        Your own module: from z to `likelihood.outputs` numbers, called in the same way.
    prior
        A `Prior`; standard normal by default.
    posterior
        A `VariationalPosterior`; independent normal distributions by default.
    objective
        What training maximises; the evidence lower bound by default.
    draws
        Draws per row of `log_prob` in evaluation mode.
    e_steps
        Training steps of the encoder alone (E-steps) before each step of everything else (an M-step):
        variational EM. With 0 every step moves all parameters.
    context
        The number of context features.
    flatten
        Whether your own encoder takes rows as vectors.
    masked
        Whether the encoder also sees, after the values, which are observed (1) and which are missing (0).

    Raises
    ------
    UsageError
        If sizes do not fit together.

    References
    ----------
    Kingma and Welling 2014, Auto-encoding variational Bayes; Rezende, Mohamed and Wierstra 2014; Mattei and
    Frellsen 2019, MIWAE (missing cells).
    https://arxiv.org/abs/1312.6114
    https://arxiv.org/abs/1401.4082
    https://arxiv.org/abs/1812.02633

    Examples
    --------
    >>> from logpx.distributions.likelihoods import NormalLikelihood
    >>> vae = VAE(NormalLikelihood(3), latent=2, hidden=(16,))
    >>> vae.eval().log_prob(torch.zeros(5, 3)).shape, vae.kind
    (torch.Size([5]), 'lower bound')
    """

    allows_missing = True
    allows_constants = True
    gains_from_noise = False
    step: Tensor

    def __init__(
        self,
        likelihood: Likelihood,
        latent: int,
        hidden: Sequence[int] = (256,),
        encoder: nn.Module | None = None,
        *,
        decoder: nn.Module | None = None,
        prior: Prior | None = None,
        posterior: VariationalPosterior | None = None,
        objective: Objective | None = None,
        draws: int = 16,
        e_steps: int = 0,
        context: int = 0,
        flatten: bool = True,
        masked: bool = False,
    ) -> None:
        check_instance("likelihood", likelihood, Likelihood, "NormalLikelihood(3)")
        check_count("latent", latent)
        check_count("draws", draws)
        check_count("e_steps", e_steps, least=0)
        super().__init__(likelihood.event_shape, context)
        self.likelihood_family, self.latent, self.draws, self.flatten = likelihood, latent, draws, flatten
        self.e_steps, self.masked = e_steps, masked
        self.posterior_family = DiagonalPosterior(latent) if posterior is None else posterior
        self.prior_family = StandardPrior(latent) if prior is None else prior
        self.objective = EvidenceLowerBound() if objective is None else objective
        check_instance(
            "posterior", self.posterior_family, VariationalPosterior, f"DiagonalPosterior({latent})"
        )
        check_instance("prior", self.prior_family, Prior, f"StandardPrior({latent})")
        check_instance("objective", self.objective, Objective, "EvidenceLowerBound()")
        for name, part in (("posterior", self.posterior_family), ("prior", self.prior_family)):
            if getattr(part, "latent", latent) != latent:
                raise UsageError(
                    f"the {name} has {part.latent} latent dimensions, but the model has {latent}",
                    fix="give both the same number",
                )
        if context and isinstance(self.prior_family, VampPrior):
            raise UsageError(
                "the inputs of a VampPrior have no context, which the encoder needs",
                fix="take StandardPrior or LearnedPrior",
            )
        self.visible = latent if self.prior_family.visible is None else self.prior_family.visible
        features = math.prod(self.event_shape)
        self.encoder = (
            MLP(features * (1 + masked), self.posterior_family.outputs, tuple(hidden), context, damped=False)
            if encoder is None
            else encoder
        )
        self.decoder = (
            MLP(self.visible, likelihood.outputs, tuple(reversed(hidden)), context, damped=False)
            if decoder is None
            else decoder
        )
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.units = EncoderUnits(self.event_shape)

    @property
    def kind(self) -> str:
        """What `log_prob` returns: always ``lower bound``."""
        return "lower bound"

    def trained_in(self, step: int) -> list[nn.Parameter] | None:
        """Return the encoder's parameters in an E-step, all others in an M-step; None without E-steps."""
        if not self.e_steps:
            return None
        encoders = [*self.encoder.parameters(), *self.posterior_family.parameters()]
        if step % (self.e_steps + 1) == self.e_steps:
            own = {id(parameter) for parameter in encoders}
            encoders = [parameter for parameter in self.parameters() if id(parameter) not in own]
        return [parameter for parameter in encoders if parameter.requires_grad] or None

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the units that encoder and likelihood work in from training rows.

        Raises
        ------
        DataError
            If there are no rows, or the likelihood cannot produce a value.
        """
        if not len(x):
            raise DataError("no rows to take units from", fix="give at least two different rows")
        self.likelihood_family.check(x)
        self.units.initialise(x)
        self.likelihood_family.initialise(self.units.centre, self.units.spread)
        begin = getattr(self.prior_family, "initialise", None)
        if begin is not None:
            begin(x)

    @property
    def prior(self) -> Any:
        """p(z) with the interface of torch."""
        return self.prior_family(self.posterior, self._like())

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the encoder's numbers for the posterior, shape ``(*rows, posterior.outputs)``."""
        units = self.units(x)
        if self.flatten:
            units = units.flatten(x.dim() - len(self.event_shape))
        if self.masked:
            there = (~x.isnan()).to(units.dtype).reshape(units.shape)
            units = torch.cat([units, there], -1 if self.flatten else -len(self.event_shape))
        return called("encoder", self.encoder, units, *([] if context is None else [context]))

    def posterior(self, x: Tensor, context: Tensor | None = None) -> Any:
        """Return q(z given x), with the interface of torch, for x of shape ``(*rows, *event_shape)``."""
        return self.posterior_family(self.encode(x, context))

    def likelihood(self, z: Tensor, context: Tensor | None = None) -> CellDistribution:
        """Return p(x given z) for z of shape ``(*rows, latent)``."""
        check_event(z, (self.latent,))
        z = z[..., : self.visible]
        own = None if context is None else context.expand(*z.shape[:-1], -1)
        raw = called("decoder", self.decoder, z, *([] if own is None else [own]))
        flat = raw.flatten(z.dim() - 1) if raw.dim() > z.dim() else raw
        cells: CellDistribution = self.likelihood_family(flat)
        return cells

    def log_weights(
        self, x: Tensor, draws: int, context: Tensor | None = None, frozen: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return log p(x, z) − log q(z given x) of draws from q, shape ``(draws, n)``, and the draws.

        Parameters
        ----------
        x
            Shape ``(n, *event_shape)``.
        draws
            How many draws per row.
        context
            Shape ``(n, context_features)``.
        frozen
            Whether log q passes no gradient to its own parameters.
        """
        return self.log_weights_of(self.encode(x, context), x, draws, context, frozen)

    def log_weights_of(
        self, raw: Tensor, x: Tensor, draws: int, context: Tensor | None = None, frozen: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the same for given numbers of the encoder, shape ``(n, posterior.outputs)``."""
        q = self.posterior_family(raw)
        with redirected_draws():
            z = q.rsample((draws,))
        density = self.posterior_family.frozen(raw) if frozen else q
        return self.log_weights_at(density, z, x, context), z

    def log_weights_at(self, q: Any, z: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x, z) − log q(z) of given z, shape ``(draws, n)``."""
        joint: Tensor = self.prior.log_prob(z) + self.likelihood(z, context).log_prob(x)
        found: Tensor = joint - q.log_prob(z)
        return found

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return a lower bound of log p(x) in nats, shape ``(*rows,)``."""
        context = None if context is None else context.expand(len(x), -1)
        if not self.training:
            return self._lower(x, self.draws, 0, context, 0).log_prob
        x, never = self._possible(x)
        bound = self.objective.rows(self, x, context, int(self.step))
        self.step += 1
        return bound.masked_fill(never, -math.inf)

    @torch.no_grad()
    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return the importance-weighted bound, and its standard error by the delta method.

        Works in blocks of rows and draws, so that memory stays constant.

        Parameters
        ----------
        x
            Shape ``(n, *event_shape)``; NaN is missing.
        draws
            Draws of z per row; the model's `draws` by default. More draws bring it nearer to log p(x).
        seed, context, first
            As in `Distribution.log_prob_lower`. Rows with keys share 4096 streams of draws of z.

        References
        ----------
        Burda, Grosse and Salakhutdinov 2016, Importance weighted autoencoders.
        https://arxiv.org/abs/1509.00519
        """
        draws = self.draws if draws is None else draws
        check_count("draws", draws)
        context = None if context is None else context.expand(len(x), -1)
        return self._lower(x, draws, seed, context, first)

    def _possible(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows without cells that the likelihood cannot produce, and which rows have such cells."""
        wrong = ~self.likelihood_family.possible(x)
        return x.masked_fill(wrong, math.nan), wrong.flatten(1).any(1)

    def _lower(
        self, x: Tensor, draws: int, seed: int, context: Tensor | None, first: int | Tensor
    ) -> LowerBound:
        x, never = self._possible(x)
        value, error = x.new_zeros(len(x)), x.new_zeros(len(x))
        for block in row_blocks(len(x), first, _BLOCK_ROWS, _KEYED_BLOCKS):
            rows, slots = block.rows.to(x.device), block.slots.to(x.device)
            own = None if context is None else context[rows]
            with seeded(seed, block.number):
                log_weights = self._log_weights_in_slots(x[rows], slots, draws, own)
            value[rows], error[rows] = iwae(log_weights).to(value), iwae_error(log_weights).to(error)
        if has_missing(x):
            # log p of a row without observed cells is 0 and needs no estimate.
            empty = x.isnan().flatten(1).all(1)
            value, error = value.masked_fill(empty, 0.0), error.masked_fill(empty, 0.0)
        return LowerBound(value.masked_fill(never, -math.inf), error.masked_fill(never, 0.0))

    def _log_weights_in_slots(self, x: Tensor, slots: Tensor, draws: int, context: Tensor | None) -> Tensor:
        """Return log-weights whose z is drawn for a whole block, of which the rows have these slots."""
        raw = self.encode(x, context)
        whole = self.posterior_family(raw.new_zeros(_BLOCK_ROWS, *raw.shape[1:]).index_copy(0, slots, raw))
        q = self.posterior_family(raw)
        # As many at once whatever the number of rows: it decides on the order of the random numbers.
        most = max(1, _BLOCK_NUMBERS // (_BLOCK_ROWS * max(self.likelihood_family.outputs, 1)))
        parts = []
        for start in range(0, draws, most):
            with redirected_draws():
                z = whole.rsample((min(most, draws - start),))[:, slots]
            parts.append(self.log_weights_at(q, z, x, context))
        return torch.cat(parts)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``: z from the prior, then x."""
        checked_count(n)
        blocks = []
        with torch.no_grad():
            for first in range(0, n, _BLOCK_ROWS):
                with redirected_draws() if seed is None else seeded(seed, first // _BLOCK_ROWS):
                    # Always a whole block: a row must not depend on how many rows follow.
                    z = self.prior.sample((_BLOCK_ROWS,))
                    own = None
                    if context is not None:
                        own = context.expand(n, -1)[first : first + _BLOCK_ROWS]
                        own = torch.cat([own, own[-1:].expand(_BLOCK_ROWS - len(own), -1)])
                    blocks.append(self.likelihood(z, own).sample())
        return torch.cat(blocks)[:n] if blocks else self._like().new_zeros(0, *self.event_shape)

    @torch.no_grad()
    def impute(
        self, x: Tensor, draws: int | None = None, seed: int | None = 0, importance_draws: int = 100
    ) -> Tensor:
        """Fill in missing cells by importance sampling: with the best guess of each, or with draws.

        Parameters
        ----------
        x
            Shape ``(n, *event_shape)``; NaN is missing.
        draws
            The number of completed tables to draw. None fills in conditional means, and the most probable
            labels.
        seed
            The seed of all draws; None for torch's global generator.
        importance_draws
            Draws of z per row; more draws come nearer to the exact conditional distribution.

        Returns
        -------
        Tensor
            Shape ``(n, *event_shape)``, or ``(draws, n, *event_shape)``.

        References
        ----------
        Mattei and Frellsen 2019, MIWAE, section 3.3.
        https://arxiv.org/abs/1812.02633
        """
        check_count("importance_draws", importance_draws)
        if draws is not None:
            check_count("draws", draws)
        if x.dim() != 1 + len(self.event_shape) or tuple(x.shape[1:]) != self.event_shape:
            sizes = ", ".join(map(str, self.event_shape))
            raise UsageError(f"rows of shape {tuple(x.shape)}", fix=f"give shape (n, {sizes})")
        check_finite_or_missing(x.flatten(1))
        if not len(x):
            return x if draws is None else x.expand(draws, *x.shape)
        parts = []
        for block, rows in enumerate(torch.split(x, _BLOCK_ROWS)):
            with redirected_draws() if seed is None else seeded(seed, block):
                log_weights, z = self.log_weights(rows, importance_draws)
                weights = torch.softmax(log_weights, 0)
                if draws is None:
                    found = self.likelihood(z).best_guess(weights)
                else:
                    chosen = torch.multinomial(weights.mT, draws, replacement=True).mT
                    own = z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, z.shape[-1]))
                    found = self.likelihood(own).sample()
            parts.append(torch.where(rows.isnan(), found, rows))
        return torch.cat(parts, 0 if draws is None else 1)
