"""The least likely rows of a table, and which of their cells stand out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from logpx.report.common import number
from logpx.report.parts import Section, SortableTable
from logpx.report.table_material import TableMaterial
from logpx.report.table_rows import scored

__all__ = ["unlikely_rows"]

_UNLIKELY = 20


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
    aside = material.scores.get("rows set aside") if material.new is not None else None
    columns = ["row", "log p"] + (["p-value"] if aside is not None else []) + ["cells that stand out"]
    rows = []
    for place in order:
        file, row = sample.places[place]
        cells = [f"{row:,}" if file is None else f"{row:,} of {file}", number(float(log_prob[place]))]
        if aside is not None:
            as_low = int((aside <= log_prob[place]).sum())
            cells.append(f"{(1 + as_low) / (1 + len(aside)):.2g}")
        rows.append([*cells, _standing_out(material, sample.x[place])])
    looked = f"{len(sample.x):,} of {sample.total:,} rows" if len(sample.x) < sample.total else "all rows"
    text = [f"The least likely of {looked}."]
    if aside is not None:
        text.append(
            "The p-value is the share of rows set aside that are as unlikely; with many rows, small ones are "
            "expected."
        )
    grid = SortableTable(
        title="Least likely rows", columns=columns, rows=rows, numbers=frozenset(range(1, len(columns) - 1))
    )
    return Section(key="unlikely", title="Least likely rows", text=text, grids=[grid])


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
