"""The quality of a table model on rows, and the comparison with baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.training.means import RunningMean

__all__ = ["Comparison", "Evaluation", "Tally"]


@dataclass(frozen=True)
class Comparison:
    """How a baseline does on the same rows.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row of the baseline, in nats.
    gain, gain_standard_error : float
        How much better the model is per row, and the standard error of the paired difference.
    """

    mean: float
    standard_error: float
    gain: float
    gain_standard_error: float


@dataclass(frozen=True)
class Evaluation:
    """The held-out quality of a table model.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row in nats and in table units, exact or a lower bound as `kind` says.
    kind : str
        ``exact`` or ``lower bound``.
    rows : int
        The number of rows.
    outside : int
        Rows outside the model's support, whose log p is minus infinity; they are part of the mean.
    baselines : mapping of str to Comparison
        The same rows under simple models.
    """

    mean: float
    standard_error: float
    kind: str
    rows: int
    outside: int
    baselines: Mapping[str, Comparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)


class Tally:
    """The means of log p under a model and its baselines, taken batch by batch.

    Parameters
    ----------
    baselines
        The names of what the model is compared with.
    """

    def __init__(self, baselines: Iterable[str]) -> None:
        self._own, self._outside = RunningMean(), 0
        self._others = {name: RunningMean() for name in baselines}
        self._gains = {name: RunningMean() for name in self._others}

    def add(self, log_prob: Tensor, others: Mapping[str, Tensor]) -> None:
        """Take in log p of the same rows under the model and under each baseline, shape ``(n,)``."""
        self._own.add(log_prob)
        self._outside += int(torch.isneginf(log_prob).sum())
        for name, other in others.items():
            self._others[name].add(other)
            # Equally impossible is equally good.
            self._gains[name].add(torch.where(log_prob == other, 0.0, log_prob - other))

    def evaluation(self, kind: str) -> Evaluation:
        """Return the evaluation of all rows so far."""
        baselines = {
            name: Comparison(
                other.value,
                other.standard_error,
                self._gains[name].value,
                self._gains[name].standard_error,
            )
            for name, other in self._others.items()
        }
        own = self._own
        return Evaluation(own.value, own.standard_error, kind, own.count, self._outside, baselines)
