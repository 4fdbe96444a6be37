"""Maps of some features: side by side, or of chosen ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance, check_places
from logpx.errors import UsageError
from logpx.transforms.base import Transform, as_features, context_of
from logpx.transforms.supports import is_real, real_event, side_by_side

__all__ = ["Concatenate", "Indexed"]


class Concatenate(Transform):
    """Maps side by side: the first features go through the first one, the next through the second, and so on.

    Parameters
    ----------
    transforms
        Maps of vectors; together they have the features of the whole.

    Raises
    ------
    UsageError
        If there are none, one is not a map of vectors, or their contexts differ in size.

    Examples
    --------
    >>> from logpx.transforms import Exp, Softplus
    >>> both = Concatenate([Softplus(1), Exp(2)])
    >>> both.forward(torch.zeros(1, 3))
    (tensor([[0.6931, 1.0000, 1.0000]]), tensor([-0.6931]))
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        check_instance("transforms", transforms, Iterable, "[Softplus(1), Exp(2)]")
        for transform in transforms:
            check_instance("a transform", transform, Transform, "Softplus(1)")
        if not transforms or any(len(each.event_shape) != 1 for each in transforms):
            raise UsageError(
                "maps side by side are of vectors", fix="give one or more, such as [Softplus(1)]"
            )
        contexts = {each.context_features for each in transforms if each.context_features}
        if len(contexts) > 1:
            raise UsageError(
                f"maps side by side take contexts of different sizes: {sorted(contexts)}",
                fix="build every conditional one with the same number of context features",
            )
        self.sizes = [each.event_shape[0] for each in transforms]
        super().__init__(sum(self.sizes), contexts.pop() if contexts else 0)
        self.transforms = cast(Sequence[Transform], nn.ModuleList(transforms))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every block; the ladjs add up."""
        return self._joined("forward", x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map every block back; the ladjs add up."""
        return self._joined("inverse", z, context)

    def _joined(self, direction: str, u: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        values, total = [], u.new_zeros(u.shape[:-1])
        for transform, part in zip(self.transforms, torch.split(u, self.sizes, -1), strict=True):
            value, ladj = getattr(transform, direction)(part, context_of(transform, context))
            values.append(value)
            total = total + ladj
        return torch.cat(values, -1), total

    @property
    def domain(self) -> Any:
        """The domains of the maps side by side."""
        return self._side_by_side([each.domain for each in self.transforms])

    @property
    def codomain(self) -> Any:
        """The codomains of the maps side by side."""
        return self._side_by_side([each.codomain for each in self.transforms])

    def _side_by_side(self, parts: list[Any]) -> Any:
        return None if any(part is None for part in parts) else side_by_side(parts, self.sizes)

    @property
    def needs_data(self) -> bool:
        """Whether one of the maps needs data."""
        return any(each.needs_data for each in self.transforms)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise each map on its own features."""
        for transform, part in zip(self.transforms, torch.split(x, self.sizes, -1), strict=True):
            transform.initialise(part, context_of(transform, context))


class Indexed(Transform):
    """A map of some features of a vector; the others stay as they are.

    Parameters
    ----------
    features
        The number of features of the whole.
    transform
        A map of vectors.
    indices
        Which features it maps, in the order in which it takes them.

    Raises
    ------
    UsageError
        If the indices are not different features, as many as the map has.

    Examples
    --------
    >>> from logpx.transforms import Exp
    >>> Indexed(3, Exp(1), [1]).forward(torch.zeros(1, 3))
    (tensor([[0., 1., 0.]]), tensor([0.]))
    """

    order: Tensor

    def __init__(self, features: int, transform: Transform, indices: Sequence[int]) -> None:
        features = as_features(features)
        check_instance("transform", transform, Transform, "Exp(1)")
        check_places("indices", indices, features)
        if len(set(indices)) != len(indices) or transform.event_shape != (len(indices),):
            raise UsageError(
                f"indices {list(indices)} for a map of event shape {transform.event_shape}",
                fix="name as many different features as the map has",
            )
        super().__init__(features, transform.context_features)
        self.transform = transform
        chosen = [int(index) for index in indices]
        # A whole order of the features, which a model folder can be held to.
        rest = [feature for feature in range(features) if feature not in chosen]
        self.register_buffer("order", torch.tensor([*chosen, *rest]))

    @property
    def places(self) -> Tensor:
        """The numbers of the features that are mapped."""
        return self.order[: self.transform.event_shape[0]]

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the chosen features."""
        value, ladj = self.transform.forward(x[..., self.places], context)
        return x.index_copy(-1, self.places, value), ladj

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the chosen features back."""
        value, ladj = self.transform.inverse(z[..., self.places], context)
        return z.index_copy(-1, self.places, value), ladj

    @property
    def domain(self) -> Any:
        """All numbers, where the map takes them; no name otherwise."""
        return real_event(self.event_shape) if is_real(self.transform.domain) else None

    @property
    def codomain(self) -> Any:
        """All numbers, where the map returns them; no name otherwise."""
        return real_event(self.event_shape) if is_real(self.transform.codomain) else None

    @property
    def needs_data(self) -> bool:
        """Whether the map needs data."""
        return self.transform.needs_data

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise the map on the chosen features."""
        self.transform.initialise(x[..., self.places], context)
