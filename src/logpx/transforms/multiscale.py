"""Multi-scale architecture: half of an image leaves early, under a learned prior given the other half."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.transforms.base import Transform, context_of
from logpx.transforms.coupling import Coupling
from logpx.transforms.partition import Channels
from logpx.transforms.squeezed import as_image_shape

__all__ = ["MultiScale"]


class MultiScale(Transform):
    r"""Standardize one half of the channels given the other half, and transform only the other half further.

    With the halves :math:`x_a, x_b`, the inner transform f and nets :math:`\mu, s` that start at zero,

    .. math:: z_a = f(x_a), \qquad z_b = (x_b - \mu(x_a))\, e^{-s(x_a)}.

    Under a standard normal base this says that :math:`x_b` given :math:`x_a` is normal with mean
    :math:`\mu(x_a)` and standard deviation :math:`e^{s(x_a)}`: the learned prior of the half that leaves.
    Both halves of z keep their places, so that z is one tensor of the shape of x.

    Parameters
    ----------
    transform
        The inner transform of the kept half, of event shape ``(C / 2, H, W)``.
    hidden
        Widths of the residual blocks of the prior's net, all equal.
    context
        The number of context features of the prior.
    prior
        Your own coupling instead of the default, which is affine on `Channels`: its kept part has the event
        shape of `transform`, which then need not be an image.

    Raises
    ------
    UsageError
        If the kept part of `prior` is not the event of `transform`, or the sizes of their contexts differ.

    References
    ----------
    Dinh, Sohl-Dickstein and Bengio 2017, Density estimation using Real NVP, section 3.6; the learned prior
    is that of Kingma and Dhariwal 2018, Glow.
    https://arxiv.org/abs/1605.08803
    https://arxiv.org/abs/1807.03039

    Examples
    --------
    >>> import torch
    >>> from logpx.transforms import Affine
    >>> z, ladj = MultiScale(Affine((2, 4, 4)), hidden=(8,)).forward(torch.ones(5, 4, 4, 4))
    >>> z.shape, ladj.shape
    (torch.Size([5, 4, 4, 4]), torch.Size([5]))
    """

    def __init__(
        self,
        transform: Transform,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        prior: Coupling | None = None,
    ) -> None:
        check_instance("transform", transform, Transform, "Affine((2, 4, 4))")
        if prior is None:
            channels, height, width = as_image_shape(transform.event_shape)
            prior = Coupling(
                partition=Channels((2 * channels, height, width)), hidden=hidden, context=context
            )
        check_instance("prior", prior, Coupling, "Coupling(partition=Channels((4, 4, 4)))")
        if prior.partition.kept_shape != transform.event_shape:
            raise UsageError(
                f"the prior keeps a part of shape {prior.partition.kept_shape}, but the transform of that "
                f"part has event shape {transform.event_shape}",
                fix="build both for the same part",
            )
        sizes = {part.context_features for part in (prior, transform) if part.context_features}
        if len(sizes) > 1:
            raise UsageError(
                f"prior and transform take contexts of different sizes: {sorted(sizes)}",
                fix="build both with the same number of context features",
            )
        super().__init__(prior.event_shape, sizes.pop() if sizes else 0)
        self.prior = prior
        self.transform = transform

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standardize the half that leaves, then map the other; the ladjs add up."""
        x, ladj = self.prior.forward(x, context_of(self.prior, context))
        kept, moved = self.prior.partition.split(x)
        kept, inner_ladj = self.transform.forward(kept, context_of(self.transform, context))
        return self.prior.partition.join(kept, moved), ladj + inner_ladj

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map the kept half back, then give the other the mean and scale that follow from it."""
        kept, moved = self.prior.partition.split(z)
        kept, inner_ladj = self.transform.inverse(kept, context_of(self.transform, context))
        joined = self.prior.partition.join(kept, moved)
        x, ladj = self.prior.inverse(joined, context_of(self.prior, context))
        return x, ladj + inner_ladj

    @property
    def needs_data(self) -> bool:
        """Whether the inner transform needs data."""
        return self.transform.needs_data

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise the inner transform on the kept half, which the prior leaves unchanged."""
        self.transform.initialise(self.prior.partition.split(x)[0], context_of(self.transform, context))
