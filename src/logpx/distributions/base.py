"""The contract of everything that has a density."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.distributions.as_torch import TorchDistribution, as_torch
from logpx.distributions.checked_methods import WRAPPERS, methods_of_rows
from logpx.distributions.gradients import only_if_wanted, with_gradients
from logpx.distributions.lower_bound import LowerBound
from logpx.errors import UsageError
from logpx.markup import card, facts
from logpx.transforms.base import as_event_shape, check_context, check_events_of, own_tensor
from logpx.transforms.supports import real_event

__all__ = ["Distribution", "weakest_kind"]


class Distribution(Configured, nn.Module):
    """A distribution over events of a fixed shape, possibly given a context.

    **Events and rows.** One x is an event, of shape `event_shape`: ``(D,)`` is a vector, ``(C, H, W)`` an
    image. The trailing ``len(event_shape)`` dimensions of a tensor are its event; the dimensions before them,
    any number including none, are rows. Rows are independent draws from the same distribution: `log_prob`
    gives one number per row, so x of shape ``(*rows, *event_shape)`` gives the shape ``(*rows,)``, and
    `sample` gives the requested number of rows along one dimension. One object is never a batch of different
    distributions; only `context` makes rows differ.

    **Contexts.** With ``context_features=c`` above 0 a context has the shape ``(*rows, c)``, one per row,
    or ``(c,)``, the same for all rows; an unconditional distribution takes None. The rows of x and of the
    context broadcast with each other.

    **What the class checks.** Every public method of a subclass whose first argument is called ``x`` refuses
    rows of another event shape, naming both shapes, and is given floating-point numbers, so a subclass
    contains only the mathematics. Its `log_prob` and `log_prob_lower` are given rows of shape
    ``(n, *event_shape)`` without infinite cells: of those the log-density is minus infinity. `statistics` and
    `initialise` are given such a shape, too, of a single row as well.

    Parameters
    ----------
    event_shape
        The shape of one x; an integer means a vector of that many features.
    context
        The number of context features; 0 means unconditional.

    Attributes
    ----------
    event_shape : tuple of int
        The shape of one x.
    context_features : int
        The number of context features; 0 means unconditional.
    allows_constants : bool
        Whether a column that never varies may be modelled like any other, because its values are discrete or
        the model spreads them by noise.
    allows_missing : bool
        Whether cells may be missing (NaN) and are then integrated out.
    refuses_values : bool
        Whether `log_prob` itself refuses infinite values, whose density is otherwise 0.
    gains_from_noise : bool
        Whether training on few rows adds a little noise to them by default: not if x is discrete, or if the
        model has its own noise, as wide as the data require.
    """

    allows_constants: bool = False
    allows_missing: bool = False
    refuses_values: ClassVar[bool] = False
    # Log p that takes many times as long as a step of training is looked at seldom, and of few rows.
    steps_between_evaluations: ClassVar[int] = 0
    most_validation_rows: ClassVar[int | None] = None
    gains_from_noise: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, wrapped in WRAPPERS.items():
            if name in cls.__dict__:
                setattr(cls, name, wrapped(cls.__dict__[name]))
        check_events_of(cls, methods_of_rows(cls))

    def __init__(self, event_shape: int | Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        self.context_features = context

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return `log_prob`, so that a model is called like any module of torch, with its hooks."""
        return self.log_prob(x, context)

    def distribution(self, context: Tensor | None = None) -> TorchDistribution:
        """Return the model, given a context or none, as a distribution of torch.

        Its batch shape is that of the rows of the context, and gradients reach the model's parameters; where
        Pyro has been imported, it is one of Pyro's distributions, too. It takes the parameters as they are
        when it is asked, not as they were when it was made.

        Parameters
        ----------
        context
            Shape ``(*batch, *context_shape)``; None for an unconditional model.

        Raises
        ------
        UsageError
            If the context does not suit the model.

        Examples
        --------
        >>> from logpx.distributions import StandardNormal
        >>> normal = StandardNormal(2).distribution()
        >>> normal.sample((5,)).shape, normal.log_prob(torch.zeros(2))
        (torch.Size([5, 2]), tensor(-1.8379))
        >>> torch.distributions.kl_divergence(normal, StandardNormal(2).distribution())
        tensor(0.)
        """
        return as_torch(self, context)

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The shape of one context; ``()`` if there is none."""
        return (self.context_features,) if self.context_features else ()

    def embed_context(self, context: Tensor | None) -> Tensor | None:
        """Return contexts as subclasses are given them, shape ``(*rows, k)``: as they are by default."""
        return context

    def support(self, context: Tensor | None = None) -> Any:
        """Return where the density can be above 0, given a context or none, as a constraint of torch."""
        return real_event(self.event_shape)

    def torch_equivalent(self) -> torch.distributions.Distribution | None:
        """Return the distribution of torch that has this density, with closed forms of its own; or None."""
        return None

    def _repr_html_(self) -> str:
        """Show what it is in a notebook."""
        known: dict[str, object] = {
            "event shape": ", ".join(map(str, self.event_shape)),
            "log p": self.kind,
            "parameters": f"{sum(parameter.numel() for parameter in self.parameters()):,}",
        }
        if self.context_features:
            known["context features"] = self.context_features
        return card(type(self).__name__, repr(self), facts(known))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x), or log p(x given context), in nats: exact, or a lower bound, as `kind` says.

        Parameters
        ----------
        x
            Shape ``(*rows, *event_shape)``.
        context
            Shape ``(*rows, *context_shape)``, one per row, or ``context_shape`` for all. The rows of both
            broadcast with each other, as in torch: x of shape ``(32, 1, d)`` and contexts of shape ``(5, c)``
            give the shape ``(32, 5)``.

        Returns
        -------
        Tensor
            Shape ``(*rows,)``. A density may exceed 1, so its logarithm may be positive. In evaluation mode,
            as after a fit, rows that require no gradient give numbers without one.

        Raises
        ------
        UsageError
            If `x` is not a tensor, or its trailing dimensions are not `event_shape`.
        """
        raise NotImplementedError

    def log_prob_of_noise(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p of noise to which a flow maps its rows, and which the flow looks at itself.

        By default this is `log_prob`; a distribution whose formula holds for infinite numbers, too, may
        leave out all checks.

        Parameters
        ----------
        z
            Shape ``(n, *event_shape)``.
        context
            Shape ``(n, *context_shape)``, or None.

        Returns
        -------
        Tensor
            Shape ``(n,)``.
        """
        return self.log_prob(z, context)

    def sample(self, n: Any, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, without gradients; `rsample` has them.

        Parameters
        ----------
        n
            The number of rows; or the shape of the draws for each context, a tuple or a `torch.Size`.
        context
            Shape ``(n, *context_shape)``, one per row, or ``context_shape`` for all; beside a shape of draws,
            contexts of any rows.
        seed
            With a seed, row i depends only on the seed and i, whatever `n` is. Without one, torch's global
            generator is used.

        Returns
        -------
        Tensor
            Shape ``(n, *event_shape)``; beside a shape of draws, ``(*n, *rows of contexts, *event_shape)``:
            ``sample((32,), context)`` with contexts of shape ``(2, 3, c)`` has the shape
            ``(32, 2, 3, *event_shape)``.
        """
        raise NotImplementedError

    def sample_with_log_prob(
        self, n: Any, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw rows together with their log-density, in one pass if the model allows it."""
        with only_if_wanted():
            x = self.sample(n, context, seed)
            return x, self.log_prob(x, context)

    def rsample(self, n: Any, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw the rows of `sample` with gradients, which reach what `reparameterised` says."""
        x: Tensor = with_gradients(self.sample, n, context, seed)
        return x

    def rsample_with_log_prob(
        self, n: Any, context: Tensor | None = None, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw the rows of `sample_with_log_prob` with gradients."""
        x, log_prob = with_gradients(self.sample_with_log_prob, n, context, seed)
        return x, log_prob

    @property
    def kind(self) -> str:
        """What `log_prob` returns: ``exact`` or ``lower bound``."""
        return "exact"

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return a lower bound of log p(x) with the standard error of its estimate.

        Parameters
        ----------
        x
            Shape ``(n, *event_shape)``.
        draws
            How many draws per row to estimate the bound from; None leaves this to the model.
        seed
            The seed of the draws.
        context
            Shape ``(n, context_features)`` or ``(context_features,)``.
        first
            The number of rows before these, so that the parts of a table use different random numbers; or
            a key of every row that its random numbers depend on instead, shape ``(n,)``, int64.

        Returns
        -------
        LowerBound
            If `kind` is ``exact``, log p(x) itself and zeros.
        """
        log_prob = self.log_prob(x, context)
        return LowerBound(log_prob, torch.zeros_like(log_prob))

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of some columns given the others, in nats.

        This is log p of all cells that are there less that of the given ones alone, so that the density has
        to be exact and to integrate missing cells out.

        Parameters
        ----------
        x
            Shape ``(n, d)``; a cell that is not there is NaN. In a target column it does not count, and in
            another one it is not given.
        target
            Which columns are the target, a boolean of shape ``(d,)``.

        Returns
        -------
        Tensor
            Shape ``(n,)``; minus infinity where the given cells are impossible themselves.

        Raises
        ------
        UsageError
            If the target is no boolean for each column, or the density cannot answer.
        """
        if target.dtype != torch.bool or tuple(target.shape) != self.event_shape:
            raise UsageError(
                f"a target of shape {tuple(target.shape)} and type {target.dtype}",
                fix=f"give a boolean tensor of shape {self.event_shape}",
            )
        if not self.allows_missing or self.kind != "exact":
            raise UsageError(
                f"{type(self).__name__} has no exact density of some columns given others",
                fix="take a model that integrates missing cells out, such as a mixture",
            )
        given = self.log_prob(x.masked_fill(target, math.nan))
        joint = self.log_prob(x)
        return torch.where(torch.isneginf(given), given, joint - given)

    def training_objective(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what a step of gradient descent raises for every row: by default log p.

        Parameters
        ----------
        x
            Shape ``(n, *event_shape)``.
        context
            Shape ``(n, *context_shape)``, or None.

        Returns
        -------
        Tensor
            Shape ``(n,)``.
        """
        return self.log_prob(x, context)

    def trained_in(self, step: int) -> list[nn.Parameter] | None:
        """Return the parameters that a training step, counted from 0, moves; None for all."""
        return None

    @property
    def reparameterised(self) -> bool:
        """Whether gradients of draws reach every parameter that the draws depend on.

        The trained probabilities of a randomly chosen component get no gradient.
        """
        return True

    def _like(self) -> Tensor:
        """Return a tensor with the model's dtype and device."""
        own = own_tensor(self)
        return torch.empty(0) if own is None else own

    def check_context(self, context: Tensor | None, rows: tuple[int, ...] | None = None) -> None:
        """Refuse a context that is missing, unexpected or of the wrong size.

        Parameters
        ----------
        context
            Shape ``(*rows, *context_shape)`` or ``context_shape``.
        rows
            The shape of the rows that it belongs to, if known.

        Raises
        ------
        UsageError
            Naming the expected size.
        """
        check_context(self, context, rows)

    def extra_repr(self) -> str:
        """Show the event shape, and the context if there is one."""
        shape = self.context_shape
        context = f", context={shape[0] if len(shape) == 1 else shape}" if shape else ""
        return f"event_shape={self.event_shape}{context}"


def weakest_kind(parts: Iterable[Distribution]) -> str:
    """Return ``lower bound`` if any of several distributions has that kind, else ``exact``.

    Examples
    --------
    >>> weakest_kind([])
    'exact'
    """
    return next((part.kind for part in parts if part.kind != "exact"), "exact")
