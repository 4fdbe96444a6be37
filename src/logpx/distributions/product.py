"""Independent blocks of features, each with its own distribution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.distributions.base import Distribution, weakest_kind
from logpx.distributions.from_torch import as_distribution
from logpx.distributions.lower_bound import LowerBound
from logpx.distributions.seeding import derived_seed, part_seed
from logpx.errors import UsageError
from logpx.transforms.supports import side_by_side

__all__ = ["Product"]


class Product(Distribution):
    """Independent distributions side by side: the first features follow the first one, and so on.

    Parameters
    ----------
    parts
        Unconditional distributions of vectors.

    Raises
    ------
    UsageError
        If there are no parts, or one is not a distribution of vectors, or takes a context.

    Examples
    --------
    >>> from logpx.distributions import StandardNormal, Uniform
    >>> product = Product([StandardNormal(1), Uniform(1, 0.0, 2.0)])
    >>> product.log_prob(torch.tensor([[0.0, 1.0]]))
    tensor([-1.6121])
    """

    def __init__(self, parts: Sequence[Distribution]) -> None:
        check_instance("parts", parts, Iterable, "[StandardNormal(2), Uniform(1)]")
        parts = [as_distribution(part) for part in parts]
        if "parts" in self._arguments:
            # A model folder names classes of logpx.
            self._arguments["parts"] = parts
        for part in parts:
            check_instance("a part", part, Distribution, "StandardNormal(2)")
        if not parts or any(len(part.event_shape) != 1 or part.context_features for part in parts):
            raise UsageError(
                "a product needs unconditional distributions of vectors",
                fix="give one distribution or more, such as StandardNormal(2) and Uniform(1)",
            )
        self.sizes = [part.event_shape[0] for part in parts]
        super().__init__(sum(self.sizes))
        self.parts = cast(Sequence[Distribution], nn.ModuleList(parts))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``: the sum over the parts."""
        first, *rest = (
            part.log_prob(features)
            for part, features in zip(self.parts, torch.split(x, self.sizes, -1), strict=True)
        )
        return sum(rest, start=first)

    @property
    def kind(self) -> str:
        """``lower bound`` if a part's kind is, else ``exact``."""
        return weakest_kind(self.parts)

    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
    ) -> LowerBound:
        """Return the sum of the parts' bounds, and its standard error."""
        found = [
            part.log_prob_lower(features, draws, part_seed(seed, number), None, first)
            for number, (part, features) in enumerate(
                zip(self.parts, torch.split(x, self.sizes, -1), strict=True)
            )
        ]
        errors = torch.stack([bound.standard_error for bound in found])
        total: Tensor = sum((bound.log_prob for bound in found[1:]), start=found[0].log_prob)
        return LowerBound(total, errors.square().sum(0).sqrt())

    def support(self, context: Tensor | None = None) -> Any:
        """Return the supports of the parts side by side, as a constraint of torch."""
        return side_by_side([part.support() for part in self.parts], self.sizes)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, features)``."""
        drawn = [part.sample(n, seed=_seed_of_part(seed, number)) for number, part in enumerate(self.parts)]
        return torch.cat(drawn, -1)


def _seed_of_part(seed: int | None, number: int) -> int | None:
    # With the same seed, parts of the same kind would draw the same numbers.
    if seed is None:
        return None
    return derived_seed(seed, number, 1)
