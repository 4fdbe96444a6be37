"""The labels of a column in all the spellings that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["LabelIndex", "one_spelling_each"]

_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)?\.\d+|(?:0|[1-9]\d*)(?:\.\d*)?[eE][+-]?\d+)")
_TRUTH = ("false", "true")


def _value(label: str) -> str:
    """Return what is the same for all spellings of a truth value or a whole number, else the label."""
    if label.lower() in _TRUTH:
        return label.lower()
    if _WHOLE.fullmatch(label):
        return str(int(label.partition(".")[0]))
    return label


def _number(label: str) -> str:
    """Return the same for all spellings of any number, for labels that came by way of a float."""
    return repr(float(label)) if _NUMBER.fullmatch(label) else _value(label)


def one_spelling_each(labels: Iterable[str]) -> list[str]:
    """Return labels without further spellings of the same truth value or whole number.

    A number with zeros in front is a code, and stays as it stands.

    Examples
    --------
    >>> one_spelling_each(["True", "true", "1.0", "1", "01", "a", "A"])
    ['True', '1.0', '01', 'a', 'A']
    """
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(_value(label), label)
    return list(first.values())


class LabelIndex:
    """The codes of labels, whatever a table stores them as and however they are spelled.

    Truth values are the same in any case, ``1`` is ``1.0``, and other text is compared as it stands.

    Parameters
    ----------
    levels : sequence of str
        The labels, in the order of their codes.

    Examples
    --------
    >>> index = LabelIndex(["False", "True"])
    >>> index.codes(pa.array(["true", "FALSE", None, "perhaps"])).tolist()
    [1.0, 0.0, nan, 2.0]
    """

    def __init__(self, levels: Sequence[str]) -> None:
        self.levels = list(levels)
        self._array = pa.array(self.levels, pa.string())
        self._codes: dict[str, int] = {}
        shared: set[str] = set()
        for spelled in (_value, _number):
            for code, level in enumerate(self.levels):
                key = spelled(level)
                if self._codes.setdefault(key, code) != code:
                    shared.add(key)
        # Of two labels that are the same number, neither is meant by a third spelling.
        for key in shared:
            del self._codes[key]
        keys = set(map(_value, self.levels))
        if keys <= set(_TRUTH):
            self._codes |= {
                str(number): self._codes[word] for number, word in enumerate(_TRUTH) if word in keys
            }
        elif keys <= {"0", "1"}:
            self._codes |= {word: self._codes[str(n)] for n, word in enumerate(_TRUTH) if str(n) in keys}

    def codes(self, labels: pa.Array) -> npt.NDArray[np.float64]:
        """Return the code of each label: NaN for null, the number of levels for an unknown label."""
        found = pc.index_in(labels, value_set=self._array, skip_nulls=True)
        codes: npt.NDArray[np.float64] = pc.cast(found, pa.float64()).to_numpy(zero_copy_only=False).copy()
        other = np.isnan(codes) & pc.is_valid(labels).to_numpy(zero_copy_only=False)
        if other.any():
            coded = labels.filter(pa.array(other)).dictionary_encode()
            each = np.array([self._code(label) for label in coded.dictionary.to_pylist()], dtype=np.float64)
            codes[other] = each[coded.indices.to_numpy(zero_copy_only=False)]
        return codes

    def _code(self, label: str) -> int:
        for spelled in (_value, _number):
            if (code := self._codes.get(spelled(label))) is not None:
                return code
        return len(self.levels)
