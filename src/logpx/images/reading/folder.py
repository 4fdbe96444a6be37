"""Folders and patterns of PNG, TIFF and JPEG files, decoded in batches."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logpx.errors import DataError, MissingExtraError
from logpx.images.reading.image_sequence import ImageSequence, Pixels, Place
from logpx.wording import counted

__all__ = ["EXTENSIONS", "ImageFiles", "images_in", "is_image", "labelled_by_folder", "pillow"]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

# How a stored colour mode is decoded; others would lose something in silence.
_DECODED = {"1": "L", "L": "L", "RGB": "RGB", "P": "RGB", "YCbCr": "RGB", "CMYK": "RGB"}
_CHANNELS = {"L": 1, "RGB": 3}
# Grey of 16 bits, in either order of the bytes.
_DEEP = ("I;16", "I;16B", "I;16L")


def pillow() -> Any:
    """Return Pillow's module of images.

    Raises
    ------
    MissingExtraError
        If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "images") from error
    return Image


def is_image(path: str) -> bool:
    """Tell whether a name is that of a PNG, TIFF or JPEG file.

    Examples
    --------
    >>> is_image("a/cat.JPG"), is_image("table.csv")
    (True, False)
    """
    name = os.path.basename(path)
    return name.lower().endswith(EXTENSIONS) and not name.startswith((".", "_"))


def images_in(folder: str) -> list[str]:
    """Return the PNG, TIFF and JPEG files of a folder, or else of the folders in it, by name."""
    own = [entry.path for entry in _sorted(folder) if entry.is_file() and is_image(entry.name)]
    if own:
        return own
    inner = [entry.path for entry in _sorted(folder) if entry.is_dir() and not entry.name.startswith(".")]
    return [e.path for inside in inner for e in _sorted(inside) if e.is_file() and is_image(e.name)]


def _sorted(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"the folder cannot be read: {error.strerror}", file=folder, fix="check its permissions"
        ) from error


def labelled_by_folder(files: Sequence[str], folder: str) -> tuple[NDArray[np.int64], list[str]] | None:
    """Return labels and class names of files that lie in folders named after their class."""
    parents = [os.path.dirname(file) for file in files]
    classes = sorted(set(parents))
    if os.path.normpath(folder) in {os.path.normpath(parent) for parent in classes}:
        return None
    numbers = {parent: number for number, parent in enumerate(classes)}
    labels = np.array([numbers[parent] for parent in parents], np.int64)
    return labels, [os.path.basename(parent) for parent in classes]


class ImageFiles(ImageSequence):
    """PNG, TIFF and JPEG files of one size and depth, decoded when they are read: grey of 16 bits, or of 8.

    The headers of all files are read at once, so that an image of another size is found before training.

    Parameters
    ----------
    files
        At least one.
    source
        What the caller named, for messages.

    Raises
    ------
    DataError
        If two files differ in size, channels or depth; names both. If a file is no image, or of a mode whose
        conversion would lose something.
    MissingExtraError
        If Pillow is not installed.
    """

    stored_levels: int

    def __init__(self, files: Sequence[str], source: str) -> None:
        self._image = pillow()
        self._files = list(files)
        self.file = source
        self.count = len(self._files)
        first = self._files[0]
        self.event_shape, self.stored_levels = self._shape(first)
        for file in self._files[1:]:
            shape, levels = self._shape(file)
            if (shape, levels) != (self.event_shape, self.stored_levels):
                raise DataError(
                    f"an image of {_shown(shape, levels)}, where {first} has "
                    f"{_shown(self.event_shape, self.stored_levels)}",
                    file=file,
                    fix="bring all images to one size and colour mode, or remove the odd one",
                )

    def read(self, start: int, stop: int) -> Pixels:
        """Decode some of the files."""
        return np.stack([self._decoded(file) for file in self._files[start:stop]])

    def place(self, index: int) -> Place:
        """Return the image's own file."""
        return Place(self._files[index], None)

    def _shape(self, file: str) -> tuple[tuple[int, int, int], int]:
        """Return the shape and the number of levels."""
        with self._opened(file) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise DataError(
                    f"a file of {image.n_frames} pages",
                    file=file,
                    fix="write every page as a file of its own",
                )
            if image.mode in _DEEP:
                return (1, image.height, image.width), 65_536
            mode = _DECODED.get(image.mode)
            # Pillow turns 16 bits of colour into 8 without a word.
            deep = any(";16" in str(tile[3]) for tile in image.tile)
            if mode is None or deep:
                depth = " with 16 bits per channel" if deep else ""
                raise DataError(
                    f"an image of mode {image.mode!r}{depth}, where grey of 8 or 16 bits (L, I;16) or RGB of "
                    "8 bits was expected",
                    file=file,
                    fix="give 16 bits of colour as an array, in .npy or .npz"
                    if deep
                    else "convert it, for instance with Pillow: image.convert('RGB')",
                )
            if "transparency" in image.info:
                raise DataError(
                    f"an image of mode {image.mode!r} with transparency, which a model of grey or RGB "
                    "pixels would lose",
                    file=file,
                    fix="put it on a background, for instance with Pillow: Image.new('RGB', size).paste(...)",
                )
            return (_CHANNELS[mode], image.height, image.width), 256

    def _decoded(self, file: str) -> Pixels:
        with self._opened(file) as image:
            try:
                if image.mode in _DEEP:
                    return np.asarray(image).astype(np.uint16)[None]
                pixels: Pixels = np.asarray(image.convert(_DECODED[image.mode]))
            except (OSError, ValueError, SyntaxError, KeyError) as error:
                raise _corrupt(file, error) from error
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)

    def _opened(self, file: str) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", self._image.DecompressionBombWarning)
                return self._image.open(file)
        except FileNotFoundError as error:
            raise DataError("no such file", file=file, fix="check the path") from error
        except (
            OSError,
            ValueError,
            SyntaxError,
            self._image.DecompressionBombWarning,
            self._image.DecompressionBombError,
        ) as error:
            raise _corrupt(file, error) from error


def _corrupt(file: str, error: Exception) -> DataError:
    return DataError(
        f"the image cannot be decoded: {error}", file=file, fix="write the image again, or remove it"
    )


def _shown(shape: tuple[int, int, int], levels: int) -> str:
    channels, height, width = shape
    text = f"{height}×{width} pixels with {counted(channels, 'channel')}"
    return text if levels == 256 else f"{text} of 16 bits"
