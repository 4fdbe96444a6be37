"""Dates and times as text of one format: between cells and microseconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DateFormat"]

Whole = npt.NDArray[np.int64]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_DIRECTIVE = re.compile(r"%(-?[A-Za-z])")
_PARTS_OF_DATES = {"Y", "y", "q", "m", "b", "B", "d", "G", "V"}
# Hours of durations.
_ENDLESS = {"H": r"\d{2,6}", "-H": r"\d{1,6}"}
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
# Two digits of a year are those of 1969 to 2068, as in POSIX.
_CENTURY_TURNS = 69


@dataclass(frozen=True)
class _Directive:
    """A part of a format: what it looks like, and how it is written."""

    pattern: str
    write: Callable[[np.datetime64, dict[str, int]], str]


def _padded(part: str, digits: int) -> Callable[[np.datetime64, dict[str, int]], str]:
    return lambda _, parts: f"{parts[part]:0{digits}d}"


def _name(names: tuple[str, ...], digits: int | None) -> Callable[[np.datetime64, dict[str, int]], str]:
    return lambda _, parts: names[parts["m"] - 1][:digits].capitalize()


_DIRECTIVES = {
    "Y": _Directive(r"\d{4}", _padded("Y", 4)),
    "y": _Directive(r"\d{2}", lambda _, parts: f"{parts['Y'] % 100:02d}"),
    "m": _Directive(r"\d{2}", _padded("m", 2)),
    "-m": _Directive(r"\d{1,2}", _padded("m", 1)),
    "b": _Directive(r"[A-Za-z]{3}", _name(_MONTHS, 3)),
    "B": _Directive(r"[A-Za-z]{3,9}", _name(_LONG_MONTHS, None)),
    "d": _Directive(r"\d{2}", _padded("d", 2)),
    "-d": _Directive(r"\d{1,2}", _padded("d", 1)),
    "H": _Directive(r"\d{2}", _padded("H", 2)),
    "-H": _Directive(r"\d{1,2}", _padded("H", 1)),
    "I": _Directive(r"\d{2}", lambda _, parts: f"{(parts['H'] - 1) % 12 + 1:02d}"),
    "-I": _Directive(r"\d{1,2}", lambda _, parts: str((parts["H"] - 1) % 12 + 1)),
    "p": _Directive(r"[AaPp][Mm]", lambda _, parts: "AM" if parts["H"] < 12 else "PM"),
    "M": _Directive(r"\d{2}", _padded("M", 2)),
    "S": _Directive(r"\d{2}", _padded("S", 2)),
    "f": _Directive(r"\d{1,9}", lambda _, parts: f"{parts['f']:06d}"),
    "q": _Directive(r"[1-4]", lambda _, parts: str((parts["m"] + 2) // 3)),
    "G": _Directive(r"\d{4}", _padded("G", 4)),
    "V": _Directive(r"\d{2}", _padded("V", 2)),
    "z": _Directive(r"Z|UTC|[+-]\d{2}:?\d{2}", lambda _, parts: ""),
}


class DateFormat:
    """A format of dates or times, in the directives of `time.strftime`; ``%-d`` has no zero in front.

    ``%q`` is the quarter; ``%G`` and ``%V`` are the year and the week of ISO 8601, which begins on Monday.

    Parameters
    ----------
    text : str
        The format.
    digits : int
        How many digits of a second ``%f`` writes.
    zone : str
        What ``%z`` writes.
    endless : bool
        Whether hours go on beyond 23, as those of durations do.

    Raises
    ------
    ValueError
        If the format has an unknown directive, or neither the parts of a date nor those of a time.

    Examples
    --------
    >>> german = DateFormat("%d.%m.%Y")
    >>> german.read(pa.array(["23.06.2023", "31.02.2023"])).to_pylist()
    [1687478400000000, None]
    >>> german.write(np.array([1687478400000000]))
    ['23.06.2023']
    """

    def __init__(self, text: str, digits: int = 6, zone: str = "Z", *, endless: bool = False) -> None:
        self.text, self.digits, self.zone, self.endless = text, digits, zone, endless
        pieces = _DIRECTIVE.split(text)
        self._literals, self._names = pieces[::2], pieces[1::2]
        unknown = [name for name in self._names if name not in _DIRECTIVES]
        if unknown:
            raise ValueError(f"unknown directive %{unknown[0]}")
        if "%" in "".join(self._literals) or len(set(self._names)) < len(self._names):
            raise ValueError("a directive is unknown or repeated")
        parts = {name.lstrip("-") for name in self._names}
        months = bool(parts & {"Y", "y"}) and bool(parts & {"m", "b", "B", "q"})
        self.dated = months or {"G", "V"} <= parts
        if not self.dated and (parts & _PARTS_OF_DATES or not parts & {"H", "I"}):
            raise ValueError("neither year and month nor hour")
        if "I" in parts and "p" not in parts:
            raise ValueError("%I needs %p")

    @property
    def pattern(self) -> str:
        """The regular expression of cells, with a group for every directive."""
        text = re.escape(self._literals[0])
        for name, literal in zip(self._names, self._literals[1:], strict=True):
            pattern = _DIRECTIVES[name].pattern
            if self.endless and name in _ENDLESS:
                pattern = _ENDLESS[name]
            text += f"(?P<{name.lstrip('-')}>{pattern}){re.escape(literal)}"
        return f"^{text}$"

    def read(self, text: pa.Array) -> pa.Array:
        """Return microseconds since 1970 or midnight as int64; null for what is no date of this format."""
        found = pc.extract_regex(text, self.pattern)
        good = pc.is_valid(found).to_numpy(zero_copy_only=False).copy()
        groups = {field.name: found.field(index) for index, field in enumerate(found.type)}
        parts = {
            name: (_whole(groups[name]) if name in groups else None)
            for name in ("Y", "y", "m", "d", "H", "I", "M", "S", "q", "G", "V")
        }
        total, valid = self._time(parts, groups)
        good &= valid
        if self.dated:
            days, valid = _days(parts, groups)
            good &= valid
            total = total + days * _DAY
        if "z" in groups:
            total = total - _offsets(groups["z"])
        return pa.array(total, mask=~good)

    def _time(
        self, parts: dict[str, Whole | None], groups: dict[str, pa.Array]
    ) -> tuple[Whole, npt.NDArray[np.bool_]]:
        rows = len(next(iter(groups.values())))
        nothing = np.zeros(rows, dtype=np.int64)

        def part(name: str) -> Whole:
            found = parts[name]
            return nothing if found is None else found

        hour, valid = part("H"), np.ones(rows, dtype=np.bool_)
        if parts["I"] is not None:
            after_noon = pc.equal(pc.utf8_upper(groups["p"]), "PM").fill_null(False)
            valid = (part("I") >= 1) & (part("I") <= 12)
            hour = part("I") % 12 + 12 * after_noon.to_numpy(zero_copy_only=False).astype(np.int64)
        minute, second = part("M"), part("S")
        valid = valid & ((hour < 24) | self.endless) & (minute < 60) & (second < 60)
        fraction = nothing
        if "f" in groups:
            digits = pc.utf8_slice_codeunits(pc.utf8_rpad(groups["f"], 6, "0"), 0, 6)
            fraction = _whole(digits)
        return ((hour * 60 + minute) * 60 + second) * _SECOND + fraction, valid

    def write(self, microseconds: Whole) -> list[str]:
        """Return cells for whole microseconds since 1970 or midnight."""
        if "z" in self._names:
            microseconds = microseconds + _offsets(pa.array([self.zone]))[0]
        return list(self._cells(microseconds))

    def _cells(self, microseconds: Whole) -> Iterator[str]:
        times = microseconds.astype("M8[us]")
        months = times.astype("M8[M]").astype(np.int64)
        days = (times.astype("M8[D]") - times.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1
        within = microseconds if self.endless else microseconds % _DAY
        thursdays = _thursdays(microseconds // _DAY)
        years = thursdays.astype("M8[D]").astype("M8[Y]")
        weeks = (thursdays - years.astype("M8[D]").astype(np.int64)) // 7 + 1
        for index, time in enumerate(times):
            seconds, fraction = divmod(int(within[index]), _SECOND)
            parts = {
                "Y": 1970 + int(months[index]) // 12,
                "m": int(months[index]) % 12 + 1,
                "d": int(days[index]),
                "H": seconds // 3600,
                "M": seconds // 60 % 60,
                "S": seconds % 60,
                "f": fraction,
                "G": 1970 + int(years[index].astype(np.int64)),
                "V": int(weeks[index]),
            }
            cell = self._literals[0]
            for name, literal in zip(self._names, self._literals[1:], strict=True):
                text = self.zone if name == "z" else _DIRECTIVES[name].write(time, parts)
                cell += (text[: self.digits] if name == "f" else text) + literal
            yield cell


def _whole(text: pa.Array) -> Whole:
    filled = pc.if_else(pc.fill_null(pc.not_equal(text, ""), False), text, "0")
    found: Whole = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _thursdays(days: Whole) -> Whole:
    """Return the Thursdays of the weeks of days since 1970, which began on one: they decide the year."""
    found: Whole = days - (days + 3) % 7 + 3
    return found


def _weeks(year: Whole, week: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Return the Mondays of weeks, as days since 1970, and which weeks exist."""
    fourth = (year - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64) + 3  # It is in the first week.
    thursday = _thursdays(fourth) + 7 * (week - 1)
    own = thursday.astype("M8[D]").astype("M8[Y]").astype(np.int64) + 1970
    return thursday - 3, (own == year) & (year >= 1)


