"""Rows of a table as numbers for mixtures: logarithms where they serve, labels by rarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.latent.robust import INTERQUARTILE, VARIANCE

__all__ = ["RowCoding"]

# Stands for what has no logarithm: far below all that has one.
_TINY = 1e-300
# Of a column of so many values, one that at least this share of the rows has is of the usual kind.
_FEWEST_GRADES, _MOST_GRADES, _ROWS_A_GRADE, _COMMON = 3, 20, 10, 0.02
# Between it and the others a step is missing, or a value has less than half of its share.
_GAP, _VALLEY = 1.5, 0.5


class RowCoding(Configured, nn.Module):
    r"""Turns each label into a number, and columns into logarithms where these are more symmetric.

    A label is :math:`\sqrt{2 v s}`, with its surprisal s and the least variance v of robust mixtures. A
    normal distribution of that variance around 0 is then as surprised at a label as it deserves. So is
    each value of a column of numbers that has few, such as grades, if a common one lies apart, and so far
    from the others that a normal distribution would find it stranger than it is.

    Parameters
    ----------
    levels
        How many labels each column has; 0 for numbers.
    grades
        The values, ascending, of each column of numbers that are coded as labels; empty for other columns.
        By default there are none.

    Attributes
    ----------
    logarithmic : Tensor
        Which columns become logarithms, shape ``(d,)``.
    codes : Tensor
        The numbers of the labels of all columns, one after another, each followed by that of a new label.

    Examples
    --------
    >>> coding = RowCoding.of(np.array([[1.0, 0.0], [10.0, 0.0], [100.0, 1.0]]), [0, 2])
    >>> coding.logarithmic.tolist(), bool(coding(torch.tensor([[1.0, 1.0]]))[0, 1] > 0.3)
    ([True, False], True)
    """

    logarithmic: Tensor
    codes: Tensor

    def __init__(self, levels: Sequence[int], grades: Sequence[Sequence[float]] = ()) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.grades = tuple(tuple(map(float, values)) for values in grades) or ((),) * len(self.levels)
        if len(self.grades) != len(self.levels) or any(
            values and (many or not np.isfinite(values).all() or not (np.diff(values) > 0.0).all())
            for many, values in zip(self.levels, self.grades, strict=True)
        ):
            raise UsageError(
                "grades are not ascending numbers of columns without labels",
                fix="give one sequence for each column, empty for labels",
            )
        self.register_buffer("logarithmic", torch.zeros(len(self.levels), dtype=torch.bool))
        count = sum(one + 1 for one in self._coded if one)
        self.register_buffer("codes", torch.zeros(count, dtype=torch.float64))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no rows can give, or None."""
        return None if bool(self.codes.isfinite().all()) else "codes"

    @classmethod
    def of(
        cls,
        x: npt.NDArray[np.float64],
        levels: Sequence[int],
        weights: npt.NDArray[np.float64] | None = None,
    ) -> RowCoding:
        """Return the coding of rows, shape ``(n, d)``, with NaN for missing cells.

        Parameters
        ----------
        x
            Rows as in the table, labels by their codes.
        levels
            How many labels each column has; 0 for numbers.
        weights
            How much each row counts, shape ``(n,)``.
        """
        counted = np.ones(len(x)) if weights is None else weights * (len(x) / weights.sum())
        there = ~np.isnan(x)
        grades = [
            [] if many else _grades(x[own, place], counted[own])
            for place, (many, own) in enumerate(zip(levels, there.T, strict=True))
        ]
        found = cls(levels, grades if any(grades) else ())
        codes = []
        for place, many in enumerate(found._coded):
            values = x[there[:, place], place]
            if many:
                if grades[place]:
                    values = np.searchsorted(grades[place], values)
                # The half is all that a new label has.
                counts = np.bincount(values.astype(np.int64), counted[there[:, place]], minlength=many)
                counts = np.append(counts[:many] + 0.5, 0.5)
                codes.append(np.sqrt(-2.0 * VARIANCE * np.log(counts / counts[:many].sum())))
            elif len(values) and values.min() > 0.0 and _skewness(np.log(values)) < _skewness(values):
                found.logarithmic[place] = True
        if codes:
            found.codes.copy_(torch.from_numpy(np.concatenate(codes)))
        return found

    @property
    def numeric(self) -> npt.NDArray[np.bool_]:
        """Which columns hold numbers, whose units are to be scaled: shape ``(d,)``."""
        return np.array([not many for many in self._coded])

    @property
    def _coded(self) -> list[int]:
        """How many labels each column has, or values that are coded as labels; 0 for other numbers."""
        return [many or len(values) for many, values in zip(self.levels, self.grades, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        """Return rows as numbers, shape ``(n, d)``, float64."""
        x = x.to(self.codes)
        found = x.clone()
        found[:, self.logarithmic] = x[:, self.logarithmic].clamp_min(_TINY).log()
        first = 0
        for place, (many, values) in enumerate(zip(self._coded, self.grades, strict=True)):
            if many:
                own = x[:, place]
                if values:
                    known = own[:, None] == own.new_tensor(values)
                    at = torch.where(known.any(1), known.int().argmax(1), many)
                else:
                    at = torch.where((own >= 0.0) & (own < many), own, float(many)).long()
                found[:, place] = self.codes[first + at].masked_fill(own.isnan(), torch.nan)
                first += many + 1
        return found


def _grades(values: npt.NDArray[np.float64], counted: npt.NDArray[np.float64]) -> list[float]:
    """Return the values of a column that is to be coded as labels; none if it is not."""
    each, place = np.unique(values, return_inverse=True)
    if not _FEWEST_GRADES <= len(each) <= min(_MOST_GRADES, len(values) // _ROWS_A_GRADE):
        return []
    shares = np.bincount(place, counted) / counted.sum()
    low, middle, high = each[np.searchsorted(shares.cumsum(), (0.25, 0.5, 0.75))]
    if low == high:
        return []
    common = shares >= _COMMON
    usual = (high - low) / INTERQUARTILE * np.sqrt(-2.0 * np.log(np.maximum(shares, 1e-300)))
    far = np.flatnonzero(common & (np.abs(each - middle) > usual))
    apart = (_lies_apart(each, shares, each[own], shares[own], middle) for own in far)
    return each.tolist() if any(apart) else []


def _lies_apart(
    each: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    value: float,
    share: float,
    middle: float,
) -> bool:
    """Return whether few rows, or none, lie between a value of a share of the rows and the middle."""
    low, high = sorted((value, middle))
    between = (each > low) & (each < high)
    steps = np.diff(np.concatenate([[low], each[between], [high]]))
    missing = bool((steps > _GAP * np.diff(each).min()).any())
    return missing or bool((shares[between] < _VALLEY * share).any())


def _skewness(values: npt.NDArray[np.float64]) -> float:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(abs(high + low - 2.0 * middle) / max(high - low, 1e-300))
