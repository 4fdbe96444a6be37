"""Likelihoods of real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributions, nn
from torch.nn.functional import softplus

from logpx.arguments import check_instance
from logpx.distributions.likelihoods.base import Likelihood
from logpx.distributions.likelihoods.scales import GlobalScale, NoiseScale

__all__ = ["NormalLikelihood", "StudentTLikelihood"]


class _Real(Likelihood):
    """Real numbers with their location in units of the training data, set by `initialise`."""

    centre: Tensor
    spread: Tensor

    def __init__(self, event_shape: int | Sequence[int], scale: NoiseScale | None) -> None:
        super().__init__(event_shape)
        self.scale = GlobalScale() if scale is None else scale
        check_instance("scale", self.scale, NoiseScale, "GlobalScale()")
        self.numbers = 1 + self.scale.numbers
        self.register_buffer("centre", torch.zeros(self.event_shape))
        self.register_buffer("spread", torch.ones(self.event_shape))

    @torch.no_grad()
    def initialise(self, centre: Tensor, spread: Tensor) -> None:
        """Make the decoder's zeros the means of the training data, and its units their deviations."""
        self.centre.copy_(centre)
        self.spread.copy_(spread)

    def location_and_scale(self, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return both in units of x; a known scale already is."""
        location, *raw = parameters
        scale = self.scale(location, raw)
        return self.centre + self.spread * location, scale if self.scale.absolute else self.spread * scale


class NormalLikelihood(_Real):
    """Real numbers with normal noise; log p includes all constants.

    Parameters
    ----------
    event_shape
        The shape of x.
    scale
        The noise: a `FixedScale`, `GlobalScale` (the default), `ScalePerValue` or `DecodedScale`.

    References
    ----------
    Rybkin, Daniilidis and Levine 2021, Simple and effective VAE training with calibrated decoders.
    https://arxiv.org/abs/2006.13202

    Examples
    --------
    >>> likelihood = NormalLikelihood(3)
    >>> likelihood(torch.zeros(5, likelihood.outputs)).log_prob(torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(self, event_shape: int | Sequence[int], scale: NoiseScale | None = None) -> None:
        super().__init__(event_shape, scale)

    def base(self, *parameters: Tensor) -> distributions.Normal:
        """Return normal distributions."""
        return distributions.Normal(*self.location_and_scale(parameters), validate_args=False)


class StudentTLikelihood(_Real):
    """Real numbers with outliers: Student's t, with trained degrees of freedom for each value of x.

    Parameters
    ----------
    event_shape
        The shape of x.
    scale
        As in `NormalLikelihood`.

    Examples
    --------
    >>> StudentTLikelihood(3).degrees_of_freedom
    tensor([4., 4., 4.], grad_fn=<AddBackward0>)
    """

    def __init__(self, event_shape: int | Sequence[int], scale: NoiseScale | None = None) -> None:
        super().__init__(event_shape, scale)
        # Softplus of this is 3.
        self.raw_degrees = nn.Parameter(torch.full(self.event_shape, 2.9489307))

    @property
    def degrees_of_freedom(self) -> Tensor:
        """The degrees of freedom, above 1 so that the mean exists; shape ``event_shape``."""
        return softplus(self.raw_degrees) + 1.0

    def base(self, *parameters: Tensor) -> distributions.StudentT:
        """Return Student's t distributions."""
        return distributions.StudentT(
            self.degrees_of_freedom, *self.location_and_scale(parameters), validate_args=False
        )
