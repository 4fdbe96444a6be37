"""How a fit went: the likelihood over its steps, and how the models that were tried compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logpx.errors import UsageError
from logpx.plots.appearance import COLOURS, GREY, LINES, label_axes, legend, new_axes, of_results, ticks
from logpx.plots.columns import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_leaderboard", "plot_training"]

_EARLY = 0.1


@of_results
def plot_training(
    history: Iterable[Any],
    *,
    stopped: str | None = None,
    events: Iterable[Any] = (),
    unit: str = "nats per row",
    ax: Axes | None = None,
) -> Axes:
    """Plot the likelihood of training and validation rows over the steps, the best step, and what ended it.

    Parameters
    ----------
    history
        Records with ``step``, ``train``, ``validation`` and ``validation_error``: of a
        `logpx.training.FitResult`, or as they stand in the file ``metrics.json`` of a model folder. Or the
        result of a fit.
    stopped
        Why the fit ended, for the title.
    events
        What happened besides, with ``step`` and ``kind``; marked on the axis.
    unit
        What likelihoods are measured in.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no records.

    Examples
    --------
    >>> from logpx.plots import plot_training
    >>> records = [{"step": s, "train": -3.0 / s, "validation": -3.5 / s} for s in (1, 2, 3)]
    >>> plot_training(records, stopped="patience").get_title()
    'best at step 3; ended: patience'
    """
    records = list(history)
    if not records:
        raise UsageError("there is no history", fix="give the history of a model that was trained")
    ax = new_axes(ax)
    steps = _values(records, "step")
    handles: list[Any] = []
    explained: list[str] = []
    title = []
    train, validation = _values(records, "train"), _values(records, "validation")
    for place, (name, values) in enumerate((("training", train), ("validation", validation))):
        there = np.isfinite(values)
        if there.any():
            handles += ax.plot(
                steps[there],
                values[there],
                color=COLOURS[place],
                linestyle=LINES[1 - place],
                marker="." if there.sum() < 30 else None,
                linewidth=1.6,
            )
            explained.append(name)
    errors = _values(records, "validation_error")
    sure = np.isfinite(errors) & np.isfinite(validation)
    if sure.any():
        low, high = (validation + sign * 2.0 * errors for sign in (-1.0, 1.0))
        ax.fill_between(steps[sure], low[sure], high[sure], color=COLOURS[1], alpha=0.2, linewidth=0)
    if np.isfinite(validation).any():
        best = int(np.nanargmax(validation))
        handles.append(ax.axvline(steps[best], color=GREY, linewidth=1.0, linestyle=":"))
        explained.append("best")
        title.append(f"best at step {steps[best]:,.0f}")
    for event in events:
        ax.plot(
            [float(_value(event, "step") or 0.0)],
            [0.02],
            "v",
            color=GREY,
            markersize=5,
            transform=ax.get_xaxis_transform(),
        )
    if stopped is not None:
        title.append(f"ended: {stopped}")
    _show_late(ax, steps, [train, validation])
    label_axes(ax, x="step", y=unit, title="; ".join(title) or None)
    if handles:
        legend(ax, handles, explained, loc="lower right")
    return ax


def _value(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _values(records: Sequence[Any], name: str) -> Numbers:
    values = [_value(record, name) for record in records]
    return np.array([math.nan if value is None else float(value) for value in values])


def _show_late(ax: Axes, steps: Numbers, lines: Sequence[Numbers]) -> None:
    """Leave out the first steep rise, beside which the rest would look flat."""
    late = steps >= steps[0] + _EARLY * (steps[-1] - steps[0])
    values = np.concatenate([line[late & np.isfinite(line)] for line in lines])
    if len(values) > 4:
        low, high = float(values.min()), float(values.max())
        margin = 0.1 * max(high - low, 1e-3)
        ax.set_ylim(low - margin, high + margin)


@of_results
def plot_leaderboard(candidates: Iterable[Any], *, ax: Axes | None = None) -> Axes:
    """Plot the models that were tried by their likelihood on held-out rows, the best one on top.

    Parameters
    ----------
    candidates
        Records with ``model``, ``scales``, ``validation``, ``standard_error`` and ``chosen``: of a
        `logpx.tables.TableFitResult`, or as they stand in ``metrics.json``; or the result of a fit. Those
        that failed have no likelihood and are named last.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    UsageError
        If there are no candidates.

    Examples
    --------
    >>> from logpx.plots import plot_leaderboard
    >>> tried = [{"model": "gmm", "validation": -3.1, "standard_error": 0.1, "chosen": True}]
    >>> plot_leaderboard(tried).get_xlabel()
    'validation nats per row'
    """
    records = list(candidates)
    if not records:
        raise UsageError("there are no candidates", fix="give those of a model of a table")
    means = _values(records, "validation")
    # Minus infinity and failures have no place on the axis.
    order = sorted(
        range(len(records)), key=lambda place: (not math.isfinite(means[place]), -np.nan_to_num(means[place]))
    )
    ax = new_axes(ax, (5.6, 0.9 + 0.3 * len(records)))
    names = []
    for row, place in enumerate(order):
        record = records[place]
        chosen = bool(_value(record, "chosen"))
        scales = _value(record, "scales")
        own = f" ({scales})" if scales in ("standard", "chosen") else ""
        names.append(f"{_value(record, 'model')}{own}")
        if not math.isfinite(means[place]):
            reason = "an impossible row" if means[place] == -math.inf else "failed"
            ax.text(
                0.5, row, reason, transform=ax.get_yaxis_transform(), fontsize=8, va="center", ha="center"
            )
            continue
        error = _value(record, "standard_error")
        ax.errorbar(
            means[place],
            row,
            xerr=None if error is None else 2.0 * float(error),
            fmt="D" if chosen else "o",
            color=COLOURS[1] if chosen else COLOURS[0],
            markersize=6,
            capsize=2,
        )
    ticks(ax, names, vertical=True)
    ax.set_ylim(len(records) - 0.5, -0.5)
    ax.locator_params(axis="x", nbins=5)
    chosen_too = any(_value(record, "chosen") for record in records)
    label_axes(
        ax,
        x="validation nats per row",
        title="diamond: chosen; bars: two standard errors" if chosen_too else None,
    )
    return ax
