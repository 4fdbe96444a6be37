"""Columns that earlier columns determine: exactly, so that no density exists, or up to their grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.wording import counted

__all__ = ["Identity", "dependent_columns", "identities"]

# Rounding leaves a dependent column with a variance of about so many ulp, for each column, instead of 0.
_SINGULAR = 1e-13
# Of the column's variance, what a candidate for an identity may leave unexplained before it is checked.
_SUSPECT = 0.01
_SHARE = 0.99
_LEAST_ROWS = 10
_MOST_COLUMNS = 1000
_MOST_ROWS = 20_000
# A term that moves the sum by less than this share of the column's deviation is no term.
_NEGLIGIBLE = 1e-3
_WHOLE = 0.02
_MOST_TERMS = 6
_ROWS_TO_LOOK_AT = 200
_MOST_DECIMALS = 7
_SHARE_AT_A_LOOK = 0.9


class _Pivots:
    """A Cholesky factorisation of a correlation matrix, column after column, that passes columns over."""

    def __init__(self, correlation: Tensor) -> None:
        self._correlation = correlation
        self._factor = torch.empty_like(correlation)
        self.kept: list[int] = []

    def unexplained(self, column: int) -> Tensor:
        """Return the covariances of all columns with what the kept ones leave of this one."""
        done = self._factor[:, : len(self.kept)]
        return self._correlation[column] - done @ done[column]

    def keep(self, column: int, left: Tensor) -> None:
        """Count the column among those that explain later ones."""
        self._factor[:, len(self.kept)] = left / left[column].sqrt()
        self.kept.append(column)

    def coefficients(self, column: int) -> Tensor:
        """Return how the kept columns explain this one, in standard deviations."""
        factor = self._factor[self.kept, : len(self.kept)]
        right = self._correlation[self.kept, column][:, None]
        return torch.cholesky_solve(right, factor)[:, 0]


def dependent_columns(covariance: Tensor, least: float | None = None) -> list[int]:
    """Return the columns that are linear combinations of earlier ones.

    Parameters
    ----------
    covariance
        Shape ``(d, d)``, float64, with a positive diagonal.
    least
        The share of its variance that earlier columns must leave of a column; by default what rounding
        needs.

    Examples
    --------
    >>> a = torch.randn(9, 2, dtype=torch.float64)
    >>> dependent_columns(torch.cat([a, a.sum(1, keepdim=True)], 1).mT.cov())
    [2]
    """
    scale = covariance.diagonal().sqrt()
    correlation = covariance / scale / scale[:, None]
    least = _SINGULAR * len(scale) if least is None else least
    factor, failed = torch.linalg.cholesky_ex(correlation)
    if not failed and bool((factor.diagonal().square() > least).all()):
        return []
    pivots, found = _Pivots(correlation), []
    for column in range(len(scale)):
        left = pivots.unexplained(column)
        if left[column] > least:
            pivots.keep(column, left)
        else:
            found.append(column)
    return found


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A column that is a sum of multiples of earlier ones.

    Attributes
    ----------
    column : int
        The column.
    terms : dict of int to float
        The factors of the others.
    constant : float
        What is added to them.
    holds, rows : int
        In how many rows it holds, up to the rounding of the columns, and how many have all its cells.
    """

    column: int
    terms: dict[int, float]
    constant: float
    holds: int
    rows: int

    def written(self, names: Sequence[str]) -> str:
        """Return the identity and in how many rows it holds, as text."""
        signs = ""
        for index, factor in list(self.terms.items())[:_MOST_TERMS]:
            multiple = "" if abs(factor) == 1.0 else f"{abs(factor):g} × "
            signs += f" {'-' if factor < 0.0 else '+'} {multiple}{names[index]}"
        if len(self.terms) > _MOST_TERMS:
            signs += f" … ({counted(len(self.terms), 'column')})"
        if self.constant:
            signs = f" {self.constant:g}{signs}"
        signs = signs.removeprefix(" + ").removeprefix(" ")
        share = f"all {self.rows:,}" if self.holds == self.rows else f"{self.holds:,} of {self.rows:,}"
        return f"{names[self.column]} = {signs} in {share} rows"


