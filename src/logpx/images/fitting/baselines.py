"""The baselines of a fit: simple distributions of the same training images, in closed form."""

from __future__ import annotations

import math

import torch

from logpx.distributions import Distribution
from logpx.distributions.moments import Moments
from logpx.errors import DataError
from logpx.images.baselines import FlatNormal, PixelHistogram, UniformLevels
from logpx.images.fitting.rows import ImageStream
from logpx.images.model import ImageModel
from logpx.images.preprocessing import LinearPixels
from logpx.scoring import Noise

__all__ = ["fit_baselines"]

# A covariance of 32×32 grey pixels has a million entries.
_MOST_DIMENSIONS = 1024
_MOST_IMAGES = 20_000
# As 32-bit floats: 64 MiB for a histogram of every pixel.
_MOST_PROBABILITIES = 1 << 24


@torch.no_grad()
def fit_baselines(
    training: ImageStream, event_shape: tuple[int, int, int], levels: int
) -> dict[str, Distribution]:
    """Fit the baselines.

    Parameters
    ----------
    training
        The training images.
    event_shape
        Their shape.
    levels
        The number of levels.

    Returns
    -------
    dict of str to Distribution
        All levels equally likely; each pixel's own histogram, unless images are huge; and a Gaussian with
        full covariance, of small images only and of at most 20,000 of them.
    """
    fitted: dict[str, Distribution] = {"uniform": UniformLevels(event_shape, levels)}
    dimensions = math.prod(event_shape)
    if dimensions * levels <= _MOST_PROBABILITIES:
        fitted["independent pixels"] = _histogram(training, event_shape, levels)
    if dimensions <= _MOST_DIMENSIONS:
        gaussian = _gaussian(training, event_shape, levels)
        if gaussian is not None:
            fitted["full-covariance Gaussian"] = gaussian
    return fitted


def _histogram(training: ImageStream, event_shape: tuple[int, int, int], levels: int) -> PixelHistogram:
    histogram = PixelHistogram(event_shape, levels)
    counts = torch.zeros(histogram.logits.shape, dtype=torch.int64)
    for batch in training.batches():
        counts += histogram.counts(batch.pixels)
    histogram.update(counts)
    return histogram


def _gaussian(training: ImageStream, event_shape: tuple[int, int, int], levels: int) -> ImageModel | None:
    normal = FlatNormal(event_shape)
    gaussian = ImageModel(normal, levels, preprocessing=LinearPixels(event_shape, levels))
    moments, seen = None, 0
    for batch in training.batches():
        if seen >= _MOST_IMAGES:
            break
        if not len(batch.pixels):
            continue
        y = batch.pixels.float() + Noise(0, first=seen).uniform(
            len(batch.pixels), event_shape, torch.empty(0)
        )
        part = Moments.of(gaussian.preprocessing.forward(y)[0].flatten(1), full=True)
        moments = part if moments is None else moments + part
        seen += len(batch.pixels)
    if moments is None:
        return None
    try:
        normal.normal.update(moments)
    except DataError:
        # No more images than pixels: the covariance is singular.
        return None
    return gaussian
