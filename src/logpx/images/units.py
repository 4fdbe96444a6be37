"""The one place where nats become bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor

from logpx.errors import UsageError

__all__ = ["bits_per_dimension"]

Number = TypeVar("Number", float, Tensor)


def bits_per_dimension(log_prob: Number, event_shape: Sequence[int], step: float = 1.0) -> Number:
    r"""Return the cost of an image in bits per dimension.

    .. math:: -\frac{\log p(x) + D \log s}{D \log 2}

    for D pixels-times-channels, where a density is per unit of x and s is how far apart two levels are in
    that unit: 1 for levels 0, 1, 2, ..., 1/256 for the same levels divided by 256, 2/256 on [-1, 1].

    Parameters
    ----------
    log_prob
        Log-probability of an image, or the log-density of a dequantised one, in nats; any shape.
    event_shape
        The shape of an image.
    step
        The distance of two neighbouring levels in the units of x.

    Returns
    -------
    float or Tensor
        Of the kind and shape of `log_prob`. A mean or a standard error of nats becomes that of bits by the
        same factor, up to sign.

    Raises
    ------
    UsageError
        If the step is not above 0, or the shape has no dimension.

    References
    ----------
    Theis, van den Oord and Bethge 2016, A note on the evaluation of generative models, section 3.1.

    Examples
    --------
    A uniform density over 256 levels costs 8 bits per dimension, in whatever units the levels are written.

    >>> bits_per_dimension(-784 * math.log(256.0), (1, 28, 28))
    8.0
    >>> bits_per_dimension(0.0, (1, 28, 28), step=1 / 256)
    8.0
    """
    dimensions = math.prod(event_shape)
    if dimensions < 1:
        raise UsageError(
            f"an image of shape {tuple(event_shape)} has no pixel", fix="give its shape (C, H, W)"
        )
    if not 0.0 < step < math.inf:
        raise UsageError(f"a step of {step} between levels", fix="give a positive step")
    return -(log_prob / dimensions + math.log(step)) / math.log(2.0)
