"""How many digits the numbers of a column were written with, and how far rounding may have moved them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Printed", "printed_precision"]

_SAMPLED = 2000
# Significant digits beyond these come from the binary number; nobody chose them.
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
        The part of the error that is due to binary arithmetic alone.
    decimals : int or None
        The number of decimals, if all values were written with the same number.
    most_decimals : int or None
        The largest number of decimals of any value; None if values were not written as decimals.
    """

    error: NDArray[np.float64]
    noise: NDArray[np.float64]
    decimals: int | None
    most_decimals: int | None = None


def printed_precision(values: NDArray[np.float64]) -> Printed:
    """Find the precision that distinct values were written with.

    Values are taken to be rounded to a number of decimals, or else to a number of significant digits; if
    neither number is small, they are taken to be binary numbers (of 32 bits if all of them fit).

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
        # The values may be differences from a mean, so the largest sets the scale of all errors.
        noise = np.full(len(values), 64 * np.finfo(np.float64).eps * largest)
    found = _digits(values, _DIGITS_FLOAT32 if single else _DIGITS_FLOAT64)
    if found is None:
        return Printed(noise, noise, None)
    digits, exponents = found
    significant = int(digits.max())
    decimals = int((digits - 1 - exponents).max())
    fixed = decimals + int(exponents.max()) <= significant
    exponent = np.floor(np.log10(np.where(magnitude > 0, magnitude, 1.0)))
    rounding = np.where(magnitude > 0, 0.5 * 10.0 ** (exponent - significant + 1), 0.0)
    if fixed:
        # If both are possible, the larger error is the safe one.
        rounding = np.maximum(rounding, 0.5 * 10.0**-decimals)
    decimals = max(decimals, 0)
    return Printed(rounding + noise, noise, decimals if fixed else None, decimals)


def _digits(values: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    # The number of significant digits and the decimal exponent of each value; None if any needs more digits.
    chosen = values[values != 0]
    if len(chosen) > _SAMPLED:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _SAMPLED).astype(np.int64)]
    texts = [f"{value:.{most - 1}e}" for value in chosen.tolist()]
    again = np.array([float(text) for text in texts])
    if most == _DIGITS_FLOAT32:
        again = again.astype(np.float32).astype(np.float64)
    if len(texts) == 0 or not np.array_equal(again, chosen):
        return None
    parts = [text.lstrip("-").partition("e") for text in texts]
    digits = [len(mantissa.rstrip("0").replace(".", "")) for mantissa, _, _ in parts]
    return np.array(digits), np.array([int(exponent) for _, _, exponent in parts])
