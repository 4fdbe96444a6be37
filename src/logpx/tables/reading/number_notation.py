"""Numbers as people write them: decimal commas, thousands marks, currency signs, percent signs."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.cell_text import is_text, values_of
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.notation import Notation, readable_text, with_nulls

__all__ = ["TRUE_MINUS", "NumberNotation", "with_usual_signs"]

TRUE_MINUS: Literal["\u2212"] = "\u2212"
"""The minus sign of typography, in place of a hyphen."""

_EXPONENT = r"(?:[eE][+-]?\d+)?"
_LARGEST_INTEGER = 2.0**63 - 1024


def with_usual_signs(text: pa.Array, *, behind: bool) -> pa.Array:
    """Return numbers with a hyphen in front as their minus sign, which may stand behind them.

    Examples
    --------
    >>> with_usual_signs(pa.array(["\u22127", "7,50-", "7"]), behind=True).to_pylist()
    ['-7', '-7,50', '7']
    """
    text = pc.replace_substring(text, TRUE_MINUS, "-")
    return pc.replace_substring_regex(text, r"^([^-]*[^-\s])\s*-$", r"-\1") if behind else text


class NumberNotation(Notation):
    """Numbers, as plain text or stored as numbers, or as text with marks.

    Parameters
    ----------
    decimal : {".", ","}
        The decimal mark.
    grouping : str
        The mark between groups of digits; empty if none was seen. Numbers that have groups and decimals are
        then read nevertheless, for they can be read in one way alone.
    prefix, suffix : str
        What is written before and after every number, such as ``$`` and `` %``.
    parentheses : bool
        Whether negative numbers are written in parentheses.
    minus : {"-", "\u2212"}
        The minus sign.
    minus_behind : bool
        Whether it stands behind the number.
    decimals : int, optional
        With how many decimals every number is written; None if they differ.
    width : int
        With how many digits whole numbers are written, with zeros in front; 0 for none.

    Examples
    --------
    >>> euros = NumberNotation(decimal=",", grouping=".", suffix=" €", decimals=2)
    >>> euros.read(pa.array(["1.234,50 €", "-7,00 €", "7"])).to_pylist()
    [1234.5, -7.0, None]
    >>> euros.write(np.array([1234.5, -7.0]), pa.string()).to_pylist()
    ['1.234,50 €', '-7,00 €']
    """

    form: Literal["number"] = "number"
    decimal: Literal[".", ","] = "."
    grouping: str = ""
    prefix: str = ""
    suffix: str = ""
    parentheses: bool = False
    minus: Literal["-", "\u2212"] = "-"
    minus_behind: bool = False
    decimals: int | None = None
    width: int = 0

    @property
    def plain(self) -> bool:
        """Whether numbers have neither a decimal comma nor marks."""
        marked = self.grouping or self.prefix or self.suffix or self.parentheses or self.minus_behind
        return not marked and (self.decimal, self.minus) == (".", "-")

    def type(self, stored: pa.DataType) -> ColumnType:
        """Return that the column holds numbers."""
        return ColumnType.NUMBER

    def takes(self, stored: pa.DataType, *, in_text_file: bool) -> bool:
        """Take numbers, and text of a text file; declared text if it has marks or zeros in front."""
        if pa.types.is_dictionary(stored):
            return self.takes(stored.value_type, in_text_file=in_text_file)
        if is_text(stored):
            return in_text_file or not self.plain or self.width > 0
        return ColumnType.of(stored) is ColumnType.NUMBER

    def read_at_once(self, cells: pa.Array) -> pa.Array | None:
        """Return plain numbers, if there is nothing else."""
        if not self.plain:
            return None
        try:
            values = pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            return None
        gone = np.isnan(values.to_numpy(zero_copy_only=False))
        return with_nulls(values, gone)

    def read(self, cells: pa.Array) -> pa.Array:
        """Return cells as float64."""
        text = readable_text(cells)
        if text is None:
            return pc.cast(values_of(cells), pa.float64(), safe=False)
        if not self.plain:
            text = with_usual_signs(text, behind=self.minus_behind)
        good = pc.fill_null(pc.match_substring_regex(text, self._pattern), False)
        text = pc.if_else(good, text, pa.scalar(None, text.type))
        if self.parentheses:
            text = pc.replace_substring_regex(text, r"^\((.*)\)$", r"-\1")
        for affix in (self.prefix, self.suffix):
            if affix:
                text = pc.replace_substring(text, affix, "")
        if not self.plain:
            text = pc.replace_substring_regex(text, r"[\s\x{a0}\x{202f}]", "")
        if self.grouping.strip() or not self.grouping:
            text = pc.replace_substring(text, self.grouping or self._other_mark, "")
        if self.decimal == ",":
            text = pc.replace_substring(text, ",", ".")
        return pc.cast(text, pa.float64())

    @property
    def _other_mark(self) -> str:
        """What may mark thousands in a number with decimals, though no number was seen in which it does."""
        return "," if self.decimal == "." else "."

    @property
    def _pattern(self) -> str:
        if self.plain:
            grouped = r"\d{1,3}(?:,\d{3})+\.\d+"
            return rf"^[+-]?(?:(?:{grouped}|\d+\.?\d*|\.\d+){_EXPONENT}|(?i:inf|infinity|nan))$"
        mark, prefix, suffix = map(re.escape, (self.decimal, self.prefix, self.suffix))
        whole = r"\d+"
        if self.grouping:
            group = re.escape(self.grouping)
            # Indian amounts have groups of two digits before the last one.
            whole = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d+"
        number = rf"(?:{whole})(?:{mark}\d*)?|{mark}\d+"
        if not self.grouping:
            number = rf"\d{{1,3}}(?:{re.escape(self._other_mark)}\d{{3}})+{mark}\d+|{number}"
        number = rf"(?:{number}){_EXPONENT}"
        sign = rf"(?:[+-]?{prefix}|{prefix}[+-])" if prefix else "[+-]?"
        signed = rf"{sign}{number}{suffix}"
        return rf"^(?:{signed}|\({prefix}{number}{suffix}\))$" if self.parentheses else rf"^{signed}$"

    def write(self, values: npt.NDArray[np.float64], stored: pa.DataType) -> pa.Array:
        """Return numbers as stored numbers, rounded to what the type holds, or as text."""
        types = pa.types
        if types.is_dictionary(stored):
            return self.write(values, stored.value_type).dictionary_encode().cast(stored)
        if is_text(stored):
            return pa.array([self._text(value) for value in values.tolist()], pa.string()).cast(stored)
        if types.is_integer(stored):
            return pa.array(_within(np.rint(values), stored))
        if types.is_decimal(stored):
            texts = [f"{value:.{max(stored.scale, 0)}f}" for value in _held(values, stored).tolist()]
            return pa.array(texts).cast(stored)
        if types.is_float16(stored):
            return pa.array(values.astype(np.float16))
        if self.decimals is not None:
            values = np.round(values, self.decimals)
        return pa.array(values).cast(pa.float64() if types.is_null(stored) else stored)

    def smallest(self, stored: pa.DataType) -> float:
        """Return the smallest number above 0 that can be written as text of the notation, or in a type."""
        types = pa.types
        if types.is_dictionary(stored):
            return self.smallest(stored.value_type)
        if self.decimals is not None and not types.is_integer(stored) and not types.is_decimal(stored):
            return float(10.0**-self.decimals)
        if is_text(stored):
            return 0.0
        if types.is_decimal(stored):
            return float(10.0**-stored.scale)
        if types.is_floating(stored):
            return float(np.finfo(stored.to_pandas_dtype()).tiny)
        return 1.0 if types.is_integer(stored) else 0.0

    def _text(self, value: float) -> str:
        whole = value == np.rint(value) and abs(value) < _LARGEST_INTEGER
        if self.decimals is not None:
            digits = f"{abs(value):.{self.decimals}f}"
        else:
            digits = str(int(abs(value))) if whole else repr(abs(value))
        digits = digits.zfill(self.width)
        whole_part, point, rest = digits.partition(".")
        if self.grouping and whole_part.isdigit():
            whole_part = f"{int(whole_part):,}".replace(",", self.grouping)
        number = whole_part + (self.decimal if point else "") + rest
        negative = value < 0 and any(digit in "123456789" for digit in digits)
        if negative and self.parentheses:
            return f"({self.prefix}{number}{self.suffix})"
        if negative and self.minus_behind:
            return f"{self.prefix}{number}{self.suffix}{self.minus}"
        return f"{self.minus if negative else ''}{self.prefix}{number}{self.suffix}"

    @property
    def expected(self) -> str:
        """A number, with its marks."""
        return "a number" if self.plain else f"a number like {self._text(1234.5)!r}"

    @property
    def meaning(self) -> str:
        """The marks that numbers are written with."""
        marks = []
        if self.decimal == ",":
            marks.append("a decimal comma")
        if self.grouping:
            marks.append(f"thousands marked by {self.grouping!r}")
        if self.prefix.strip() or self.suffix.strip():
            marks.append(
                " and ".join(repr(part.strip()) for part in (self.prefix, self.suffix) if part.strip())
            )
        if self.parentheses:
            marks.append("parentheses for a minus sign")
        if self.minus_behind or self.minus == TRUE_MINUS:
            marks.append(
                f"{self.minus!r} for a minus sign{' behind the number' if self.minus_behind else ''}"
            )
        return f"written with {', '.join(marks)}" if marks else ""


def _held(values: npt.NDArray[np.float64], stored: pa.DecimalType) -> npt.NDArray[np.float64]:
    """Return numbers within those of a decimal type, which the tails of a model do not end at."""
    end = 10.0 ** (stored.precision - stored.scale)
    # The largest number of the type may have no float64 of its own.
    most = min(end - 10.0**-stored.scale, np.nextafter(end, 0.0))
    held = np.clip(values, -most, most)
    return held if stored.scale >= 0 else np.round(held, stored.scale)


def _within(values: npt.NDArray[np.float64], stored: pa.DataType) -> npt.NDArray[np.generic]:
    """Return whole numbers in an integer type, which the tails of a model do not end at."""
    dtype = np.dtype(stored.to_pandas_dtype())
    limits = np.iinfo(dtype)
    # The largest numbers of 64 bits have no float64 of their own.
    low, high = float(limits.min), float(limits.max)
    high = np.nextafter(high, 0.0) if high > limits.max - 1 and limits.bits == 64 else high
    low = np.nextafter(low, 0.0) if limits.bits == 64 and limits.min < 0 else low
    return np.clip(values, low, high).astype(dtype)
