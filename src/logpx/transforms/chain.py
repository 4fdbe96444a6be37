"""Composition and inversion of transforms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.transforms.base import Transform, context_of
from logpx.transforms.permutation import only_reorders
from logpx.transforms.supports import leads_to

__all__ = ["Chain", "Inverse"]


def _shared_context(transforms: Sequence[Transform]) -> int:
    sizes = {transform.context_features for transform in transforms if transform.context_features}
    if len(sizes) > 1:
        raise UsageError(
            f"the transforms of one chain take contexts of different sizes: {sorted(sizes)}",
            fix="build every conditional transform of a chain with the same number of context features",
        )
    return sizes.pop() if sizes else 0


class Chain(Transform):
    """Several transforms, applied to x from first to last.

    Parameters
    ----------
    transforms
        At least one transform; all of the same event shape.

    Examples
    --------
    >>> import torch
    >>> from logpx.transforms import Chain, Reverse, Softplus
    >>> chain = Chain([Reverse(2), Softplus(2)])
    >>> z, ladj = chain.forward(torch.tensor([[1.0, 2.0]]))
    >>> x, _ = chain.inverse(z)
    >>> x
    tensor([[1.0000, 2.0000]])
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        check_instance("transforms", transforms, Iterable, "[Affine(3), Reverse(3)]")
        for transform in transforms:
            check_instance("a transform", transform, Transform, "Affine(3)")
        if not transforms:
            raise UsageError("a chain of no transforms", fix="give at least one transform")
        shapes = {transform.event_shape for transform in transforms}
        if len(shapes) > 1:
            raise UsageError(
                f"the transforms of one chain have different event shapes: {sorted(shapes)}",
                fix="build every transform of a chain for the same event shape",
            )
        super().__init__(shapes.pop(), _shared_context(transforms))
        self.transforms = cast(Sequence[Transform], nn.ModuleList(transforms))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the transforms from first to last; the ladjs add up."""
        total: Tensor | None = None
        for transform in self.transforms:
            if only_reorders(transform):
                x = transform.reordered(x)
                continue
            x, ladj = transform.forward(x, context_of(transform, context))
            total = ladj if total is None else total + ladj
        return x, x.new_zeros(x.shape[:-1]) if total is None else total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inverses from last to first; the ladjs add up."""
        total: Tensor | None = None
        for transform in reversed(self.transforms):
            if only_reorders(transform):
                z = transform.restored(z)
                continue
            z, ladj = transform.inverse(z, context_of(transform, context))
            total = ladj if total is None else total + ladj
        return z, z.new_zeros(z.shape[:-1]) if total is None else total

    @property
    def domain(self) -> Any:
        """The domain of the first transform, where all that it returns suits the next, and so on."""
        suits = all(leads_to(one.codomain, other.domain) for one, other in pairwise(self.transforms))
        return self.transforms[0].domain if suits else None

    @property
    def codomain(self) -> Any:
        """The codomain of the last transform, where the inverses suit each other in the same way."""
        suits = all(leads_to(other.domain, one.codomain) for one, other in pairwise(self.transforms))
        return self.transforms[-1].codomain if suits else None

    @property
    def needs_data(self) -> bool:
        """Whether one of the transforms needs data."""
        return any(transform.needs_data for transform in self.transforms)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise each transform on rows mapped by those before it, up to the last that needs data."""
        waiting = [index for index, transform in enumerate(self.transforms) if transform.needs_data]
        if waiting:
            *before, last = self.transforms[: waiting[-1] + 1]
            for transform in before:
                x = transform.initialise_and_map(x, context_of(transform, context))
            last.initialise(x, context_of(last, context))

    @torch.no_grad()
    def initialise_and_map(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Initialise and apply each transform, in one pass."""
        for transform in self.transforms:
            x = transform.initialise_and_map(x, context_of(transform, context))
        return x


class Inverse(Transform):
    """The given transform with its two directions exchanged.

    Parameters
    ----------
    transform
        The transform to turn around. Its `initialise` is not used: data-dependent statistics belong to the
        data side.

    Examples
    --------
    >>> import torch
    >>> from logpx.transforms import Exp, Inverse
    >>> logarithm = Inverse(Exp(1))
    >>> logarithm.forward(torch.tensor([[1.0]]))
    (tensor([[0.]]), tensor([0.]))
    """

    def __init__(self, transform: Transform) -> None:
        check_instance("transform", transform, Transform, "Affine(3)")
        super().__init__(transform.event_shape, transform.context_features)
        self.transform = transform

    @property
    def domain(self) -> Any:
        """The codomain of the given transform."""
        return self.transform.codomain

    @property
    def codomain(self) -> Any:
        """The domain of the given transform."""
        return self.transform.domain

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inverse of the given transform."""
        return self.transform.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the given transform."""
        return self.transform.forward(z, context)
