"""Images together with their levels and labels: what every reader returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.arguments import is_whole
from logpx.errors import DataError, UsageError
from logpx.images.reading.image_sequence import ImageSequence, Pixels, Place
from logpx.representations import Shown

__all__ = ["ImageBatch", "Images"]

_BATCH = 1024
_MOST_LEVELS = 65_536


@dataclass(frozen=True, repr=False)
class ImageBatch(Shown):
    """Consecutive images.

    Attributes
    ----------
    start : int
        The number of images before the batch.
    pixels : Tensor of uint8 or int32
        Shape ``(n, C, H, W)``; int32 where there may be more than 256 levels.
    labels : Tensor of int64 or None
        Shape ``(n,)``.
    """

    start: int
    pixels: Tensor
    labels: Tensor | None


class Images(Shown):
    """Images of one shape whose pixels are whole levels, re-readable in batches.

    Parameters
    ----------
    sequence
        Where they are read from.
    levels
        The number of levels, so that pixels are 0 to levels - 1. By default that of the format, or the
        smallest power of two that holds every value of an array (256 for any value from 64 to 255).
    labels
        A whole number from 0 on per image.
    classes
        The names of the labels, in their order.

    Attributes
    ----------
    sequence : ImageSequence
        Where they are read from.
    event_shape : tuple of int
        Channels, height, width.
    levels : int
        The number of levels.
    count : int
        The number of images.
    labels : ndarray of int64 or None
        The labels.
    named : bool
        Whether the classes have names of their own, and not just numbers.

    Raises
    ------
    DataError
        If there are no images, or labels do not fit them.
    UsageError
        If the number of levels cannot be meant.

    Examples
    --------
    >>> from logpx.images import open_images
    >>> images = open_images(np.arange(32).reshape(2, 4, 4))
    >>> images.count, images.event_shape, images.levels
    (2, (1, 4, 4), 32)
    """

    def __init__(
        self,
        sequence: ImageSequence,
        levels: int | None = None,
        labels: NDArray[np.integer] | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.sequence = sequence
        self.file = sequence.file
        self.count = sequence.count
        self.event_shape = sequence.event_shape
        if not self.count or not all(self.event_shape):
            raise DataError("there are no images", file=self.file, fix="give at least two images")
        self.labels = None if labels is None else _checked_labels(labels, self.count, self.file)
        self.named = classes is not None
        self.classes = self._class_names(classes)
        if levels is None:
            levels = sequence.stored_levels or self._detected_levels()
        elif not (is_whole(levels) and 2 <= levels <= _MOST_LEVELS):
            raise UsageError(f"{levels!r} levels", fix=f"give a whole number from 2 to {_MOST_LEVELS:,}")
        self.levels = levels

    def _shown_parts(self) -> Mapping[str, object]:
        return {name: getattr(self, name) for name in ("count", "event_shape", "levels", "classes")}

    def batches(self, size: int = _BATCH) -> Iterator[ImageBatch]:
        """Yield all images in order.

        Raises
        ------
        DataError
            If an image is corrupt, or has a value outside the levels; names its file or number.
        """
        for start in range(0, self.count, size):
            pixels = self.sequence.read(start, min(start + size, self.count))
            if self.levels <= np.iinfo(pixels.dtype).max:
                self._check(pixels, start)
            if pixels.dtype == np.uint16 or self.levels > 256:
                # torch knows hardly more of uint16 than its name.
                pixels = pixels.astype(np.int32)
            labels = None if self.labels is None else torch.from_numpy(self.labels[start : start + size])
            yield ImageBatch(
                start, torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()), labels
            )

    def read(self) -> Tensor:
        """Return all images, shape ``(n, C, H, W)``, uint8, or int32 of more than 256 levels."""
        return torch.cat([batch.pixels for batch in self.batches()])

    def place(self, index: int) -> Place:
        """Return the file and number of an image that is counted from 0."""
        return self.sequence.place(index)

    def for_model(
        self, event_shape: tuple[int, ...], levels: int, classes: Sequence[str] | None = None
    ) -> Images:
        """Return the same images with the levels of a model, and labels that are numbers of its classes.

        Classes are matched by name where the images and the model both name theirs, else by number.

        Raises
        ------
        DataError
            If the model is of images of another shape, or has classes and the images have no labels or
            labels of another class.
        """
        if self.event_shape != tuple(event_shape):
            channels, height, width = event_shape
            raise DataError(
                f"images of {_shown(*self.event_shape)}, where the model has "
                f"{_shown(channels, height, width)}",
                file=self.file,
                fix="give images of that size and number of channels",
            )
        labels = self.labels if classes is None else self._labels_among(list(classes))
        own = self.classes if self.named else None
        return Images(self.sequence, levels, labels, own if classes is None else classes)

    def _labels_among(self, classes: list[str]) -> NDArray[np.int64]:
        if self.labels is None or self.classes is None:
            raise DataError(
                "the images have no labels, which the model is conditioned on",
                file=self.file,
                fix="give a source with labels, such as .npz with images and labels",
            )
        numbered = classes == [str(number) for number in range(len(classes))]
        if self.named and (not numbered or set(self.classes) & set(classes)):
            numbers = [classes.index(name) if name in classes else -1 for name in self.classes]
        else:
            numbers = [number if number < len(classes) else -1 for number in range(len(self.classes))]
        labels = np.array(numbers, np.int64)[self.labels]
        if (labels < 0).any():
            index = int((labels < 0).argmax())
            place = self.place(index)
            raise DataError(
                f"an image of class {self.classes[int(self.labels[index])]!r}, where the model has the "
                f"classes {', '.join(classes)}",
                file=place.file,
                row=place.row,
                fix="leave such images out, or fit a model to images of that class too",
            )
        return labels

    def describe(self) -> str:
        """Return one line about the images."""
        text = f"{self.count:,} images of {_shown(*self.event_shape)}, {self.levels} levels"
        return text if self.labels is None else f"{text}, {len(self.classes or ())} classes"

    def _check(self, pixels: Pixels, start: int) -> None:
        wrong = pixels >= self.levels
        if wrong.any():
            index = int(np.flatnonzero(wrong.reshape(len(pixels), -1).any(1))[0])
            value = int(pixels[index][wrong[index]][0])
            place = self.place(start + index)
            raise DataError(
                f"the pixel value {value} lies outside the {self.levels} levels 0..{self.levels - 1}",
                file=place.file,
                row=place.row,
                fix="give the right number of levels, or divide the pixels down to it",
            )

    def _detected_levels(self) -> int:
        highest = max(
            int(self.sequence.read(start, min(start + _BATCH, self.count)).max())
            for start in range(0, self.count, _BATCH)
        )
        return 256 if 63 < highest < 256 else max(2, 1 << highest.bit_length())

    def _class_names(self, classes: Sequence[str] | None) -> list[str] | None:
        if self.labels is None:
            return None
        found = int(self.labels.max()) + 1
        names = [str(label) for label in range(found)] if classes is None else list(classes)
        if len(names) < found:
            raise DataError(
                f"the label {found - 1}, where {len(names)} classes have names",
                file=self.file,
                fix="number the labels from 0",
            )
        return names


def _shown(channels: int, height: int, width: int) -> str:
    return f"{height}×{width} pixels with {channels} channel{'s' if channels > 1 else ''}"


def _checked_labels(labels: NDArray[np.integer], count: int, file: str | None) -> NDArray[np.int64]:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iub" or labels.ndim != 1 or len(labels) != count:
        raise DataError(
            f"labels of shape {labels.shape} and type {labels.dtype} for {count} images",
            file=file,
            fix="give one whole number from 0 on per image",
        )
    if labels.min() < 0 or labels.max() > 9999:
        index = int(np.flatnonzero((labels < 0) | (labels > 9999))[0])
        raise DataError(
            f"the label {int(labels[index])}, where 0 to 9999 was expected",
            file=file,
            row=index + 1,
            fix="number the classes from 0",
        )
    return labels.astype(np.int64)
