"""How good a model of images is on some, in bits per dimension, beside baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from logpx.distributions import Distribution, LowerBound
from logpx.images.units import bits_per_dimension
from logpx.training.means import RunningMean

__all__ = ["ImageComparison", "ImageEvaluation", "ScoredImages", "Tally"]


@dataclass(frozen=True)
class ScoredImages:
    """The scores of consecutive images.

    Attributes
    ----------
    start : int
        The number of images before the batch.
    bound : LowerBound
        In nats, float64.
    bits_per_dimension : Tensor of float64
        The same in bits per dimension, shape ``(n,)``.
    """

    start: int
    bound: LowerBound
    bits_per_dimension: Tensor


@dataclass(frozen=True)
class ImageComparison:
    """How a baseline does on the same images.

    Attributes
    ----------
    bits_per_dimension, standard_error : float
        Mean over the images, and its standard error.
    gain, gain_standard_error : float
        How many bits per dimension the model saves, and the standard error of the paired difference.
    """

    bits_per_dimension: float
    standard_error: float
    gain: float
    gain_standard_error: float


@dataclass(frozen=True)
class ImageEvaluation:
    """The quality of a model of images.

    Attributes
    ----------
    bits_per_dimension, standard_error : float
        Mean over the images, and its standard error; an upper bound of the true cost, as log p is bounded
        from below.
    mean, mean_standard_error : float
        The mean of the lower bound of log p(x) in nats per image, and its standard error.
    kind : str
        ``exact`` or ``lower bound``.
    rows : int
        The number of images.
    draws : int or None
        Draws of noise per image; None where there is no noise.
    exactness : int or None
        Samples of the importance-weighted bound of each image; None where it was left to the model.
    baselines : mapping of str to ImageComparison
        The same images under simple models.
    """

    bits_per_dimension: float
    standard_error: float
    mean: float
    mean_standard_error: float
    kind: str
    rows: int
    draws: int | None
    exactness: int | None
    baselines: Mapping[str, ImageComparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)


class Tally:
    """The means of a model and its baselines over images, taken batch by batch.

    Parameters
    ----------
    event_shape
        The shape of an image.
    baselines
        What the model is compared with, by name.
    """

    def __init__(self, event_shape: Sequence[int], baselines: Mapping[str, Distribution]) -> None:
        self._shape, self._baselines = tuple(event_shape), baselines
        self._own, self._nats = RunningMean(), RunningMean()
        self._others = {name: RunningMean() for name in baselines}
        self._gains = {name: RunningMean() for name in baselines}

    def add(self, x: Tensor, log_prob: Tensor) -> None:
        """Take in whole levels, and what the model says of them."""
        bits = bits_per_dimension(log_prob, self._shape)
        self._nats.add(log_prob)
        self._own.add(bits)
        for name, baseline in self._baselines.items():
            other = bits_per_dimension(baseline.log_prob(x).double().cpu(), self._shape)
            self._others[name].add(other)
            self._gains[name].add(other - bits)

    def evaluation(self, kind: str, draws: int | None, exactness: int | None) -> ImageEvaluation:
        """Return the evaluation of all images so far."""
        baselines = {
            name: ImageComparison(
                other.value,
                other.standard_error,
                self._gains[name].value,
                self._gains[name].standard_error,
            )
            for name, other in self._others.items()
        }
        own, nats = self._own, self._nats
        return ImageEvaluation(
            own.value,
            own.standard_error,
            nats.value,
            nats.standard_error,
            kind,
            own.count,
            draws,
            exactness,
            baselines,
        )
