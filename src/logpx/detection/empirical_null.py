"""P-values of rows among themselves: what their central part says of those that are of the usual kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from logpx.errors import DataError
from logpx.wording import counted

__all__ = ["EmpiricalNull"]

_Numbers = npt.NDArray[np.float64]

# Anomalies are hardly among the three quarters of the rows that are least unusual.
_LEVELS = np.linspace(0.02, 0.75, 60)
_POWERS = np.linspace(-1.0, 1.5, 51)
# Below the least unusual row, of the distance to the median.
_MARGIN = 0.02
_FEWEST = 20
_LEFT_OUT = 0.001


class EmpiricalNull:
    r"""The distribution of scores of usual rows, from the central part of the scores of all.

    A power of the unusualness is taken to be normal (Box and Cox), with the power, mean and deviation that
    fit the quantiles up to 75 % best; and once again without the rows of p-values up to 0.001. Up to a
    quarter of the rows may be anomalies; p-values are then rather too high. What the fit says of the tail is
    an extrapolation: p-values are estimates, and there is no guarantee as from rows set aside.

    Parameters
    ----------
    scores
        High for usual rows, shape ``(n,)``.

    Raises
    ------
    DataError
        If there are fewer than 20 rows.

    References
    ----------
    Efron 2004, Large-scale simultaneous hypothesis testing: the choice of a null hypothesis.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> scores = np.concatenate([-random.chisquare(4, 950), np.full(50, -60.0)])
    >>> p_values = EmpiricalNull(scores).p_values(scores)
    >>> bool((p_values[950:] < 1e-4).all()), bool(0.03 < (p_values[:950] < 0.05).mean() < 0.07)
    (True, True)
    """

    def __init__(self, scores: _Numbers) -> None:
        if len(scores) < _FEWEST:
            raise DataError(
                f"{counted(len(scores), 'row', 'are')} too few to say which are unusual among them",
                fix=f"give {_FEWEST} or more, better hundreds",
            )
        values = np.asarray(scores, dtype=np.float64)
        self._fit(-values, _LEVELS)
        kept = values[self.p_values(values) > _LEFT_OUT]
        # Once: where tails are heavy, every further round would leave out more of them.
        if len(kept) >= max(_FEWEST, 0.5 * len(values)):
            self._fit(-kept, (1.0 - _LEFT_OUT) * _LEVELS)

    def _fit(self, unusual: _Numbers, levels: _Numbers) -> None:
        least = unusual.min()
        self._origin = least - _MARGIN * max(float(np.median(unusual) - least), 1e-9)
        quantiles = np.quantile(unusual - self._origin, _LEVELS)
        normal = ndtri(levels)
        best = -1.0
        for power in _POWERS:
            values = _transformed(quantiles, power)
            fit = 0.0 if values.std() == 0.0 else float(np.corrcoef(normal, values)[0, 1])
            if fit > best:
                best, self._power = fit, float(power)
        values = _transformed(quantiles, self._power)
        self._deviation, self._mean = np.polyfit(normal, values, 1)

    def p_values(self, scores: _Numbers) -> _Numbers:
        """Return the probability that a usual row is as unusual, shape ``(n,)``."""
        above = np.maximum(-np.asarray(scores, dtype=np.float64) - self._origin, 1e-300)
        off = _transformed(above, self._power) - self._mean
        # Equal scores differ from their mean by rounding alone.
        same = np.abs(off) <= 1e-9 * max(abs(float(self._mean)), 1.0)
        return np.asarray(ndtr(-np.where(same, 0.0, off) / max(float(self._deviation), 1e-12)))


def _transformed(values: _Numbers, power: float) -> _Numbers:
    if abs(power) < 1e-9:
        return np.asarray(np.log(values))
    return np.asarray((values**power - 1.0) / power)
