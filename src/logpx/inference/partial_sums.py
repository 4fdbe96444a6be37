"""Sums of statistics over parts of the rows: what is added up so far can be kept, sent, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

from torch import Tensor

from logpx.errors import ModelFolderError

__all__ = ["PartialSum", "ShardSum", "flattened", "restored"]


@dataclass(frozen=True, kw_only=True)
class ShardSum:
    """What is added up of one part of the rows.

    Attributes
    ----------
    number : int
        The number of the part.
    batches : int
        How many of its batches are in the sum.
    finished : bool
        Whether these are all.
    sum : object
        The statistics; None before the first batch.
    """

    number: int
    batches: int = 0
    finished: bool = False
    sum: Any = None

    def plus(self, statistics: Any) -> ShardSum:
        """Return the part with the statistics of its next batch."""
        total = statistics if self.sum is None else self.sum + statistics
        return replace(self, batches=self.batches + 1, sum=total)


class PartialSum:
    """A sum over parts, which are added in the order of their numbers, whichever is finished first.

    Examples
    --------
    >>> found = PartialSum()
    >>> found.take(ShardSum(number=1, finished=True, sum=2.0))
    >>> found.take(ShardSum(number=0, batches=7, sum=1.0))
    >>> found.done, found.total, found.part(0).batches
    (0, None, 7)
    >>> found.take(ShardSum(number=0, batches=9, finished=True, sum=1.5))
    >>> found.done, found.total
    (2, 3.5)
    """

    def __init__(self) -> None:
        #: How many parts are in the total, and the total.
        self.done = 0
        self.total: Any = None
        self._others: dict[int, ShardSum] = {}

    def part(self, number: int) -> ShardSum:
        """Return what is known of a part that is not in the total."""
        return self._others.get(number, ShardSum(number=number))

    def take(self, part: ShardSum) -> None:
        """Take what is now known of a part in place of what was."""
        self._others[part.number] = part
        while self.part(self.done).finished:
            found = self._others.pop(self.done).sum
            if found is not None:
                self.total = found if self.total is None else self.total + found
            self.done += 1

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors by name, and JSON values."""
        tensors: list[Tensor] = []
        total = flattened(self.total, tensors)
        others = [flattened(part, tensors) for part in self._others.values()]
        names = {f"sum/{index}": tensor for index, tensor in enumerate(tensors)}
        return names, {"done": self.done, "total": total, "others": others}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any], like: Any) -> Self:
        """Return a sum that was kept.

        Parameters
        ----------
        tensors, values
            What `kept` returned, perhaps among more.
        like
            Statistics of the same classes.

        Raises
        ------
        ModelFolderError
            If it is no such sum.
        """
        try:
            return cls._of(tensors, values, like)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise ModelFolderError(
                f"what was kept of a sum over the rows is not that of this fit: {error}",
                fix="resume with the logpx that wrote it, or start again in another folder",
            ) from error

    @classmethod
    def _of(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any], like: Any) -> Self:
        count = sum(name.startswith("sum/") for name in tensors)
        given = iter([tensors[f"sum/{index}"] for index in range(count)])
        found = cls()
        found.done = values["done"]
        found.total = restored(like, values["total"], given)
        pattern = ShardSum(number=0, sum=like)
        found._others = {one["number"]: restored(pattern, one, given) for one in values["others"]}
        for one in (found.total, *(part.sum for part in found._others.values())):
            if one is not None:
                # Their shapes have to go together.
                like.__add__(one)
        if next(given, None) is not None:
            raise ValueError("there are more tensors than the sum has")
        return found


def flattened(value: Any, tensors: list[Tensor]) -> Any:
    """Return what of statistics is no tensor as JSON values, and put the tensors into the list."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return "tensor"
    if isinstance(value, tuple):
        return [flattened(item, tensors) for item in value]
    if is_dataclass(value):
        return {one.name: flattened(getattr(value, one.name), tensors) for one in fields(value)}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise TypeError(f"statistics with a {type(value).__name__} cannot be kept or sent")


def restored(like: Any, flattened: Any, tensors: Iterator[Tensor]) -> Any:
    """Return statistics of the same classes as others."""
    if flattened is None:
        return None
    if isinstance(like, Tensor):
        try:
            return next(tensors).to(like.device)
        except StopIteration:
            raise ValueError("there are fewer tensors than the sum has") from None
    if isinstance(like, tuple):
        return tuple(restored(item, one, tensors) for item, one in zip(like, flattened, strict=True))
    if is_dataclass(like) and not isinstance(like, type):
        return type(like)(
            **{name: restored(getattr(like, name), one, tensors) for name, one in flattened.items()}
        )
    return flattened
