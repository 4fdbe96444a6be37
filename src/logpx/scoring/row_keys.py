"""What identifies a row, so that its random numbers depend on that and on nothing else."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from logpx.distributions.seeding import derived_seed
from logpx.representations import Shown

__all__ = ["KeyedRows", "NumberedRows", "RowIdentity", "RowsByContent", "keyed_uniforms", "keys_of_cells"]

_Words = npt.NDArray[np.uint64]

# The increment and the multipliers of SplitMix64.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


class RowIdentity(ABC):
    """What the random numbers of the rows of a table depend on, beside the seed."""

    @abstractmethod
    def of(self, start: int, x: Tensor) -> int | Tensor:
        """Return the number of the first of consecutive rows, or a key of each, shape ``(n,)``, int64.

        Parameters
        ----------
        start
            How many rows of the table come before.
        x
            The rows in numbers, shape ``(n, d)``.
        """


@dataclass(frozen=True, repr=False)
class NumberedRows(Shown, RowIdentity):
    """Rows are identified by their number.

    Parameters
    ----------
    first
        The number of the first row of the table.
    """

    first: int = 0

    def of(self, start: int, x: Tensor) -> int:
        """Return the number of the first row."""
        return self.first + start


class RowsByContent(RowIdentity):
    """Rows are identified by their cells: equal rows have equal random numbers, wherever they are.

    Examples
    --------
    >>> x = torch.tensor([[1.0, float("nan")], [2.0, 0.0], [1.0, float("nan")]])
    >>> one, other, same = RowsByContent().of(0, x).tolist()
    >>> one == same, one == other
    (True, False)
    """

    def of(self, start: int, x: Tensor) -> Tensor:
        """Return a key for the cells of every row."""
        numbers = x.to(torch.float64).numpy(force=True)
        # One form of zero and one of missing.
        bits = np.where(np.isnan(numbers), np.nan, numbers + 0.0).view(np.uint64)
        keys = np.zeros(len(bits), np.uint64)
        for column in bits.T:
            keys = _mixed((keys ^ column) + _STEP)
        return torch.from_numpy(_positive(keys))


@dataclass(frozen=True, repr=False)
class KeyedRows(Shown, RowIdentity):
    """Rows are identified by given keys.

    Parameters
    ----------
    keys
        Shape ``(rows,)``, int64, 0 or more.
    """

    keys: Tensor

    def of(self, start: int, x: Tensor) -> Tensor:
        """Return the keys of these rows."""
        return self.keys[start : start + len(x)]


def keys_of_cells(columns: Sequence[pa.Array]) -> Tensor:
    """Return a key for the text of the cells of some columns, shape ``(rows,)``, int64.

    Cells that are written alike are the same, so that an id may be of any type.

    Examples
    --------
    >>> bool((keys_of_cells([pa.array([1, 2])]) == keys_of_cells([pa.array(["1", "2"])])).all())
    True
    """
    texts = [column.cast(pa.string()).to_pylist() for column in columns]
    keys = [
        int.from_bytes(hashlib.blake2b(repr(cells).encode(), digest_size=8).digest(), "little") >> 1
        for cells in zip(*texts, strict=True)
    ]
    return torch.tensor(keys, dtype=torch.int64)


def keyed_uniforms(keys: Tensor, numbers: int, seed: int, draw: int) -> Tensor:
    """Return uniforms in [0, 1) of which a row's depend on its key, the seed and the draw alone.

    Parameters
    ----------
    keys
        Shape ``(n,)``, int64.
    numbers
        How many for each row.
    seed, draw
        Other seeds and draws give independent numbers.

    Returns
    -------
    Tensor
        Shape ``(n, numbers)``, float64.

    References
    ----------
    Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
    """
    words = keys.numpy(force=True).view(np.uint64) ^ np.uint64(derived_seed(seed, draw))
    counters = np.arange(1, numbers + 1, dtype=np.uint64) * _STEP
    mixed = _mixed(_mixed(words)[:, None] + counters)
    return torch.from_numpy((mixed >> np.uint64(11)).astype(np.float64) * _UNIT)


def _mixed(words: _Words) -> _Words:
    """Return words every bit of which depends on all bits of the given ones: the finaliser of SplitMix64."""
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def _positive(words: _Words) -> npt.NDArray[np.int64]:
    return (words >> np.uint64(1)).astype(np.int64)
