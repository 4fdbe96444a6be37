"""Dates, times and durations as numbers: steps since 1970, since midnight, or in all."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from logpx.tables.reading.cell_text import is_text, values_of
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.date_format import DateFormat
from logpx.tables.reading.notation import Notation, readable_text

__all__ = ["ISO_FORMATS", "MICROSECONDS", "DateNotation", "Unit", "coarsest_unit"]

Unit = Literal["quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"]

MICROSECONDS: dict[Unit, int] = {
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1_000,
    "microsecond": 1,
}
"""How many microseconds each unit of constant length has, the longest first; a week begins on Monday."""

ISO_FORMATS = tuple(
    date + (separator + time + zone if time else "")
    for date in ("%Y-%m-%d",)
    for separator in (" ", "T")
    for time in ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
    for zone in ("", "%z", " %z")
    if time or (separator, zone) == (" ", "")
)
_ISO_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f")
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # The years 1 to 9999.
_NANOSECONDS = 9_223_372_036_854_775  # The reach of 64 bits of nanoseconds, in microseconds.
_SHORT_YEARS = (-31_536_000_000_000, 3_124_223_999_999_999)  # The years 1969 to 2068.
_OF_DAY = MICROSECONDS["day"] - 1
_MONTHS_OF = {"quarter": 3, "month": 1}
_IN_A_YEAR: dict[Unit, float] = {"quarter": 4.0, "month": 12.0, "week": 365.2425 / 7}
# The first Monday before 1970, in days.
_MONDAY = -3


class DateNotation(Notation):
    """Dates, times of day or durations; their numbers count units.

    Parameters
    ----------
    what : {"date", "time", "duration"}
        What is counted from: the start of 1970, midnight, or nothing.
    format : str, optional
        How text is written, in the directives of `time.strftime`. By default, as in ISO 8601, in which dates
        are read in any case.
    unit : Unit
        What numbers count.
    digits : int
        With how many decimals fractions of a second are written.
    zone : str
        The offset from UTC that text is written with.

    Examples
    --------
    >>> notation = DateNotation(format="%d.%m.%Y")
    >>> notation.read(pa.array(["02.01.1970"])).to_pylist()
    [1.0]
    >>> notation.write(np.array([1.0]), pa.string()).to_pylist()
    ['02.01.1970']
    """

    form: Literal["date"] = "date"
    what: Literal["date", "time", "duration"] = "date"
    format: str | None = None
    unit: Unit = "day"
    digits: int = 6
    zone: str = "Z"

    @field_validator("format")
    @classmethod
    def _known(cls, text: str | None) -> str | None:
        if text is not None:
            DateFormat(text)
        return text

    @property
    def periods(self) -> list[float]:
        """A day, a week and a year in the notation's units, as far as they are longer than one.

        Examples
        --------
        >>> DateNotation(unit="hour").periods
        [24.0, 168.0, 8765.82]
        """
        if self.unit not in MICROSECONDS:
            return [_IN_A_YEAR[self.unit]]
        days = {"date": (1.0, 7.0, 365.2425), "time": (1.0,), "duration": ()}[self.what]
        unit = MICROSECONDS[self.unit]
        periods = [number * MICROSECONDS["day"] / unit for number in days]
        return [period for period in periods if period > 1.0]

    @property
    def period(self) -> Unit | None:
        """The unit of dates that are written without a day; None with one."""
        if self.what != "date" or self.format is None:
            return None
        if "%q" in self.format:
            return "quarter"
        if "%V" in self.format:
            return "week"
        return None if any(part in self.format for part in ("%d", "%-d", "%H", "%-H", "%I")) else "month"

    @property
    def pinnable(self) -> bool:
        """Whether the format says all about how text is read, and can be written in ``--columns``."""
        return self.format is not None and self.what != "duration" and not set(self.format) & set(',="')

    @property
    def numeric(self) -> bool:
        """Whether cells are whole numbers, such as 20230623."""
        return self.format is not None and not any(mark in self.format for mark in " -/.:,TQW")

    def type(self, stored: pa.DataType) -> ColumnType:
        """Return that the column holds dates."""
        return ColumnType.TIMESTAMP

    def takes(self, stored: pa.DataType, *, in_text_file: bool) -> bool:
        """Take dates of the same sort and text, and numbers if the format has digits alone."""
        if pa.types.is_dictionary(stored):
            return self.takes(stored.value_type, in_text_file=in_text_file)
        types = pa.types
        if types.is_integer(stored) or types.is_floating(stored):
            return self.numeric
        sorts = {
            "date": types.is_date(stored) or types.is_timestamp(stored),
            "time": types.is_time(stored),
            "duration": types.is_duration(stored),
        }
        return bool(
            types.is_null(stored)
            or sorts[self.what]
            or (is_text(stored) and (self.what != "duration" or self.format is not None))
        )

    def read(self, cells: pa.Array) -> pa.Array:
        """Return cells as float64: how many units, with fractions if a value lies between them."""
        # Microseconds more than 285 years from 1970 are beyond 2^53, and then rounded to even ones.
        found = self.microseconds(cells)
        if self.unit in ("quarter", "month", "week"):
            missing = found.is_null().to_numpy(zero_copy_only=False)
            return pa.array(self.counted(pc.fill_null(found, 0).to_numpy()), mask=missing)
        return pc.divide(pc.cast(found, pa.float64(), safe=False), float(MICROSECONDS[self.unit]))

    def counted(self, microseconds: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """Return how many units microseconds are; of periods, the one that they lie in."""
        if self.unit in ("quarter", "month"):
            months = microseconds.astype(np.int64).astype("M8[us]").astype("M8[M]").astype(np.int64)
            return (months // _MONTHS_OF[self.unit]).astype(np.float64)
        if self.unit == "week":
            days = microseconds.astype(np.int64) // MICROSECONDS["day"]
            return ((days - _MONDAY) // 7).astype(np.float64)
        return microseconds.astype(np.float64) / MICROSECONDS[self.unit]

    def _begun(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the microseconds at which units begin."""
        if self.unit in ("quarter", "month"):
            months = (counts * _MONTHS_OF[self.unit]).astype("M8[M]")
            begun: npt.NDArray[np.int64] = months.astype("M8[us]").astype(np.int64)
            return begun
        if self.unit == "week":
            return (7 * counts + _MONDAY) * MICROSECONDS["day"]
        return counts * MICROSECONDS[self.unit]

    def microseconds(self, cells: pa.Array) -> pa.Array:
        """Return cells as whole microseconds, int64."""
        cells, types = values_of(cells), pa.types
        text = readable_text(cells)
        if types.is_integer(cells.type) or types.is_floating(cells.type):
            whole = pc.equal(cells, pc.floor(pc.cast(cells, pa.float64(), safe=False)))
            cells = pc.if_else(pc.fill_null(whole, False), cells, pa.scalar(None, cells.type))
            text = pc.cast(pc.cast(cells, pa.int64(), safe=False), pa.string())
        if text is not None:
            return self._of_text(text)
        if types.is_duration(cells.type):
            return pc.cast(pc.cast(cells, pa.duration("us"), safe=False), pa.int64())
        if types.is_time(cells.type):
            return pc.cast(pc.cast(cells, pa.time64("us"), safe=False), pa.int64())
        if types.is_timestamp(cells.type):
            cells = pc.cast(cells, pa.timestamp("us", cells.type.tz), safe=False)
        elif types.is_null(cells.type):
            return pa.nulls(len(cells), pa.int64())
        return pc.cast(pc.cast(cells, pa.timestamp("us", getattr(cells.type, "tz", None))), pa.int64())

    def _of_text(self, text: pa.Array) -> pa.Array:
        if self.format is None:
            found = pa.nulls(len(text), pa.int64())
        else:
            found = _format(self.format, self.digits, self.zone, self.what == "duration").read(text)
            if self.what != "date":
                return found
        # Dates as in ISO 8601 have one meaning, however those of the column are written.
        for each in ISO_FORMATS if self.what == "date" else _ISO_TIMES:
            if found.null_count == text.null_count:
                break
            found = pc.coalesce(found, _format(each, self.digits, self.zone).read(text))
        return found

    def write(self, values: npt.NDArray[np.float64], stored: pa.DataType) -> pa.Array:
        """Return numbers as dates that exist, in the stored type or as text."""
        types = pa.types
        if types.is_dictionary(stored):
            return self.write(values, stored.value_type).dictionary_encode().cast(stored)
        if self.what == "duration" and self.format is None and is_text(stored):
            return pa.array([f"{value:g} {self.unit}s" for value in values.tolist()]).cast(stored)
        first, last = self._reach(stored)
        low, high = self.counted(np.array([first, last], dtype=np.int64))
        whole = self._begun(np.rint(values).clip(np.ceil(low), np.floor(high)).astype(np.int64))
        if is_text(stored) or types.is_integer(stored) or types.is_floating(stored):
            written = self.format or (_ISO_TIMES[0] if self.what == "time" else self._iso)
            form = _format(written, self.digits, self.zone, self.what == "duration")
            return pa.array(form.write(whole), pa.string()).cast(stored)
        if types.is_duration(stored):
            return pa.array(whole).cast(pa.duration("us")).cast(stored, safe=False)
        if types.is_time(stored):
            return pa.array(whole).cast(pa.time64("us")).cast(stored, safe=False)
        if types.is_timestamp(stored):
            return pa.array(whole).cast(pa.timestamp("us", stored.tz)).cast(stored, safe=False)
        return pa.array(whole).cast(pa.timestamp("us")).cast(stored, safe=False)

    @property
    def _iso(self) -> str:
        return ISO_FORMATS[0] if self.unit == "day" else "%Y-%m-%d %H:%M:%S"

    def _reach(self, stored: pa.DataType) -> tuple[int, int]:
        if self.what == "time":
            return 0, _OF_DAY
        if self.what == "duration" and self.format is not None:
            return 0, 999_999 * MICROSECONDS["hour"]
        first, last = (-(2**62), 2**62) if self.what == "duration" else (_FIRST, _LAST)
        if getattr(stored, "unit", None) == "ns":
            return max(first, -_NANOSECONDS), min(last, _NANOSECONDS)
        if self.format is not None and "%y" in self.format:
            return _SHORT_YEARS
        return first, last

    @property
    def expected(self) -> str:
        """A date, and its format."""
        return f"a {self.what}" + (f" of the format {self.format}" if self.format else "")

    @property
    def meaning(self) -> str:
        """The format and the unit."""
        form = f"written as {self.format}, " if self.format and self.format != ISO_FORMATS[0] else ""
        return f"{form}counted in {self.unit}s"


@lru_cache(maxsize=512)
def _format(text: str, digits: int, zone: str, endless: bool = False) -> DateFormat:
    return DateFormat(text, digits, zone, endless=endless)


def coarsest_unit(divisor: int) -> Unit:
    """Return the longest unit of which a number of microseconds is a multiple.

    Examples
    --------
    >>> coarsest_unit(7_200_000_000), coarsest_unit(0)
    ('hour', 'day')
    """
    return next(unit for unit, length in MICROSECONDS.items() if divisor % length == 0)
