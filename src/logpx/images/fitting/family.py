"""What a family of models of images has to answer, and the families of flows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.images.dequantisation import Dequantisation, UniformDequantisation
from logpx.images.model import ImageModel
from logpx.images.preprocessing import LogitPixels
from logpx.images.reading.images import Images
from logpx.images.variational import VariationalDequantisation
from logpx.representations import Shown
from logpx.scoring import Family
from logpx.suggestions import alternatives

__all__ = ["DEQUANTISATIONS", "ImageFamily", "ImageFlowFamily", "ImageOptions"]

Shape = tuple[int, int, int]

# Grey drawings have many pixels at black: a wide margin would waste most of the first level.
_ALPHA = {1: 1e-3, 3: 0.05}

#: How noise is added, by name: from shape and number of levels.
DEQUANTISATIONS: Mapping[str, Callable[[Shape, int], Dequantisation]] = {
    "uniform": lambda shape, levels: UniformDequantisation(),
    "variational": lambda shape, levels: VariationalDequantisation(shape, levels),
}


@dataclass(frozen=True)
class ImageOptions:
    """What the caller asked of a model of images; None leaves the choice to the family.

    Attributes
    ----------
    dequantisation, alpha, latent
        As in `logpx.images.fit_images`.
    """

    dequantisation: str | None = None
    alpha: float | None = None
    latent: int | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageFamily(Shown, Family, ABC):
    """A kind of model of images, and how it is trained.

    Attributes
    ----------
    name, summary, options
        As in `logpx.scoring.Family`; the options are those of `ImageOptions`.
    learning_rate, batch_size, gradient_clip
        Of `logpx.training.fit`.
    any_size : bool
        Whether height and width may be odd.
    note : str
        What the user should know of its log p.
    """

    name: str
    summary: str = ""
    learning_rate: float = 1e-3
    batch_size: int = 128
    gradient_clip: float = 500.0
    any_size: bool = False
    note: ClassVar[str]

    @abstractmethod
    def model(self, images: Images, classes: Sequence[str] | None, options: ImageOptions) -> ImageModel:
        """Return an untrained model for some images.

        Parameters
        ----------
        images
            The images: their shape and levels.
        classes
            The names of the classes to be conditioned on.
        options
            What was asked for.

        Raises
        ------
        UsageError
            If there is none for images of that size.
        """


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageFlowFamily(ImageFamily):
    """A kind of flow, with noise over one level.

    Attributes
    ----------
    build : callable
        From the event shape (C, H, W) and the number of classes to the flow.
    """

    build: Callable[[Shape, int], Distribution]
    note: ClassVar[str] = "log p is a lower bound: noise over one level was added to every pixel"
    options: ClassVar[frozenset[str]] = frozenset({"dequantisation", "alpha"})

    def check(self, option: str, value: Any) -> None:
        """Refuse unknown noise."""
        if option == "dequantisation" and value not in DEQUANTISATIONS:
            raise UsageError(
                f"there is no dequantisation {value!r}", fix=f"choose {alternatives(list(DEQUANTISATIONS))}"
            )

    def model(self, images: Images, classes: Sequence[str] | None, options: ImageOptions) -> ImageModel:
        """Return a flow of noisy images on the real line."""
        shape, levels = images.event_shape, images.levels
        flow = self.build(shape, len(classes or ()))
        alpha = _ALPHA[shape[0]] if options.alpha is None else options.alpha
        noise = DEQUANTISATIONS[options.dequantisation or "uniform"](shape, levels)
        return ImageModel(flow, levels, noise, LogitPixels(shape, levels, alpha), classes=classes)
