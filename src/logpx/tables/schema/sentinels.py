"""Values and words that look like a missing cell, pointed out with their share."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from logpx.tables.reading.date_notation import DateNotation
from logpx.tables.schema.country_codes import NAMIBIA, are_country_codes
from logpx.tables.schema.summaries import NumberSummary, TextSummary

__all__ = ["date_sentinel_notes", "missing_word_notes", "sentinel_notes"]

_TEXT = """
- -- . .. #div/0! #ref! #value! #name? #null! #num! unknown unk missing n.a. n/a na nan null nil none tbd
(null) (blank) \\n ?
"""
_WORDS = frozenset([*_TEXT.split(), "not available", "not applicable", "no data"])
_NUMBERS = (-1.0, *(sign * (10.0**digits - 1.0) for digits in range(1, 8) for sign in (-1.0, 1.0)))
_FEWEST = 2
_FAR = 0.25
_RANGES_AWAY = 3.0


def sentinel_notes(name: str, summary: NumberSummary | TextSummary, known: Collection[str] = ()) -> list[str]:
    """Return a note for each value of a column that may mean a missing cell, but for known labels.

    Examples
    --------
    >>> from logpx.tables.reading.column_types import ColumnType
    >>> summary = TextSummary(ColumnType.TEXT, rows=4, values={"a": 2, "unknown": 2})
    >>> sentinel_notes("x", summary)[0]
    "2 cells (50 %) hold 'unknown', which may mean a missing cell: if so, fit with --missing 'x:unknown'"
    """
    if isinstance(summary, TextSummary):
        namibia = are_country_codes(summary.values)
        found = [
            (word, count)
            for word, count in summary.values.items()
            if word.lower() in _WORDS and word not in known and not (namibia and word == NAMIBIA)
        ]
        return [_note(name, word, count, summary.rows) for word, count in found]
    sample = summary.sample
    scale = summary.present / max(len(sample), 1)
    return [
        _note(name, f"{value:g}", round(count * scale), summary.rows) for value, count in _far_numbers(sample)
    ]


def _note(name: str, word: str, count: int, rows: int) -> str:
    cells = "one cell" if count == 1 else f"{count:,} cells"
    holds = "holds" if count == 1 else "hold"
    share = f"{100 * count / max(rows, 1):.2g} %"
    return (
        f"{cells} ({share}) {holds} {word!r}, which may mean a missing cell: if so, fit with "
        f"--missing '{name}:{word}'"
    )


def _far_numbers(sample: np.ndarray) -> list[tuple[float, int]]:
    """Return repeated extremes such as -999 and 9999 that lie far from all other values."""
    distinct, counts = np.unique(sample, return_counts=True)
    suspects = np.isin(distinct, _NUMBERS) & (counts >= _FEWEST)
    rest = distinct[~suspects]
    if len(rest) < 2:
        return []
    low, high = float(rest[0]), float(rest[-1])
    far = max(_FAR * (high - low), 3 * float(np.diff(rest).max()) if len(rest) <= 30 else 0.0)
    beyond = suspects & ((distinct < low - far) | (distinct > high + far))
    if low >= 0.0 and high > 10.0:
        # No amount is below 0, and -1 is the word for none in many files.
        beyond |= suspects & (distinct == -1.0) & (low > 1.0)
    return list(zip(distinct[beyond].tolist(), counts[beyond].tolist(), strict=True))


def date_sentinel_notes(name: str, summary: NumberSummary, notation: DateNotation) -> list[str]:
    """Return a note for a first or last date that repeats far from all others, as 9999-12-31 does.

    Examples
    --------
    >>> from logpx.tables.reading.column_types import ColumnType
    >>> days = np.array([19000.0, 19001.0, 19005.0, 2932896.0, 2932896.0])
    >>> summary = NumberSummary(ColumnType.TIMESTAMP, rows=5, sample=days)
    >>> date_sentinel_notes("end", summary, DateNotation())[0][:35]
    "2 cells (40 %) hold '9999-12-31', w"
    """
    distinct, counts = np.unique(summary.sample, return_counts=True)
    if len(distinct) < 4:
        return []
    scale = summary.present / max(len(summary.sample), 1)
    notes = []
    for end, rest in ((0, distinct[1:]), (-1, distinct[:-1])):
        away = abs(float(distinct[end] - rest[end]))
        if counts[end] >= _FEWEST and away > _RANGES_AWAY * float(rest[-1] - rest[0]):
            word = notation.write(distinct[[end]], pa.string())[0].as_py()
            notes.append(_note(name, word, round(int(counts[end]) * scale), summary.rows))
    return notes


def missing_word_notes(name: str, words: Mapping[str, int]) -> list[str]:
    """Return a note for each usual word that was read as a missing cell in a column of labels."""
    return [
        f"{'one cell holds' if count == 1 else f'{count:,} cells hold'} {word!r}, read as a missing cell: if "
        f"it is a label, fit with --missing '{name}:none'"
        for word, count in words.items()
    ]
