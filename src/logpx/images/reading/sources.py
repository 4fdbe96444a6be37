"""Opening images: each format recognises what is its own."""

from __future__ import annotations

import glob
import os
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import DataError, UsageError
from logpx.images.reading.arrays import array_images, read_npy, read_npz
from logpx.images.reading.binary import read_cifar, read_idx
from logpx.images.reading.data_sets import (
    DATA_SETS,
    files_of_data_set,
    images_of_files,
    open_data_set,
    split_name,
)
from logpx.images.reading.folder import ImageFiles, images_in, is_image, labelled_by_folder
from logpx.images.reading.image_sequence import ImageSequence
from logpx.images.reading.images import Images

__all__ = ["holds_images", "open_images"]


class _Format(ABC):
    """A kind of source."""

    @abstractmethod
    def recognises(self, source: Any) -> bool:
        """Tell whether a source is of this kind, without reading it."""

    @abstractmethod
    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        """Open the source."""


class _Arrays(_Format):
    def recognises(self, source: Any) -> bool:
        return isinstance(source, (np.ndarray, Tensor)) and source.ndim >= 3

    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        return Images(array_images(source, None, layout), levels)


class _File(_Format):
    """Files of one format by the end of their name, perhaps followed by ``.gz``."""

    def __init__(self, endings: tuple[str, ...], read: Any, takes_layout: bool) -> None:
        self._endings, self._read, self._takes_layout = endings, read, takes_layout

    def recognises(self, source: Any) -> bool:
        return isinstance(source, str) and source.lower().removesuffix(".gz").endswith(self._endings)

    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        if not os.path.isfile(source):
            raise UsageError("no such file", file=source, fix="check the path")
        read: tuple[ImageSequence, NDArray[Any] | None] = (
            self._read(source, layout) if self._takes_layout else self._read(source)
        )
        return Images(read[0], levels, read[1])


class _Name(_Format):
    def recognises(self, source: Any) -> bool:
        return isinstance(source, str) and split_name(source) is not None and not os.path.exists(source)

    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        return open_data_set(source, data, levels)


class _DataSetFolder(_Format):
    def recognises(self, source: Any) -> bool:
        return isinstance(source, str) and os.path.isdir(source) and files_of_data_set(source) is not None

    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        found = files_of_data_set(source)
        assert found is not None
        return images_of_files(*found, levels)


class _ImageFiles(_Format):
    def recognises(self, source: Any) -> bool:
        return isinstance(source, str) and bool(self._files(source))

    def open(self, source: Any, levels: int | None, layout: str | None, data: Any) -> Images:
        files = self._files(source)
        named = labelled_by_folder(files, source) if os.path.isdir(source) else None
        labels, classes = named or (None, None)
        return Images(ImageFiles(files, source), levels, labels, classes)

    def _files(self, source: str) -> list[str]:
        if os.path.isdir(source):
            return images_in(source)
        if os.path.exists(source) or not glob.has_magic(source):
            return [source] if is_image(source) else []
        return sorted(file for file in glob.glob(source, recursive=True) if is_image(file))


_FORMATS: tuple[_Format, ...] = (
    _Arrays(),
    _File((".npy",), read_npy, takes_layout=True),
    _File((".npz",), read_npz, takes_layout=True),
    _File(("idx3-ubyte", ".idx3", "idx1-ubyte", ".idx1"), read_idx, takes_layout=False),
    _File((".bin",), read_cifar, takes_layout=False),
    _Name(),
    _DataSetFolder(),
    _ImageFiles(),
)


def holds_images(source: Any) -> bool:
    """Tell whether a source is one of images: an array of three or four axes, a file or folder of images.

    Examples
    --------
    >>> holds_images(np.zeros((5, 8, 8), np.uint8)), holds_images("mnist:test"), holds_images("table.csv")
    (True, True, False)
    """
    if isinstance(source, Images):
        return True
    name = os.fspath(source) if isinstance(source, os.PathLike) else source
    return any(form.recognises(name) for form in _FORMATS)


def open_images(
    source: Any,
    *,
    labels: Any = None,
    levels: int | None = None,
    layout: str | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Images:
    """Open images, to be read in batches as often as needed.

    Parameters
    ----------
    source : array, tensor, path or str
        Whole levels of shape ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)`` as an array or in a .npy or
        .npz file (``images`` or ``x``, with ``labels`` or ``y`` if present); an idx file of MNIST (labels are
        found beside it); a CIFAR-10 batch ``.bin``; either of these two perhaps with .gz; a PNG, TIFF or JPEG
        file, a folder or a glob pattern of them (folders in it name classes); or ``mnist``,
        ``fashion-mnist``, ``cifar10``, each perhaps with ``:test``.
    labels : array of shape (n,), optional
        A whole number from 0 on per image, in place of those of the source.
    levels : int, optional
        Pixels are 0 to levels - 1. By default those of the format, or of an array 256; the smallest power of
        two that holds its values if none is above 63, or one is above 255.
    layout : str, optional
        ``NCHW`` or ``NHWC``, where an array leaves it open.
    data : path, optional
        The folder in which a data set is looked for by its name; see `open_data_set`.

    Returns
    -------
    Images
        With batches of shape ``(n, C, H, W)``.

    Raises
    ------
    DataError
        If the images cannot be read or are not of one shape; names the file and what is wrong.
    MissingExtraError
        If PNG, TIFF or JPEG files are given and Pillow is not installed.
    UsageError
        If there is no such file or kind of source.

    Examples
    --------
    >>> images = open_images(np.zeros((10, 8, 8, 3), np.uint8), levels=256)
    >>> next(images.batches(4)).pixels.shape
    torch.Size([4, 3, 8, 8])
    """
    if isinstance(source, Images):
        return _changed(source, labels, levels)
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if layout not in (None, "NCHW", "NHWC"):
        raise UsageError(f"the layout {layout!r}", fix="say NCHW or NHWC")
    form = next((form for form in _FORMATS if form.recognises(source)), None)
    if form is None:
        raise _unrecognised(source)
    return _changed(form.open(source, levels, layout, data), labels, None)


def _changed(images: Images, labels: Any, levels: int | None) -> Images:
    """Return images with other labels or another number of levels, where those are given."""
    if labels is None and levels is None:
        return images
    levels = images.levels if levels is None else levels
    if labels is None:
        return Images(images.sequence, levels, images.labels, images.classes if images.named else None)
    given = labels.numpy(force=True) if isinstance(labels, Tensor) else np.asarray(labels)
    return Images(images.sequence, levels, given, None)


def _unrecognised(source: Any) -> Exception:
    if not isinstance(source, str):
        shown = (
            f"an array of shape {tuple(source.shape)}" if hasattr(source, "shape") else type(source).__name__
        )
        return UsageError(
            f"{shown} given, where images were expected",
            fix="give an array (n, H, W), (n, H, W, C) or (n, C, H, W), a path or the name of a data set",
        )
    if os.path.isdir(source):
        return DataError(
            "the folder holds no PNG, TIFF or JPEG image", file=source, fix="give a folder of images"
        )
    if glob.has_magic(source):
        return UsageError("no image matches this pattern", file=source, fix="check the pattern")
    if os.path.exists(source):
        return UsageError(
            "the file's name is that of no known image format",
            file=source,
            fix="give .npy, .npz, .png, .tif, .jpg, an idx3-ubyte file or a CIFAR-10 .bin file",
        )
    return UsageError(
        "no such file, folder or data set",
        file=source,
        fix=f"check the path, or name one of {', '.join(DATA_SETS)}",
    )
