"""One pass over all rows before training: how many there are, which to set aside, which start the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import DataError
from logpx.training.batches import Batch, MemoryRows, Rows
from logpx.training.intake import Source
from logpx.training.resampling import repeated_places
from logpx.training.split import MOST_VALIDATION_ROWS, row_keys, validation_count
from logpx.training.stream import StreamRows
from logpx.wording import counted

__all__ = ["START_ROWS", "Survey", "collect", "survey"]

# Data-dependent statistics of a model (means, scales) are computed from at most this many rows.
START_ROWS = 131_072
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Survey:
    """The rows, divided into training and validation.

    Parameters
    ----------
    training
        The rows to train on.
    validation
        The rows set aside, or None.
    start
        Training rows for data-dependent statistics, repeated according to their weights.
    mean_weight
        The mean weight of the training rows.
    """

    training: Rows
    validation: Batch | None
    start: Batch
    mean_weight: float


class _Smallest:
    """The rows with the smallest keys among those seen, at most `most` of them, in constant memory."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._parts: list[tuple[NDArray[np.uint64], Batch]] = []
        self._count = 0

    def add(self, keys: NDArray[np.uint64], batch: Batch) -> None:
        self._parts.append((keys, batch))
        self._count += len(batch)
        if self._count > 2 * self.most:
            self.rows(self.most)

    def rows(self, count: int) -> tuple[NDArray[np.uint64], Batch]:
        keys = np.concatenate([keys for keys, _ in self._parts])
        batch = Batch.concatenate([batch for _, batch in self._parts])
        if len(keys) > count:
            # Keep the order of the rows: the result must not depend on how the source is batched.
            chosen = np.sort(np.argpartition(keys, count)[:count])
            keys, batch = keys[chosen], batch.take(torch.from_numpy(chosen))
        self._parts, self._count = [(keys, batch)], len(batch)
        return keys, batch


class _Totals:
    """Count, total weight and range of the rows read so far."""

    def __init__(self) -> None:
        self.count, self.weight = 0, 0.0
        self._low: Tensor | None = None
        self._high: Tensor | None = None

    def add(self, batch: Batch) -> None:
        flat = batch.x.flatten(1)
        low, high = flat.aminmax(dim=0)
        if bool(low.isnan().any()):
            missing = flat.isnan()
            low = flat.masked_fill(missing, math.inf).amin(0)
            high = flat.masked_fill(missing, -math.inf).amax(0)
        self._low = low if self._low is None else torch.minimum(self._low, low)
        self._high = high if self._high is None else torch.maximum(self._high, high)
        self.count += len(batch)
        self.weight += _weight_of(batch)

    def check(self, source: Source, constants: bool) -> None:
        if self.count < 2:
            raise DataError(
                f"{counted(self.count, 'row')}, where two or more were expected",
                fix="pass more rows; rows of weight 0 do not count",
            )
        assert self._low is not None
        assert self._high is not None
        empty = (self._low > self._high).nonzero().flatten()
        if len(empty):
            raise DataError(
                "every cell is missing", column=source.column(int(empty[0])), fix="leave the column out"
            )
        constant = (self._low == self._high).nonzero().flatten()
        if len(constant) and not constants:
            raise DataError(
                "every row has the same value, so that no density exists on it",
                column=source.column(int(constant[0])),
                fix="leave the column out (float32 holds 7 digits: model.double() keeps smaller differences)",
            )


def _weight_of(batch: Batch) -> float:
    return float(len(batch)) if batch.weights is None else float(batch.weights.sum(dtype=torch.float64))


def _most(rows: int, batch: Batch) -> int:
    return max(1000, min(rows, _MOST_BYTES // max(1, batch.x[:1].nbytes)))


def survey(
    source: Source, fraction: float | None, seed: int, device: torch.device, constants: bool = False
) -> Survey:
    """Read all rows once and divide them.

    Parameters
    ----------
    source
        The rows.
    fraction
        The validation fraction; None for the default of `validation_count`, 0 for no validation rows.
    seed
        The seed of the division.
    device
        Where rows in memory are kept.
    constants
        Whether a column may be constant, because the model spreads it itself.

    Raises
    ------
    DataError
        If there are fewer than two rows, or a column never varies and may not be constant.
    """
    totals = _Totals()
    smallest = largest = None
    for batch in source.read():
        if smallest is None or largest is None:
            smallest = _Smallest(_most(MOST_VALIDATION_ROWS, batch))
            largest = _Smallest(_most(START_ROWS, batch))
        keys = row_keys(batch.rows.numpy(), seed)
        smallest.add(keys, batch)
        largest.add(~keys, batch)
        totals.add(batch)
    totals.check(source, constants)
    assert smallest is not None
    assert largest is not None
    aside = min(validation_count(totals.count, fraction), smallest.most)
    remaining = totals.count - aside
    # Validation rows have the smallest keys, so the rows with the largest keys are training rows.
    _, start = largest.rows(min(largest.most, remaining))
    validation, threshold, weight = None, None, totals.weight
    if aside:
        keys, validation = smallest.rows(aside)
        threshold = keys.max()
        weight -= _weight_of(validation)
    training = _training_rows(source, threshold, seed, remaining, device)
    return Survey(
        training,
        None if validation is None else validation.to(device),
        _repeated(start).to(device),
        weight / remaining,
    )


def _training_rows(
    source: Source, threshold: np.uint64 | None, seed: int, count: int, device: torch.device
) -> Rows:
    def read() -> Iterator[Batch]:
        for batch in source.read():
            if threshold is not None:
                batch = batch.where(torch.from_numpy(row_keys(batch.rows.numpy(), seed) > threshold))
            if len(batch):
                yield batch

    return MemoryRows(collect(read()).to(device)) if source.resident else StreamRows(read, count, device)


def _repeated(batch: Batch) -> Batch:
    """Return rows repeated in proportion to their weights, by systematic resampling without randomness."""
    if batch.weights is None:
        return batch
    total = float(batch.weights.sum(dtype=torch.float64))
    count = min(max(len(batch), round(total)), START_ROWS)
    index = repeated_places(batch.weights, count)
    return Batch(batch.x, batch.rows, batch.context).take(index)


def collect(batches: Iterator[Batch], what: str = "data") -> Batch:
    """Return all rows as one batch.

    Raises
    ------
    DataError
        If there are none.
    """
    parts = list(batches)
    if not parts:
        raise DataError(f"no rows in the {what}", fix="pass more rows; rows of weight 0 do not count")
    return Batch.concatenate(parts)
