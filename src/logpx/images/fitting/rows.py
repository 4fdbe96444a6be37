"""Training and validation images: in memory where they fit, read anew in every epoch where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from logpx.errors import DataError
from logpx.images.reading.images import ImageBatch, Images
from logpx.training.split import row_keys, validation_count

__all__ = ["Divided", "ImageStream", "divide_images", "one_hot"]

# As 32-bit floats, which is what training holds in memory.
_MOST_BYTES = 1 << 30
# The standard error of their mean is about 0.006 bits per dimension on MNIST.
_MOST_VALIDATION = 2000


def one_hot(labels: Tensor | None, classes: int) -> Tensor | None:
    """Return labels as a context, or None where the model is of no classes."""
    if labels is None or not classes:
        return None
    return functional.one_hot(labels, classes).float()


class ImageStream:
    """Some of the images of a source, again and again: batches, or pairs of batch and context.

    Parameters
    ----------
    images
        The source.
    chosen
        Which of its images, shape ``(n,)``, booleans.
    classes
        The number of classes to be conditioned on, or 0.
    """

    def __init__(self, images: Images, chosen: NDArray[np.bool_], classes: int = 0) -> None:
        self._images, self._chosen, self._classes = images, torch.from_numpy(chosen), classes

    def batches(self) -> Iterator[ImageBatch]:
        """Yield what is chosen of each batch of the source."""
        for batch in self._images.batches():
            chosen = self._chosen[batch.start : batch.start + len(batch.pixels)]
            labels = None if batch.labels is None else batch.labels[chosen]
            yield ImageBatch(batch.start, batch.pixels[chosen], labels)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches():
            context = one_hot(batch.labels, self._classes)
            yield batch.pixels if context is None else (batch.pixels, context)

    def read(self) -> tuple[Tensor, Tensor | None]:
        """Return all images, uint8, and their context."""
        parts = list(self.batches())
        pixels = torch.cat([part.pixels for part in parts])
        labels = [part.labels for part in parts if part.labels is not None]
        return pixels, one_hot(torch.cat(labels) if labels else None, self._classes)


@dataclass(frozen=True, kw_only=True)
class Divided:
    """Images to train on, and images to stop by.

    Attributes
    ----------
    training : ImageStream
        To train on.
    train_rows : int
        How many.
    resident : bool
        Whether they fit in memory.
    validation : Tensor or None
        To stop by, uint8; None where there are too few images to set any aside.
    validation_context : Tensor or None
        Their classes.
    """

    training: ImageStream
    train_rows: int
    resident: bool
    validation: Tensor | None
    validation_context: Tensor | None

    @property
    def validation_rows(self) -> int:
        """How many images there are to stop by."""
        return 0 if self.validation is None else len(self.validation)


def divide_images(images: Images, validation: Images | None, classes: int, seed: int) -> Divided:
    """Divide images, by a hash of their numbers, unless there are others for validation.

    Of a long validation set, 2000 images chosen by the same hash are used.

    Raises
    ------
    DataError
        If there are fewer than two images.
    """
    if images.count < 2:
        raise DataError("there is one image", file=images.file, fix="give two or more, better thousands")
    if validation is None:
        aside = min(validation_count(images.count, None), _MOST_VALIDATION)
        held = _smallest(images.count, aside, seed)
        training = ImageStream(images, ~held, classes)
        other = ImageStream(images, held, classes) if aside else None
        rows = images.count - aside
    else:
        held = _smallest(validation.count, min(validation.count, _MOST_VALIDATION), seed)
        training = ImageStream(images, np.ones(images.count, bool), classes)
        other, rows = ImageStream(validation, held, classes), images.count
    pixels, context = (None, None) if other is None else other.read()
    size = 4 * rows * int(np.prod(images.event_shape))
    return Divided(
        training=training,
        train_rows=rows,
        resident=size <= _MOST_BYTES,
        validation=pixels,
        validation_context=context,
    )


def _smallest(count: int, wanted: int, seed: int) -> NDArray[np.bool_]:
    keys = row_keys(np.arange(count), seed)
    chosen = np.zeros(count, bool)
    chosen[np.argsort(keys)[:wanted]] = True
    return chosen
