"""The model families that images can be fitted with, each with the training that suits it."""

from __future__ import annotations

from logpx import flows
from logpx.distributions import Distribution
from logpx.images.fitting.autoencoder import ImageAutoencoderFamily
from logpx.images.fitting.family import ImageFamily, ImageFlowFamily
from logpx.scoring import Families

__all__ = ["IMAGE_FAMILIES"]

Shape = tuple[int, int, int]


def _real_nvp(shape: Shape, classes: int) -> Distribution:
    return flows.RealNVP(shape, layers=4, hidden=(32,), context=classes)


def _glow(shape: Shape, classes: int) -> Distribution:
    return flows.Glow(shape, steps=4, hidden=(32,), context=classes)


def _mint_net(shape: Shape, classes: int) -> Distribution:
    return flows.MintNet(shape, layers=6, hidden=16, context=classes)


IMAGE_FAMILIES: Families[ImageFamily] = Families(
    "images",
    [
        ImageFlowFamily(
            name="realnvp",
            summary="multi-scale affine couplings on checkerboards and channels",
            build=_real_nvp,
        ),
        ImageFlowFamily(
            name="glow", summary="actnorm, 1×1 convolutions and affine couplings, multi-scale", build=_glow
        ),
        ImageFlowFamily(
            name="mintnet",
            summary="masked convolutions; any size, samples by iteration",
            build=_mint_net,
            any_size=True,
        ),
        ImageAutoencoderFamily(
            name="vae", summary="variational autoencoder of whole levels; any size", learning_rate=3e-3
        ),
    ],
    automatic=["realnvp"],
)
