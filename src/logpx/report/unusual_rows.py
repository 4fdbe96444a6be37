"""The most unusual rows of a table, found, ordered and explained as ``logpx anomalies`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logpx import plots
from logpx.detection.reasons import Reason
from logpx.detection.search import AnomalySearch
from logpx.detection.selection import FalseDiscoveryRate, MostUnusual
from logpx.report.common import number
from logpx.report.parts import Figure, Section, SortableTable
from logpx.report.table_material import TableMaterial
from logpx.scoring import score_schema
from logpx.wording import counted

__all__ = ["unusual_rows"]

_KEY, _TITLE = "anomalies", "Anomalies"
_LISTED = 20
# Of more columns, reasons take minutes. More rows are left to the command.
_MOST_COLUMNS, _MOST_ROWS = 200, 1_000_000
_RATE = 0.05
_HEADS = {"row": "row", "p_value": "p-value", "score": "score", "reasons": "reasons"}


def unusual_rows(material: TableMaterial) -> Section | None:
    """Return the section on the most unusual rows at hand, if there are any."""
    sample = material.new if material.source is None or material.new is not None else material.source.rows
    if sample is None:
        return None
    if sample.total > _MOST_ROWS:
        text = f"The table has {sample.total:,} rows: logpx anomalies finds the unusual ones among so many."
        return Section(key=_KEY, title=_TITLE, text=[text])
    listed = _Listed(_LISTED)
    explain = len(material.model.schema.modelled) <= _MOST_COLUMNS
    search = AnomalySearch(material.model, sample.table, listed, explain=explain, seed=material.seed)
    found = pa.Table.from_batches(search.batches(), schema=search.schema).to_pylist()
    heads = _HEADS | {score_schema(material.model.kind).names[0]: _log_p(material.model.kind)}
    columns = [name for name in search.schema.names if name in heads]
    return Section(
        key=_KEY,
        title=_TITLE,
        text=_text(material, search, listed, len(found)),
        points=[note for note in search.notes if note not in sample.notes],
        grids=[
            SortableTable(
                title="The most unusual rows",
                columns=[heads[name] for name in columns],
                rows=[[_cell(name, row[name]) for name in columns] for row in found],
                numbers=frozenset(at for at, name in enumerate(columns) if name not in ("row", "reasons")),
            )
        ],
        figures=_figures(material, [row["row"] for row in found], dict(search.explained)),
    )


class _Listed(MostUnusual):
    """The rows with the lowest scores; meanwhile it is counted how many rows the usual selection takes."""

    def __init__(self, top: int) -> None:
        super().__init__(top)
        self.usual = FalseDiscoveryRate(_RATE)

    def look(self, p_values: npt.NDArray[np.float64], log_prob: npt.NDArray[np.float64], start: int) -> None:
        """Let both selections see the rows."""
        super().look(p_values, log_prob, start)
        self.usual.look(p_values, log_prob, start)


def _text(material: TableMaterial, search: AnomalySearch, listed: _Listed, count: int) -> list[str]:
    by = _log_p(material.model.kind)
    if "score" in search.score_columns:
        by = "the score, which is low if log p or an ensemble of robust mixtures finds a row unusual"
    text = [
        f"The {count:,} most unusual of {counted(search.rows, 'row')}, in the order in which logpx anomalies "
        f"writes them: by {by}."
    ]
    if search.calibration is not None:
        usual = listed.usual
        text.append(
            f"By itself logpx anomalies selects {usual.words(search.rows, usual.selected)}. The p-value is "
            f"the share of rows as unusual among {search.calibration.source}; with many rows, small ones are "
            "expected."
        )
    if material.new is None:
        text.append("The model was fitted to these rows, which may make them look more usual than new ones.")
    if search.explainer is None:
        text.append(
            f"Reasons of rows of more than {_MOST_COLUMNS} columns take minutes: logpx anomalies finds them."
        )
    return text


def _log_p(kind: str) -> str:
    return "log p" if kind == "exact" else f"log p ({kind})"


def _cell(name: str, value: Any) -> str:
    return number(value, 2 if name == "p_value" else 4)


def _figures(
    material: TableMaterial, rows: Sequence[int], reasons: Mapping[int, Sequence[Reason]]
) -> list[Figure]:
    """Return the figure of the reasons, if there are any."""
    excess = {
        f"row {row:,}": {reason.column: reason.excess for reason in reasons[row]}
        for row in rows
        if row in reasons
    }
    if not excess:
        return []
    return [
        material.drawing.figure(
            "What makes them unusual",
            lambda ax: plots.plot_anomalies(excess, ax=ax),
            caption="By how many nats cells are more surprising than is usual for their columns: given the "
            "other cells of their row, or by themselves where the reasons do not say so.",
            size=(6.0, 1.0 + 0.34 * len(excess)),
        )
    ]
