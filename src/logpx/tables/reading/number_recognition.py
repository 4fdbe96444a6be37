"""How the numbers of a column are written, if they are numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from logpx.tables.reading.number_notation import TRUE_MINUS, NumberNotation, with_usual_signs

__all__ = ["NumberForms", "is_shaped_like_a_number", "number_forms", "with_digits"]

_CODES = (
    "USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|CNY|INR|BRL|MXN|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|RUB|ZAR|KRW|SGD|HKD|"
    "THB|ILS|AED|SAR"
)
_CURRENCY = rf"(?:(?:US|AU|CA|NZ|HK|A|C|R|S)?\$|R\$|[€£¥₹₩₽₺₪₫₱฿]|kr\.?|zł|Kč|Ft|Fr\.?|Rs\.?|{_CODES})"
_SPACE = "[ \u00a0\u202f]?"
_SHAPE = re.compile(
    rf"(?P<open>\()?[+-]?(?P<prefix>{_CURRENCY}{_SPACE})?[+-]?"
    rf"(?P<body>[0-9.,](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9.,])?(?:[eE][+-]?[0-9]+)?)"
    rf"(?P<suffix>{_SPACE}(?:{_CURRENCY}|%|‰))?\)?"
)
# A unit behind the number, such as kg, °C or km/h. Letters in front are rather those of a code.
_LETTER = "A-Za-z\u00c0-\u00ff\u00b5\u03bc\u03a9\u00b0"
_UNIT = rf"[{_LETTER}][{_LETTER}\u00b2\u00b3/]{{0,11}}"
_WITH_UNIT = re.compile(
    rf"(?P<open>)(?P<prefix>)[+-]?(?P<body>(?!0[0-9])[0-9.,](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9.,])?)"
    rf"(?P<suffix>{_SPACE}(?![eE]$){_UNIT})"
)
# With fewer different cells, they may as well be labels.
_FEWEST_WITH_UNIT = 5
_GROUPINGS = {
    ".": (",", "'", "\u2019", " ", "\u00a0", "\u202f"),
    ",": (".", "'", "\u2019", " ", "\u00a0", "\u202f"),
}
_LARGEST_SAMPLE, _LONGEST = 500, 100
# Without decimals, a mark such as 2- may be a grade.
_MINUS_BEHIND = re.compile(rf"[^-{TRUE_MINUS}]*[.,][0-9]+{_SPACE}(?:{_CURRENCY}|%|‰)?{_SPACE}[-{TRUE_MINUS}]")
_DECIMALS: tuple[Literal["."], Literal[","]] = (".", ",")
_DIGITS_FIRST = re.compile("[0-9]*")
# So many cells with marks, beside cells without one, are thousands: fractions would lose their zeros.
_CELLS_FOR_GROUPS = 5


@dataclass(frozen=True)
class NumberForms:
    """The ways in which all numbers of a column may be written.

    Attributes
    ----------
    possible : tuple of NumberNotation
        One, or two of which the first has a decimal point and the second a decimal comma.
    example : str
        A cell that the ways read differently.
    """

    possible: tuple[NumberNotation, ...]
    example: str = ""

    @property
    def decimals(self) -> set[str]:
        """The decimal marks that the column leaves possible."""
        return {form.decimal for form in self.possible}


def number_forms(text: pa.Array) -> NumberForms | None:
    """Return the ways in which numbers may be written, or None if they are none.

    Parameters
    ----------
    text : pyarrow.Array
        Distinct cells without spaces around them, none of them null.

    Examples
    --------
    >>> [form.decimal for form in number_forms(pa.array(["20,1", "7,3"])).possible]
    [',']
    >>> [form.decimal for form in number_forms(pa.array(["1,234"])).possible]
    ['.', ',']
    """
    few = _first_and_longest(text)
    behind = _minus_behind(few.to_pylist())
    minus: Literal["-", "\u2212"] = TRUE_MINUS if any(TRUE_MINUS in cell for cell in few.to_pylist()) else "-"
    cells = with_usual_signs(few, behind=behind).to_pylist()
    found = _shapes(cells, _SHAPE)
    if found is None and len(cells) >= _FEWEST_WITH_UNIT:
        found = _shapes(cells, _WITH_UNIT)
    if not found:
        return None
    affixes = {(shape["prefix"] or "", shape["suffix"] or "") for shape in found}
    if len(affixes) > 1:
        return None
    ((prefix, suffix),) = affixes
    bodies = [shape["body"] for shape in found]
    parentheses = any(shape["open"] for shape in found)
    forms = []
    for decimal, grouping in _marks(bodies):
        form = NumberNotation(
            decimal=decimal,
            grouping=grouping,
            prefix=prefix,
            suffix=suffix,
            parentheses=parentheses,
            minus=minus,
            minus_behind=behind,
        )
        read = form.read(text)
        if not read.null_count:
            forms.append((form, read))
    if not forms:
        return None
    if len(forms) > 1 and forms[0][1].equals(forms[1][1]):
        forms = forms[:1]
    example = ""
    if len(forms) > 1:
        first, second = (read for _, read in forms[:2])
        example = cells[pc.index(pc.not_equal(first, second), True).as_py()]
    return NumberForms(tuple(form for form, _ in forms[:2]), example)


def _first_and_longest(text: pa.Array) -> pa.Array:
    """Return the first cells and the longest of the others, of which some mark thousands if any does."""
    first, others = text.slice(0, _LARGEST_SAMPLE), text.slice(_LARGEST_SAMPLE)
    longest = pc.select_k_unstable(pc.utf8_length(others), _LONGEST, [("", "descending")])
    return pa.concat_arrays([first, others.take(longest)])


def _shapes(cells: Sequence[str], pattern: re.Pattern[str]) -> list[re.Match[str]] | None:
    """Return the matches of all cells, or None if one has no such shape."""
    found = []
    for cell in cells:
        shape = pattern.fullmatch(cell)
        if shape is None:
            return None
        found.append(shape)
    return found


def is_shaped_like_a_number(cell: str) -> bool:
    """Tell whether a cell could be a number, with whatever marks."""
    return _SHAPE.fullmatch(cell.replace(TRUE_MINUS, "-")) is not None or bool(_MINUS_BEHIND.fullmatch(cell))


def _minus_behind(cells: Sequence[str]) -> bool:
    marked = [cell for cell in cells if cell.endswith(("-", TRUE_MINUS))]
    return bool(marked) and all(map(_MINUS_BEHIND.fullmatch, marked))


def _marks(bodies: Sequence[str]) -> Iterator[tuple[Literal[".", ","], str]]:
    """Yield the pairs of decimal mark and thousands mark that fit, at most one pair for each decimal mark."""
    used = set("".join(bodies)) & set(".,'\u2019 \u00a0\u202f")
    for decimal in _DECIMALS:
        other = used - {decimal}
        if len(other) > 1:
            continue
        grouping = other.pop() if other else ""
        if grouping and grouping not in _GROUPINGS[decimal]:
            continue
        if all(_regular(body, decimal, grouping) for body in bodies) and not _are_groups(bodies, decimal):
            yield decimal, grouping


def _regular(body: str, decimal: str, grouping: str) -> bool:
    whole, mark, rest = body.partition(decimal)
    if decimal in rest or (grouping and grouping in rest):
        return False
    if not grouping:
        return bool(re.fullmatch(r"[0-9]*", whole)) and (whole + rest).strip(".,") != ""
    if re.fullmatch(r"0?", whole):
        return bool(whole or mark)
    # Whoever marks thousands marks all of them; Indian amounts have groups of two digits before the last.
    inner = "{2,3}" if grouping == "," else "{3}"
    group = re.escape(grouping)
    return bool(re.fullmatch(rf"[1-9][0-9]{{0,2}}(?:(?:{group}[0-9]{inner})*{group}[0-9]{{3}})?", whole))


def _are_groups(bodies: Sequence[str], decimal: str) -> bool:
    """Tell whether a comma that could be decimal marks thousands, because many cells have none."""
    if decimal == ".":
        return False
    groups = [bool(re.fullmatch(r"[1-9][0-9]{0,2},[0-9]{3}", body)) for body in bodies]
    rest = [body for body, group in zip(bodies, groups, strict=True) if not group]
    return (
        sum(groups) >= _CELLS_FOR_GROUPS
        and bool(rest)
        and all(re.fullmatch(r"[0-9]{1,3}", body) for body in rest)
    )


def with_digits(form: NumberNotation, text: pa.Array) -> NumberNotation:
    """Return the notation with the decimals and the zeros in front that all cells have.

    Examples
    --------
    >>> with_digits(NumberNotation(), pa.array(["3.50", "1.25"])).decimals
    2
    """
    decimals: set[int] = set()
    widths: set[int] = set()
    padded = False
    for cell in text.slice(0, _LARGEST_SAMPLE).to_pylist():
        digits = cell.lstrip(f"+-{TRUE_MINUS}")
        rest = digits.partition(form.decimal)[2]
        found = _DIGITS_FIRST.match(rest)
        decimals.add(-1 if "e" in cell or "E" in cell else len(found[0]) if found else 0)
        widths.add(len(digits) if digits.isdigit() else -1)
        padded |= digits.isdigit() and digits[0] == "0" and len(digits) > 1
        if len(decimals) > 1 and len(widths) > 1:
            return form
    if len(decimals) == 1 and max(decimals) > 0:
        return form.model_copy(update={"decimals": decimals.pop()})
    if form.plain and padded and len(widths) == 1 and max(widths) > 0:
        return form.model_copy(update={"width": widths.pop()})
    return form
