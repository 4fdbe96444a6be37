"""The least likely rows of a table, and which of their cells stand out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx import plots
from logpx.detection.reasons import Explainer, words_of
from logpx.errors import UsageError
from logpx.report.common import number
from logpx.report.parts import Figure, Section, SortableTable
from logpx.report.table_material import TableMaterial
from logpx.report.table_rows import scored
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort
from logpx.tables.fitting.calibration import DRAWS
from logpx.wording import counted

__all__ = ["unlikely_rows"]

_UNLIKELY = 20
# Of more columns, conditional distributions take too long.
_MOST_COLUMNS = 60


def unlikely_rows(material: TableMaterial) -> Section | None:
    """Return the section on the least likely rows at hand, if there are any."""
    sample = material.new if material.source is None or material.new is not None else material.source.rows
    if sample is None:
        return None
    log_prob = (
        material.scores["new rows"]
        if material.new is not None
        else scored(material.model, sample.x, material.seed)[0]
    )
    order = log_prob.argsort()[:_UNLIKELY].tolist()
    aside = material.model.calibration if material.new is not None else None
    reasons = _Reasons(material)
    p_values = [] if aside is None else _p_values(material, sample.x[order])
    columns = ["row", "log p"] + (["p-value"] if aside is not None else []) + ["cells that stand out"]
    places = [sample.places[place] for place in order]
    names = [f"{row:,}" if file is None else f"{row:,} of {file}" for file, row in places]
    words = reasons.of(sample.x[order], names)
    rows = [
        [names[at], number(float(log_prob[place])), *p_values[at : at + 1], words[at]]
        for at, place in enumerate(order)
    ]
    looked = (
        f"{len(sample.x):,} of {counted(sample.total, 'row')}" if len(sample.x) < sample.total else "all rows"
    )
    text = [f"The least likely of {looked}."]
    if aside is not None:
        text.append(
            f"The p-value, as in logpx anomalies, is the share of rows as unusual among {aside.source}; with "
            "many rows, small ones are expected."
        )
    grid = SortableTable(
        title="Least likely rows", columns=columns, rows=rows, numbers=frozenset(range(1, len(columns) - 1))
    )
    return Section(
        key="unlikely", title="Least likely rows", text=text, grids=[grid], figures=reasons.figures()
    )


class _Reasons:
    """Why rows are unlikely: by surprisal given the other cells, or else by cells rare among samples."""

    def __init__(self, material: TableMaterial) -> None:
        self._material = material
        self._excess: dict[str, dict[str, float]] = {}
        self._explainer: Explainer | None = None
        if 1 < len(material.model.schema.modelled) <= _MOST_COLUMNS:
            with suppress(UsageError):
                self._explainer = Explainer(material.model, material.seed)

    def of(self, x: Tensor, names: Sequence[str]) -> list[str]:
        """Return the reasons of rows, shape ``(n, d)``, in words, and remember them for the figure."""
        if self._explainer is None:
            return [_standing_out(self._material, row) for row in x]
        found = self._explainer.reasons(x)
        self._excess = {
            f"row {name}": {reason.column: reason.excess for reason in reasons}
            for name, reasons in zip(names, found, strict=True)
        }
        return [words_of(reasons) for reasons in found]

    def figures(self) -> list[Figure]:
        """Return the figure of the rows so far."""
        if not self._excess:
            return []
        return [
            self._material.drawing.figure(
                "What makes them unlikely",
                lambda ax: plots.plot_anomalies(self._excess, ax=ax),
                caption="By how many nats cells are more surprising, given the other cells of their row, "
                "than is usual for their columns.",
                size=(6.0, 1.0 + 0.34 * len(self._excess)),
            )
        ]


def _p_values(material: TableMaterial, x: Tensor) -> list[str]:
    """Return p-values of rows, scored as the rows of the calibration were, in words."""
    density, supports = material.model.density, material.model.supports
    noisy = bool(supports.noisy) and needs_noise(density)
    effort = Effort.of(density.kind == "exact", noisy, DRAWS, None)
    with torch.no_grad():
        (bound,) = effort.bounds([density], supports, x, material.seed, 0)
    scores, calibration = material.model.judged(x, bound.log_prob)
    assert calibration is not None
    return [f"{value:.2g}" for value in calibration.p_values(scores).tolist()]


def _standing_out(material: TableMaterial, row: Tensor) -> str:
    """Return the cells of a row that are rare among samples, the rarest first, in words."""
    found = []
    for place, column in enumerate(material.model.schema.modelled):
        value, samples = float(row[place]), material.samples[:, place]
        if math.isnan(value):
            continue
        below, above = float((samples <= value).double().mean()), float((samples >= value).double().mean())
        share = (
            float((samples == value).double().mean())
            if column.levels is not None
            else 2.0 * min(below, above)
        )
        found.append((share, column.name, place))
    cells = material.plotted(row[None])
    rare = [(share, name) for share, name, _ in sorted(found)[:2] if share < 0.02]
    shown = []
    for share, name in rare:
        few = "no sample is" if share == 0.0 else f"{share:.1%} of samples are"
        shown.append(f"{name} = {_cell(cells[name][0])} ({few} as far out)")
    return "; ".join(shown) or "each cell is usual by itself: their combination is not"


def _cell(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T00:00:00", "")
    return number(float(value), 6) if isinstance(value, (float, np.floating)) else str(value)
