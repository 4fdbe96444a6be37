"""Distributions of torch as distributions of logpx."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, distributions, nn
from torch.distributions import Independent, constraints

from logpx.arguments import is_whole
from logpx.distributions.as_torch import TorchDistribution
from logpx.distributions.base import Distribution
from logpx.distributions.gradients import gradients_wanted
from logpx.distributions.private_randomness import redirected_draws
from logpx.distributions.seeding import checked_count, rows_of_a_block, seeded
from logpx.errors import UsageError
from logpx.transforms.base import sum_over_event
from logpx.transforms.supports import is_real

__all__ = ["FromTorch", "as_distribution"]

# The continuous distributions of torch that a model folder can name, with the parameters that they are built
# from.
_FAMILIES = MappingProxyType(
    {
        "Beta": ("concentration1", "concentration0"),
        "Cauchy": ("loc", "scale"),
        "Chi2": ("df",),
        "ContinuousBernoulli": ("probs",),
        "Exponential": ("rate",),
        "FisherSnedecor": ("df1", "df2"),
        "Gamma": ("concentration", "rate"),
        "Gumbel": ("loc", "scale"),
        "HalfCauchy": ("scale",),
        "HalfNormal": ("scale",),
        "InverseGamma": ("concentration", "rate"),
        "Kumaraswamy": ("concentration1", "concentration0"),
        "Laplace": ("loc", "scale"),
        "LogNormal": ("loc", "scale"),
        "LowRankMultivariateNormal": ("loc", "cov_factor", "cov_diag"),
        "MultivariateNormal": ("loc", "scale_tril"),
        "Normal": ("loc", "scale"),
        "Pareto": ("scale", "alpha"),
        "StudentT": ("df", "loc", "scale"),
        "Uniform": ("low", "high"),
        "VonMises": ("loc", "concentration"),
        "Weibull": ("scale", "concentration"),
    }
)
# Those of vectors.
_VECTORS = ("LowRankMultivariateNormal", "MultivariateNormal")
_FAMILY, _SHAPES, _TRAINED, _EVENT_DIMS = "family", "shapes", "trained", "event_dims"


class FromTorch(Distribution):
    """A distribution of torch, as the base of a flow or wherever logpx takes a distribution.

    The parameters of a named continuous distribution of torch, `Independent` or not, become buffers, which
    move and are saved with the model; those that are `torch.nn.Parameter` stay parameters, and are trained.
    Any other distribution, such as a mixture or one of your own, is kept as it is: it works, but its
    parameters neither move nor train with the model, and such a model cannot be saved.

    Parameters
    ----------
    distribution
        A continuous distribution without a batch shape; or the description of one that a model folder holds.

    Raises
    ------
    UsageError
        If the distribution has a batch shape, is discrete, or lives on a surface, where it has no density.

    Examples
    --------
    >>> from torch.distributions import Independent, Laplace
    >>> laplace = FromTorch(Independent(Laplace(torch.zeros(2), torch.ones(2)), 1))
    >>> laplace.log_prob(torch.zeros(3, 2))
    tensor([-1.3863, -1.3863, -1.3863])
    >>> FromTorch(Laplace(torch.zeros(2), torch.ones(2)))
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: Laplace has the batch shape (2,), where one distribution was expected
    fix: make the batch part of the event: Independent(distribution, 1)
    """

    def __init__(self, distribution: distributions.Distribution | Mapping[str, Any]) -> None:
        if isinstance(distribution, Mapping):
            description, values = dict(distribution), _empty(distribution)
        else:
            _check_density(distribution)
            description, values = _described(distribution)
            _check_values(values)
        self._held = None if description else distribution
        super().__init__(_event_shape(description) if description else tuple(distribution.event_shape))  # type: ignore[union-attr]
        # What a model folder names, in place of an object.
        self._arguments["distribution"] = description or distribution
        self._description = description
        for name, value in values.items():
            if name in description[_TRAINED]:
                self.register_parameter(
                    name, value if isinstance(value, nn.Parameter) else nn.Parameter(value)
                )
            else:
                self.register_buffer(name, value)

    def torch_equivalent(self) -> Any:
        """Return the distribution of torch, with the present parameters."""
        return self._on(None)

    def _on(self, device: torch.device | None) -> Any:
        if self._held is not None:
            return self._held
        names = self._description[_SHAPES]
        values = {name: getattr(self, name) for name in names}
        return _built(self._description, {name: value.to(device) for name, value in values.items()})

    def out_of_range(self) -> str | None:
        """Return the name of a parameter that is outside of what the distribution allows, or None."""
        if self._held is not None:
            return None
        names = self._description[_SHAPES]
        allowed = getattr(distributions, self._description[_FAMILY]).arg_constraints
        if not isinstance(allowed, Mapping):
            # Of an object: what a uniform distribution allows for one end depends on the other.
            allowed = _plain(self._description, {name: getattr(self, name) for name in names}).arg_constraints
        for name in names:
            constraint = allowed[name]
            if not constraints.is_dependent(constraint) and not constraint.check(getattr(self, name)).all():
                return str(name)
        return None

    def support(self, context: Tensor | None = None) -> Any:
        """Return the support that torch names."""
        return self.torch_equivalent().support

    @property
    def reparameterised(self) -> bool:
        """Whether torch's draws have gradients."""
        return bool(self.torch_equivalent().has_rsample)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``; minus infinity outside the support."""
        if not len(x):
            # Of no rows torch's `Independent` has no sum.
            return sum_over_event(x, self.event_shape)
        one = self.torch_equivalent()
        support = one.support
        if is_real(support) or len(self.event_shape) != support.event_dim:
            found: Tensor = one.log_prob(x)
            return found
        # Formulas of torch hold only inside.
        inside = support.check(x)
        missing = x.flatten(1).isnan().any(1) if x.dim() > 1 else x.isnan()
        apart = (inside | missing).view(-1, *[1] * len(self.event_shape))
        found = one.log_prob(torch.where(apart, x, _inside(support, torch.zeros(self.event_shape).to(x))))
        return found.masked_fill(~inside, -math.inf).masked_fill(missing, math.nan)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``."""
        n = checked_count(n)
        if seed is None:
            with redirected_draws():
                return _draw(self.torch_equivalent(), n)
        one = self._on(torch.device("cpu"))
        blocks = []
        size = rows_of_a_block(math.prod(self.event_shape))
        for block in range(-(-n // size)):
            with seeded(seed, block):
                blocks.append(_draw(one, size))
        like = self._like()
        drawn = torch.cat(blocks)[:n] if blocks else torch.empty(0, *self.event_shape).to(like)
        return drawn if self._held is not None else drawn.to(like.device)

    def __repr__(self) -> str:
        return f"FromTorch({self.torch_equivalent()})"


def as_distribution(value: Any) -> Any:
    """Return a distribution of torch as one of logpx; anything else as it is."""
    if isinstance(value, TorchDistribution) and value.context is None and not value.batch_shape:
        return value.model
    if isinstance(value, distributions.Distribution):
        return FromTorch(value)
    return value


def _inside(support: Any, zeros: Tensor) -> Tensor:
    """Return an event of a support; zeros where torch cannot say."""
    try:
        found: Tensor = distributions.biject_to(support)(zeros)
    except NotImplementedError:
        return zeros
    return found


def _draw(one: Any, n: int) -> Tensor:
    draw = one.rsample if one.has_rsample and gradients_wanted() else one.sample
    found: Tensor = draw((n,))
    return found


def _check_density(distribution: Any) -> None:
    name = type(distribution).__name__
    if not isinstance(distribution, distributions.Distribution):
        raise UsageError(
            f"a {name}, where a distribution of torch was expected",
            fix="give, say, torch.distributions.Laplace(0.0, 1.0)",
        )
    batch = tuple(distribution.batch_shape)
    if batch:
        raise UsageError(
            f"{name} has the batch shape {batch}, where one distribution was expected",
            fix=f"make the batch part of the event: Independent(distribution, {len(batch)})",
        )
    support = distribution.support
    if support is not None and support.is_discrete:
        raise UsageError(
            f"{name} is discrete, where a density was expected", fix="take a continuous distribution"
        )
    on_surface = (
        distributions.Dirichlet,
        distributions.LogisticNormal,
        distributions.RelaxedOneHotCategorical,
    )
    inner = distribution
    while isinstance(inner, Independent):
        inner = inner.base_dist
    if isinstance(inner, (*on_surface, distributions.LKJCholesky, distributions.Wishart)):
        raise UsageError(
            f"{type(inner).__name__} lives on a surface, where its density is not one of all features",
            fix="take a distribution whose features vary freely",
        )


def _check_values(values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        if not bool(value.isfinite().all()):
            raise UsageError(
                f"the parameter {name} of the distribution is not finite: {value.tolist()}",
                fix=f"give finite values for {name}",
            )


def _described(distribution: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description of a named distribution and its parameters; of any other nothing."""
    inner, dims = distribution, 0
    while isinstance(inner, Independent):
        dims += inner.reinterpreted_batch_ndims
        inner = inner.base_dist
    own = type(inner).__module__.startswith(("torch.distributions.", "pyro.distributions."))
    names = _FAMILIES.get(type(inner).__name__) if own else None
    if names is None:
        return {}, {}
    values = {name: getattr(inner, name) for name in names}
    if any(value.requires_grad and not value.is_leaf for value in values.values()):
        return {}, {}
    values = {
        name: value if value.requires_grad else value.detach().clone() for name, value in values.items()
    }
    description = {
        _FAMILY: type(inner).__name__,
        _SHAPES: {name: list(value.shape) for name, value in values.items()},
        _TRAINED: [name for name, value in values.items() if value.requires_grad],
        _EVENT_DIMS: dims,
    }
    return description, values


def _empty(description: Mapping[str, Any]) -> dict[str, Tensor]:
    family = description.get(_FAMILY)
    shapes, trained = description.get(_SHAPES), description.get(_TRAINED)
    known = _FAMILIES.get(str(family))
    if known is None or not isinstance(shapes, Mapping) or sorted(shapes) != sorted(known):
        raise UsageError(
            f"{family!r} with the parameters {shapes!r} is no distribution of torch's",
            fix=f"name one of {', '.join(_FAMILIES)}",
        )
    if not isinstance(trained, list) or not set(trained) <= set(shapes):
        raise UsageError(f"trained parameters {trained!r}", fix="name parameters of the distribution")
    dims: Any = description.get(_EVENT_DIMS)
    if not is_whole(dims) or not 0 <= dims <= max(len(shape) for shape in shapes.values()):
        raise UsageError(f"{dims!r} event dimensions", fix="give as many as the parameters have, or fewer")
    return {name: torch.ones(tuple(shapes[name])) for name in known}


def _event_shape(description: Mapping[str, Any]) -> tuple[int, ...]:
    shapes = description[_SHAPES]
    if description[_FAMILY] in _VECTORS:
        return tuple(shapes["loc"])
    return tuple(torch.broadcast_shapes(*(tuple(shape) for shape in shapes.values())))


def _plain(description: Mapping[str, Any], values: Mapping[str, Tensor]) -> Any:
    return getattr(distributions, description[_FAMILY])(**values, validate_args=False)


def _built(description: Mapping[str, Any], values: Mapping[str, Tensor]) -> Any:
    one = _plain(description, values)
    dims = description[_EVENT_DIMS]
    return Independent(one, dims, validate_args=False) if dims else one
