"""A column of labels, with mass for a label never seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from logpx.arguments import check_count
from logpx.distributions.columns.base import ColumnDistribution
from logpx.errors import DataError

__all__ = ["LabelColumn", "share_of_new"]

# Of a row, added to the count of every label.
_PSEUDO_ROWS = 0.5


def share_of_new(counts: Tensor) -> float:
    """Return the probability that the next value is new: by how many were seen once.

    Parameters
    ----------
    counts
        How often each value was seen.

    References
    ----------
    Good 1953, The population frequencies of species and the estimation of population parameters.

    Examples
    --------
    >>> share_of_new(torch.tensor([98.0, 1.0]))
    0.015
    """
    once = float((counts == 1).sum())
    return min(0.2, (once + _PSEUDO_ROWS) / (float(counts.sum()) + 1.0))


class LabelColumn(ColumnDistribution):
    """The codes 0, 1, ... of labels, with a softmax.

    Parameters
    ----------
    levels
        The number of labels.
    new
        Whether a label that is not among them, with the code `levels`, gets mass: as much as Good's estimate
        from the training rows says. Else it is impossible.

    Examples
    --------
    >>> column = LabelColumn(2)
    >>> column.initialise(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    >>> column.log_prob(torch.zeros(1, 2), torch.tensor([0.0])).exp()
    tensor([0.7000])
    """

    base: Tensor
    log_new: Tensor

    def __init__(self, levels: int, *, new: bool = False) -> None:
        super().__init__()
        check_count("levels", levels, least=1)
        self.levels, self.new = levels, new
        self.inputs = self.outputs = levels
        self.register_buffer("base", torch.zeros(levels, dtype=torch.float64))
        self.register_buffer("log_new", torch.tensor(-math.inf if not new else -math.log(1e3)).double())

    def initialise(self, x: Tensor) -> None:
        """Count the labels.

        Raises
        ------
        DataError
            If a value is not a code.
        """
        wrong = (x != x.round()) | (x < 0) | (x > self.levels)
        if bool(wrong.any()):
            raise DataError(
                f"the value {float(x[wrong][0]):g}, where a code from 0 to {self.levels - 1} was expected",
                fix="number the labels from 0",
            )
        counts = torch.bincount(x.long(), minlength=self.levels + 1)[: self.levels].double()
        self.base.copy_(torch.log((counts + _PSEUDO_ROWS) / (counts.sum() + _PSEUDO_ROWS * self.levels)))
        if self.new:
            self.log_new.fill_(math.log(share_of_new(counts)))

    def _codes(self, x: Tensor) -> Tensor:
        return x.clamp(0, self.levels).round().long()

    def embed(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the weights of the labels; 0 for a new one."""
        return functional.embedding(self._codes(x), torch.cat([weight, torch.zeros_like(weight[:1])]))

    def _log_probabilities(self, raw: Tensor) -> Tensor:
        known = torch.log_softmax(raw + self.base.to(raw.dtype), -1)
        return known + torch.log1p(-self.log_new.exp()).to(raw.dtype)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of the codes."""
        known, codes = self._log_probabilities(raw), self._codes(x)
        found = known.gather(1, codes.clamp(max=self.levels - 1)[:, None])[:, 0]
        found = torch.where(codes == self.levels, self.log_new.to(raw.dtype), found)
        return torch.where((x == codes) & (x >= 0), found, -math.inf)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw codes of known labels."""
        edges = torch.softmax(raw.double() + self.base, -1).cumsum(-1)[:, :-1]
        return (uniform[:, :1] >= edges).sum(-1).double()

    def cdf(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the probability of codes up to some."""
        codes = torch.arange(self.levels, device=x.device)
        return (self.probabilities(raw) * (codes <= x[:, None])).sum(-1)

    def quantile(self, raw: Tensor, level: float | Tensor) -> Tensor:
        """Return the code at which a level is reached."""
        edges = self.probabilities(raw).cumsum(-1)[:, :-1]
        return (torch.as_tensor(level)[..., None] > edges).sum(-1).double()

    def expectation(self, raw: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of a function of the code."""
        return self.probabilities(raw) @ function(torch.arange(self.levels, device=raw.device).double())

    def probabilities(self, raw: Tensor) -> Tensor:
        """Return the probabilities of the known labels."""
        return torch.softmax(raw.double() + self.base, -1)

    def best_guess(self, raw: Tensor) -> Tensor:
        """Return the most probable code."""
        return self.probabilities(raw).argmax(-1).double()
