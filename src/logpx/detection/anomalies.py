"""The unusual rows of a table, all at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from logpx.detection.own_rows import OwnRowsSearch
from logpx.detection.reasons import Reason
from logpx.detection.search import AnomalySearch
from logpx.detection.selection import selection_of
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring import Calibration
from logpx.storage import load
from logpx.tables import Table, TableModel, open_table
from logpx.tables.reading.frame_part import with_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Anomalies", "anomalies"]

_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True, repr=False)
class Anomalies(Shown):
    """The rows that were selected.

    Attributes
    ----------
    table : pyarrow.Table
        ``row`` (counted from 1), ``p_value``, ``score``, by which rows are ordered, log p as in ``logpx
        score``, and ``reasons`` as text; after the columns that are kept.
    reasons : dict of int to list of Reason
        By the number of the row.
    rows : int
        How many rows were looked at.
    selection : str
        What the selection means, in a sentence.
    calibration : Calibration or None
        What p-values are found by.
    notes : list of str
        What the user should know, such as that high likelihood misleads.
    """

    table: pa.Table
    reasons: dict[int, list[Reason]]
    rows: int
    selection: str
    calibration: Calibration | None
    notes: list[str]

    def __str__(self) -> str:
        """Say what the selection means, and which rows are the most unusual."""
        rows = [
            ", ".join(f"{name} {value}" for name, value in row.items() if value) for row in self._shown_rows()
        ]
        more = [f"and {len(self.table) - len(rows):,} more"] if len(self.table) > len(rows) else []
        return "\n".join([self.selection, *rows, *more])

    def _shown_rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
            for row in self.table.slice(0, _MOST_SHOWN).to_pylist()
        ]

    def to_pandas(self) -> Any:
        """Return the table as a pandas frame."""
        return self.table.to_pandas()

    def plot_anomalies(self, *, ax: Axes | None = None) -> Axes:
        """Plot the reasons of the most unusual rows; see `logpx.plots.plot_anomalies`.

        Raises
        ------
        UsageError
            If no row was selected, or none has reasons.
        """
        from logpx import plots

        named = [
            (f"row {row:,}", {reason.column: reason.excess for reason in self.reasons[row]})
            for row in self.table["row"].to_pylist()
            if row in self.reasons
        ]
        return plots.plot_anomalies(dict(named), ax=ax)


def anomalies(
    model: Any,
    rows: Any = None,
    *,
    fdr: float | None = None,
    top: int | None = None,
    alpha: float | None = None,
    everything: bool = False,
    explain: bool | None = None,
    keep: Sequence[str] = (),
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Anomalies:
    """Find the unusual rows of a table: which, how sure that is, and why.

    Parameters
    ----------
    model
        A model of a table, or its folder; or, without rows, a table, to find unusual rows among its own: each
        is scored by small robust mixtures that have not seen it, and p-values are estimates without
        guarantee.
    rows
        Anything that `logpx.tables.open_table` takes, or a `Table`, with the columns of the model.
    fdr
        Select rows by the procedure of Benjamini and Hochberg: of rows selected in this way at most this
        share is of the usual kind, on average. The default, with 0.05.
    top
        Select so many rows of the lowest score instead.
    alpha
        Select the rows with a p-value of at most this instead.
    everything
        Return all rows, in the order of the table; other selections have the most unusual row first.
    explain
        Whether to find reasons; by default for selected rows, and not with `everything`.
    keep
        Columns of the table to pass on.
    columns
        Without a model, kinds that override the inferred ones, by column name; see `infer_schema`.
    seed
        Seed of noise.

    Returns
    -------
    Anomalies
        With the selected rows as ``result.table``.

    Raises
    ------
    DataError
        If the columns are not those of the model, or a cell cannot be read.
    UsageError
        If arguments do not go together, or rows are to be selected by p-values of a model that has no rows
        set aside.

    Examples
    --------
    >>> import logpx, numpy as np
    >>> z = np.random.default_rng(0).normal(size=(500, 3))
    >>> x = z @ [[1.0, 0.9, 1.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.4]]
    >>> model = logpx.fit("gaussian", dict(zip("abc", x.T))).model
    >>> found = logpx.anomalies(model, {"a": [0.0, 2.0], "b": [0.1, -2.0], "c": [0.1, 1.9]}, alpha=0.01)
    >>> found.table["row"].to_pylist(), [reason.column for reason in found.reasons[2]]
    ([2], ['b'])
    """
    selection = selection_of(fdr=fdr, top=top, alpha=alpha, everything=everything)
    explain = not everything if explain is None else explain
    search: AnomalySearch
    if rows is None:
        table = model if isinstance(model, Table) else open_table(model)
        names = list(keep) or None
        search = OwnRowsSearch(
            table, selection, columns=columns, explain=explain, kept_names=names, seed=seed
        )
    elif columns is not None:
        raise UsageError("columns is for a table without a model", fix="leave it out, or fit with it")
    else:
        model = _loaded(model)
        names = list(model.schema.modelled_names)
        table = rows if isinstance(rows, Table) else open_table(with_names(rows, names, model.schema.names))
        kept = model.kept_cells(table, names=keep) if keep else None
        search = AnomalySearch(model, table, selection, explain=explain, kept=kept, seed=seed)
    batches = list(search.batches())
    return Anomalies(
        table=pa.Table.from_batches(batches, schema=None if batches else search.schema),
        reasons=dict(search.explained),
        rows=search.rows,
        selection=selection.words(search.rows, search.selected),
        calibration=search.calibration,
        notes=search.notes,
    )


def _loaded(model: TableModel | str | os.PathLike[str]) -> TableModel:
    found = model if isinstance(model, TableModel) else load(model)
    if not isinstance(found, TableModel):
        raise UsageError(
            f"the model is a {type(found).__name__}, not one of a table", fix="fit a table with logpx.fit"
        )
    return found
