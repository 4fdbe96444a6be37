"""Scores of record batches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from logpx.engines.batch_function import BatchFunction
from logpx.engines.model_source import ModelSource
from logpx.errors import UsageError
from logpx.scoring import score_columns
from logpx.scoring import score_schema as schema_of_scores
from logpx.tables.effort import Effort

__all__ = ["ScoreBatches", "score_batches", "score_schema"]


class ScoreBatches(BatchFunction):
    """Log p of the rows of record batches; made by `score_batches`, whose arguments it has."""

    def __init__(
        self,
        source: ModelSource,
        *,
        keep: Sequence[str] | pa.Schema = (),
        target: Sequence[str] | str | None = None,
        given: Sequence[str] | str | None = None,
        id: Sequence[str] | str = (),
        seed: int = 0,
        draws: int = 8,
        exactness: int | None = None,
    ) -> None:
        super().__init__(source, keep, id)
        if target is None and given is not None:
            raise UsageError("given columns without a target", fix="name the columns asked for with target")
        Effort.of(False, True, draws, exactness)  # Only to refuse what is no number of draws.
        self._columns = (target, given)
        self._effort = {"seed": seed, "draws": draws, "exactness": exactness}
        self.schema = _beside(self._kept, schema_of_scores(self._scorer.kind))

    @property
    def _scorer(self) -> Any:
        target, given = self._columns
        model = self.source.model()
        return model if target is None else model.conditional(target, given)

    def _answered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        found = self._scorer.score(self._table(batch), **self._effort, identity=self._identity(batch))
        columns = [score_columns(part) for part in found]
        cells = {name: pa.concat_arrays([part[name] for part in columns]) for name in columns[0]}
        cells = {**self._kept_cells(batch), **cells}
        return pa.RecordBatch.from_arrays([cells[name] for name in self.schema.names], schema=self.schema)


def score_batches(
    model_folder: str | os.PathLike[str],
    *,
    keep: Sequence[str] | pa.Schema = (),
    target: Sequence[str] | str | None = None,
    given: Sequence[str] | str | None = None,
    id: Sequence[str] | str = (),
    seed: int = 0,
    draws: int = 8,
    exactness: int | None = None,
    device: str = "cpu",
    carry: bool = False,
) -> ScoreBatches:
    """Return a function from record batches to record batches of log p, for any engine that has Arrow.

    It is pure: the answer for a row depends on its cells, the model and the arguments below, and, up to
    rounding, on nothing else. It can be pickled and called by several threads, and loads the model once per
    process.

    Parameters
    ----------
    model_folder
        A model of a table.
    keep
        Columns to pass on before the scores: names, if the model knows them, or a `pyarrow.Schema` with
        the types of any columns.
    target, given
        Ask for log p of the target columns given others; see `logpx.tables.TableModel.conditional`.
    id
        Columns that identify a row. Where log p is a bound found with random numbers, those of a row depend
        on the seed and on these cells; without an id, on the cells of the modelled columns, so that equal
        rows have equal scores.
    seed, draws, exactness
        As in `logpx.tables.TableModel.score`.
    device
        Where to compute.
    carry
        Whether the files of the model go along when the function is pickled, for machines that do not see
        the folder.

    Returns
    -------
    ScoreBatches
        Called with an iterable of record batches, it returns an iterator of as many. Its ``schema`` is
        `score_schema`, and ``reader(batches)`` a RecordBatchReader.

    Raises
    ------
    ModelFolderError
        If the folder cannot be loaded, or holds no model of a table.
    UsageError
        If a column is unknown, or the arguments do not go together.

    Examples
    --------
    >>> import logpx, numpy as np, pyarrow as pa, tempfile
    >>> table = {"a": np.random.default_rng(0).normal(size=200)}
    >>> with tempfile.TemporaryDirectory() as place:
    ...     logpx.save(logpx.fit("gaussian", table).model, f"{place}/model")
    ...     score = logpx.score_batches(f"{place}/model")
    >>> score.schema.names
    ['log_prob']
    >>> batch = pa.record_batch(table)
    >>> [part.num_rows for part in score([batch, batch.slice(0, 3)])]
    [200, 3]
    """
    return ScoreBatches(
        ModelSource(model_folder, device, carry=carry),
        keep=keep,
        target=target,
        given=given,
        id=id,
        seed=seed,
        draws=draws,
        exactness=exactness,
    )


def score_schema(
    model_folder: str | os.PathLike[str],
    *,
    keep: Sequence[str] | pa.Schema = (),
    target: Sequence[str] | str | None = None,
    given: Sequence[str] | str | None = None,
) -> pa.Schema:
    """Return the names and types of what `score_batches` gives, before any row is read.

    Parameters
    ----------
    model_folder, keep, target, given
        As in `score_batches`.

    Returns
    -------
    pyarrow.Schema
        The kept columns, and then ``log_prob`` where it is exact; else ``log_prob_lower`` or
        ``log_prob_estimate`` with ``log_prob_se``, in nats.
    """
    return score_batches(model_folder, keep=keep, target=target, given=given).schema


def _beside(kept: pa.Schema, others: pa.Schema) -> pa.Schema:
    for name in others.names:
        if name in kept.names:
            raise UsageError(
                "a kept column has the name of one that is written beside it",
                column=name,
                fix="rename the column, or do not keep it",
            )
    return pa.schema([*kept, *others])
