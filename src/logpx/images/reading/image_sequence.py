"""Images of one shape that are read by their number, and know the file that each comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from logpx.errors import DataError

__all__ = ["ImageArray", "ImageSequence", "JoinedImages", "Pixels", "Place", "check_whole_levels"]

_BLOCK = 1024
_LARGEST = 65_535

#: Whole levels: of 8 bits where these hold them, else of 16.
Pixels: TypeAlias = NDArray[np.integer]


@dataclass(frozen=True)
class Place:
    """Where an image comes from, for messages.

    Attributes
    ----------
    file : str or None
        The file, if there is one.
    row : int or None
        The number of the image in it, counted from 1; None where the file is the image.
    """

    file: str | None
    row: int | None


class ImageSequence(ABC):
    """Images of one shape.

    Attributes
    ----------
    file : str or None
        What holds them.
    count : int
        How many there are.
    event_shape : tuple of int
        Channels, height, width.
    stored_levels : int or None
        How many levels the format itself has; None where only the values can tell.
    """

    file: str | None
    count: int
    event_shape: tuple[int, int, int]
    stored_levels: int | None = None

    @abstractmethod
    def read(self, start: int, stop: int) -> Pixels:
        """Return the images from start up to stop, shape ``(n, C, H, W)``."""

    @abstractmethod
    def place(self, index: int) -> Place:
        """Return where an image, counted from 0, comes from."""


class ImageArray(ImageSequence):
    """Images that are an array, perhaps one that is mapped from a file.

    Parameters
    ----------
    array
        Shape ``(n, C, H, W)``, integers from 0 to 65,535.
    file
        The file that it comes from.
    stored_levels
        How many levels the format has, if it says so.

    Raises
    ------
    DataError
        If a value is below 0 or above 65,535; names the image.
    """

    def __init__(
        self, array: NDArray[np.integer], file: str | None = None, stored_levels: int | None = None
    ) -> None:
        self._array = array
        self.file = file
        self.count = len(array)
        channels, height, width = array.shape[1:]
        self.event_shape = (channels, height, width)
        self.stored_levels = stored_levels
        highest = 0
        if array.dtype != np.uint8:
            for start in range(0, self.count, _BLOCK):
                highest = max(highest, check_whole_levels(array[start : start + _BLOCK], start, file))
        self._dtype: type[np.integer] = np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16

    def read(self, start: int, stop: int) -> Pixels:
        """Return a slice; a copy only where the type has to change."""
        return np.ascontiguousarray(self._array[start:stop], dtype=self._dtype)

    def place(self, index: int) -> Place:
        """Return the file and the image's number in it."""
        return Place(self.file, index + 1)


class JoinedImages(ImageSequence):
    """Several sets of images of one shape, one after another.

    Parameters
    ----------
    parts
        At least one.

    Raises
    ------
    DataError
        If their shapes differ; names two files.
    """

    def __init__(self, parts: Sequence[ImageSequence]) -> None:
        first = parts[0]
        for part in parts[1:]:
            if part.event_shape != first.event_shape:
                raise DataError(
                    f"images of shape {part.event_shape}, where {first.file} has {first.event_shape} "
                    "(channels, height, width)",
                    file=part.file,
                    fix="give images of one shape",
                )
        self._parts = list(parts)
        self._ends = np.cumsum([part.count for part in parts])
        self.file = first.file
        self.count = int(self._ends[-1])
        self.event_shape = first.event_shape
        known = [part.stored_levels for part in parts if part.stored_levels is not None]
        self.stored_levels = max(known) if len(known) == len(parts) else None

    def read(self, start: int, stop: int) -> Pixels:
        """Return images across the seams."""
        blocks: list[Pixels] = [np.empty((0, *self.event_shape), np.uint8)]
        for part, end in zip(self._parts, self._ends, strict=True):
            offset = int(end) - part.count
            low, high = max(start, offset), min(stop, int(end))
            if low < high:
                blocks.append(part.read(low - offset, high - offset))
        return blocks[1] if len(blocks) == 2 else np.concatenate(blocks)

    def place(self, index: int) -> Place:
        """Return the place that the part knows."""
        which = int(np.searchsorted(self._ends, index, side="right"))
        part = self._parts[which]
        return part.place(index - (int(self._ends[which]) - part.count))


def check_whole_levels(block: NDArray[np.integer], start: int, file: str | None) -> int:
    """Return the highest value of some images; raise if one cannot be a level of 16 bits.

    Raises
    ------
    DataError
        Naming the first such image and the value.
    """
    wrong = (block < 0) | (block > _LARGEST)
    if wrong.any():
        index = int(np.flatnonzero(wrong.reshape(len(block), -1).any(1))[0])
        value = int(block[index][wrong[index]].flat[0])
        raise DataError(
            f"the pixel value {value} lies outside 0..{_LARGEST:,}",
            file=file,
            row=start + index + 1,
            fix="give whole levels from 0 on"
            if value < 0
            else "give images of at most 16 bits per channel, divided down to it",
        )
    return int(block.max()) if block.size else 0
