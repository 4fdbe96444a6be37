"""What a posterior's verdict rests on: importance weights, modes, and the trace of the bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import COLOURS, GREY, LINES, label_axes, legend, new_axes, of_results, ticks
from logpx.plots.columns import numbers_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_bound", "plot_modes", "plot_weights"]

_MOST_MODES = 12
_MOST_POINTS = 600
_SMOOTHED = 50
# In nats.
_FAR = 100.0


@of_results
def plot_weights(
    log_weights: Any, *, k_hat: float | None = None, limit: float | None = None, ax: Axes | None = None
) -> Axes:
    """Plot importance weights from the largest to the smallest, as multiples of their mean.

    Weights of an approximation that is the posterior itself lie on the line at 1. Where it is good they fall
    slowly; where few draws carry all the weight they fall steeply, and k-hat is large.

    Parameters
    ----------
    log_weights
        Shape ``(S,)``, in nats, up to a constant; minus infinity for a weight of 0. Or a posterior.
    k_hat, limit
        The tail shape, and the number that it has to be below, for the title.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there is no weight above 0, or one is not a number.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry 2024, Pareto smoothed importance sampling.
    https://arxiv.org/abs/1507.02646

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.plots import plot_weights
    >>> plot_weights(np.random.default_rng(0).normal(size=1000), k_hat=0.2, limit=0.7).get_title()
    'k-hat 0.20, below its limit of 0.70'
    """
    weights = numbers_of(log_weights, "log_weights")
    if not math.isfinite(weights.max()):
        raise UsageError("no weight is a number above 0", fix="give finite log-weights")
    ax = new_axes(ax)
    falling = np.sort(np.exp(weights - weights.max()))[::-1]
    falling /= falling.mean()
    falling = falling[falling > 0.0]
    ranks = np.arange(1, len(falling) + 1)
    tail = max(1, int(min(0.2 * len(weights), 3.0 * math.sqrt(len(weights)))))
    shown = np.unique(np.geomspace(1, len(falling), _MOST_POINTS).astype(int)) - 1
    ax.axhline(1.0, color=GREY, linewidth=1.0)
    (line,) = ax.plot(ranks[shown], falling[shown], color=COLOURS[0], linewidth=1.8)
    largest = shown[shown < tail]
    (dots,) = ax.plot(ranks[largest], falling[largest], "o", color=COLOURS[1], markersize=3.5)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(bottom=max(float(falling.min()), 1e-4) * 0.7, top=max(float(falling[0]), 1.0) * 1.6)
    label_axes(ax, x="rank of the draw", y="weight / mean weight", title=_k_hat_in_words(k_hat, limit))
    legend(ax, [line, dots], [f"{len(weights):,} draws", f"the {tail:,} that k-hat describes"])
    return ax


def _k_hat_in_words(k_hat: float | None, limit: float | None) -> str | None:
    if k_hat is None:
        return None
    if limit is None:
        return f"k-hat {k_hat:.2f}"
    relation = "below" if k_hat < limit else "not below"
    return f"k-hat {k_hat:.2f}, {relation} its limit of {limit:.2f}"


@of_results
def plot_modes(
    names: Any,
    shares: Any = None,
    *,
    expected: Any = None,
    unseen: float = 0.0,
    climbs: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the share of the mass around each mode, and how much may lie at modes that were not met.

    Parameters
    ----------
    names
        A name for each mode; or a posterior.
    shares
        The share of weighted draws around each.
    expected
        The share that the curvature at each mode says, drawn as points.
    unseen
        The estimated share of the mass around modes that no climb has met.
    climbs
        How many climbs from random points were made, for the title.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there is not one share for each mode.

    Examples
    --------
    >>> from logpx.plots import plot_modes
    >>> plot_modes(["x = -2", "x = 2"], [0.3, 0.7]).get_xlabel()
    'share of the mass'
    """
    names = list(names)
    values = numbers_of(shares, "shares") if names else np.zeros(0)
    others = None if expected is None or not names else numbers_of(expected, "expected")
    if len(values) != len(names) or (others is not None and len(others) != len(names)):
        raise UsageError(f"{len(names)} modes and {len(values)} shares", fix="give one share for each mode")
    if not names and not unseen:
        ax = new_axes(ax)
        ax.set_yticks([])
        label_axes(ax, x="share of the mass", title=f"no mode was met{_after(climbs)}")
        return ax
    order = np.argsort(-values, kind="stable")
    first, rest = order[:_MOST_MODES], order[_MOST_MODES:]
    shown = [names[place] for place in first]
    bars = values[first].tolist()
    points = None if others is None else others[first].tolist()
    if len(rest):
        shown.append(f"{len(rest):,} more")
        bars.append(float(values[rest].sum()))
        if others is not None and points is not None:
            points.append(float(others[rest].sum()))
    ax = new_axes(ax, (5.4, 0.9 + 0.32 * (len(bars) + (unseen > 0.0))))
    drawn = ax.barh(range(len(bars)), bars, 0.62, color=COLOURS[0])
    handles: list[Any] = [drawn]
    explained = ["weighted draws"]
    if points is not None:
        handles += ax.plot(
            points, range(len(points)), "D", color=COLOURS[1], markersize=5.5, clip_on=False, zorder=3
        )
        explained.append("curvature at the mode")
    if unseen > 0.0:
        handles.append(
            ax.barh(len(bars), unseen, 0.62, facecolor="none", edgecolor=GREY, hatch="///", linewidth=1.0)
        )
        explained.append("may be unseen")
        shown.append("not met")
    ticks(ax, shown, vertical=True)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(0.0, min(1.0, 1.25 * max([*bars, *(points or []), unseen, 0.05])))
    number = f"{len(names):,} mode{'s' * (len(names) != 1)}"
    label_axes(ax, x="share of the mass", title=f"{number}{_after(climbs)}")
    if len(handles) > 1:
        legend(ax, handles, explained, loc="best")
    return ax


