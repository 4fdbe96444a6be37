"""A mixture of any distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.distributions.base import Distribution, weakest_kind
from logpx.distributions.from_torch import as_distribution
from logpx.distributions.lower_bound import LowerBound
from logpx.distributions.seeding import draw_rows, part_seed
from logpx.errors import UsageError
from logpx.transforms.supports import Inside, is_real
from logpx.wording import counted

__all__ = ["Mixture"]


class Mixture(Distribution):
    r""":math:`p(x) = \sum_k w_k \, p_k(x)`, with trained weights.

    Parameters
    ----------
    components
        Distributions of one event shape.
    weights
        Their weights at the start, positive; equal if not given. They are normalised.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal, Uniform
    >>> Mixture([StandardNormal(1), Uniform(1)], [1, 1]).log_prob(torch.tensor([[0.5]])).detach()
    tensor([-0.3915])
    """

    def __init__(self, components: Sequence[Distribution], weights: Sequence[float] | None = None) -> None:
        check_instance("components", components, Iterable, "[StandardNormal(3)]")
        components = [as_distribution(component) for component in components]
        if "components" in self._arguments:
            # A model folder names classes of logpx.
            self._arguments["components"] = components
        for component in components:
            check_instance("a component", component, Distribution, "StandardNormal(3)")
        if not components or len({component.event_shape for component in components}) > 1:
            raise UsageError(
                "a mixture needs components of one event shape", fix="give at least one, all alike"
            )
        shapes = {component.context_shape for component in components if component.context_features}
        if len(shapes) > 1:
            raise UsageError(
                f"components with contexts of shapes {sorted(shapes)}", fix="build them with the same shape"
            )
        if weights is None:
            weights = [1.0] * len(components)
        if len(weights) != len(components) or not all(weight > 0.0 for weight in weights):
            raise UsageError(
                f"weights {list(weights)} for {counted(len(components), 'component')}",
                fix="one positive each",
            )
        shape: tuple[int, ...] = shapes.pop() if shapes else ()
        super().__init__(components[0].event_shape, math.prod(shape) if shape else 0)
        self._context_shape = shape
        self.allows_missing = all(component.allows_missing for component in components)
        self.components = cast(Sequence[Distribution], nn.ModuleList(components))
        self.logits = nn.Parameter(torch.tensor([math.log(weight) for weight in weights]))

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The shape of one context; ``()`` if there is none."""
        return self._context_shape

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        each = torch.stack([part.log_prob(x, self._of(part, context)) for part in self.components], -1)
        return torch.logsumexp(each + torch.log_softmax(self.logits, 0).to(each.dtype), -1)

    @property
    def kind(self) -> str:
        """``lower bound`` if a component's kind is, else ``exact``."""
        return weakest_kind(self.components)

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return the mixture of the components' bounds, and its standard error by the delta method."""
        found = [
            part.log_prob_lower(x, draws, part_seed(seed, number), self._of(part, context), first)
            for number, part in enumerate(self.components)
        ]
        return self.mixed(found)

    def mixed(self, found: Sequence[LowerBound]) -> LowerBound:
        """Return the mixture of bounds of the components, one each."""
        each = torch.stack([bound.log_prob for bound in found], -1)
        joint = each + torch.log_softmax(self.logits, 0).to(each.dtype)
        errors = torch.stack([bound.standard_error for bound in found], -1)
        # Where no component has a density there are no shares, and no error.
        shares = torch.softmax(joint, -1).nan_to_num()
        return LowerBound(torch.logsumexp(joint, -1), (shares * errors).square().sum(-1).sqrt())

    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        r"""Return :math:`\log \sum_k p(k \mid c) \, p_k(t \mid c)` of targets t given c, shape ``(n,)``."""
        known = x.masked_fill(target, math.nan)
        return self.mixed_conditionals(
            [part.log_prob(known) for part in self.components],
            [part.conditional_log_prob(x, target) for part in self.components],
        )

    def mixed_conditionals(self, given: Sequence[Tensor], found: Sequence[Tensor]) -> Tensor:
        """Return log p of targets given cells, from what the components say: ``(n,)``.

        Of each component, log p of the given cells, and of the targets given them, both of shape ``(n,)``.
        """
        weights = self.log_weights(given)
        impossible = torch.isneginf(weights)
        joint = weights + torch.stack(list(found), -1).to(weights)
        mixed = torch.logsumexp(joint.masked_fill(impossible, -math.inf), -1)
        return mixed.masked_fill(impossible.all(-1), -math.inf)

    def component_log_weights(self, x: Tensor) -> Tensor:
        """Return log p(component given the cells of a row that are there), shape ``(n, K)``.

        Minus infinity in a whole row says that it is impossible under every component.
        """
        return self.log_weights([part.log_prob(x) for part in self.components])

    def log_weights(self, each: Sequence[Tensor]) -> Tensor:
        """Return `component_log_weights` from each component's log p of the cells, shape ``(n,)``."""
        stacked = torch.stack(list(each), -1)
        joint = stacked + torch.log_softmax(self.logits, 0).to(stacked)
        total = torch.logsumexp(joint, -1, keepdim=True)
        return torch.where(torch.isneginf(total), total, joint - total)

    def support(self, context: Tensor | None = None) -> Any:
        """Return where any component's density can be above 0, as a constraint of torch."""
        supports = [part.support(self._of(part, context)) for part in self.components]
        real = next((each for each in supports if is_real(each)), None)
        if real is not None or len(supports) == 1:
            return supports[0] if real is None else real

        def possible(x: Tensor) -> Tensor:
            return torch.stack([each.check(x) for each in supports]).any(0)

        return Inside(possible, len(self.event_shape))

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, *event_shape)``: a random component for each row, then the row from it."""
        uniform = draw_rows(
            n,
            seed,
            self.logits,
            lambda rows, generator, device: torch.rand(rows, generator=generator, device=device),
        )
        edges = torch.softmax(self.logits, 0).cumsum(0)[:-1]
        chosen = (uniform[:, None] >= edges).sum(-1)
        # Separate seeds, so that a component's noise is independent of the choice and of other components.
        seeds = [None if seed is None else part_seed(seed, k + 1) for k in range(len(self.components))]
        draws = torch.stack(
            [
                part.sample(n, self._of(part, context), own)
                for part, own in zip(self.components, seeds, strict=True)
            ]
        )
        return draws[chosen, torch.arange(n, device=chosen.device)]

    @property
    def reparameterised(self) -> bool:
        """Whether the weights are fixed, and the components reparameterised."""
        return not self.logits.requires_grad and all(part.reparameterised for part in self.components)

    @staticmethod
    def _of(component: Distribution, context: Tensor | None) -> Tensor | None:
        return context if component.context_features else None
