"""The model families that pictures can be fitted with, each with the training that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from logpx import flows
from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.suggestions import suggestion

__all__ = ["IMAGE_FAMILIES", "ImageFamily", "image_family_named"]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class ImageFamily:
    """A kind of flow of pictures, and how it is trained.

    Attributes
    ----------
    name : str
        What ``--model`` calls it.
    summary : str
        One phrase for help texts.
    build : callable
        From the event shape (C, H, W) and the number of classes to the flow.
    learning_rate, batch_size, gradient_clip
        Of `logpx.training.fit`.
    """

    name: str
    summary: str
    build: Callable[[Shape, int], Distribution]
    learning_rate: float = 1e-3
    batch_size: int = 128
    gradient_clip: float = 500.0


def _real_nvp(shape: Shape, classes: int) -> Distribution:
    return flows.RealNVP(shape, layers=4, hidden=(32,), context=classes)


def _glow(shape: Shape, classes: int) -> Distribution:
    return flows.Glow(shape, steps=4, hidden=(32,), context=classes)


def _mint_net(shape: Shape, classes: int) -> Distribution:
    return flows.MintNet(shape, layers=6, hidden=16, context=classes)


IMAGE_FAMILIES: dict[str, ImageFamily] = {
    family.name: family
    for family in (
        ImageFamily("realnvp", "multi-scale affine couplings on checkerboards and channels", _real_nvp),
        ImageFamily("glow", "actnorm, 1×1 convolutions and affine couplings, multi-scale", _glow),
        ImageFamily("mintnet", "masked convolutions; any size, samples by iteration", _mint_net),
    )
}


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
        raise UsageError(f"there is no model {name!r} of pictures", fix=fix)
    return IMAGE_FAMILIES[name]
