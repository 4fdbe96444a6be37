"""How far usual rows go: a Pareto tail of distances, of which some may be a hump of anomalies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["UsualTail"]

_Numbers = npt.NDArray[np.float64]

# With fewer distances nothing can be said of them.
_FEWEST = 8
# The first is exponential; the larger, the heavier.
_SHAPES = np.array([1e-6, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0])
# In nats: what a hump has to gain, and the drop of the likelihood at the upper limit of the shape (95 %).
_GAIN, _LIMIT = 5.0, 1.35
# Deviation of the logarithms of a hump: rows that are nearly equal are no proof of one.
_NARROWEST = 0.15
# Shares of the distances that a hump is taken to have at first; and the most that it can have.
_STARTS, _MOST = (0.02, 0.08, 0.25), 0.95
# Steps end where the likelihood rises no more, of shapes that are not far below the best.
_STEPS, _CLOSE, _FAR_BELOW = 300, 1e-3, 20.0
# Larger exponents overflow.
_LARGEST = 600.0
# Of more distances, quantiles and the farthest ones stand for all.
_QUANTILES, _FARTHEST = 150, 100
_LOG_ROOT = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True)
class UsualTail:
    """A generalised Pareto distribution of distances, and the share of them that are not of it.

    Attributes
    ----------
    shape, scale : float
        Of the distribution; the scale is infinite if nothing is known.
    hump : float
        The share of the distances that are of other rows.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> tail = UsualTail.of(np.concatenate([random.exponential(size=380), np.full(20, 30.0)]), most=100)
    >>> bool(0.04 < tail.hump < 0.06), bool(tail.survival(np.array([30.0]))[0] < 1e-3)
    (True, True)
    """

    shape: float
    scale: float
    hump: float

    @classmethod
    def of(cls, distances: _Numbers, most: float) -> UsualTail:
        """Return the heaviest tail that distances allow.

        Parameters
        ----------
        distances
            Positive numbers.
        most
            How many of them are a hump, at most.
        """
        if len(distances) < _FEWEST:
            return cls(shape=0.0, scale=np.inf, hump=0.0)
        y, weights = _thinned(np.sort(distances))
        unit = float(np.median(y))
        fit = _Fit(y / unit, weights, min(_MOST, most / len(distances)))
        best = fit.of_shapes(None)
        for share in _STARTS:
            found = fit.of_shapes(share)
            better = found.likelihood - _GAIN > best.likelihood
            best = _Fitted(
                np.where(better, found.likelihood - _GAIN, best.likelihood),
                np.where(better, found.scale, best.scale),
                np.where(better, found.hump, best.hump),
            )
        allowed = np.flatnonzero(best.likelihood >= best.likelihood.max() - _LIMIT)[-1]
        return cls(
            shape=float(_SHAPES[allowed]),
            scale=unit * float(best.scale[allowed]),
            hump=float(best.hump[allowed]),
        )

    def survival(self, distances: _Numbers) -> _Numbers:
        """Return the probability that a usual row is as far or farther: 1 for distances of 0 or less."""
        if not np.isfinite(self.scale):
            return np.ones(len(distances))
        ratio = np.log1p(self.shape * np.maximum(distances, 0.0) / self.scale)
        return np.asarray(np.exp(-ratio / self.shape))


@dataclass(frozen=True)
class _Fitted:
    """For each shape the log-likelihood, the scale, and the share of the hump."""

    likelihood: _Numbers
    scale: _Numbers
    hump: _Numbers


@dataclass(frozen=True)
class _Fit:
    """Expectation and maximisation, for all shapes at once."""

    y: _Numbers
    weights: _Numbers
    most: float

    def of_shapes(self, share: float | None) -> _Fitted:
        """Return the fits with a hump that at first has a share of the distances; or without one."""
        logs = np.log(self.y)
        scale = np.full(len(_SHAPES), 1.4)
        hump = np.zeros(len(_SHAPES))
        middle, width = np.zeros(len(_SHAPES)), np.ones(len(_SHAPES))
        if share is not None:
            hump += min(share, 0.5 * self.most)
            top = logs[-max(2, int(share * len(logs))) :]
            middle += top.mean()
            width *= max(float(top.std()), _NARROWEST)
        before = np.full(len(_SHAPES), -np.inf)
        for _ in range(_STEPS):
            ratio = np.log1p(_SHAPES[:, None] * self.y / scale[:, None])
            tail = -np.log(scale)[:, None] - (1.0 + 1.0 / _SHAPES)[:, None] * ratio
            tail += np.log1p(-hump)[:, None]
            odds = np.zeros_like(tail)
            if share is not None:
                other = -0.5 * ((logs - middle[:, None]) / width[:, None]) ** 2 - logs - _LOG_ROOT
                other += (np.log(hump) - np.log(width))[:, None]
                odds = np.exp(np.minimum(other - tail, _LARGEST))
            likelihood = (tail + np.log1p(odds)) @ self.weights
            near = likelihood > likelihood.max() - _FAR_BELOW
            if (likelihood - before < _CLOSE)[near].all():
                break
            before = likelihood
            usual = self.weights / (1.0 + odds)
            # A Pareto distribution is a mixture of exponential ones: a step of its EM.
            inner = (1.0 + _SHAPES)[:, None] * self.y / (1.0 + _SHAPES[:, None] * self.y / scale[:, None])
            scale = np.maximum((usual * inner).sum(1) / np.maximum(usual.sum(1), 1e-300), 1e-300)
            if share is not None:
                beyond = self.weights - usual
                total = np.maximum(beyond.sum(1), 1e-300)
                hump = np.clip(total / self.weights.sum(), 1e-12, self.most)
                middle = (beyond * logs).sum(1) / total
                off = (logs - middle[:, None]) ** 2
                width = np.maximum(np.sqrt((beyond * off).sum(1) / total), _NARROWEST)
        return _Fitted(likelihood, scale, hump)


def _thinned(y: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Return few numbers that stand for ascending ones, and how many each stands for."""
    if len(y) <= _QUANTILES + _FARTHEST:
        return y, np.ones(len(y))
    near, far = y[:-_FARTHEST], y[-_FARTHEST:]
    few = np.quantile(near, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return np.concatenate([few, far]), np.repeat([len(near) / _QUANTILES, 1.0], [_QUANTILES, _FARTHEST])