def _days(parts: dict[str, Whole | None], groups: dict[str, pa.Array]) -> tuple[Whole, npt.NDArray[np.bool_]]:
    if parts["G"] is not None and parts["V"] is not None:
        return _weeks(parts["G"], parts["V"])
    year = parts["Y"]
    if year is None:
        short = parts["y"]
        assert short is not None
        year = np.where(short < _CENTURY_TURNS, 2000 + short, 1900 + short)
    month = parts["m"]
    if parts["q"] is not None:
        month = 3 * parts["q"] - 2
    for name, names, length in (("b", _MONTHS, 3), ("B", _LONG_MONTHS, None)):
        if name in groups:
            lower = pc.utf8_lower(groups[name])
            place = pc.index_in(lower, value_set=pa.array([text[:length] for text in names]))
            month = pc.fill_null(pc.cast(place, pa.int64()), -1).to_numpy(zero_copy_only=False) + 1
    assert month is not None
    day = parts["d"]
    day = np.ones_like(month) if day is None else day
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    first, after = (some.astype("M8[M]").astype("M8[D]").astype(np.int64) for some in (months, months + 1))
    return first + day - 1, valid & (day <= after - first)


@lru_cache(maxsize=1024)
def _offset(zone: str) -> int:
    if not zone or zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    return (1 if zone[0] == "+" else -1) * (hours * 60 + minutes) * 60 * _SECOND


def _offsets(zones: pa.Array) -> Whole:
    coded = pc.fill_null(zones, "").dictionary_encode()
    each = np.array([_offset(zone) for zone in coded.dictionary.to_pylist()] or [0], dtype=np.int64)
    offsets: Whole = each[coded.indices.to_numpy(zero_copy_only=False)]
    return offsets
