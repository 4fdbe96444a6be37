"""Reordering of features, by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from logpx.arguments import check_count, check_places
from logpx.errors import UsageError
from logpx.transforms.base import Transform, as_features, checks_event

__all__ = ["Permutation", "Reverse", "drawn_order", "only_reorders"]


def drawn_order(features: int, seed: int) -> list[int]:
    """Return the numbers of the features in an order that depends only on the seed.

    Examples
    --------
    >>> sorted(drawn_order(4, seed=0))
    [0, 1, 2, 3]
    """
    check_count("seed", seed, least=None)
    generator = torch.Generator().manual_seed(int(seed))
    order: list[int] = torch.randperm(features, generator=generator, device="cpu").tolist()
    return order


class Permutation(Transform):
    """A fixed reordering of the features of a vector; its ladj is 0.

    Parameters
    ----------
    features
        The number of features.
    order
        ``z[..., i] = x[..., order[i]]``. Without it the order is drawn from `seed`.
    seed
        The seed of the random order; ignored if `order` is given.

    Raises
    ------
    UsageError
        If `order` does not name every feature exactly once.

    Examples
    --------
    >>> import torch
    >>> Permutation(3, [2, 0, 1]).forward(torch.tensor([[10.0, 20.0, 30.0]]))[0]
    tensor([[30., 10., 20.]])
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, features: int, order: Sequence[int] | None = None, seed: int = 0) -> None:
        features = as_features(features)
        super().__init__(features)
        if order is None:
            order = drawn_order(features, seed)
        check_places("order", order, features)
        if sorted(order) != list(range(features)):
            raise UsageError(
                f"order {list(order)} does not name each of the {features} features once",
                fix=f"give the numbers 0 to {features - 1}, each once",
            )
        order = [int(place) for place in order]
        inverse = sorted(range(features), key=order.__getitem__)
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer("inverse_order", torch.tensor(inverse))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reorder the features."""
        return self.reordered(x), x.new_zeros(x.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Restore the order of the features."""
        return self.restored(z), z.new_zeros(z.shape[:-1])

    @checks_event
    def reordered(self, x: Tensor) -> Tensor:
        """Return what `forward` does, without the ladj."""
        return _reordered(x, self.order)

    @checks_event
    def restored(self, z: Tensor) -> Tensor:
        """Return what `inverse` does, without the ladj."""
        return _reordered(z, self.inverse_order)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    if x.dim() == 2 and x.stride(0) == 1 and not x.is_contiguous():
        # The values of all rows lie together, and stay so.
        return x.t().index_select(0, order).t()
    return x.index_select(-1, order)


class Reverse(Transform):
    """The features in reverse order; its ladj is 0.

    Examples
    --------
    >>> import torch
    >>> Reverse(3).forward(torch.tensor([[1.0, 2.0, 3.0]]))[0]
    tensor([[3., 2., 1.]])
    """

    def __init__(self, features: int) -> None:
        super().__init__(as_features(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reverse the features."""
        return self.reordered(x), x.new_zeros(x.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reverse the features, which undoes itself."""
        return self.forward(z)

    @checks_event
    def reordered(self, x: Tensor) -> Tensor:
        """Return what `forward` does, without the ladj."""
        return x.flip(-1)

    def restored(self, z: Tensor) -> Tensor:
        """Return what `inverse` does, without the ladj."""
        return self.reordered(z)


def only_reorders(transform: Transform) -> TypeGuard[Permutation | Reverse]:
    """Return whether a map is known to reorder features, so that its ladj is 0 and need not be added.

    Examples
    --------
    >>> only_reorders(Reverse(3))
    True
    """
    # A subclass may do more.
    return type(transform) in (Permutation, Reverse)
