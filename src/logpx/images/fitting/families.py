"""The model families that images can be fitted with, each with the training that suits it."""

from __future__ import annotations

from logpx import flows
from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.images.fitting.autoencoder import ImageAutoencoderFamily
from logpx.images.fitting.family import ImageFamily, ImageFlowFamily
from logpx.suggestions import suggestion

__all__ = ["IMAGE_FAMILIES", "image_family_named"]

Shape = tuple[int, int, int]


def _real_nvp(shape: Shape, classes: int) -> Distribution:
    return flows.RealNVP(shape, layers=4, hidden=(32,), context=classes)


def _glow(shape: Shape, classes: int) -> Distribution:
    return flows.Glow(shape, steps=4, hidden=(32,), context=classes)


def _mint_net(shape: Shape, classes: int) -> Distribution:
    return flows.MintNet(shape, layers=6, hidden=16, context=classes)


_FAMILIES: tuple[ImageFamily, ...] = (
    ImageFlowFamily(
        name="realnvp",
        summary="multi-scale affine couplings on checkerboards and channels",
        build=_real_nvp,
    ),
    ImageFlowFamily(
        name="glow", summary="actnorm, 1×1 convolutions and affine couplings, multi-scale", build=_glow
    ),
    ImageFlowFamily(
        name="mintnet", summary="masked convolutions; any size, samples by iteration", build=_mint_net
    ),
    ImageAutoencoderFamily(
        name="vae", summary="variational autoencoder of whole levels; any size", learning_rate=3e-3
    ),
)

IMAGE_FAMILIES: dict[str, ImageFamily] = {family.name: family for family in _FAMILIES}


def image_family_named(name: str) -> ImageFamily:
    """Return the family of a name; ``auto`` is the first.

    Raises
    ------
    UsageError
        Suggesting the nearest name.

    Examples
    --------
    >>> image_family_named("auto").name
    'realnvp'
    """
    if name == "auto":
        return next(iter(IMAGE_FAMILIES.values()))
    if name not in IMAGE_FAMILIES:
        fix = suggestion(name, ["auto", *IMAGE_FAMILIES])
        raise UsageError(f"there is no model {name!r} of images", fix=fix)
    return IMAGE_FAMILIES[name]
