"""Coupling layers: one part of the event conditions the map of the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.nets.signatures import called, takes_context
from logpx.transforms.base import Transform, sum_over_event
from logpx.transforms.partition import Halves, Partition
from logpx.transforms.univariate import AffineFunction, Univariate

__all__ = ["Coupling"]


class Coupling(Transform):
    r"""Split x into two parts; keep one, and map the other by a function that depends on the kept part.

    With the first part kept, :math:`z_a = x_a` and :math:`z_b = f(x_b; \theta(x_a, c))`. The Jacobian is
    triangular, and both directions cost one evaluation of the net.

    Parameters
    ----------
    features
        The number of features of a vector, which is split into `Halves`; None if `partition` is given.
    univariate
        The function applied to every mapped element; affine by default.
    hidden
        Widths of the hidden layers of the default net; for images, of its residual blocks, all equal.
    context
        The number of context features.
    flip
        Keep the second half and map the first.
    net
        Your own conditioner instead of the partition's: called as ``net(kept, context)``, or as
        ``net(kept)`` if it takes one argument. For vectors it returns ``mapped features ×
        univariate.parameters`` numbers per row, in one dimension or two, for images an image of
        ``univariate.parameters × mapped channels`` channels: the first parameter of all channels comes first.
    partition
        How to split, instead of `features` and `flip`: `Channels` or `Checkerboard` for images.

    Raises
    ------
    UsageError
        If nothing would be kept and there is no context, or if not exactly one of `features` and `partition`
        is given.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, equations 4 to 8.
    https://arxiv.org/abs/1605.08803

    Examples
    --------
    >>> import torch
    >>> coupling = Coupling(3, hidden=(8,))
    >>> z, ladj = coupling.forward(torch.ones(4, 3))
    >>> z.shape, ladj.shape
    (torch.Size([4, 3]), torch.Size([4]))
    """

    def __init__(
        self,
        features: int | None = None,
        univariate: Univariate | None = None,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        *,
        flip: bool = False,
        net: nn.Module | None = None,
        partition: Partition | None = None,
    ) -> None:
        if partition is None:
            if features is None:
                raise UsageError("a coupling layer with no size", fix="give features=... or partition=...")
            partition = Halves(features, flip)
        elif features is not None or flip:
            raise UsageError(
                "a coupling layer takes its sizes and its flip from the partition",
                fix="give features and flip to the partition: Coupling(partition=Halves(4, flip=True))",
            )
        check_instance("partition", partition, Partition, "Halves(4)")
        super().__init__(partition.event_shape, context)
        if not math.prod(partition.kept_shape) and not context:
            raise UsageError(
                "a coupling layer needs two features, or one feature and a context",
                fix="for one column use an autoregressive flow (NSF with autoregressive=True) or a mixture",
            )
        self.univariate = AffineFunction() if univariate is None else univariate
        check_instance("univariate", self.univariate, Univariate, "AffineFunction()")
        self.partition = partition
        if net is None:
            net = partition.conditioner(self.univariate.parameters, hidden, context)
        check_instance("net", net, nn.Module, "MLP(2, 4)")
        self.net = net
        self._with_context = takes_context(net, context)

    def _map(self, x: Tensor, context: Tensor | None, inverse: bool) -> tuple[Tensor, Tensor]:
        kept, moved = self.partition.split(x)
        params = self.partition.arrange(self._outputs(kept, moved, context), self.univariate.parameters)
        moved, ladj = self.univariate(moved, params, inverse)
        return self.partition.join(kept, moved), sum_over_event(ladj, self.partition.moved_shape)

    def _outputs(self, kept: Tensor, moved: Tensor, context: Tensor | None) -> Tensor:
        outputs = called("net", self.net, kept, *([context] if self._with_context else []))
        if outputs.dim() == kept.dim() + 1 and len(self.event_shape) == 1:
            outputs = outputs.flatten(-2)
        if outputs.dim() != kept.dim() or outputs.numel() != moved.numel() * self.univariate.parameters:
            raise UsageError(
                f"the net returned shape {tuple(outputs.shape)} for elements of shape {tuple(moved.shape)}",
                fix=f"return {self.univariate.parameters} numbers per mapped element",
            )
        return outputs

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise with one evaluation of the net."""
        return self._map(x, context, inverse=False)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data with one evaluation of the net."""
        return self._map(z, context, inverse=True)
