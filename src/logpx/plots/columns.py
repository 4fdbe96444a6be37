"""What can be plotted: columns of numbers or labels, from arrays, tensors, draws by name, or frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from logpx.arguments import is_whole
from logpx.errors import UsageError
from logpx.suggestions import suggestion

__all__ = ["PlottedColumn", "columns_of", "matched", "numbers_of", "paired", "with_common_levels"]

Numbers = np.ndarray[Any, np.dtype[np.float64]]

_MOST_LEVELS = 10
_OTHERS = "others"


@dataclass(frozen=True)
class PlottedColumn:
    """One column.

    Attributes
    ----------
    name : str
        Its name.
    values : numpy.ndarray
        Shape ``(n,)``, float64; NaN for a missing cell. For labels, their places among the levels.
    levels : tuple of str or None
        The labels, by default the most frequent first; None for numbers.
    dates : bool
        Whether numbers are days since 1970.
    """

    name: str
    values: Numbers
    levels: tuple[str, ...] | None = None
    dates: bool = False

    @property
    def present(self) -> Numbers:
        """The values that are there and finite."""
        return self.values[np.isfinite(self.values)]


def columns_of(data: Any, chosen: Sequence[str | int] | None = None) -> dict[str, PlottedColumn]:
    """Return columns by name.

    Parameters
    ----------
    data
        An array or tensor of shape ``(n,)`` or ``(n, d)``; a dictionary of them, as of the draws of named
        parameters; or an Arrow table or a frame.
    chosen
        Names or places of columns; all by default.

    Raises
    ------
    UsageError
        If the data are none of these, are empty, or have no such column, or none is chosen.
    """
    found = {column.name: column for column in _columns(data)}
    if not found or not len(next(iter(found.values())).values):
        raise UsageError("there is nothing to plot", fix="give at least one row and one column")
    if chosen is None:
        return found
    names = list(found)
    picked = []
    listed: Sequence[Any] = [chosen] if isinstance(chosen, str) or is_whole(chosen) else chosen
    for each in listed:
        if is_whole(each):
            if not -len(names) <= each < len(names):
                raise UsageError(f"there is no column {each}", fix=f"give places from 0 to {len(names) - 1}")
            picked.append(names[each])
        elif each in found:
            picked.append(str(each))
        else:
            within = [name for name in names if name.startswith(f"{each}[")]
            if not within:
                raise UsageError(f"there is no column {each!r}", fix=suggestion(str(each), names))
            picked += within
    if not picked:
        raise UsageError("no column is chosen", fix="name one at least, or leave columns out")
    return {name: found[name] for name in picked}


def matched(
    first: Any, second: Any | None, chosen: Sequence[str | int] | None = None
) -> list[tuple[PlottedColumn, ...]]:
    """Return the columns of one or two tables, labels with the levels of both.

    Raises
    ------
    UsageError
        If the second lacks a column of the first, or one has numbers where the other has labels.
    """
    one = columns_of(first, chosen)
    if second is None:
        return [with_common_levels([column]) for column in one.values()]
    other = columns_of(second)
    if len(other) == len(columns_of(first)) and not set(one) & set(other):
        # Arrays have no names: columns are the same by place.
        renamed = dict(zip(columns_of(first), other.values(), strict=True))
        other = {name: replace(renamed[name], name=name) for name in one}
    pairs: list[tuple[PlottedColumn, ...]] = []
    for name, column in one.items():
        if name not in other:
            raise UsageError(f"the second table has no column {name!r}", fix="give tables with equal columns")
        pairs.append(with_common_levels([column, other[name]]))
    return pairs


def paired(groups: Mapping[str, Any]) -> dict[str, Numbers]:
    """Return vectors of numbers by the names of their groups.

    Raises
    ------
    UsageError
        If there is no group, or one is empty.
    """
    if not isinstance(groups, Mapping) or not groups:
        raise UsageError("there are no groups", fix="give a dictionary, such as {'held-out': values}")
    return {str(name): numbers_of(values, str(name)) for name, values in groups.items()}


def numbers_of(values: Any, name: str = "values") -> Numbers:
    """Return a vector of numbers as float64.

    Raises
    ------
    UsageError
        If there are none, or they are not a vector.
    """
    array = np.asarray(_plain(values))
    if array.dtype.kind not in "fiub" or array.ndim != 1 or not len(array):
        raise UsageError(
            f"{name} has shape {array.shape} and type {array.dtype}", fix="give a vector of numbers"
        )
    return array.astype(np.float64)


def _columns(data: Any) -> Iterable[PlottedColumn]:
    if isinstance(data, Mapping):
        for name, values in data.items():
            yield from _entries(str(name), values)
        return
    array = _plain(data)
    if isinstance(array, (np.ndarray, list, tuple)):
        array = np.asarray(array)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2:
            raise UsageError(f"data of shape {array.shape}", fix="give shape (n, d)")
        for place in range(array.shape[1]):
            yield _column(f"x[{place}]", array[:, place])
        return
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise UsageError(
            f"data of type {type(data).__name__}", fix="give an array, a dictionary of arrays or a frame"
        ) from None
    for name in frame.columns:
        series = frame[name]
        if series.dtype.is_numeric():
            yield PlottedColumn(name, series.cast(nw.Float64).to_numpy().astype(np.float64))
        else:
            yield _column(name, np.array(series.to_list(), dtype=object))


def _entries(name: str, values: Any) -> Iterable[PlottedColumn]:
    array = np.asarray(_plain(values))
    if array.ndim <= 1:
        yield _column(name, np.atleast_1d(array))
        return
    for place in product(*(range(size) for size in array.shape[1:])):
        shown = ", ".join(str(number) for number in place)
        yield _column(f"{name}[{shown}]", array[_entry(place)])


def _entry(place: tuple[int, ...]) -> Any:
    return (slice(None), *place)


def _plain(values: Any) -> Any:
    """Return a tensor as an array, without importing torch."""
    detach = getattr(values, "detach", None)
    return detach().cpu().numpy() if detach is not None else values


def _column(name: str, values: np.ndarray[Any, Any]) -> PlottedColumn:
    if values.dtype.kind in "fiu":
        return PlottedColumn(name, values.astype(np.float64))
    if values.dtype.kind == "M":
        return PlottedColumn(name, _days(values), dates=True)
    listed = values.tolist()
    known = [value for value in listed if not _is_missing(value)]
    if known and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        return PlottedColumn(
            name, np.array([np.nan if _is_missing(value) else float(value) for value in listed])
        )
    if known and all(hasattr(value, "isoformat") for value in known):
        cells = [np.datetime64("NaT", "us") if _is_missing(value) else _moment(value) for value in listed]
        return PlottedColumn(name, _days(np.array(cells, dtype="datetime64[us]")), dates=True)
    return _labelled(name, [None if _is_missing(value) else str(value) for value in listed])


def _moment(value: Any) -> np.datetime64:
    return np.datetime64(value.isoformat()[:26])


def _days(values: np.ndarray[Any, Any]) -> Numbers:
    micro = values.astype("datetime64[us]")
    days = micro.astype(np.int64) / 86_400_000_000.0
    return np.where(np.isnat(micro), np.nan, days)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _labelled(name: str, labels: Sequence[str | None]) -> PlottedColumn:
    counts = Counter(label for label in labels if label is not None)
    levels = sorted(counts, key=lambda label: (-counts[label], label))
    places = {label: float(place) for place, label in enumerate(levels)}
    values = [np.nan if label is None else places[label] for label in labels]
    return PlottedColumn(name, np.array(values, dtype=np.float64), tuple(levels))


def with_common_levels(
    columns: Sequence[PlottedColumn], most: int = _MOST_LEVELS
) -> tuple[PlottedColumn, ...]:
    """Return columns of labels with the same levels, the most frequent of the first before the others.

    Labels beyond the most frequent ones are put together.

    Raises
    ------
    UsageError
        If one has numbers where another has labels.
    """
    if all(column.levels is None for column in columns):
        return tuple(columns)
    for column in columns:
        if column.levels is None and len(column.present):
            raise UsageError(
                f"the column {column.name!r} has numbers in one table and labels in the other",
                fix="give tables with equal columns",
            )
    levels = list(dict.fromkeys(level for column in columns for level in column.levels or ()))
    places = {level: place for place, level in enumerate(levels)}
    shown = tuple(levels)
    if len(levels) > most:
        shown = (*levels[: most - 1], f"{len(levels) - most + 1} {_OTHERS}")
    found = []
    for column in columns:
        own = [min(places[level], len(shown) - 1) for level in column.levels or ()]
        known = np.isfinite(column.values)
        moved = np.full(len(column.values), np.nan)
        moved[known] = np.array(own, dtype=np.float64)[column.values[known].astype(np.int64)]
        found.append(replace(column, values=moved, levels=shown))
    return tuple(found)
