"""From scores to decisions: conformal p-values from rows set aside, and false discoveries under control."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from logpx.arguments import check_count, is_number
from logpx.configuration import Configured
from logpx.distributions.meta import evenly_spaced
from logpx.errors import UsageError

__all__ = ["Calibration", "benjamini_hochberg", "check_level"]

# Scores that are kept one by one; of more, half are the lowest, which decide, and half are quantiles.
_MOST_KEPT = 10_000
# Whole numbers up to here are exact.
_MOST_ROWS = 2.0**53
# Of the lowest scores, those whose mean tells how p-values go on.
_SHARE_IN_TAIL, _FEWEST_IN_TAIL = 0.05, 5
# Scores of equal rows differ by rounding, in single precision; those of one row among others in double.
_ROUNDING, _LAST_DIGITS = 1e-6, 1e-11


class Calibration(Configured, nn.Module):
    r"""Scores of rows that a model has not seen, which turn the score of a new row into a p-value.

    With n rows set aside, of which k score as low as a new row or lower, its p-value is
    :math:`(1 + k) / (1 + n)`. If the new row is of the same kind as they are, that is, if the n + 1 rows are
    exchangeable, then :math:`P(p \le \alpha) \le \alpha` for every :math:`\alpha`, whatever the model. Ties
    count against an anomaly, or are broken at random (`p_values` with `ties`): p is then uniform on the
    multiples of :math:`1 / (1 + n)`, although rows repeat. No p-value is below :math:`1 / (1 + n)`.

    Parameters
    ----------
    kept
        How many scores are kept.
    source
        What rows they are, in words.

    Attributes
    ----------
    scores : Tensor
        The kept scores, ascending, shape ``(kept,)``, float64.
    below : Tensor
        For each kept score the number of rows that score less, and last n: shape ``(kept + 1,)``, float64.

    References
    ----------
    Vovk, Gammerman and Shafer 2005, Algorithmic learning in a random world (smoothed conformal predictors
    break ties at random); Bates, Candès, Lei, Romano and Sesia 2023, Testing for outliers with conformal
    p-values.
    https://arxiv.org/abs/2104.08279

    Examples
    --------
    >>> calibration = Calibration.of(torch.arange(99.0), "99 rows set aside")
    >>> calibration.p_values(torch.tensor([-1.0, 4.0, 200.0]))
    tensor([0.0100, 0.0600, 1.0000], dtype=torch.float64)
    """

    scores: Tensor
    below: Tensor

    def __init__(self, kept: int, source: str = "rows set aside") -> None:
        super().__init__()
        check_count("kept", kept)
        self.source = source
        self.register_buffer("scores", torch.zeros(kept, dtype=torch.float64))
        self.register_buffer("below", evenly_spaced(0.0, float(kept), kept + 1))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no scores can give, or None."""
        if bool((self.scores.diff() < 0.0).any()):
            return "scores"
        below = self.below
        proper = bool(below.isfinite().all()) and bool((below.diff() >= 0.0).all()) and bool(below[0] >= 0.0)
        return None if proper and 1.0 <= float(below[-1]) <= _MOST_ROWS else "below"

    @classmethod
    def of(cls, scores: Tensor, source: str = "rows set aside", most: int = _MOST_KEPT) -> Calibration:
        """Return the calibration by the scores of some rows, shape ``(n,)``; low is unusual.

        Of more than `most` scores the lowest are kept one by one, and of others quantiles.

        Raises
        ------
        UsageError
            If there are no scores, or one is not a number.
        """
        if not len(scores) or bool(scores.isnan().any()):
            raise UsageError("no scores to calibrate by", fix="give the scores of rows set aside, none NaN")
        ordered = _storable(scores).sort().values
        places = torch.arange(len(ordered))
        if len(ordered) > most:
            half = most // 2
            rest = torch.linspace(half, len(ordered) - 1, most - half, dtype=torch.float64)
            places = torch.cat([places[:half], rest.round().long()])
        found = cls(len(places), source)
        found.scores.copy_(ordered[places])
        # Between two kept scores, all rows below the upper one may score less: never too few.
        found.below.copy_(
            torch.cat([torch.searchsorted(ordered, ordered[places]), places.new_tensor([len(ordered)])])
        )
        return found

    @property
    def rows(self) -> int:
        """The number n of rows."""
        return int(self.below[-1])

    @property
    def least(self) -> float:
        """The least p-value that there is, 1 / (1 + n)."""
        return 1.0 / (1.0 + self.rows)

    def spread(self, most: int) -> Tensor:
        """Return the scores of all rows set aside, ascending, float64; of more than `most`, every k-th.

        Where scores were not kept one by one, a kept one stands for its neighbours.

        Examples
        --------
        >>> Calibration.of(torch.arange(9.0)).spread(3)
        tensor([0., 3., 6.], dtype=torch.float64)
        """
        ends = self.below[1:] - self.below[0]
        places = torch.arange(0, int(ends[-1]), math.ceil(self.rows / most), dtype=torch.float64)
        return self.scores[torch.searchsorted(ends, places.to(ends), right=True)]

    def p_values(self, scores: Tensor, ties: Tensor | None = None) -> Tensor:
        """Return the p-value of each score: shape of the scores, float64; NaN for NaN.

        Parameters
        ----------
        scores
            Of any shape.
        ties
            Numbers drawn uniformly from 0 to 1, of the same shape, which say where each score stands among
            equal ones of rows set aside; by default above all of them.
        """
        values = _storable(scores).to(self.scores.device).contiguous()
        size = values.abs().clamp_min(1.0)
        if ties is None:
            upto = self._below(values + _LAST_DIGITS * size, right=True)
        else:
            less = self._below(values - _ROUNDING * size)
            equal = self._below(values + _ROUNDING * size, right=True)
            upto = less + (ties.to(less) * (equal - less + 1.0)).floor().minimum(equal - less)
        found = (1.0 + upto) / (1.0 + self.rows)
        return found.masked_fill(scores.isnan().to(found.device), math.nan)

    def log_p(self, scores: Tensor) -> Tensor:
        """Return smooth logarithms of p-values, by which rows beyond all rows set aside are still ordered.

        Between the kept scores they are interpolated. Below all but a twentieth of the rows, or a few, they
        fall with the score as an exponential distribution says whose mean is that of these rows.

        Parameters
        ----------
        scores
            Of any shape.

        Returns
        -------
        Tensor
            Of that shape, float64; NaN for NaN, and minus infinity for itself.

        Examples
        --------
        >>> Calibration.of(torch.arange(1000.0)).log_p(torch.tensor([999.0, 499.0, -50.0]))
        tensor([-9.9950e-04, -6.9415e-01, -6.9567e+00], dtype=torch.float64)
        """
        values = _storable(scores).to(self.scores.device).contiguous()
        upto = self._below(self.scores, right=True)
        few = min(max(_FEWEST_IN_TAIL, _SHARE_IN_TAIL * self.rows), float(self.rows))
        last = int(torch.searchsorted(upto, few))
        start, counts = self.scores[last], self.below[: last + 1].diff()
        mean = ((start - self.scores[:last]) * counts).sum() / counts.sum().clamp_min(1.0)
        tail = (values - start) / torch.maximum(mean, _ROUNDING * start.abs().clamp_min(1.0))
        place = torch.searchsorted(self.scores, values).clamp_max(len(self.scores) - 1)
        before = (place - 1).clamp_min(0)
        share = (values - self.scores[before]) / (self.scores[place] - self.scores[before])
        rank = torch.lerp(upto[before], upto[place], share.nan_to_num(nan=1.0).clamp(0.0, 1.0))
        found = torch.where(values < start, upto[last].log() + tail, rank.log())
        found = found.masked_fill(torch.isneginf(scores).to(found.device), -math.inf)
        return (found - math.log(1.0 + self.rows)).masked_fill(scores.isnan().to(found.device), math.nan)

    def _below(self, values: Tensor, *, right: bool = False) -> Tensor:
        """Return how many rows score less than each value, or `right` up to it."""
        return self.below[torch.searchsorted(self.scores, values, right=right)]


