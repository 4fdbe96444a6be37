"""Variational autoencoders of images: whole levels, without noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from logpx.arguments import check_count
from logpx.distributions.likelihoods import BernoulliLikelihood, DiscretisedLogisticLikelihood, Likelihood
from logpx.images.dequantisation import NoDequantisation
from logpx.images.fitting.family import ImageFamily, ImageOptions
from logpx.images.model import ImageModel
from logpx.images.reading.images import Images
from logpx.latent import VAE
from logpx.nets import ConvolutionalDecoder, ConvolutionalEncoder

__all__ = ["ImageAutoencoderFamily"]

_LATENT = 32
_HIDDEN = (16, 32)
# In evaluation; that of the validation images, after every epoch, should not take as long as the epoch.
_DRAWS = 8


@dataclass(frozen=True, kw_only=True)
class ImageAutoencoderFamily(ImageFamily):
    """A VAE with residual convolutions, and a likelihood of whole levels."""

    any_size: bool = True
    note: ClassVar[str] = "log p is a lower bound: the latent variable is integrated out with draws of it"
    options: ClassVar[frozenset[str]] = frozenset({"latent"})

    def check(self, option: str, value: Any) -> None:
        """Refuse numbers of latent dimensions that cannot be meant."""
        check_count(option, value)

    def model(self, images: Images, classes: Sequence[str] | None, options: ImageOptions) -> ImageModel:
        """Return a VAE of whole levels."""
        shape, levels, context = images.event_shape, images.levels, len(classes or ())
        latent = _LATENT if options.latent is None else options.latent
        likelihood = _likelihood(shape, levels)
        vae = VAE(
            likelihood,
            latent,
            encoder=ConvolutionalEncoder(shape, 2 * latent, _HIDDEN, context),
            decoder=ConvolutionalDecoder(latent, shape, likelihood.numbers, _HIDDEN[::-1], context=context),
            draws=_DRAWS,
            context=context,
            flatten=False,
        )
        return ImageModel(vae, levels, NoDequantisation(), classes=classes)


def _likelihood(shape: Sequence[int], levels: int) -> Likelihood:
    if levels == 2:
        return BernoulliLikelihood(shape)
    return DiscretisedLogisticLikelihood(shape, levels)
