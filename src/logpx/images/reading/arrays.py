"""Arrays in memory and in .npy and .npz files."""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import DataError, UsageError
from logpx.images.reading.image_sequence import ImageArray

__all__ = ["array_images", "read_npy", "read_npz"]

_CHANNELS = (1, 3)
_KEYS = ("images", "x", "X", "data", "arr_0")
_LABEL_KEYS = ("labels", "y", "label", "targets")


def array_images(array: Any, file: str | None = None, layout: str | None = None) -> ImageArray:
    """Return an array of whole levels as images.

    Parameters
    ----------
    array
        Shape ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)``, integers.
    file
        Its file, for messages.
    layout
        ``NCHW`` or ``NHWC`` for four dimensions; by default the axis of length 1 or 3 is the channels.

    Raises
    ------
    DataError
        If the type, the number of dimensions or the number of channels is another.

    Examples
    --------
    >>> array_images(np.zeros((5, 8, 6, 3), np.uint8)).event_shape
    (3, 8, 6)
    """
    values = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    _check_type(values, file)
    if values.ndim == 3:
        return ImageArray(values[:, None], file)
    if values.ndim != 4:
        raise DataError(
            f"an array of shape {values.shape}, where images are (n, H, W), (n, H, W, C) or (n, C, H, W)",
            file=file,
            fix="reshape it, for instance x.reshape(-1, 28, 28)",
        )
    if (layout or _layout(values.shape, file)) == "NHWC":
        values = np.moveaxis(values, 3, 1)
    if values.shape[1] not in _CHANNELS:
        raise DataError(
            f"images of {values.shape[1]} channels, where 1 or 3 were expected",
            file=file,
            fix="leave the other channels out, such as an alpha channel",
        )
    return ImageArray(values, file)


def _layout(shape: tuple[int, ...], file: str | None) -> str:
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first and last:
        raise UsageError(
            f"an array of shape {shape} may have its channels at either end",
            file=file,
            fix="say layout='NCHW' or layout='NHWC'",
        )
    if not first and not last:
        raise DataError(
            f"an array of shape {shape}, where the second or the last axis counts 1 or 3 channels",
            file=file,
            fix="give grey or RGB images as (n, H, W), (n, H, W, C) or (n, C, H, W)",
        )
    return "NCHW" if first else "NHWC"


def _check_type(values: NDArray[Any], file: str | None) -> None:
    kind = values.dtype.kind
    if kind == "f":
        _check_finite(values, file)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        unit = low >= 0.0 and high <= 1.0
        raise DataError(
            f"pixels of type {values.dtype} from {low:g} to {high:g}, where whole levels such as 0..255 "
            "were expected",
            file=file,
            fix="convert them: (255 * x).round().astype('uint8')" if unit else "convert them to uint8 levels",
        )
    if kind not in "iub":
        raise DataError(
            f"pixels of type {values.dtype}, where integers were expected",
            file=file,
            fix="convert them to uint8",
        )


def _check_finite(values: NDArray[Any], file: str | None) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        where = np.unravel_index(int((~finite).argmax()), values.shape)
        raise DataError(
            f"the pixel value {values[where]:g}, where whole levels such as 0..255 were expected",
            file=file,
            row=int(where[0]) + 1 if where else None,
            fix="leave that image out, and convert the others to uint8 levels",
        )


def read_npy(path: str, layout: str | None = None) -> tuple[ImageArray, NDArray[Any] | None]:
    """Return the images of a .npy file, which is mapped, not read; it has no labels."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    return array_images(array, path, layout), None


def read_npz(path: str, layout: str | None = None) -> tuple[ImageArray, NDArray[Any] | None]:
    """Return the images of a .npz file, and its labels if it has any.

    The images are called ``images`` or ``x``, or are the first array; labels ``labels`` or ``y``.
    """
    try:
        # Of a file that it opens itself, NumPy leaves a damaged one open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            key = next((name for name in (*_KEYS, *names) if name in names and name not in _LABEL_KEYS), None)
            if key is None:
                raise DataError("the file holds no array", file=path, fix="save the images as images=...")
            array = archive[key]
            label_key = next((name for name in _LABEL_KEYS if name in names), None)
            labels = None if label_key is None else archive[label_key]
    except DataError:
        raise
    except (
        ValueError,
        TypeError,
        OSError,
        EOFError,
        KeyError,
        RuntimeError,  # an encrypted archive, or an unknown compression
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _unreadable(path, error) from error
    return array_images(array, path, layout), labels


def _unreadable(path: str, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError("no such file", file=path, fix="check the path")
    kind = os.path.splitext(path)[1]
    return DataError(f"not a readable {kind} file: {error}", file=path, fix="write it again with NumPy")
