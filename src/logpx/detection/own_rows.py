"""The unusual rows of a table among its own rows, without a model fitted beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from logpx.detection.own_judgement import judged_among_themselves
from logpx.detection.search import AnomalySearch, Scored
from logpx.detection.selection import Selection
from logpx.errors import DataError, DivergedError, UsageError
from logpx.tables import Schema, Table, TableModel, UnseenLabels, infer_schema
from logpx.tables.coding import RowCoding
from logpx.tables.fitting.fit_rows import fit_rows
from logpx.tables.kept_cells import KeptCells
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.problems import left_out_notes

__all__ = ["OwnRowsSearch"]

_MOST_NUMBERS = 40_000_000
# Of rows that the model which explains is fitted to, none is more unusual than this.
_USUAL = 0.05


class OwnRowsSearch(AnomalySearch):
    """An `AnomalySearch` among the rows of one table.

    Rows are scored by an ensemble of robust mixtures, each row by the members that have not seen it, and have
    p-values by an `EmpiricalNull`. A mixture of the table, fitted without the selected rows and other unusual
    ones, then explains them and gives their log p; so it, too, has not seen them.

    Parameters
    ----------
    table
        The rows, which have to fit in memory.
    selection
        Which rows are selected.
    columns
        Kinds of columns by name, instead of those that are recognised.
    seconds
        How long the model that explains may take to fit.
    explain, seed
        As in `AnomalySearch`.
    kept_names
        Columns of the table to write beside the results; None for none, empty for all.
    as_text
        As in `TableModel.kept_cells`.

    Raises
    ------
    DataError
        If the table cannot be read or modelled, or has fewer than 20 rows.
    UsageError
        If it is too long.
    """

    def __init__(
        self,
        table: Table,
        selection: Selection,
        *,
        columns: Mapping[str, Any] | None = None,
        seconds: float = 20.0,
        explain: bool = True,
        seed: int = 0,
        kept_names: list[str] | None = None,
        as_text: bool = False,
    ) -> None:
        schema = infer_schema(table, columns, seed=seed)
        schema.require_modelled(table.file)
        x = _matrix(table, schema)
        coding = RowCoding.of(x, [len(column.levels or ()) for column in schema.modelled])
        try:
            self._scores, self._p_values = judged_among_themselves(x, coding, seed=seed)
        except DataError as error:
            raise DataError(error.message, file=table.file, fix=error.fix) from error
        selection.look(self._p_values, self._scores, 0)
        chosen = selection.chosen(self._p_values, self._scores, 0)
        usual = self._p_values > _USUAL
        if not selection.everything:
            usual &= ~chosen
        model = _explaining(schema, x, usual, seconds, seed)
        kept: KeptCells | None = None
        if kept_names is not None:
            kept = model.kept_cells(table, names=kept_names, as_text=as_text)
        super().__init__(model, table, _Decided(selection), explain=explain, kept=kept, seed=seed)
        self.notes += left_out_notes(schema.columns)
        self.notes.append(
            "p-values are estimates: they compare each row, scored by mixtures that have not seen it, with "
            "the heaviest tail that all rows together allow, so that rows which may be the tail of usual "
            "ones are not selected (--top lists the most unusual in any case); fit a model to usual rows for "
            "p-values with a guarantee"
        )

    @property
    def score_columns(self) -> list[str]:
        """The score of the ensemble, and log p under the model of usual rows."""
        return ["score", *super().score_columns]

    def scored(self, unseen: UnseenLabels) -> Iterator[Scored]:
        """Yield log p by the model of usual rows, with the p-values and the scores by the ensemble."""
        for batch in super().scored(unseen):
            own = slice(batch.start, batch.start + len(batch.numbers))
            each = [batch.numbers[:, 0], batch.numbers[:, 1], self._p_values[own], self._scores[own]]
            yield Scored(batch.start, np.stack(each, 1))

    def looked_at(self, batches: Iterator[Scored], spool: IO[bytes]) -> Iterator[Scored]:
        """Yield batches at once, for the selection has seen all rows."""
        return batches

    def one_column(self) -> list[str]:
        """Nothing: no fit came before."""
        return []

    def repeated_values(self) -> list[str]:
        """Nothing: mixtures with a least variance do not reward values that repeat."""
        return []

    def written_scores(self, batch: Scored, places: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the scores, and log p."""
        score, *others = self.score_columns
        return {score: batch.scores[places], **dict(zip(others, batch.numbers[places].T, strict=False))}


class _Decided(Selection):
    """A selection that has seen all rows, and needs no rows set aside."""

    needs_p_values = False

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.everything = selection.everything  # type: ignore[misc]

    def chosen(
        self, p_values: npt.NDArray[np.float64], log_prob: npt.NDArray[np.float64], start: int
    ) -> npt.NDArray[np.bool_]:
        """Ask the selection."""
        return self._selection.chosen(p_values, log_prob, start)

    def words(self, rows: int, selected: int) -> str:
        """Say what the selection says, which rests on estimates."""
        words = self._selection.words(rows, selected)
        return f"{words}, as far as the estimates hold" if self._selection.needs_p_values else words


def _matrix(table: Table, schema: Schema) -> npt.NDArray[np.float64]:
    """Return all rows as numbers and codes, in the order of the table."""
    parts: list[npt.NDArray[np.float64]] = []
    count = 0
    for batch in modelled_part(table, schema).batches():
        parts.append(to_matrix(batch, schema, missing=True))
        count += parts[-1].size
        if count > _MOST_NUMBERS:
            raise UsageError(
                "the table is too long to look for anomalies among its own rows",
                file=table.file,
                fix="fit a model with logpx fit, and give it to logpx anomalies before the table",
            )
    if not parts:
        raise DataError("the table has no rows", file=table.file, fix="give a table with rows")
    return np.concatenate(parts)


def _explaining(
    schema: Schema, x: npt.NDArray[np.float64], usual: npt.NDArray[np.bool_], seconds: float, seed: int
) -> TableModel:
    """Return a model of the usual rows; of all, if they are too few or a column never varies among them."""
    try:
        return fit_rows(schema, torch.from_numpy(x[usual]), "gmm", seconds=seconds, seed=seed)
    except (DataError, DivergedError):
        return fit_rows(schema, torch.from_numpy(x), "gmm", seconds=seconds, seed=seed)
