"""Writing images: a PNG grid, or all of them as .npz; the file appears whole or not at all."""

from __future__ import annotations

import io
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import UsageError
from logpx.files.single import check_file_target, install_file
from logpx.images.reading.folder import pillow
from logpx.wording import counted

__all__ = ["check_images_target", "grid_of", "write_images"]

_MOST_IN_GRID = 10_000
_ENDINGS = (".png", ".npz")


def check_images_target(path: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Return the path of a file that `write_images` may write, before the work of drawing is done.

    Raises
    ------
    MissingExtraError
        If it is a .png and Pillow is not installed.
    ResourceError
        If its folder does not exist.
    UsageError
        If it is neither .png nor .npz, or exists and may not be replaced.
    """
    target = os.fspath(path)
    if not target.lower().endswith(_ENDINGS):
        raise UsageError(
            "images are written as .png, one grid, or as .npz", file=target, fix="name the file samples.png"
        )
    check_file_target(target, overwrite)
    if target.lower().endswith(".png"):
        pillow()
    return target


def grid_of(images: Tensor, levels: int = 256) -> NDArray[np.uint8]:
    """Return images as one: rows of a square grid, with a line of one pixel in between.

    Parameters
    ----------
    images
        Whole levels, shape ``(n, C, H, W)``.
    levels
        The number of levels, which are spread over 0..255.

    Returns
    -------
    ndarray of uint8
        Shape ``(height, width)`` of grey images, ``(height, width, 3)`` of colour.

    Examples
    --------
    >>> import torch
    >>> grid_of(torch.zeros(5, 1, 8, 8, dtype=torch.uint8)).shape
    (19, 28)
    """
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    whole = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 128, np.uint8)
    spread = np.rint(images.cpu().numpy() * (255.0 / (levels - 1))).astype(np.uint8)
    for index, image in enumerate(spread):
        row, column = divmod(index, columns)
        top, left = row * (height + 1) + 1, column * (width + 1) + 1
        whole[top : top + height, left : left + width] = np.moveaxis(image, 0, 2)
    return whole[..., 0] if channels == 1 else whole


def write_images(
    images: Tensor,
    path: str | os.PathLike[str],
    levels: int = 256,
    labels: Tensor | None = None,
    overwrite: bool = False,
) -> None:
    """Write images into a file: .png is one grid of them, .npz an array ``images`` (n, C, H, W).

    Parameters
    ----------
    images
        Whole levels, shape ``(n, C, H, W)``.
    path
        The file.
    levels
        The number of levels.
    labels
        Stored as ``labels`` in .npz.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the name is none of those, the file exists, or there are no images or too many for a grid.
    ResourceError
        If the disk is full or the file cannot be written.
    """
    target = check_images_target(path, overwrite)
    stream = io.BytesIO()
    if target.lower().endswith(".png"):
        if not 1 <= len(images) <= _MOST_IN_GRID:
            raise UsageError(
                f"a grid of {counted(len(images), 'image')}",
                file=target,
                fix=f"draw 1 to {_MOST_IN_GRID:,}, or write .npz",
            )
        pillow().fromarray(grid_of(images, levels)).save(stream, format="PNG")
    else:
        whole = np.uint8 if levels <= 256 else np.uint16
        arrays: dict[str, Any] = {"images": images.cpu().numpy().astype(whole)}
        if labels is not None:
            arrays["labels"] = labels.cpu().numpy()
        np.savez_compressed(stream, **arrays)
    install_file(stream.getvalue(), target)
