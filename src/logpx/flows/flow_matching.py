"""Continuous flows, trained by flow matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_count, check_instance
from logpx.distributions import Flow, LowerBound, StandardNormal
from logpx.distributions.private_randomness import current_generator
from logpx.distributions.seeding import generator_of
from logpx.errors import UsageError
from logpx.flows.contexts import context_size
from logpx.flows.continuous import Continuous, FixedStepSolver, Solver, check_velocity
from logpx.nets import VelocityMLP
from logpx.transforms import Chain, Standardize
from logpx.transforms.base import as_features

__all__ = ["Estimate", "FlowMatching"]


class Estimate(NamedTuple):
    """An estimate of log p(x) for every row, in nats: unbiased, neither exact nor a bound.

    Attributes
    ----------
    log_prob : Tensor
        Shape ``(n,)``.
    standard_error : Tensor
        Its standard error, shape ``(n,)``; NaN for a single draw.
    """

    log_prob: Tensor
    standard_error: Tensor


class FlowMatching(Flow):
    r"""A continuous flow: noise becomes data along the paths of :math:`\dot x = v(x, t)`, t from 0 to 1.

    `logpx.fit` trains the velocity by flow matching: with noise z and data x, it is led towards
    :math:`x - z` at :math:`(1 - t) z + t x`, where z and x of a batch are paired by optimal transport. Then
    log p(x) is that of the noise at the end of the path plus an integral of the trace of
    :math:`\partial v / \partial x`, which costs hundreds of evaluations of the network.

    Parameters
    ----------
    features
        The number of features.
    hidden
        Widths of the hidden layers of the velocity's network.
    context
        The number of context features, or with an embedding the shape of one context. With a context, noise
        and data are paired at random.
    trace
        ``exact``, so that log p is exact but for the solver's error; or ``hutchinson``: log p is an
        estimate, as `kind` says, from random products, for many features.
    draws
        How many random signs per row Hutchinson's estimate takes.
    velocity
        A module of your own in place of the network, called as ``velocity(x, t, context)`` on standardized
        rows, with a time t that is a number or one per row.
    solver
        `FixedStepSolver(50)` by default, or an `AdaptiveSolver`.
    embedding
        A net that turns contexts of shape ``(n, *context)`` into vectors, trained and saved with the flow.
    objective
        What `logpx.fit` trains by: ``flow matching``; or ``likelihood``, log p itself through the solver,
        whose every step costs as much as scoring the batch three times. It can be set after a fit, to go
        on by the other.

    Raises
    ------
    UsageError
        If an argument is invalid.

    References
    ----------
    Lipman et al. 2023, Flow Matching for Generative Modeling. https://arxiv.org/abs/2210.02747
    Tong et al. 2024, Improving and generalizing flow-based generative models with minibatch optimal
    transport. https://arxiv.org/abs/2302.00482
    Grathwohl et al. 2019, FFJORD. https://arxiv.org/abs/1810.01367

    Examples
    --------
    >>> flow = FlowMatching(features=2, hidden=(16,)).eval()
    >>> flow.kind, flow.log_prob(torch.zeros(1, 2))
    ('exact', tensor([-1.8379]))
    >>> flow.log_prob_estimate(torch.zeros(1, 2), draws=8).standard_error
    tensor([0.])
    """

    steps_between_evaluations: ClassVar[int] = 500
    most_validation_rows: ClassVar[int | None] = 500

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (128, 128, 128),
        context: int | Sequence[int] = 0,
        *,
        trace: str = "exact",
        draws: int = 16,
        velocity: nn.Module | None = None,
        solver: Solver | None = None,
        embedding: nn.Module | None = None,
        objective: str = "flow matching",
    ) -> None:
        size, features = context_size(context, embedding), as_features(features)
        if trace not in ("exact", "hutchinson"):
            raise UsageError(f"the trace {trace!r}", fix="give 'exact' or 'hutchinson'")
        check_count("draws", draws)
        if velocity is None:
            velocity = VelocityMLP(features, hidden, size)
        check_instance("velocity", velocity, nn.Module, "logpx.nets.VelocityMLP(2)")
        check_velocity(velocity, features, size)
        solver = FixedStepSolver() if solver is None else solver
        check_instance("solver", solver, Solver, "FixedStepSolver(50)")
        paths = Continuous(features, velocity, size, solver)
        super().__init__(StandardNormal(features), Chain([Standardize(features), paths]), embedding, context)
        self.trace, self.draws, self.objective = trace, draws, objective

    @property
    def objective(self) -> str:
        """What training raises, ``flow matching`` or ``likelihood``."""
        return self._objective

    @objective.setter
    def objective(self, value: str) -> None:
        if value not in ("flow matching", "likelihood"):
            raise UsageError(f"the objective {value!r}", fix="give 'flow matching' or 'likelihood'")
        self._objective = value

    @property
    def _standardize(self) -> Standardize:
        found: Any = self.transform
        return cast(Standardize, found.transforms[0])

    @property
    def _paths(self) -> Continuous:
        found: Any = self.transform
        return cast(Continuous, found.transforms[1])

    @property
    def kind(self) -> str:
        """``exact``, or ``estimate`` with Hutchinson's trace."""
        return "exact" if self.trace == "exact" else "estimate"

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x) in nats, shape ``(*rows,)``: exact but for the solver's error, or an estimate."""
        if self.trace == "exact":
            return self._exact(x, context)
        return self._estimated(x, context, self.draws, 0, 0).log_prob

    def _exact(self, x: Tensor, context: Tensor | None) -> Tensor:
        self._check_dtype(x)
        z, ladj = self.transform.forward(x, context)
        return self.base.log_prob(z) + ladj

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return log p(x) with zeros for errors; with Hutchinson's trace the estimate and its own."""
        if self.trace == "exact":
            log_prob = self._exact(x, context)
            return LowerBound(log_prob, torch.zeros_like(log_prob))
        return LowerBound(*self._estimated(x, context, self.draws if draws is None else draws, seed, first))

    def log_prob_estimate(
        self, x: Tensor, draws: int | None = None, seed: int = 0, context: Tensor | None = None
    ) -> Estimate:
        """Return Hutchinson's estimate of log p(x) with its standard error, whatever the flow's `trace`.

        Parameters
        ----------
        x
            Shape ``(*rows, features)``.
        draws
            How many random signs per row; by default those of the flow.
        seed
            Of the signs.
        context
            One per row, or one for all.

        Returns
        -------
        Estimate
            Unbiased, but for the solver's error.
        """
        rows = x.shape[:-1]
        with torch.no_grad():
            context = self.embed_context(context)
            if context is not None:
                context = context.expand(*rows, context.shape[-1]).reshape(-1, context.shape[-1])
            flat = x.reshape(-1, x.shape[-1])
            found = self._estimated(flat, context, self.draws if draws is None else draws, seed, 0)
        return Estimate(found.log_prob.view(rows), found.standard_error.view(rows))

    def _estimated(
        self, x: Tensor, context: Tensor | None, draws: int, seed: int, first: int | Tensor
    ) -> Estimate:
        check_count("draws", draws)
        self._check_dtype(x)
        u, ladj = self._standardize.forward(x)
        z, each = self._paths.estimated(u, context, _signs(x, draws, seed, first))
        log_prob = self.base.log_prob(z) + ladj
        # Of one draw nothing is known about the error.
        mean = each.mean(-1)
        squares = (each - mean.unsqueeze(-1)).square().sum(-1)
        error = torch.full_like(mean, torch.nan) if draws == 1 else (squares / (draws * (draws - 1))).sqrt()
        return Estimate(log_prob + mean, error)

    def sample(self, n: Any, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, features)``, along the paths alone."""
        u = self._paths.moved(self.base.sample(n, seed=seed), context, 0.0, 1.0)
        return self._standardize.inverse(u)[0]

    def sample_with_log_prob(
        self, n: Any, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw rows with their log-density, which is an estimate with Hutchinson's trace."""
        if self.trace == "exact":
            u, ladj = self._paths.inverse(z := self.base.sample(n, seed=seed), context)
            x, scale = self._standardize.inverse(u)
            return x, self.base.log_prob(z) - ladj - scale
        u = self._paths.moved(self.base.sample(n, seed=seed), context, 0.0, 1.0)
        x = self._standardize.inverse(u)[0]
        return x, self._estimated(x, context, self.draws, 0, 0).log_prob

    def training_objective(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return minus the loss of flow matching of every row, or log p, as `objective` says."""
        context = self.embed_context(context)
        if self.objective == "likelihood":
            return self._likelihood(x, context)
        u = self._standardize.forward(x)[0]
        generator = current_generator(x.device)
        z = torch.randn(u.shape, generator=generator, dtype=u.dtype, device=u.device)
        if context is None:
            z = z[_paired(u, z)]
        t = _times(u, generator)
        share = t.unsqueeze(-1)
        velocity = self._paths.velocity((1.0 - share) * z + share * u, t, context)
        loss: Tensor = (velocity - (u - z)).square().sum(-1)
        return -loss

    def _likelihood(self, x: Tensor, context: Tensor | None) -> Tensor:
        if self.trace == "exact":
            return self._exact(x, context)
        u, ladj = self._standardize.forward(x)
        shape = (len(x), self.draws, x.shape[-1])
        generator = current_generator(x.device)
        signs = 2.0 * torch.randint(2, shape, generator=generator, device=x.device).to(x) - 1.0
        z, each = self._paths.estimated(u, context, signs)
        return self.base.log_prob(z) + ladj + each.mean(-1)


def _signs(x: Tensor, draws: int, seed: int, first: int | Tensor) -> Tensor:
    """Return random signs, of which a row's share depends on the seed and its number alone."""
    keys = (first % 2**62).tolist() if isinstance(first, Tensor) else range(first, first + len(x))
    rows = [torch.randint(2, (draws, x.shape[-1]), generator=generator_of(seed, key)) for key in keys]
    return 2.0 * (torch.stack(rows) if rows else torch.zeros(0, draws, x.shape[-1])).to(x) - 1.0


def _times(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return one time per row, each uniform on [0, 1], and one in each of as many equal intervals as rows.

    The loss of a batch then varies less than with independent times.
    """
    within = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
    interval = torch.randperm(len(x), generator=generator, device=x.device)
    return (within + interval) / len(x)


# Rows that are paired among each other: more take longer than they are worth.
_PAIRED_ROWS = 128


@torch.no_grad()
def _paired(x: Tensor, z: Tensor) -> Tensor:
    """Return the order of z whose rows are nearest to those of x in sum: optimal transport of a batch."""
    # Late, since few need it.
    from scipy.optimize import linear_sum_assignment

    found = []
    for start in range(0, len(x), _PAIRED_ROWS):
        part = slice(start, start + _PAIRED_ROWS)
        costs = torch.cdist(x[part].double(), z[part].double()).square().cpu().numpy()
        found.append(torch.from_numpy(linear_sum_assignment(costs)[1]) + start)
    return torch.cat(found).to(x.device)
