"""Choose a column's scale by the likelihood of rows that it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch

from logpx.errors import DataError
from logpx.scoring import Noise
from logpx.tables.dequantisation import dequantise, reflect
from logpx.tables.scales.asinh import Asinh
from logpx.tables.scales.cell_histogram import CellHistogram
from logpx.tables.scales.log import Log
from logpx.tables.scales.log_odds import LogOdds
from logpx.tables.scales.quantile_spline import QuantileSpline
from logpx.tables.scales.sample import Array, Sample
from logpx.tables.scales.scale import Scale
from logpx.tables.scales.soft_clip import SoftClip
from logpx.tables.scales.standard import Standard

__all__ = ["candidates", "choose_scale", "curved_scale", "log_likelihoods"]

Fit = Callable[[Sample], Scale]

_MOST_ROWS = 50_000
_FEWEST_ROWS = 10
# A richer scale has to gain more than this many nats per row, and more than one standard error.
_WORTHWHILE = 0.01
# Up to this many frequent cells, one mass for each is simpler than any curve.
_FEW_CELLS = 64
_ROWS_FOR_A_CELL = 5
_LOG_NORMALISER = 0.5 * math.log(2 * math.pi)


def choose_scale(
    x: Any,
    weights: Any = None,
    *,
    lower: float | None = None,
    upper: float | None = None,
    step: float | None = None,
    offset: float | None = 0.0,
    seed: int = 0,
    like: Scale | None = None,
) -> tuple[Scale, dict[str, float]]:
    """Return the scale with the best held-out likelihood, fitted to all values, and the comparison.

    Candidates are compared by cross-validation: the mean over held-out rows of log N(y; 0, 1) + log dy/dx,
    in nats in the table's units. A simpler scale is kept unless a richer one gains more than 0.01 nats and
    one standard error of the difference.

    Parameters
    ----------
    x : array of shape (n,)
        The column's values as in the table.
    weights : array of shape (n,), optional
        The weight of each row, in fits and in the comparison.
    lower, upper : float, optional
        Bounds of the values; every candidate ends there.
    step : float, optional
        Step of the grid that the values lie on: they are dequantised first, and the support reaches half a
        step beyond the bounds, which are points of the grid.
    offset : float, optional
        The grid is ``offset + k * step``; None if the values do not lie on a single grid, so that cells make
        no sense, and the step is only a width.
    seed : int
        Seed of the folds and of the dequantisation.
    like : Scale, optional
        A scale whose kind is taken, without a comparison, if these values allow it.

    Returns
    -------
    scale : Scale
        Fitted to all values (dequantised).
    report : dict of str to float
        Held-out nats per row of each candidate that could be fitted, simplest first; empty for under 10 rows.

    Raises
    ------
    DataError
        If a value is not finite or outside the bounds, or fewer than two are distinct.

    Examples
    --------
    >>> scale, report = choose_scale(np.random.default_rng(0).lognormal(0.0, 1.0, 1000), lower=0.0)
    >>> type(scale).__name__, list(report)
    ('Log', ['SoftClip', 'Log', 'SoftClip(Asinh)', 'QuantileSpline(Log)', 'QuantileSpline(SoftClip(Asinh))'])
    """
    values = np.array(x, dtype=np.float64).reshape(-1)
    if step is not None:
        exact = torch.from_numpy(values)
        half = 0.0 if offset is None else step / 2
        lower, upper = None if lower is None else lower - half, None if upper is None else upper + half
        noisy = dequantise(exact, step, Noise(seed).uniform(len(values), (), exact))
        values = reflect(noisy, lower, upper).numpy()
    rng = np.random.default_rng(seed)
    sample = Sample.of(values, weights)
    compared = sample
    if len(values) > _MOST_ROWS:
        some = rng.choice(len(values), _MOST_ROWS, replace=False)
        compared = Sample.of(values[some], None if weights is None else weights[some])
    fits = candidates(sample, lower, upper, step, offset)
    with torch.device("cpu"):
        if like is not None:
            with suppress(DataError, KeyError):
                return fits[_name_of(like)](sample), {}
        scores = _held_out(compared, fits, rng) if len(compared) >= _FEWEST_ROWS else {}
        scale = fits[_worthwhile(scores, compared.weights) if scores else next(iter(fits))](sample)
    return scale, {name: float(np.average(score, weights=compared.weights)) for name, score in scores.items()}


def candidates(
    sample: Sample, lower: float | None, upper: float | None, step: float | None, offset: float | None
) -> Mapping[str, Fit]:
    """Return by name the fits of the scales that apply to a column, from the simplest to the richest."""
    ended: dict[str, Callable[..., Scale]] = {}
    if lower is not None and upper is not None:
        ended["LogOdds"] = partial(LogOdds.fit, lower=lower, upper=upper)
    elif lower is not None:
        ended["Log"] = partial(Log.fit, bound=lower)
    elif upper is not None:
        ended["Log(mirrored)"] = partial(Log.fit, bound=upper, mirrored=True)
    linear: dict[str, Callable[..., Scale]] = {"Standard": Standard.fit}
    heavy: dict[str, Callable[..., Scale]] = {"Asinh": Asinh.fit}
    if ended:
        clip = partial(SoftClip.fit, lower=lower, upper=upper, least_width=(step or 0.0) / 2)
        linear = {"SoftClip": partial(clip, inner=Standard.fit)}
        heavy = {"SoftClip(Asinh)": partial(clip, inner=Asinh.fit)}
    simple: dict[str, Fit] = {**linear, **ended, **heavy}
    splines: dict[str, Fit] = {
        f"QuantileSpline({name})": partial(_spline_over, inner) for name, inner in (ended | heavy).items()
    }
    if step is None or offset is None:
        return simple | splines
    cells: dict[str, Fit] = {
        "CellHistogram": partial(CellHistogram.fit, step=step, offset=offset, lower=lower, upper=upper)
    }
    distinct = np.count_nonzero(np.diff(np.floor((sample.values - offset) / step + 0.5))) + 1
    if distinct <= min(_FEW_CELLS, len(sample) / _ROWS_FOR_A_CELL):
        return cells | simple | splines
    return simple | splines | cells


def curved_scale(
    values: Array, weights: Array | None, lower: float | None, upper: float | None
) -> Scale | None:
    """Return the logarithm, or the log-odds, that a column's bounds suggest; None without bounds.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)
        Values strictly between the bounds.
    weights : numpy.ndarray of shape (n,), optional
        The weight of each row.
    lower, upper : float, optional
        The bounds.
    """
    if lower is not None and upper is not None:
        return LogOdds.fit(values, weights, lower=lower, upper=upper)
    if lower is not None:
        return Log.fit(values, weights, bound=lower)
    return None if upper is None else Log.fit(values, weights, bound=upper, mirrored=True)


def log_likelihoods(scale: Scale, values: Array) -> Array:
    """Return log N(y; 0, 1) + log dy/dx of values under a scale, in nats."""
    y, log_derivative = scale(torch.from_numpy(values))
    likelihoods: Array = (log_derivative - y.square() / 2 - _LOG_NORMALISER).numpy()
    return likelihoods


def _name_of(scale: Any) -> str:
    """Return what a fitted scale is called among the candidates."""
    own = "Log(mirrored)" if isinstance(scale, Log) and scale.side < 0.0 else type(scale).__name__
    inner = getattr(scale, "inner", None)
    return own if inner is None or isinstance(inner, Standard) else f"{own}({_name_of(inner)})"


def _spline_over(inner: Callable[..., Scale], sample: Sample) -> Scale:
    return QuantileSpline.fit(sample, inner=inner(sample, limit=math.inf))


def _held_out(sample: Sample, fits: Mapping[str, Fit], rng: np.random.Generator) -> dict[str, Array]:
    """Return the held-out log-likelihood of every row under each candidate that every fold could fit."""
    values = sample.values
    folds = 5 if len(values) < 2000 else 2
    fold = rng.permutation(np.arange(len(values)) % folds)
    scores: dict[str, Array] = {}
    for name, fit in fits.items():
        score = np.empty(len(values))
        try:
            for held_out in range(folds):
                scale = fit(sample.part(fold != held_out))
                score[fold == held_out] = log_likelihoods(scale, values[fold == held_out])
        except DataError:
            continue  # too few distinct values in this fold for this scale
        if np.isfinite(score).all():
            scores[name] = score
    return scores


def _worthwhile(scores: Mapping[str, Array], weights: Array | None) -> str:
    """Return the simplest candidate that no richer one beats by a worthwhile margin."""
    chosen = next(iter(scores))
    for name, score in scores.items():
        gain = score - scores[chosen]
        mean = float(np.average(gain, weights=weights))
        if weights is None:
            error = float(gain.std()) / math.sqrt(len(gain))
        else:
            error = float(np.sqrt(np.square(weights * (gain - mean)).sum()) / weights.sum())
        if mean > max(_WORTHWHILE, error):
            chosen = name
    return chosen
