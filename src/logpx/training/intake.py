"""From the caller's data to checked rows that can be read repeatedly."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from logpx.distributions import Distribution
from logpx.errors import DataError, UsageError
from logpx.training.batches import Batch
from logpx.training.convert import as_rows, as_weights, column_names, is_table
from logpx.wording import counted

__all__ = ["Intake", "Source", "open_source"]


@dataclass(frozen=True)
class Intake:
    """The requirements of a model on its rows.

    Parameters
    ----------
    event_shape
        The shape of one x.
    context_shape
        The shape of one context, ``()`` for none.
    dtype
        The model's dtype.
    missing
        Whether cells may be missing.
    """

    event_shape: tuple[int, ...]
    context_shape: tuple[int, ...]
    dtype: torch.dtype
    missing: bool = False

    @classmethod
    def of(cls, model: Distribution) -> Intake:
        """Return the requirements of a model."""
        dtype = model._like().dtype
        return cls(model.event_shape, model.context_shape, dtype, model.allows_missing)

    def batch(self, x: Any, context: Any, weights: Any, what: str, start: int = 0) -> Batch:
        """Return checked rows, without those of weight 0."""
        rows = as_rows(x, self.event_shape, self.dtype, what, start, self.missing)
        if (context is None) != (not self.context_shape):
            raise UsageError(
                f"the model takes {_contexts(self.context_shape)}, and the {what} "
                + ("come without a context" if context is None else "come with a context"),
                fix="pass context=..., or build the model with context= to match",
            )
        given = None
        if context is not None:
            given = as_rows(context, self.context_shape, self.dtype, f"the context of the {what}", start)
            if len(given) != len(rows):
                raise DataError(
                    f"{counted(len(given), 'row')} of context for {counted(len(rows), 'row')}",
                    fix="give one each",
                )
        numbers = torch.arange(start, start + len(rows))
        if weights is None:
            return Batch(rows, numbers, given)
        weight = as_weights(weights, len(rows), self.dtype, start)
        return Batch(rows, numbers, given, weight).where(weight > 0.0)


def _contexts(shape: tuple[int, ...]) -> str:
    if len(shape) > 1:
        return f"contexts of shape {shape}"
    return f"{shape[0] if shape else 0} context features"


class Source:
    """Checked batches of the caller's data, which can be read repeatedly.

    Parameters
    ----------
    data
        A re-iterable object that yields batches, or (batch, context) or (batch, context, weights) tuples.
    intake
        The requirements on the rows.
    what
        The name of the data in messages.
    """

    resident = False

    def __init__(self, data: Any, intake: Intake, what: str) -> None:
        self._data, self._intake, self._what = data, intake, what

    def column(self, index: int) -> str | int:
        """Return a column's name in messages: its index, counted from 0, unless the data name it."""
        return index

    def read(self) -> Iterator[Batch]:
        """Yield the batches that contain rows."""
        start = 0
        for item in self._data:
            x, context, weights = _parts(item)
            batch = self._intake.batch(x, context, weights, self._what, start)
            start += len(x)
            if len(batch):
                yield batch


class _Resident(Source):
    resident = True

    def __init__(self, batch: Batch, names: list[str] | None) -> None:
        self._batch, self._names = batch, names

    def column(self, index: int) -> str | int:
        return self._names[index] if self._names else index

    def read(self) -> Iterator[Batch]:
        if len(self._batch):
            yield self._batch


def _parts(item: Any) -> tuple[Any, Any, Any]:
    if isinstance(item, (tuple, list)) and not is_table(item):
        if not 1 <= len(item) <= 3:
            raise UsageError(
                f"the stream yields tuples of {len(item)} items",
                fix="yield a batch, (batch, context) or (batch, context, weights)",
            )
        x, context, weights = (*item, None, None)[:3]
        return x, context, weights
    return item, None, None


def open_source(data: Any, intake: Intake, context: Any, weights: Any, what: str) -> Source:
    """Return the caller's data as a source of checked batches.

    Raises
    ------
    DataError
        If rows in memory cannot be modelled as they are.
    UsageError
        If the object is neither rows nor a stream that can be read twice.
    """
    if isinstance(data, (str, os.PathLike, Mapping)):
        raise UsageError(
            f"the {what} are a {type(data).__name__}, where rows of numbers were expected",
            fix="pass an array or a frame, or fit a table: logpx.fit('auto', table)",
        )
    if is_table(data):
        return _Resident(intake.batch(data, context, weights, what), column_names(data))
    if not hasattr(type(data), "__iter__"):
        raise UsageError(
            f"the {what} are a {type(data).__name__}",
            fix="pass a tensor, a NumPy array, a pandas or Polars frame, or an iterable of batches",
        )
    if iter(data) is data:
        raise UsageError(
            f"the {what} are an iterator, which can be read only once",
            fix="pass an object whose __iter__ starts afresh, such as a list of batches or a DataLoader",
        )
    if context is not None or weights is not None:
        raise UsageError(
            "context and weights of a stream come with its batches",
            fix="yield (batch, context) or (batch, context, weights) tuples",
        )
    return Source(data, intake, what)
