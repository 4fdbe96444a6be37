"""P-values of rows among themselves: how far the usual ones go, and which lie beyond."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logpx.detection.usual_tail import UsualTail
from logpx.errors import DataError
from logpx.wording import counted

__all__ = ["EmpiricalNull"]

_Numbers = npt.NDArray[np.float64]

_FEWEST = 20
# The tail begins here.
_TAIL = 0.6
# Of all rows, anomalies are no more.
_MOST_ANOMALIES = 0.15


class EmpiricalNull:
    r"""The distribution of scores of usual rows, estimated from the scores of all.

    Up to the quantile of 60 % all rows count as usual. Above it, the distances of usual rows are taken to
    have a generalised Pareto tail, exponential or heavier. Anomalies, up to 15 % of all rows, may form a
    hump beside it, which is log-normal, and is believed if it raises the likelihood by 5 nats. Of all tails
    that the scores allow (within the upper 95 % limit of the shape) the heaviest one gives the p-values:
    where a few far rows may be the tail of the usual ones, they are not called anomalies. P-values remain
    estimates, and there is no guarantee as from rows set aside.

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
    Efron 2004, Large-scale simultaneous hypothesis testing: the choice of a null hypothesis; Pickands 1975,
    Statistical inference using extreme order statistics.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> scores = np.concatenate([-random.chisquare(4, 950), np.full(50, -60.0)])
    >>> p_values = EmpiricalNull(scores).p_values(scores)
    >>> bool((p_values[950:] < 1e-3).all()), bool(0.02 < (p_values[:950] < 0.05).mean() < 0.08)
    (True, True)
    """

    def __init__(self, scores: _Numbers) -> None:
        if len(scores) < _FEWEST:
            raise DataError(
                f"{counted(len(scores), 'row', 'are')} too few to say which are unusual among them",
                fix=f"give {_FEWEST} or more, better hundreds",
            )
        unusual = np.sort(-np.asarray(scores, dtype=np.float64))
        self._start = float(np.quantile(unusual, _TAIL))
        # Equal scores differ by rounding alone.
        self._same = 1e-9 * max(abs(self._start), 1.0)
        beyond = unusual[unusual > self._start + self._same] - self._start
        self._below = unusual[: len(unusual) - len(beyond)]
        self._tail = UsualTail.of(beyond, _MOST_ANOMALIES * len(unusual))
        usual = (1.0 - self._tail.hump) * len(beyond)
        # One more, as in a rank: no share is known to be 0.
        self._above = (1.0 + usual) / (1.0 + usual + len(self._below))

    def p_values(self, scores: _Numbers) -> _Numbers:
        """Return the probability that a usual row is as unusual, shape ``(n,)``."""
        unusual = -np.asarray(scores, dtype=np.float64)
        less = np.searchsorted(self._below, unusual - self._same) / max(1, len(self._below))
        tail = self._above * self._tail.survival(unusual - self._start)
        above = unusual > self._start + self._same
        return np.where(above, tail, 1.0 - (1.0 - self._above) * less)