def _storable(scores: Tensor) -> Tensor:
    """Return scores in float64; minus infinity, the score of an impossible row, as the least number."""
    limits = torch.finfo(torch.float64)
    return scores.detach().double().clamp(limits.min, limits.max)


def benjamini_hochberg(p_values: npt.ArrayLike, level: float) -> npt.NDArray[np.bool_]:
    r"""Select hypotheses so that the expected share of false ones among them is at most a level.

    The k lowest p-values are selected, with the largest k for which the k-th is at most
    :math:`k\,\mathrm{level} / m`. For conformal p-values from the same rows set aside the rate is controlled
    (Bates et al. 2023), on average over those rows and the new ones.

    Parameters
    ----------
    p_values
        Shape ``(m,)``; NaN is never selected, and does not count.
    level
        The rate, above 0 and below 1.

    Returns
    -------
    ndarray of bool
        Shape ``(m,)``.

    References
    ----------
    Benjamini and Hochberg 1995, Controlling the false discovery rate.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.9, 0.5], 0.1).tolist()
    [True, True, True, False, False]
    """
    check_level("level", level)
    values = np.asarray(p_values, dtype=np.float64)
    ordered = np.sort(values[~np.isnan(values)])
    passed = np.flatnonzero(ordered <= level * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    if not len(passed):
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(values <= ordered[passed[-1]])


def check_level(name: str, value: Any) -> float:
    """Return a level above 0 and below 1 as a float.

    Raises
    ------
    UsageError
        Naming argument and value.
    """
    if not is_number(value) or not 0.0 < value < 1.0:
        raise UsageError(
            f"{name} is {value!r}", fix=f"give a number above 0 and below 1, such as {name}=0.05"
        )
    return float(value)
