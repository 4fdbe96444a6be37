"""How good a model of pictures is on some, in bits per dimension, beside baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ImageComparison", "ImageEvaluation", "LowerBound", "ScoredImages"]


@dataclass(frozen=True)
class LowerBound:
    """Lower bounds of log p(x) of some pictures.

    Attributes
    ----------
    log_prob : ndarray of float64
        The mean over the draws of noise, in nats; one number per picture.
    standard_error : ndarray of float64
        Its standard error over the draws; NaN for a single draw.
    """

    log_prob: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoredImages:
    """The scores of consecutive pictures.

    Attributes
    ----------
    start : int
        The number of pictures before the batch.
    bound : LowerBound
        In nats.
    bits_per_dimension : ndarray of float64
        The same in bits per dimension.
    """

    start: int
    bound: LowerBound
    bits_per_dimension: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImageComparison:
    """How a baseline does on the same pictures.

    Attributes
    ----------
    bits_per_dimension, standard_error : float
        Mean over the pictures, and its standard error.
    gain, gain_standard_error : float
        How many bits per dimension the model saves, and the standard error of the paired difference.
    """

    bits_per_dimension: float
    standard_error: float
    gain: float
    gain_standard_error: float


@dataclass(frozen=True)
class ImageEvaluation:
    """The quality of a model of pictures.

    Attributes
    ----------
    bits_per_dimension, standard_error : float
        Mean over the pictures, and its standard error; an upper bound of the true cost, as log p is bounded
        from below.
    mean, mean_standard_error : float
        The mean of the lower bound of log p(x) in nats per picture, and its standard error.
    kind : str
        ``lower bound``.
    rows : int
        The number of pictures.
    draws : int
        Draws of noise per picture.
    baselines : mapping of str to ImageComparison
        The same pictures under simple models.
    """

    bits_per_dimension: float
    standard_error: float
    mean: float
    mean_standard_error: float
    kind: str
    rows: int
    draws: int
    baselines: Mapping[str, ImageComparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)
