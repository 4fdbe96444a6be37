"""The words that mean a missing cell: those usual in text files, and those that a user names."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from logpx.errors import UsageError

__all__ = ["USUAL_WORDS", "MissingWords", "missing_words_of"]

USUAL_WORDS = ("?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "null", "NULL", "None", "#N/A", "<NA>")
"""Words that mean a missing cell in text files, unless a user says otherwise; an empty cell always does."""

_NONE = "none"
EVERY_COLUMN = ""


class MissingWords(BaseModel):
    """The words that mean a missing cell in one column.

    Parameters
    ----------
    usual : bool
        Whether the `USUAL_WORDS` do, in a text file.
    words : tuple of str
        Other words that do. One that is a number means that number, however it is written or stored.

    Examples
    --------
    >>> MissingWords(words=("-999",)).found(pa.array(["5", "-999", "NA"]), in_text_file=True).tolist()
    [False, True, True]
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    usual: bool = True
    words: tuple[str, ...] = ()

    def found(self, text: pa.Array, *, in_text_file: bool) -> npt.NDArray[np.bool_]:
        """Return which cells hold such a word; an empty cell of a text file does, too.

        Parameters
        ----------
        text : pyarrow.Array
            Cells as text, without surrounding spaces.
        in_text_file : bool
            Whether they were read from delimited text.
        """
        words = [*self.words, *(["", *(USUAL_WORDS if self.usual else ())] if in_text_file else [])]
        if not words:
            return np.zeros(len(text), dtype=np.bool_)
        found: npt.NDArray[np.bool_] = pc.is_in(text, value_set=pa.array(words, text.type)).to_numpy(
            zero_copy_only=False
        )
        return found

    @property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The words that are numbers."""
        return _numbers(self.words)

    def without(self, labels: Iterable[str]) -> MissingWords:
        """Return the words that are not among the labels of a column."""
        known = set(labels)
        if self.usual and known.intersection(USUAL_WORDS):
            words = (*self.words, *USUAL_WORDS)
            return MissingWords(usual=False, words=tuple(word for word in words if word not in known))
        return MissingWords(usual=self.usual, words=tuple(word for word in self.words if word not in known))


@lru_cache(maxsize=256)
def _numbers(words: tuple[str, ...]) -> npt.NDArray[np.float64]:
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            continue
    return np.array(found)


def missing_words_of(
    option: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None, names: Sequence[str]
) -> dict[str, MissingWords]:
    """Return the words of every column from what a user wrote.

    Parameters
    ----------
    option : str, sequence of str, dict of str to (str or sequence of str), or None
        Texts as on the command line: words separated by commas, such as ``NA,-``; for one column, its name
        and a colon before them: ``income:-9,-8``. In a dictionary the words of each column, and under the
        empty name those of all. They are added to the usual words, of which ``none`` frees a column.
    names : sequence of str
        The columns of the table.

    Raises
    ------
    UsageError
        If a dictionary names a column that the table does not have.

    Examples
    --------
    >>> words = missing_words_of(["-", "a:none"], ["a", "b"])
    >>> words["a"], words["b"]
    (MissingWords(usual=False, words=('-',)), MissingWords(usual=True, words=('-',)))
    """
    given: dict[str, list[str]] = {}
    if isinstance(option, Mapping):
        for name, words in option.items():
            if name and name not in names:
                raise UsageError(
                    "there is no such column to give missing words to",
                    column=name,
                    fix=f"choose among: {', '.join(list(names)[:20])}",
                )
            given[name] = _words(words) if isinstance(words, str) else [str(word) for word in words]
    else:
        for text in [option] if isinstance(option, str) else option or ():
            name, words = _divided(str(text), names)
            given.setdefault(name, []).extend(_words(words))
    general = given.get(EVERY_COLUMN, [])
    return {name: _joined([*general, *given.get(name, [])]) for name in names}


def _divided(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the column that a text is about, or the empty name, and its words."""
    # A name may hold colons, and so may a word: the longest name of the table that fits decides.
    fitting = [name for name in names if name and text.startswith(f"{name}:")]
    name = max(fitting, key=len, default="")
    if not name and ":" in text and not text.startswith(":"):
        before = text.partition(":")[0]
        raise UsageError(
            f"--missing has {text!r}, but there is no column {before!r}",
            fix="write words for all columns as NA,- and words for one column as name:-9,-8",
        )
    return name, text[len(name) + 1 :] if name else text


def _words(text: str) -> list[str]:
    return [word.strip() for word in next(csv.reader([text], skipinitialspace=True), [])]


def _joined(words: Sequence[str]) -> MissingWords:
    usual = _NONE not in words
    kept = [word for word in dict.fromkeys(words) if word not in ("", _NONE)]
    if usual:
        kept = [word for word in kept if word not in USUAL_WORDS]
    return MissingWords(usual=usual, words=tuple(kept))
