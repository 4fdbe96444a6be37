"""A number that is at or below log p(x) in expectation, with its error."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from logpx.markup import card
from logpx.representations import brief

__all__ = ["LowerBound"]


class LowerBound(NamedTuple):
    """A lower bound of log p(x) for every row, in nats.

    Attributes
    ----------
    log_prob : Tensor
        The estimate, whose expectation is at most log p(x), shape ``(n,)``.
    standard_error : Tensor
        The standard error of the estimate, shape ``(n,)``; NaN where it is unknown.
    """

    log_prob: Tensor
    standard_error: Tensor

    def __repr__(self) -> str:
        """Return both, or their shapes if they are long."""
        return f"LowerBound(log_prob={brief(self.log_prob)}, standard_error={brief(self.standard_error)})"

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return card("LowerBound", repr(self))