def identities(x: Tensor, steps: Sequence[float | None]) -> list[Identity]:
    """Return the columns that are, up to rounding, sums of multiples of earlier ones in nearly all rows.

    Parameters
    ----------
    x
        Rows as in the table, shape ``(n, d)``, float64; NaN is missing.
    steps
        The step of each column's grid; None without one, when the last decimal of its values counts.

    Examples
    --------
    >>> x = torch.randint(0, 9, (50, 2), generator=torch.Generator().manual_seed(0)).double()
    >>> found = identities(torch.cat([x, x.sum(1, keepdim=True)], 1), [1.0, 1.0, 1.0])
    >>> found[0].written(["a", "b", "total"])
    'total = a + b in all 50 rows'
    """
    if x.shape[1] > _MOST_COLUMNS or len(x) < max(_LEAST_ROWS, x.shape[1] + 2):
        return []
    steps = [_last_decimal(own) if step is None else step for own, step in zip(x.T, steps, strict=True)]
    covariance = _pairwise_covariance(x[:_MOST_ROWS])
    scale = covariance.diagonal().clamp_min(1e-300).sqrt()
    pivots, found = _Pivots(covariance / scale / scale[:, None]), []
    for column in range(x.shape[1]):
        left = pivots.unexplained(column)
        identity = None
        if left[column] <= _SUSPECT and pivots.kept:
            factors = pivots.coefficients(column) * scale[column] / scale[pivots.kept]
            identity = _checked(
                x, column, dict(zip(pivots.kept, factors.tolist(), strict=True)), steps, scale
            )
        if identity is not None:
            found.append(identity)
        elif left[column] > _SINGULAR * len(scale):
            pivots.keep(column, left)
    return found


def _checked(
    x: Tensor, column: int, factors: dict[int, float], steps: Sequence[float | None], scale: Tensor
) -> Identity | None:
    terms = {
        index: float(round(factor)) if abs(factor - round(factor)) < _WHOLE else float(f"{factor:.4g}")
        for index, factor in factors.items()
        if abs(factor) * float(scale[index]) > _NEGLIGIBLE * float(scale[column])
    }
    terms = {index: factor for index, factor in terms.items() if factor}
    if not terms:
        return None
    own, values = list(terms), x.new_tensor(list(terms.values()))
    rounding = (
        sum(abs(factor) * (steps[index] or 0.0) for index, factor in {**terms, column: 1.0}.items()) / 2
    )
    # What does not hold mostly shows in a few rows.
    if not _may_hold(_rest(x[:_ROWS_TO_LOOK_AT], column, own, values), rounding, float(scale[column])):
        return None
    rest = _rest(x, column, own, values)
    if len(rest) < _LEAST_ROWS:
        return None
    constant = float(f"{float(rest.median()):.6g}")
    size = float(x[:, column].abs().nan_to_num(nan=0.0).amax())
    whole = all((steps[index] or 0.5).is_integer() for index in (*own, column))
    exact = (rest - constant).abs() <= 1e-9 * max(size, 1e-300)
    # Whole numbers are counts more often than rounded; what is rounded to them varies by far more than 1.
    rounded = (rest - constant).abs() <= 1.001 * rounding
    near = rounded if not whole or rounding < 0.1 * float(scale[column]) else exact
    holds = max(int(exact.sum()), int(near.sum()) if int(exact.sum()) < _SHARE * len(rest) else 0)
    if holds < _SHARE * len(rest):
        return None
    return Identity(
        column=column,
        terms=terms,
        constant=constant if abs(constant) > 1e-9 * size else 0.0,
        holds=holds,
        rows=len(rest),
    )


def _last_decimal(values: Tensor) -> float | None:
    """Return the unit of the last decimal that values were written with, if these are few."""
    values = values[~values.isnan()]
    few = values[:_ROWS_TO_LOOK_AT]
    for decimals in range(_MOST_DECIMALS):
        if torch.equal(few.round(decimals=decimals), few):
            return 10.0**-decimals if torch.equal(values.round(decimals=decimals), values) else None
    return None


def _rest(x: Tensor, column: int, own: Sequence[int], values: Tensor) -> Tensor:
    """Return what multiples of columns leave of a column, in the rows that have all of them."""
    rest = x[:, column] - x[:, own] @ values
    return rest[~rest.isnan()]


def _may_hold(rest: Tensor, rounding: float, deviation: float) -> bool:
    if len(rest) < _LEAST_ROWS:
        return True
    middle = rest.median()
    allowed = 2.0 * rounding + 1e-6 * (deviation + abs(float(middle)))
    return bool(((rest - middle).abs() <= allowed).double().mean() > _SHARE_AT_A_LOOK)


def _pairwise_covariance(x: Tensor) -> Tensor:
    """Return the covariance from the rows in which both columns have a value."""
    present = ~x.isnan()
    deviations = torch.where(present, x - x.nanmean(0), 0.0)
    pairs = present.double().mT @ present.double()
    return deviations.mT @ deviations / pairs.clamp_min(1.0)
