"""The unit that a mean of log p is reported in; the one place where nats become bits per dimension."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Never, TypeVar

from torch import Tensor

from logpx.errors import UsageError
from logpx.representations import Shown

__all__ = ["BitsPerDimension", "NatsPerRow", "Unit", "bits_per_dimension"]

Number = TypeVar("Number", float, Tensor)


def bits_per_dimension(log_prob: Number, event_shape: Sequence[int], step: float = 1.0) -> Number:
    r"""Return the cost of an image in bits per dimension.

    .. math:: -\frac{\log p(x) + D \log s}{D \log 2}

    D is the number of pixels times channels, and s the distance between two levels in the units of x, in
    which the density is given: 1 for levels 0, 1, 2, ..., 1/256 for levels divided by 256, 2/256 on [-1, 1].

    Parameters
    ----------
    log_prob
        The log-probability of an image, or the log-density of a dequantised one, in nats; any shape.
    event_shape
        The shape of an image.
    step
        The distance between neighbouring levels in the units of x.

    Returns
    -------
    float or Tensor
        With the type and shape of `log_prob`. Means and standard errors convert by the same factor, up to
        sign.

    Raises
    ------
    UsageError
        If the step is not above 0, or the shape has no dimension.

    References
    ----------
    Theis, van den Oord and Bethge 2016, A note on the evaluation of generative models, section 3.1.
    https://arxiv.org/abs/1511.01844

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


class Unit(ABC):
    """The unit in which log p, computed in nats, is reported.

    Attributes
    ----------
    name : str
        The name that people read.
    key : str
        What documents call a mean in this unit.
    worst : str
        What documents call the value of the least probable row.
    column, gain : str
        The headings of columns of means, and of gains over baselines.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    worst: ClassVar[str]
    column: ClassVar[str]
    gain: ClassVar[str]

    @abstractmethod
    def value(self, log_prob: Number) -> Number:
        """Return log p of a row, or its mean, in the unit."""

    @abstractmethod
    def difference(self, nats: Number) -> Number:
        """Return a gain or a standard error in the unit; the sign stays that of the nats."""

    @abstractmethod
    def bits_per_dimension(self, log_prob: Number) -> Number:
        """Return log p of a row in bits per dimension.

        Raises
        ------
        UsageError
            If the dimensions of a row are not alike.
        """

    @abstractmethod
    def kind_of_value(self, kind: str) -> str:
        """Return what a value in the unit is, for log p that is ``exact`` or a ``lower bound``."""

    @abstractmethod
    def heading(self, kind: str) -> str:
        """Return the heading of a report, saying whether the values are exact or a bound."""


@dataclass(frozen=True, repr=False)
class NatsPerRow(Shown, Unit):
    """Nats per row: the more, the better.

    Parameters
    ----------
    what
        What the p is that of, for headings.

    Examples
    --------
    >>> NatsPerRow().value(-2.5), NatsPerRow().heading("lower bound")
    (-2.5, 'log p(x), lower bound, nats per row')
    """

    what: str = "x"

    name = "nats per row"
    key = "mean"
    worst = "lowest"
    column = "log p"
    gain = "this model is better by"

    def value(self, log_prob: Number) -> Number:
        """Return log p as it is."""
        return log_prob

    def difference(self, nats: Number) -> Number:
        """Return nats as they are."""
        return nats

    def bits_per_dimension(self, log_prob: Number) -> Never:
        """Refuse: the columns of a table are not alike."""
        raise UsageError("rows of a table have no bits per dimension", fix="read the mean, in nats per row")

    def kind_of_value(self, kind: str) -> str:
        """Return the kind of log p."""
        return kind

    def heading(self, kind: str) -> str:
        """Return what the values are."""
        parts = [f"log p({self.what})", *([] if kind == "exact" else [kind]), self.name]
        return ", ".join(parts)


@dataclass(frozen=True, repr=False)
class BitsPerDimension(Shown, Unit):
    """Bits per pixel and channel: the fewer, the better.

    Parameters
    ----------
    event_shape
        The shape of an image.

    Examples
    --------
    >>> unit = BitsPerDimension((1, 28, 28))
    >>> unit.value(-784 * math.log(256.0)), unit.difference(784 * math.log(2.0)), unit.heading("exact")
    (8.0, 1.0, 'bits per dimension')
    """

    event_shape: Sequence[int]

    name = "bits per dimension"
    key = "bits_per_dimension"
    worst = "highest"
    column = name
    gain = "this model saves"

    def value(self, log_prob: Number) -> Number:
        """Return the cost of an image."""
        return bits_per_dimension(log_prob, self.event_shape)

    def difference(self, nats: Number) -> Number:
        """Return how much less an image costs."""
        return -bits_per_dimension(nats, self.event_shape)

    def bits_per_dimension(self, log_prob: Number) -> Number:
        """Return the cost of an image."""
        return self.value(log_prob)

    def kind_of_value(self, kind: str) -> str:
        """Return that a lower bound of log p gives an upper bound of the cost."""
        return "upper bound" if kind == "lower bound" else kind

    def heading(self, kind: str) -> str:
        """Return what the values are."""
        return self.name if kind == "exact" else f"{self.name}, {self.kind_of_value(kind)}"
