"""A forest of randomised regression trees, grown by scikit-learn and kept as plain tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from logpx.arguments import check_count
from logpx.configuration import Configured

__all__ = ["Forest"]

_KNOTS = 256
_LEAST_SPLIT = 5
# Features that compete for a split.
_MOST_COMPETING = 64
# Each tree sees so many rows at most, which bounds what the forest weighs.
_MOST_ROWS = 8000
# The rank of a missing cell, next to those of numbers, from 0 to 1.
_MISSING = -0.25
_NUMBERS_AT_ONCE = 4_000_000


class Forest(Configured, nn.Module):
    """Means of extremely randomised trees, which see the rank of every feature; a missing cell is NaN.

    Parameters
    ----------
    features
        The number of features.
    trees, nodes
        The numbers of trees and of all their nodes.
    outputs
        How many numbers are predicted.

    References
    ----------
    Geurts, Ernst and Wehenkel 2006, Extremely randomized trees.

    Examples
    --------
    >>> x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)).double()
    >>> forest, unseen = Forest.grown(x, x[:, :1], trees=30, seed=0)
    >>> forest(x).shape, bool((unseen - x[:, :1]).abs().mean() < 0.1)
    (torch.Size([300, 1]), True)
    """

    knots: Tensor
    columns: Tensor
    thresholds: Tensor
    below: Tensor
    values: Tensor
    roots: Tensor
    depth: Tensor

    def __init__(self, features: int, trees: int, nodes: int, outputs: int = 1) -> None:
        super().__init__()
        for name, count in (("features", features), ("trees", trees), ("nodes", nodes), ("outputs", outputs)):
            check_count(name, count)
        self.features, self.outputs = features, outputs
        self.register_buffer("knots", torch.zeros(features, _KNOTS + 1, dtype=torch.float64))
        self.register_buffer("columns", torch.zeros(nodes, dtype=torch.int32))
        self.register_buffer("thresholds", torch.zeros(nodes))
        self.register_buffer("below", torch.zeros(nodes, 2, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(nodes, outputs))
        self.register_buffer("roots", torch.zeros(trees, dtype=torch.int32))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int64))

    @classmethod
    def grown(
        cls, x: Tensor, y: Tensor, *, trees: int, seed: int, weights: Tensor | None = None
    ) -> tuple[Forest, Tensor]:
        """Return a forest for rows, and what it predicts for each from the trees that have not seen it.

        Parameters
        ----------
        x
            Shape ``(n, features)``; NaN is missing.
        y
            What is predicted, shape ``(n, outputs)``, without gaps.
        trees
            The number of trees. A third of them, on average, has not seen a row.
        seed
            The seed of everything random.
        weights
            How much each row counts, shape ``(n,)``; by default all count alike.

        Returns
        -------
        Forest
            The forest.
        Tensor
            Predictions of rows out of the bag, shape ``(n, outputs)``, float64; NaN where all trees have
            seen a row.
        """
        from sklearn.ensemble import ExtraTreesRegressor

        knots = torch.stack([_knots(column) for column in x.double().unbind(1)])
        ranks = _ranks(x, knots).numpy()
        grown = ExtraTreesRegressor(
            trees,
            min_samples_split=_LEAST_SPLIT,
            max_features=min(x.shape[1], _MOST_COMPETING),
            bootstrap=True,
            max_samples=min(len(x), _MOST_ROWS),
            random_state=seed % 2**32,
        ).fit(ranks, y.numpy() if y.shape[1] > 1 else y[:, 0].numpy(), _array(weights))
        total, count = np.zeros(y.shape), np.zeros((len(x), 1))
        for tree, seen in zip(grown.estimators_, grown.estimators_samples_, strict=True):
            unseen = np.setdiff1d(np.arange(len(x)), seen)
            if len(unseen):
                total[unseen] += tree.predict(ranks[unseen]).reshape(len(unseen), -1)
                count[unseen] += 1
        own = [tree.tree_ for tree in grown.estimators_]
        forest = cls(x.shape[1], trees, sum(tree.node_count for tree in own), y.shape[1])
        forest._take(knots, own)
        return forest, torch.from_numpy(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def _take(self, knots: Tensor, trees: list[Any]) -> None:
        """Copy the nodes of trees of scikit-learn; leaves lead to themselves."""
        begins = np.cumsum([0, *[tree.node_count for tree in trees]])[:-1]
        children, columns, thresholds, values = [], [], [], []
        for tree, begin in zip(trees, begins, strict=True):
            both = np.stack([tree.children_left, tree.children_right], 1)
            leaf = both[:, 0] < 0
            children.append(np.where(leaf[:, None], np.arange(len(both))[:, None], both) + begin)
            columns.append(np.where(leaf, 0, tree.feature))
            thresholds.append(_rounded_down(tree.threshold))
            values.append(tree.value[:, :, 0])
        self.knots.copy_(knots)
        for buffer, parts in (
            (self.below, children),
            (self.columns, columns),
            (self.thresholds, thresholds),
            (self.values, values),
        ):
            buffer.copy_(torch.from_numpy(np.concatenate(parts)))
        self.roots.copy_(torch.from_numpy(begins))
        self.depth.fill_(max(tree.max_depth for tree in trees))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return the mean prediction of the trees, shape ``(n, outputs)``, float64."""
        at_once = max(1, _NUMBERS_AT_ONCE // len(self.roots))
        parts = [self._mean(_ranks(part, self.knots)) for part in torch.split(x, at_once)]
        return torch.cat([x.new_zeros(0, self.outputs, dtype=torch.float64), *parts])

    def _mean(self, ranks: Tensor) -> Tensor:
        nodes = len(self.columns)
        columns = self.columns.clamp(0, self.features - 1).long()
        children = self.below.clamp(0, nodes - 1).long().flatten()
        at = self.roots.clamp(0, nodes - 1).long().expand(len(ranks), -1)
        for _ in range(min(int(self.depth), nodes)):
            right = ranks.gather(1, columns[at]) > self.thresholds[at]
            at = children[2 * at + right]
        return self.values[at].double().mean(1)


def _array(x: Tensor | None) -> Any:
    return None if x is None else x.numpy()


def _knots(column: Tensor) -> Tensor:
    """Return different quantiles of a column's values, and the last as often as there is room; else zeros."""
    there = torch.sort(column[~column.isnan()])[0]
    if not len(there):
        return column.new_zeros(_KNOTS + 1)
    places = torch.linspace(0, len(there) - 1, _KNOTS + 1, dtype=torch.float64)
    different = torch.unique(there[places.round().long()])
    return torch.cat([different, different[-1:].expand(_KNOTS + 1 - len(different))])


def _ranks(x: Tensor, knots: Tensor) -> Tensor:
    """Return about the number of different quantiles below each cell, as a share, float32: continuous."""
    found = torch.empty(x.shape, dtype=torch.float64, device=x.device)
    for place, (column, own) in enumerate(zip(x.double().unbind(1), knots, strict=True)):
        inside = column.clamp(own[0], own[-1])
        index = torch.searchsorted(own, inside.contiguous()).clamp(1, _KNOTS)
        low, high = own[index - 1], own[index]
        found[:, place] = (index - 1 + (inside - low) / (high - low).clamp_min(1e-300)) / _KNOTS
    return found.nan_to_num(nan=_MISSING).float()


def _rounded_down(thresholds: Any) -> Any:
    """Return the largest numbers of float32 that are no larger: for those, comparisons stay as they are."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-math.inf)), near)
