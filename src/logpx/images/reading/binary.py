"""The binary formats of MNIST (idx) and CIFAR-10, perhaps compressed with gzip."""

from __future__ import annotations

import gzip
import os
import zlib

import numpy as np
from numpy.typing import NDArray

from logpx.errors import DataError
from logpx.images.reading.image_sequence import ImageArray

__all__ = ["labels_beside", "read_cifar", "read_idx", "read_idx_labels"]

_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801
_CIFAR_RECORD = 3073


def read_idx(path: str) -> tuple[ImageArray, NDArray[np.uint8] | None]:
    """Return the images of an idx file, and the labels of the file beside it that has the usual name.

    Raises
    ------
    DataError
        If it is no idx file of images, or is cut short.
    """
    content = _content(path)
    magic, sizes = _header(content, 3, path)
    if magic != _IDX_IMAGES:
        raise DataError(
            f"not an idx file of images: it begins with {magic:#010x}, where {_IDX_IMAGES:#010x} "
            "was expected",
            file=path,
            fix="give a file such as train-images-idx3-ubyte.gz",
        )
    array = _body(content, 16, sizes, path).reshape(-1, 1, *sizes[1:])
    beside = labels_beside(path)
    labels = None if beside is None else read_idx_labels(beside)
    return ImageArray(array, path, stored_levels=256), labels


def read_idx_labels(path: str) -> NDArray[np.uint8]:
    """Return the labels of an idx file.

    Raises
    ------
    DataError
        If it is no idx file of labels, or is cut short.
    """
    content = _content(path)
    magic, sizes = _header(content, 1, path)
    if magic != _IDX_LABELS:
        raise DataError(
            f"not an idx file of labels: it begins with {magic:#010x}",
            file=path,
            fix="give a file such as train-labels-idx1-ubyte.gz",
        )
    return _body(content, 8, sizes, path)


def labels_beside(path: str) -> str | None:
    """Return the file of labels that lies beside a file of images, if there is one.

    Examples
    --------
    >>> labels_beside("nowhere/train-images-idx3-ubyte.gz") is None
    True
    """
    folder, name = os.path.split(path)
    name = name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    candidates = [os.path.join(folder, name + ending) for ending in ("", ".gz")]
    return next((file for file in candidates if file != path and os.path.isfile(file)), None)


def read_cifar(path: str) -> tuple[ImageArray, NDArray[np.uint8]]:
    """Return images and labels of a CIFAR-10 batch: records of a label and 32×32 bytes of R, G and B.

    Raises
    ------
    DataError
        If the file does not consist of whole records, or a label is above 9.
    """
    content = _content(path)
    if not content or len(content) % _CIFAR_RECORD:
        raise DataError(
            f"{len(content):,} bytes are no whole number of CIFAR-10 records of {_CIFAR_RECORD} bytes",
            file=path,
            fix="give a file of the binary version, such as data_batch_1.bin, complete",
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    labels = records[:, 0]
    if labels.max() > 9:
        row = int((labels > 9).argmax())
        raise DataError(
            f"the label {labels[row]}, where CIFAR-10 has 0..9",
            file=path,
            row=row + 1,
            fix="give a file of the binary version of CIFAR-10",
        )
    return ImageArray(records[:, 1:].reshape(-1, 3, 32, 32), path, stored_levels=256), labels


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        if not compressed:
            with open(path, "rb") as file:
                return file.read()
        with gzip.open(path) as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise DataError("no such file", file=path, fix="check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", file=path, fix="fetch the file again") from error


def _header(content: bytes, dimensions: int, path: str) -> tuple[int, list[int]]:
    length = 4 + 4 * dimensions
    if len(content) < length:
        raise DataError(
            f"{len(content)} bytes are too few for an idx file", file=path, fix="fetch the file again"
        )
    words = np.frombuffer(content[:length], ">u4")
    return int(words[0]), [int(word) for word in words[1:]]


def _body(content: bytes, start: int, sizes: list[int], path: str) -> NDArray[np.uint8]:
    expected = int(np.prod(sizes, dtype=np.int64))
    if len(content) - start != expected:
        raise DataError(
            f"{len(content) - start:,} bytes of pixels or labels, where the header announces {expected:,}",
            file=path,
            fix="fetch the file again: it was cut short or changed",
        )
    return np.frombuffer(content, np.uint8, offset=start)
