"""The kind of a column: inferred from its values, or given by a user and checked against them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from logpx.errors import DataError
from logpx.tables.reading.column_types import ColumnType
from logpx.tables.reading.names import is_frame_index
from logpx.tables.schema.columns_option import columns_option
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.label_index import one_spelling_each
from logpx.tables.schema.schema import Column
from logpx.tables.schema.summaries import Array, ColumnSummary, NumberSummary, TextSummary

__all__ = ["KindChoice", "choose_kind", "mixed_kind", "pinned_kind"]

_IDENTIFIER_NAME = re.compile(
    r"(.*[ _.\-])?(id|uuid|guid)|index|key|unnamed: ?0|"
    r"row[ _.\-]?(names?|numbers?|nr|no|index)?|",
    re.IGNORECASE,
)
_CAMEL_CASE_ID = re.compile(r".*[a-z0-9]I[dD]")
_ROWS_FOR_A_COUNT = 10
_MOST_LEVELS = 1000
_ROWS_FOR_A_SUPPORT = 100
_NEAR_A_BOUND = 0.01
_ROWS_NEAR_A_BOUND = 5
# All above 0 over more decades than these is evidence, the more decades the fewer rows it takes.
_DECADES = {10: 2.0, 30: 1.5}
_INNER_DECADES = 0.8
_DECADES_IF_SKEWED = 1.0
_SKEWED = 1.0
_BOUNDS = ((0.0, 1.0), (0.0, 100.0))


@dataclass(frozen=True, kw_only=True)
class KindChoice:
    """A kind, the bounds it claims, and why it was chosen."""

    kind: Kind
    reason: str
    lower: float | None = None
    upper: float | None = None
    value: float | str | None = None
    levels: tuple[str, ...] | None = None


def choose_kind(name: str, summary: ColumnSummary) -> KindChoice:
    """Return the kind of a column by the first rule that applies.

    Parameters
    ----------
    name : str
        The column's name, which matters for identifiers.
    summary : ColumnSummary
        What is known about its values.
    """
    if summary.present == 0:
        return KindChoice(kind=Kind.EMPTY, reason="every cell is missing")
    if is_frame_index(name):
        return KindChoice(kind=Kind.IDENTIFIER, reason="the index of a data frame")
    if isinstance(summary, TextSummary):
        return _labels(name, summary)
    assert isinstance(summary, NumberSummary)
    if summary.type is ColumnType.TIMESTAMP:
        return _constant(name, summary) or KindChoice(kind=Kind.TIMESTAMP, reason="dates or times")
    for rule in _RULES:
        choice = rule(name, summary)
        if choice is not None:
            return choice
    return KindChoice(kind=Kind.CONTINUOUS, reason="numbers with fractions")


def _fitting_bounds(summary: NumberSummary) -> tuple[float, float] | None:
    """Return the first of [0, 1] and [0, 100] that holds all values, or None."""
    for lower, upper in _BOUNDS:
        if lower <= summary.minimum and summary.maximum <= upper:
            return lower, upper
    return None


def _named_like_an_identifier(name: str) -> bool:
    return bool(_IDENTIFIER_NAME.fullmatch(name) or _CAMEL_CASE_ID.fullmatch(name))


def _labels(name: str, summary: TextSummary) -> KindChoice:
    example = next(iter(summary.values))
    shown = repr(example if len(example) <= 30 else example[:30] + "…")
    if summary.type is ColumnType.OTHER:
        return KindChoice(kind=Kind.OTHER, reason=f"values of type {example}")
    if summary.all_seen and len(summary.values) == 1:
        return KindChoice(kind=Kind.CONSTANT, reason=f"{_every_row(summary)} {shown}", value=example)
    if not summary.repeats and _named_like_an_identifier(name):
        return KindChoice(kind=Kind.IDENTIFIER, reason="named like an identifier, and no value repeats")
    if summary.type is ColumnType.TEXT and not summary.repeats and len(summary.values) >= _ROWS_FOR_A_COUNT:
        among = "" if summary.all_seen else f" among the first {len(summary.values):,}"
        return KindChoice(kind=Kind.IDENTIFIER, reason=f"every row has a different text{among}")
    return _labelled(summary)


def mixed_kind(summary: TextSummary, error: DataError) -> KindChoice:
    """Return the kind of a column of numbers with some text, given the error about the first such cell."""
    where = "" if error.row is None else f", row {error.row}"
    where += "" if error.file is None else f" of {error.file}"
    return KindChoice(kind=Kind.MIXED, reason=error.message + where, levels=_labelled(summary).levels)


def _labelled(summary: TextSummary, reason: str = "") -> KindChoice:
    """Return the choice of a categorical column, with its levels unless there are too many."""
    levels = tuple(sorted(one_spelling_each(summary.values)))
    if len(levels) == 1:
        value = levels[0]
        return KindChoice(kind=Kind.CONSTANT, reason=f"{_every_row(summary)} {value!r}", value=value)
    if summary.type is ColumnType.BOOLEAN:
        reason = reason or "true or false"
    elif not summary.all_seen or len(levels) > _MOST_LEVELS:
        count = f"{len(levels):,}" if summary.all_seen else f"more than {len(levels):,}"
        return KindChoice(
            kind=Kind.CATEGORICAL,
            reason=f"{count} different texts, and at most {_MOST_LEVELS:,} are modelled",
        )
    elif not summary.repeats and len(levels) >= _ROWS_FOR_A_COUNT:
        return KindChoice(kind=Kind.CATEGORICAL, reason="every row has a different text")
    return KindChoice(kind=Kind.CATEGORICAL, reason=reason or f"{len(levels)} different texts", levels=levels)


def _every_row(summary: ColumnSummary) -> str:
    return "every row that has a value has" if summary.missing else "every row has the value"


def _constant(_: str, summary: NumberSummary) -> KindChoice | None:
    if summary.infinite or summary.minimum != summary.maximum:
        return None
    if summary.large.found and summary.large.distinct > 1:
        return None
    return KindChoice(
        kind=Kind.CONSTANT, reason=f"{_every_row(summary)} {summary.minimum:g}", value=summary.minimum
    )


def _identifier(name: str, summary: NumberSummary) -> KindChoice | None:
    if summary.large.found:
        return _large(name, summary)
    if not summary.whole or summary.missing or summary.infinite:
        return None
    if summary.counts_from in (0.0, 1.0) and summary.rows >= _ROWS_FOR_A_COUNT:
        return KindChoice(kind=Kind.IDENTIFIER, reason=f"counts the rows from {summary.counts_from:g}")
    if _named_like_an_identifier(name) and len(np.unique(summary.sample)) == len(summary.sample):
        return KindChoice(
            kind=Kind.IDENTIFIER, reason="whole numbers, named like an identifier, and no value repeats"
        )
    return None


def _large(name: str, summary: NumberSummary) -> KindChoice:
    """Return the choice of whole numbers above 2**53, which are names or known to 16 digits."""
    if not summary.large.repeat:
        return KindChoice(kind=Kind.IDENTIFIER, reason="whole numbers, some above 2^53, and no value repeats")
    if _named_like_an_identifier(name):
        return KindChoice(kind=Kind.IDENTIFIER, reason="whole numbers above 2^53, named like an identifier")
    if summary.minimum == summary.maximum:
        return KindChoice(
            kind=Kind.IDENTIFIER, reason="whole numbers above 2^53 that differ in their last digits alone"
        )
    return KindChoice(kind=Kind.CONTINUOUS, reason="whole numbers above 2^53, known to about 16 digits")


def _integer(_: str, summary: NumberSummary) -> KindChoice | None:
    return KindChoice(kind=Kind.INTEGER, reason="whole numbers") if summary.whole else None


def _bounded(_: str, summary: NumberSummary) -> KindChoice | None:
    bounds = _fitting_bounds(summary)
    if bounds is None or len(summary.sample) < _ROWS_FOR_A_SUPPORT or summary.infinite:
        return None
    lower, upper = bounds
    margin = _NEAR_A_BOUND * (upper - lower)
    # A maximum that happens to be near a round number is alone there; values at a true bound are not.
    at_lower = np.count_nonzero(summary.sample <= lower + margin)
    at_upper = np.count_nonzero(summary.sample >= upper - margin)
    if min(at_lower, at_upper) < _ROWS_NEAR_A_BOUND:
        return None
    return KindChoice(
        kind=Kind.BOUNDED,
        reason=f"values fill the range from {lower:g} to {upper:g}",
        lower=lower,
        upper=upper,
    )


def _positive(_: str, summary: NumberSummary) -> KindChoice | None:
    sample = summary.sample
    if not summary.minimum > 0 or len(sample) < min(_DECADES) or summary.infinite:
        return None
    decades, inner = _decades(sample, 0.001), _decades(sample, 0.1)
    enough = min(least for rows, least in _DECADES.items() if len(sample) >= rows)
    # In a small sample a single value near 0 spans decades.
    wide = decades > enough and (inner > _INNER_DECADES or len(sample) >= _ROWS_FOR_A_SUPPORT)
    if wide or (len(sample) >= _ROWS_FOR_A_SUPPORT and decades > _DECADES_IF_SKEWED and _skewed(sample)):
        return KindChoice(
            kind=Kind.POSITIVE,
            reason=f"all above 0, over {decades:.1f} decades",
            lower=Kind.POSITIVE.lower_bound,
        )
    return None


def _decades(sample: Array, tail: float) -> float:
    low, high = np.quantile(sample, [tail, 1 - tail])
    return float(np.log10(high) - np.log10(low))


def _skewed(sample: Array) -> bool:
    scaled = sample / sample.max()
    spread = float(scaled.std())
    return spread > 0 and float(((scaled - scaled.mean()) ** 3).mean()) / spread**3 > _SKEWED


_RULES: tuple[Callable[[str, NumberSummary], KindChoice | None], ...] = (
    _constant,
    _identifier,
    _integer,
    _bounded,
    _positive,
)


def pinned_kind(pinned: Column, summary: ColumnSummary) -> KindChoice:
    """Return the kind that a user gave a column, with the bounds or labels that its values need.

    Parameters
    ----------
    pinned : Column
        The kind, and perhaps bounds.
    summary : ColumnSummary
        What is known about the column's values.

    Raises
    ------
    DataError
        If the values contradict the kind.
    """
    kind = pinned.kind
    if kind is Kind.CATEGORICAL and isinstance(summary, TextSummary):
        return _pinned_labels(summary)
    if not kind.modelled and kind is not Kind.CONSTANT:
        return KindChoice(kind=kind, reason="chosen by the user")
    if summary.present == 0:
        raise DataError("no row has a value in this column", fix="leave the column out")
    if kind is Kind.TIMESTAMP:
        if summary.type is not ColumnType.TIMESTAMP:
            raise DataError("the column does not hold dates or times", fix="choose another kind")
        return KindChoice(kind=kind, reason="chosen by the user")
    if not isinstance(summary, NumberSummary):
        if kind is Kind.CONSTANT and isinstance(summary, TextSummary) and len(summary.values) == 1:
            return KindChoice(kind=kind, reason="chosen by the user", value=next(iter(summary.values)))
        raise DataError(f"the column does not hold numbers, so it is not {kind}", fix="leave the column out")
    lower, upper = pinned.lower, pinned.upper
    if kind is Kind.BOUNDED and lower is None and upper is None:
        lower, upper = _fitting_bounds(summary) or (None, None)
        if lower is None:
            raise DataError(
                f"values from {summary.minimum:g} to {summary.maximum:g} fit neither [0, 1] nor [0, 100]",
                fix="give the bounds, such as " + columns_option({pinned.name: _around(summary)}),
            )
    lower = kind.lower_bound if lower is None else lower
    contradiction = _CONTRADICTIONS[kind](summary) or _outside(summary, lower=lower, upper=upper)
    if contradiction:
        raise DataError(
            f"{contradiction}, so the column is not {kind}", fix="correct the cell, or choose another kind"
        )
    value = summary.minimum if kind is Kind.CONSTANT else None
    return KindChoice(kind=kind, reason="chosen by the user", lower=lower, upper=upper, value=value)


def _around(summary: NumberSummary) -> str:
    """Return bounds that hold all values."""
    lower, upper = math.floor(summary.minimum), math.ceil(summary.maximum)
    return f"{Kind.BOUNDED}:{lower}:{upper if upper > lower else lower + 1}"


def _pinned_labels(summary: TextSummary) -> KindChoice:
    if len(one_spelling_each(summary.values)) < 2:
        raise DataError(
            "fewer than two different labels", fix="leave the column out, or add rows in which it varies"
        )
    return _labelled(summary, "chosen by the user")


def _outside(summary: NumberSummary, lower: float | None, upper: float | None) -> str | None:
    if lower is not None and summary.minimum < lower:
        return f"the smallest value is {summary.minimum:g}"
    if upper is not None and summary.maximum > upper:
        return f"the largest value is {summary.maximum:g}"
    return None


_CONTRADICTIONS: dict[Kind, Callable[[NumberSummary], str | None]] = {
    Kind.CONTINUOUS: lambda summary: None,
    Kind.BOUNDED: lambda summary: None,
    Kind.POSITIVE: lambda summary: (
        None if summary.minimum > 0 else f"the smallest value is {summary.minimum:g}"
    ),
    Kind.INTEGER: lambda summary: None if summary.whole else "some values have fractions",
    Kind.CONSTANT: lambda summary: None if summary.minimum == summary.maximum else "its values differ",
}
