"""Images: samples, the nearest of the training images, and where an image is costly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import SEQUENCE, label_axes, new_axes, of_results, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["nearest", "plot_images", "plot_nearest", "plot_pixel_cost"]

_GAP = 1
_CHUNK = 256


@of_results
def plot_images(
    images: Any,
    *,
    levels: int | None = None,
    across: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot images side by side.

    Parameters
    ----------
    images
        Shape ``(n, C, H, W)``, with one or three channels, or ``(n, H, W)``.
    levels
        How many levels pixels have; by default 256 for whole numbers, and 1 is the brightest of others.
    across
        How many stand in a line.
    title
        Written above.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If they are not images.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_images
    >>> plot_images(np.zeros((4, 1, 8, 8), np.uint8), title="black").get_title()
    'black'
    """
    pixels = _pixels(images, levels)
    across = min(len(pixels), across or max(1, round(np.sqrt(len(pixels) * 1.6))))
    down = -(-len(pixels) // across)
    ax = new_axes(ax, (0.62 * across + 0.2, 0.62 * down + 0.4))
    _show(ax, _tiled(pixels, across), title)
    return ax


@of_results
def plot_nearest(samples: Any, training: Any, *, levels: int | None = None, ax: Axes | None = None) -> Axes:
    """Plot samples in the upper line, and below each the training image that is nearest to it.

    A model that has learnt its training images by heart repeats them.

    Parameters
    ----------
    samples, training
        Images, as in `plot_images`; distances are Euclidean, over all pixels.
    levels, ax
        As in `plot_images`.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If they are not images of the same size.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_nearest
    >>> images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8))
    >>> plot_nearest(images[:3], images).get_title()
    'samples, and below each the nearest training image; smallest distance 0.00'
    """
    first, others = _pixels(samples, levels), _pixels(training, levels)
    if first.shape[1:] != others.shape[1:]:
        raise UsageError(
            f"images of shapes {first.shape[1:]} and {others.shape[1:]}", fix="give images of one size"
        )
    places, distances = nearest(first, others)
    across = len(first)
    ax = new_axes(ax, (0.62 * across + 0.2, 1.7))
    smallest = float(distances.min()) / np.sqrt(first[0].size)
    title = f"samples, and below each the nearest training image; smallest distance {smallest:.2f}"
    _show(ax, _tiled(np.concatenate([first, others[places]]), across), title)
    return ax


@of_results
def plot_pixel_cost(
    cost: Any,
    *,
    image: Any = None,
    levels: int | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot what each pixel of images costs, as a colour from dark for cheap to light for costly.

    Parameters
    ----------
    cost
        Shape ``(n, H, W)`` or ``(n, C, H, W)``, summed over channels: minus the log-probability of each
        pixel, in bits.
    image
        The images themselves, shown in a line above.
    levels, title, ax
        As in `plot_images`.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If they are not images.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_pixel_cost
    >>> plot_pixel_cost(np.ones((2, 8, 8)), title="bits per pixel").get_title()
    'bits per pixel'
    """
    values = _array(cost)
    if values.ndim == 4:
        values = values.sum(1)
    if values.ndim != 3 or not values.size:
        raise UsageError(f"costs of shape {values.shape}", fix="give shape (n, H, W)")
    require()
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = float(np.nanmin(values)), float(np.nanquantile(values, 0.995))
    scale = Normalize(low, high if high > low else low + 1.0)
    tinted = colormaps[SEQUENCE](scale(values))[..., :3]
    if image is not None:
        tinted = np.concatenate([_pixels(image, levels), tinted])
    ax = new_axes(ax, (0.62 * len(values) + 0.9, 0.75 * (len(tinted) // len(values)) + 0.4))
    _show(ax, _tiled(tinted, len(values)), title)
    bar = ax.figure.colorbar(ScalarMappable(scale, SEQUENCE), ax=ax, pad=0.02)
    label_axes(bar.ax, y="bits")
    return ax


def nearest(images: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return for each image the place of the nearest other, and the distance."""
    flat = images.reshape(len(images), -1)
    places, least = np.zeros(len(flat), np.int64), np.full(len(flat), np.inf)
    for start in range(0, len(others), _CHUNK):
        part = others[start : start + _CHUNK].reshape(-1, flat.shape[1])
        squares = (flat**2).sum(1)[:, None] - 2.0 * flat @ part.T + (part**2).sum(1)
        best = squares.argmin(1)
        distance = squares[np.arange(len(flat)), best]
        nearer = distance < least
        places[nearer], least[nearer] = best[nearer] + start, distance[nearer]
    return places, np.sqrt(least.clip(0.0))


def _array(images: Any) -> np.ndarray[Any, Any]:
    detach = getattr(images, "detach", None)
    return np.asarray(images if detach is None else detach().cpu().numpy())


def _pixels(images: Any, levels: int | None) -> np.ndarray[Any, Any]:
    """Return images as colours between 0 and 1, shape ``(n, H, W, 3)``."""
    values = _array(images)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] not in (1, 3) or not values.size:
        raise UsageError(
            f"images of shape {values.shape}", fix="give shape (n, C, H, W) with one or three channels"
        )
    most = levels - 1 if levels is not None else 255 if values.dtype.kind in "iu" else 1
    bright = (values.astype(np.float64) / max(most, 1)).clip(0.0, 1.0)
    return np.broadcast_to(bright.transpose(0, 2, 3, 1), (*bright.shape[:1], *bright.shape[2:], 3))


def _tiled(pixels: np.ndarray[Any, Any], across: int) -> np.ndarray[Any, Any]:
    """Return one image of all, with transparent gaps."""
    count, height, width, _ = pixels.shape
    down = -(-count // across)
    sheet = np.zeros((down * (height + _GAP) - _GAP, across * (width + _GAP) - _GAP, 4))
    for place, image in enumerate(pixels):
        top, left = place // across * (height + _GAP), place % across * (width + _GAP)
        sheet[top : top + height, left : left + width, :3] = image
        sheet[top : top + height, left : left + width, 3] = 1.0
    return sheet


def _show(ax: Axes, sheet: np.ndarray[Any, Any], title: str | None) -> None:
    ax.imshow(sheet, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    label_axes(ax, title=title)
    for spine in ax.spines.values():
        spine.set_visible(False)
