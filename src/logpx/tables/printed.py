"""How many digits the numbers of a column were written with, and how far rounding may have moved them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Printed", "printed_precision"]

_SAMPLED = 2000
# More significant digits than these are those of the binary number, not ones that somebody chose.
_DIGITS_FLOAT64 = 15
_DIGITS_FLOAT32 = 7


@dataclass(frozen=True)
class Printed:
    """The precision of a column's values.

    Attributes
    ----------
    error : numpy.ndarray of shape (m,)
        How far rounding may have moved each value.
    noise : numpy.ndarray of shape (m,)
        The part of it that is due to binary arithmetic alone.
    decimals : int or None
        The number of decimals, if all values were written with the same number.
    """

    error: NDArray[np.float64]
    noise: NDArray[np.float64]
    decimals: int | None


def printed_precision(values: NDArray[np.float64]) -> Printed:
    """Find the precision that distinct values were written with.

    Values are taken to be rounded to a number of decimals, or else to a number of significant digits, or to
    be binary numbers (of 32 bits if all of them fit) when neither number is small.

    Parameters
    ----------
    values : numpy.ndarray of shape (m,)
        Distinct finite values.

    Examples
    --------
    >>> printed_precision(np.array([1.25, 10.5, 100.75])).decimals
    2
    >>> bool(printed_precision(np.array([4.3166, -5.5378, 12.317])).error.max() > 4.9e-4)
    True
    """
    magnitude = np.abs(values)
    largest = float(magnitude.max(initial=0.0))
    with np.errstate(over="ignore"):
        single = bool(np.all(values.astype(np.float32).astype(np.float64) == values))
    if single:
        noise = magnitude * 2.0**-23 + largest * 2.0**-40
    else:
        # The values may be differences from a mean, so the largest one sets the scale of the error of all.
        noise = np.full(len(values), 64 * np.finfo(np.float64).eps * largest)
    digits, exponents = _digits(values, single)
    if len(digits) == 0 or int(digits.max()) > (_DIGITS_FLOAT32 if single else _DIGITS_FLOAT64):
        return Printed(noise, noise, None)
    significant = int(digits.max())
    decimals = int((digits - 1 - exponents).max())
    fixed = decimals + int(exponents.max()) <= significant
    exponent = np.floor(np.log10(np.where(magnitude > 0, magnitude, 1.0)))
    rounding = np.where(magnitude > 0, 0.5 * 10.0 ** (exponent - significant + 1), 0.0)
    if fixed:
        # Which of the two it is may remain open; then the larger error is the safe one.
        rounding = np.maximum(rounding, 0.5 * 10.0**-decimals)
    return Printed(rounding + noise, noise, max(decimals, 0) if fixed else None)


def _digits(values: NDArray[np.float64], single: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    chosen = values[values != 0]
    if len(chosen) > _SAMPLED:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _SAMPLED).astype(np.int64)]
    digits, exponents = [], []
    for value in chosen:
        number = np.float32(value) if single else value
        mantissa, _, exponent = np.format_float_scientific(number, trim="-").lstrip("-").partition("e")
        digits.append(len(mantissa.replace(".", "")))
        exponents.append(int(exponent))
    return np.array(digits, dtype=np.int64), np.array(exponents, dtype=np.int64)
