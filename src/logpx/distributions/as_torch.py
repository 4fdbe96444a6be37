"""Models as distributions of torch, and of Pyro where it is there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import constraints

from logpx.distributions.gradients import with_gradients
from logpx.errors import UsageError
from logpx.transforms.base import check_context, check_event, common_rows

__all__ = ["TorchDistribution", "as_torch"]


class TorchDistribution(torch.distributions.Distribution):
    """A model, given a context or none, with the interface of torch's distributions.

    `logpx.distributions.Distribution.distribution` returns it. It holds the model itself, not a copy:
    gradients reach the model's parameters, in evaluation mode, too. Where Pyro has been imported, the object
    is one of Pyro's distributions as well.

    Parameters
    ----------
    model
        A distribution of logpx.
    context
        Shape ``(*batch, *context shape)``; None for an unconditional model.
    batch_shape
        For an unconditional model: the shape of independent events, all with the same distribution.

    Raises
    ------
    UsageError
        If the context does not suit the model.

    Examples
    --------
    >>> from logpx import flows
    >>> given = flows.NSF(features=2, context=3).distribution(torch.zeros(5, 3))
    >>> given.batch_shape, given.event_shape, given.rsample((10,)).shape
    (torch.Size([5]), torch.Size([2]), torch.Size([10, 5, 2]))
    >>> given.log_prob(torch.zeros(10, 1, 2)).shape
    torch.Size([10, 5])
    """

    # Contexts and weights are checked by the model.
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012

    def __init__(
        self, model: Any, context: Tensor | None = None, batch_shape: Sequence[int] | None = None
    ) -> None:
        check_context(model, context)
        rows = () if context is None else tuple(context.shape[: context.dim() - len(model.context_shape)])
        self.model, self.context = model, context
        batch = rows if batch_shape is None else tuple(batch_shape)
        super().__init__(torch.Size(batch), torch.Size(model.event_shape), validate_args=False)

    @property
    def kind(self) -> str:
        """What `log_prob` returns: ``exact`` or ``lower bound``."""
        return str(self.model.kind)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether gradients of draws reach every parameter that they depend on."""
        return bool(self.model.reparameterised)

    @property
    def support(self) -> Any:
        """Where the density is above 0, as a constraint of torch."""
        return self.model.support(self.context)

    @property
    def mean(self) -> Tensor:
        """The mean, where the model is one of torch's distributions, too."""
        mean: Tensor = self._equivalent("mean").mean
        return mean.expand(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        """The variance of every element, where the model is one of torch's distributions, too."""
        variance: Tensor = self._equivalent("variance").variance
        return variance.expand(self.batch_shape + self.event_shape)

    @property
    def stddev(self) -> Tensor:
        """The standard deviation of every element; see `variance`."""
        return self.variance.sqrt()

    def entropy(self) -> Tensor:
        """Return the entropy in nats, where the model is one of torch's distributions, too."""
        entropy: Tensor = self._equivalent("entropy").entropy()
        return entropy.expand(self.batch_shape)

    def _equivalent(self, what: str) -> Any:
        found = self.model.torch_equivalent()
        if found is None:
            raise NotImplementedError(
                f"the {what} of {type(self.model).__name__} has no closed form: estimate it from draws"
            )
        return found

    def expand(self, batch_shape: Any, _instance: Any = None) -> TorchDistribution:
        """Return the distribution with a larger batch shape, which the present one broadcasts to."""
        shape = torch.Size(batch_shape)
        if common_rows(tuple(shape), tuple(self.batch_shape), "batch") != tuple(shape):
            raise UsageError(
                f"a batch of shape {tuple(self.batch_shape)} expanded to {tuple(shape)}",
                fix="give a shape that it broadcasts to",
            )
        context = self.context
        if context is not None:
            context = context.expand(*shape, *self.model.context_shape)
        return type(self)(self.model, context, shape)

    def __reduce__(self) -> tuple[Any, ...]:
        # The class that Pyro's part is added to has no name by which to find it.
        return as_torch, (self.model, self.context, self.batch_shape)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw events without gradients, shape ``(*sample_shape, *batch_shape, *event_shape)``."""
        with torch.no_grad():
            return self._drawn(self.model.sample, sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw events with gradients, shape ``(*sample_shape, *batch_shape, *event_shape)``."""
        if not self.has_rsample:
            raise NotImplementedError(
                f"gradients of draws of {type(self.model).__name__} do not reach all of its parameters"
            )
        return self._drawn(self.model.rsample, sample_shape)

    def _drawn(self, draw: Any, sample_shape: Any) -> Tensor:
        shape = tuple(torch.Size(sample_shape))
        found: Tensor = draw(shape if self.context is not None else (*shape, *self.batch_shape), self.context)
        return found

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p of events in nats, of the shape to which their rows and the batch broadcast.

        It is what `kind` says. Outside the support it is minus infinity.

        Parameters
        ----------
        value
            Shape ``(*rows, *event_shape)``.

        Raises
        ------
        UsageError
            If the shape of events is another, or their rows do not broadcast with the batch.
        """
        check_event(value, self.model.event_shape)
        rows = tuple(value.shape[: value.dim() - len(self.event_shape)])
        shape = common_rows(rows, tuple(self.batch_shape), "batch")
        found: Tensor = with_gradients(self.model.log_prob, value, self.context)
        return found.expand(shape)

    def __repr__(self) -> str:
        return (
            f"{type(self.model).__name__}.distribution(batch_shape={tuple(self.batch_shape)}, "
            f"event_shape={tuple(self.event_shape)})"
        )


def as_torch(
    model: Any, context: Tensor | None = None, batch_shape: torch.Size | None = None
) -> TorchDistribution:
    """Return a model as a distribution of torch; of Pyro, too, where Pyro has been imported."""
    kind = TorchDistribution if sys.modules.get("pyro") is None else _of_pyro()
    return kind(model, context, batch_shape)


@functools.cache
def _of_pyro() -> type[TorchDistribution]:
    from pyro.distributions.torch_distribution import TorchDistributionMixin

    return type("TorchDistribution", (TorchDistribution, TorchDistributionMixin), {"__module__": __name__})


# How many draws a divergence without a closed form is estimated from.
_DRAWS = 1024


def _divergence(p: Any, q: Any) -> Tensor:
    """Return KL(p, q) in nats: in closed form where there is one, or else estimated.

    An estimate has the attributes ``kind`` ("estimate") and ``standard_error``.
    """
    if p.event_shape != q.event_shape:
        raise UsageError(
            f"a divergence between events of shapes {tuple(p.event_shape)} and {tuple(q.event_shape)}",
            fix="compare distributions of the same events",
        )
    exact = _closed_form(p, q)
    return _estimated(p, q) if exact is None else exact


def _closed_form(p: Any, q: Any) -> Tensor | None:
    batch = torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    exact: Tensor
    if isinstance(p, TorchDistribution) and isinstance(q, TorchDistribution):
        if p.model is q.model and _same_context(p.context, q.context):
            exact = p.model._like().new_zeros(batch)
            return exact
        common = _common_map(p, q)
        if common is not None:
            # A map that both have in common changes neither.
            return _expanded(torch.distributions.kl_divergence(*common), batch)
    one, other = (_plain(each) for each in (p, q))
    if one is None or other is None:
        return None
    for pair in ((one, other), (_multivariate(one), _multivariate(other))):
        try:
            exact = torch.distributions.kl_divergence(*pair)
        except NotImplementedError:
            continue
        return _expanded(exact, batch)
    return None


def _multivariate(distribution: Any) -> Any:
    """Return independent normals as one of several variables: torch compares only these with each other."""
    inner = getattr(distribution, "base_dist", None)
    if len(distribution.event_shape) != 1 or not isinstance(inner, torch.distributions.Normal):
        return distribution
    factor = torch.diag_embed(inner.scale)
    return torch.distributions.MultivariateNormal(inner.loc, scale_tril=factor, validate_args=False)


def _expanded(divergence: Any, batch: torch.Size) -> Tensor:
    found = divergence.expand(batch)
    if hasattr(divergence, "standard_error"):
        found.kind, found.standard_error = divergence.kind, divergence.standard_error.expand(batch)
    return cast(Tensor, found)


def _same_context(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def _common_map(p: TorchDistribution, q: TorchDistribution) -> tuple[Any, Any] | None:
    for part in ("transform", "embedding"):
        if getattr(p.model, part, None) is not getattr(q.model, part, None):
            return None
    if not hasattr(p.model, "transform"):
        return None
    if p.model.transform.context_features and not _same_context(p.context, q.context):
        return None
    return p.model.noise_given(p.context), q.model.noise_given(q.context)


def _plain(distribution: Any) -> Any:
    """Return a distribution of torch for which closed forms may exist, or None."""
    if isinstance(distribution, TorchDistribution):
        return distribution.model.torch_equivalent()
    return distribution


def _estimated(p: Any, q: Any) -> Tensor:
    for each in (p, q):
        if getattr(each, "kind", "exact") != "exact":
            raise UsageError(
                f"{each} has only a bound of log p, from which no divergence follows",
                fix="take a model whose kind is 'exact'",
            )
    x = p.rsample((_DRAWS,)) if p.has_rsample else p.sample((_DRAWS,))
    log_p = p.log_prob(x)
    difference = log_p - q.log_prob(x)
    if not p.has_rsample and log_p.requires_grad:
        # Draws without gradients: what they depend on comes in by the score.
        difference = difference + difference.detach() * (log_p - log_p.detach())
    found: Any = difference.mean(0)
    found.kind, found.standard_error = "estimate", difference.detach().std(0) / _DRAWS**0.5
    return cast(Tensor, found)


for _pair in (
    (TorchDistribution, TorchDistribution),
    (TorchDistribution, torch.distributions.Distribution),
    (torch.distributions.Distribution, TorchDistribution),
):
    torch.distributions.register_kl(*_pair)(_divergence)