def _after(climbs: int | None) -> str:
    return "" if climbs is None else f" after {climbs:,} climbs"


@of_results
def plot_bound(
    traces: Any,
    *,
    elbo: float | None = None,
    log_evidence: float | None = None,
    log_evidence_error: float = 0.0,
    ax: Axes | None = None,
) -> Axes:
    """Plot the evidence lower bound at each training step, and where it ended.

    Parameters
    ----------
    traces
        One sequence of bounds in nats for each fit, perhaps none; or a posterior.
    elbo
        The bound of the result.
    log_evidence, log_evidence_error
        The estimate of the log-evidence with its standard error, which the bound should not exceed.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If a trace is not a sequence of numbers.

    Examples
    --------
    >>> from logpx.plots import plot_bound
    >>> plot_bound([[-9.0, -5.0, -4.1]], log_evidence=-4.0).get_ylabel()
    'bound (nats)'
    """
    ax = new_axes(ax)
    handles: list[Any] = []
    explained: list[str] = []
    given = enumerate(traces, 1)
    fits = [numbers_of(trace, f"trace {place}") for place, trace in given if np.size(trace)]
    for place, trace in enumerate(fits):
        colour = COLOURS[place % len(COLOURS)]
        steps = np.arange(1, len(trace) + 1)
        ax.plot(steps, trace, color=colour, alpha=0.3, linewidth=0.8)
        handles += ax.plot(
            steps, _smooth(trace), color=colour, linestyle=LINES[place % len(LINES)], linewidth=1.6
        )
        explained.append("bound" if len(fits) == 1 else f"bound of fit {place + 1}")
    far = elbo is not None and log_evidence is not None and elbo < log_evidence - _FAR
    if elbo is not None and math.isfinite(elbo) and not far:
        handles.append(ax.axhline(elbo, color=GREY, linestyle="--", linewidth=1.2))
        explained.append(f"ELBO of the result {elbo:.3f}")
    elif far:
        # It would leave no room for the rest.
        handles += ax.plot([], [], color="none")
        explained.append(f"ELBO of the result {elbo:,.0f}, far below")
    if log_evidence is not None and math.isfinite(log_evidence):
        error = log_evidence_error if math.isfinite(log_evidence_error) else 0.0
        ax.axhspan(
            log_evidence - 2 * error, log_evidence + 2 * error, color=COLOURS[1], alpha=0.25, linewidth=0
        )
        handles.append(ax.axhline(log_evidence, color=COLOURS[1], linewidth=1.4))
        explained.append(f"log evidence {log_evidence:.3f} ± {error:.3f}")
    if fits:
        _show_the_end(
            ax, fits, [value for value in (None if far else elbo, log_evidence) if value is not None]
        )
    else:
        ax.set_xticks([])
        ax.margins(y=0.6)
    title = None if fits else "there were no training steps"
    label_axes(ax, x="training step" if fits else None, y="bound (nats)", title=title)
    if handles:
        legend(ax, handles, explained, loc="lower right")
    return ax


def _smooth(trace: Any) -> Any:
    """Return running means of a noisy trace."""
    width = min(_SMOOTHED, max(1, len(trace) // 10))
    sums = np.cumsum(np.concatenate([[0.0], trace]))
    ends = np.arange(1, len(trace) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _show_the_end(ax: Axes, fits: Sequence[Any], marks: Sequence[float]) -> None:
    """Leave out the first steep rise, beside which the rest would look flat."""
    values = np.concatenate([trace[len(trace) // 10 :] for trace in fits])
    values = np.concatenate([values[np.isfinite(values)], [mark for mark in marks if math.isfinite(mark)]])
    if len(values):
        low, high = float(np.quantile(values, 0.01)), float(values.max())
        margin = 0.08 * max(high - low, 1e-3)
        ax.set_ylim(low - margin, high + margin)
