"""The unusual rows of a table under a model, with p-values and reasons, in constant memory."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from logpx.detection.reasons import Explainer, Reason, words_of
from logpx.detection.selection import Selection
from logpx.errors import UsageError
from logpx.scoring import Calibration, keyed_uniforms, score_schema
from logpx.tables import Table, TableModel, UnseenLabels
from logpx.tables.fitting.calibration import DRAWS
from logpx.tables.kept_cells import KeptCells
from logpx.tables.reading.table import TableBatch
from logpx.wording import counted

__all__ = ["AnomalySearch", "Scored"]

# High likelihood misleads where more rows than these are more probable than all but a hundredth of the rows
# set aside; a few more may be so by chance.
_TOO_USUAL, _SHARE_TOO_USUAL, _FEWEST_TOO_USUAL = 0.99, 0.05, 10
_NUMBERS_A_ROW = 4
# Of the columns, those with repeated values: from then on they may decide log p.
_SHARE_REPEATED = 0.5
# Of at least so many selected rows, a column that at least this share of them is selected for.
_MANY_SELECTED, _MOST_OF_THEM = 20, 0.5
# Drawn apart from the noise of rows.
_TIES = 7_022


@dataclass(frozen=True)
class Scored:
    """Consecutive rows with their scores.

    Attributes
    ----------
    start : int
        The number of rows before it.
    numbers : ndarray
        Log p, its standard error, the p-value and the score, by which rows are ordered: shape ``(n, 4)``.
    """

    start: int
    numbers: npt.NDArray[np.float64]

    @property
    def p_values(self) -> npt.NDArray[np.float64]:
        """The p-values."""
        return self.numbers[:, 2]

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """The scores; low is unusual."""
        return self.numbers[:, 3]


class AnomalySearch:
    """Scores a table and selects rows; a table of any length, if all rows are written, in constant memory.

    Parameters
    ----------
    model
        The model of the table.
    table
        The rows.
    selection
        Which rows are selected.
    explain
        Whether each selected row gets its reasons.
    kept
        What passes cells of the table on, beside the results; None for nothing.
    seed
        Seed of noise.

    Attributes
    ----------
    rows : int
        How many rows there are, once `batches` has ended.
    selected : int
        How many of them were selected.
    notes : list of str
        What the user should know, likewise.
    explained : list of (int, list of Reason)
        The numbers of the selected rows, counted from 1, and their reasons.

    Raises
    ------
    UsageError
        If rows are to be selected by p-values, and the model has no rows set aside.
    """

    def __init__(
        self,
        model: TableModel,
        table: Table,
        selection: Selection,
        *,
        explain: bool = True,
        kept: KeptCells | None = None,
        seed: int = 0,
    ) -> None:
        self.model, self.table, self.selection = model, table, selection
        self.calibration: Calibration | None = model.calibration
        if model.unusualness is not None and model.calibration is not None:
            self.calibration = model.unusualness.calibration
        if self.calibration is None and selection.needs_p_values:
            raise UsageError(
                "the model has no rows set aside, so that there are no p-values",
                fix="fit it again to 40 rows or more, or take the most unusual rows with top",
            )
        self.explainer = Explainer(model, seed) if explain else None
        self._kept, self._seed = kept, seed
        self.rows = self.selected = 0
        self.notes: list[str] = []
        self.explained: list[tuple[int, list[Reason]]] = []
        self._too_usual, self._first_too_usual = 0, 0

    @property
    def score_columns(self) -> list[str]:
        """The names of the columns of scores, which rows are ordered by the first of."""
        own = ["score"] if self.model.unusualness is not None and self.calibration is not None else []
        return [*own, *score_schema(self.model.kind).names]

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        own = [("row", pa.int64()), ("p_value", pa.float64())]
        own += [(name, pa.float64()) for name in self.score_columns]
        own += [("reasons", pa.string())] if self.explainer else []
        form = pa.schema(own)
        return form if self._kept is None else self._kept.beside(form)

    @torch.no_grad()
    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the selected rows: all rows in the order of the table, or else the most unusual first."""
        unseen = UnseenLabels()
        with ExitStack() as stack:
            scored = self.scored(unseen)
            if self.selection.needs_a_look:
                scored = self.looked_at(scored, stack.enter_context(tempfile.TemporaryFile()))
            found = self._found(scored)
            if self.selection.everything:
                yield from found
            else:
                several = list(found)
                if several:
                    yield _most_unusual_first(pa.Table.from_batches(several), self.score_columns[0])
        self.notes += [*unseen.notes(), *self._warnings(unseen)]

    def scored(self, unseen: UnseenLabels) -> Iterator[Scored]:
        """Yield the scores and p-values of all rows."""
        for batch, x in self.model.scored_rows(self.table, seed=self._seed, draws=DRAWS, unseen=unseen):
            log_prob = batch.bound.log_prob
            p_values = torch.full_like(log_prob, math.nan)
            scores, calibration = self.model.judged(x, log_prob)
            if calibration is not None and self.model.calibration is not None:
                numbers = batch.start + torch.arange(len(log_prob))
                ties = keyed_uniforms(numbers, 1, self._seed, _TIES)[:, 0]
                p_values = calibration.p_values(scores, ties).to(log_prob)
                self._note_too_usual(self.model.calibration.p_values(log_prob, ties), batch.start)
            self.rows += len(log_prob)
            yield Scored(
                batch.start,
                torch.stack([log_prob, batch.bound.standard_error, p_values, scores.to(log_prob)], 1).numpy(
                    force=True
                ),
            )

    def looked_at(self, batches: Iterator[Scored], spool: IO[bytes]) -> Iterator[Scored]:
        """Yield batches again, once the selection has seen all of them; they wait in a file."""
        sizes = []
        for batch in batches:
            self.selection.look(batch.p_values, batch.scores, batch.start)
            spool.write(np.ascontiguousarray(batch.numbers).tobytes())
            sizes.append(len(batch.numbers))
        spool.seek(0)
        start = 0
        for size in sizes:
            content = np.frombuffer(spool.read(8 * _NUMBERS_A_ROW * size))
            yield Scored(start, content.reshape(size, _NUMBERS_A_ROW))
            start += size

    def _found(self, batches: Iterator[Scored]) -> Iterator[pa.RecordBatch]:
        """Yield the selected rows of each batch, with cells and reasons."""
        cells = iter(self._kept.batches()) if self._kept is not None else None
        read = iter(self.model.batches(self.table, UnseenLabels())) if self.explainer else None
        for batch in batches:
            chosen = self.selection.chosen(batch.p_values, batch.scores, batch.start)
            places = np.flatnonzero(chosen)
            own = next(cells) if cells is not None else {}
            rows = next(read) if read is not None else None
            self.selected += len(places)
            if not len(places) and not self.selection.everything:
                continue
            taken = pa.array(places)
            columns: dict[str, Any] = {name: array.take(taken) for name, array in own.items()}
            columns["row"] = batch.start + places + 1
            columns["p_value"] = pa.array(batch.p_values[places], from_pandas=True)
            columns |= self.written_scores(batch, places)
            if rows is not None:
                columns["reasons"] = self._explained(rows[0], rows[1], places)
            yield pa.RecordBatch.from_pydict(
                {name: columns[name] for name in self.schema.names}, schema=self.schema
            )

    def written_scores(self, batch: Scored, places: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the columns of scores of some rows of a batch."""
        own = {"score": batch.scores[places]} if "score" in self.score_columns else {}
        return own | dict(zip(score_schema(self.model.kind).names, batch.numbers[places].T, strict=False))

    def _explained(self, batch: TableBatch, x: torch.Tensor, places: npt.NDArray[np.int64]) -> list[str]:
        assert self.explainer is not None

        def shown(number: int, name: str) -> str | None:
            cell = batch.stored.column(name)[int(places[number])].as_py()
            return None if isinstance(cell, float) else str(cell)

        found = self.explainer.reasons(x[places], batch.start, shown)
        self.explained += [
            (batch.start + int(place) + 1, reasons) for place, reasons in zip(places, found, strict=True)
        ]
        return [words_of(reasons) for reasons in found]

    def _note_too_usual(self, p_values: torch.Tensor, start: int) -> None:
        above = p_values > _TOO_USUAL
        if not self._too_usual and bool(above.any()):
            self._first_too_usual = start + int(above.nonzero()[0]) + 1
        self._too_usual += int(above.sum())

    def _warnings(self, unseen: UnseenLabels) -> list[str]:
        too_few = self.selection.too_few_aside(self.calibration.least) if self.calibration else None
        usual = self._less_known() if unseen.without_values else self._too_usual_rows()
        few = [] if too_few is None else [too_few]
        return [*few, *usual, *self.repeated_values(), *self.one_column()]

    def _less_known(self) -> list[str]:
        """Say what p-values of rows with fewer cells are worth, whose log p is of another size."""
        if self.calibration is None:
            return []
        return [
            "p-values compare these rows with rows that had such values, so they may be too high or too low: "
            "rows are better found by a model that was fitted without the column"
        ]

    def one_column(self) -> list[str]:
        """Say so where many rows are selected and most of them for one column, as for dates to come."""
        if self.selection.everything or len(self.explained) < _MANY_SELECTED:
            return []
        named = Counter(reason.column for _, reasons in self.explained for reason in reasons)
        if not named:
            return []
        (column, count), rows = named.most_common(1)[0], len(self.explained)
        if count < _MOST_OF_THEM * rows:
            return []
        return [
            f"{count:,} of {rows:,} selected rows are unusual by column {column!r}: if that is no "
            "news (dates after those of the fit, numbers that count up), leave it out of the fit: "
            f"--columns {shlex.quote(f'{column}=drop')}"
        ]

    def repeated_values(self) -> list[str]:
        """Say so where log p rewards values that repeat, in which anomalies can hide."""
        if "score" in self.score_columns:
            return []
        supports = self.model.supports.supports
        count = sum(bool(support.atoms) for support in supports)
        if count < _SHARE_REPEATED * len(supports):
            return []
        return [
            f"in {count:,} of {counted(len(supports), 'column')} single values repeat so often that they "
            "hold mass: log p rewards rows of such values, and anomalies made of them are not found, above "
            "all if there were some in the fit; logpx anomalies TABLE, without the model, scores rows "
            "otherwise"
        ]

    def _too_usual_rows(self) -> list[str]:
        few = max(_FEWEST_TOO_USUAL, _SHARE_TOO_USUAL * self.rows)
        if self.calibration is None or self._too_usual <= few:
            return []
        return [
            f"{self._too_usual:,} of {counted(self.rows, 'row')}, first row "
            f"{self._first_too_usual:,}, are more "
            "probable than 99 % of the rows set aside: constant, repeated or simple rows have a high log p "
            "without being of the usual kind, and are not found in this way; see docs/anomalies.md, "
            "When high likelihood misleads"
        ]


def _most_unusual_first(table: pa.Table, score: str) -> pa.RecordBatch:
    ordered = table.unify_dictionaries().sort_by([(score, "ascending"), ("row", "ascending")])
    return ordered.combine_chunks().to_batches()[0]
