"""Cells that stand out in their column, where robust mixtures find a row unusual and the model does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.unusualness import Unusualness

__all__ = ["StandingOut"]

# Rows with a higher p-value by the mixtures are not theirs to explain.
_UNUSUAL_ROW = 0.05
# A cell stands out if hardly any cell of rows drawn from the model is as strange to the mixtures, and if it
# lies in a tail of its column, or is a rare label.
_UNUSUAL, _TAIL = 0.95, 0.05
_DRAWN, _MOST = 500, 3


class StandingOut:
    """Finds the cells by which robust mixtures find rows unusual, though a model expects them.

    A model knows a value that repeats, such as 99999 for "more", and finds nothing strange about it given the
    rest. The mixtures that the score rests on do, and so do people.

    Parameters
    ----------
    unusualness
        The mixtures.
    drawn
        Rows drawn from the model, shape ``(n, d)``.
    supports
        What the columns can hold.
    """

    def __init__(self, unusualness: Unusualness, drawn: Tensor, supports: Sequence[Support]) -> None:
        self._unusualness = unusualness
        self._labels = [isinstance(support, Labels) for support in supports]
        levels = torch.tensor([_TAIL, 0.5, 1.0 - _TAIL], dtype=drawn.dtype, device=drawn.device)
        quantiles = torch.nanquantile(drawn, levels, dim=0)
        #: The central 90 % of each column by itself and its median; of labels not to be used.
        self.low, self.middle, self.high = quantiles
        self._shares = [
            (torch.unique(own[~own.isnan()], return_counts=True) if label else None)
            for own, label in zip(drawn.T, self._labels, strict=True)
        ]
        self._limits = torch.nanquantile(self._odds(drawn[:_DRAWN]), _UNUSUAL, dim=0)

    def commonest(self, column: int) -> tuple[float, float]:
        """Return the code of the commonest label of a column, and its share."""
        found = self._shares[column]
        assert found is not None
        values, counts = found
        best = counts.argmax()
        return float(values[best]), float(counts[best] / counts.sum())

    def cells(self, x: Tensor) -> list[list[int]]:
        """Return the columns of the cells of each row that stand out, the strangest first."""
        unusual = self._unusualness.by_ensemble(x) <= math.log(_UNUSUAL_ROW)
        odds = self._odds(x)
        out = (odds > self._limits.to(odds)) & self._in_a_tail(x).to(odds.device) & unusual[:, None]
        order = odds.masked_fill(~out, -math.inf).argsort(1, descending=True)
        return [
            places[: min(count, _MOST)]
            for places, count in zip(order.tolist(), out.sum(1).tolist(), strict=True)
        ]

    def _odds(self, x: Tensor) -> Tensor:
        found: Tensor = self._unusualness.ensemble.surprisals(self._unusualness.coding(x))
        return found

    def _in_a_tail(self, x: Tensor) -> Tensor:
        found: Tensor = (x < self.low) | (x > self.high)
        for column, shares in enumerate(self._shares):
            if shares is not None:
                values, counts = shares
                common = values[counts >= _TAIL * counts.sum()]
                found[:, column] = ~torch.isin(x[:, column], common) & ~x[:, column].isnan()
        return found
