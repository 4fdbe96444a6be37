"""The baselines of a fit: simple distributions of the same training pictures, in closed form."""

from __future__ import annotations

import math

import torch

from logpx.distributions import Distribution
from logpx.distributions.moments import Moments
from logpx.errors import DataError
from logpx.images.baselines import FlatNormal, PixelHistogram
from logpx.images.fitting.rows import PictureStream
from logpx.images.model import ImageModel
from logpx.images.noise import Noise
from logpx.images.preprocessing import LinearPixels

__all__ = ["fit_baselines"]

# A covariance of 32×32 grey pixels has a million entries.
_MOST_DIMENSIONS = 1024
_MOST_PICTURES = 20_000


@torch.no_grad()
def fit_baselines(
    training: PictureStream, event_shape: tuple[int, int, int], levels: int
) -> dict[str, Distribution]:
    """Fit the baselines.

    Parameters
    ----------
    training
        The training pictures.
    event_shape
        Their shape.
    levels
        The number of levels.

    Returns
    -------
    dict of str to Distribution
        All levels equally likely; each pixel's own histogram; and a Gaussian with full covariance, of small
        pictures only and of at most 20,000 of them.
    """
    uniform = PixelHistogram(event_shape, levels)
    histogram = PixelHistogram(event_shape, levels)
    dimensions = math.prod(event_shape)
    normal = FlatNormal(event_shape)
    gaussian = ImageModel(normal, levels, preprocessing=LinearPixels(event_shape, levels))
    counts, moments, seen = torch.zeros(histogram.logits.shape, dtype=torch.int64), None, 0
    for batch in training.batches():
        x = batch.pixels
        counts += histogram.counts(x)
        if dimensions <= _MOST_DIMENSIONS and seen < _MOST_PICTURES and len(x):
            y = x.float() + Noise(0, first=seen).uniform(len(x), event_shape, torch.empty(0))
            part = Moments.of(gaussian.preprocessing.forward(y)[0].flatten(1), full=True)
            moments = part if moments is None else moments + part
            seen += len(x)
    histogram.update(counts)
    fitted: dict[str, Distribution] = {"uniform": uniform, "independent pixels": histogram}
    if moments is not None:
        try:
            normal.normal.update(moments)
        except DataError:
            # No more pictures than pixels: the covariance is singular.
            return fitted
        fitted["full-covariance Gaussian"] = gaussian
    return fitted
