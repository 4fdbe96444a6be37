"""Missing cells of record batches, filled in."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa

from logpx.engines.batch_function import BatchFunction, fields_of
from logpx.engines.model_source import ModelSource
from logpx.errors import DataError, UsageError
from logpx.tables.filling import DRAW

__all__ = ["ImputeBatches", "impute_batches", "impute_schema"]


class ImputeBatches(BatchFunction):
    """Record batches with missing cells filled in; made by `impute_batches`, whose arguments it has."""

    def __init__(
        self,
        source: ModelSource,
        *,
        draws: int | None = None,
        keep: Sequence[str] | pa.Schema = (),
        id: Sequence[str] | str = (),
        seed: int = 0,
    ) -> None:
        super().__init__(source, keep, id)
        if draws is not None and not self._id:
            raise UsageError(
                "draws for rows that nothing identifies: equal rows would be filled in equally",
                fix="name the column that identifies a row, such as id='id'",
            )
        model = source.model()
        model.check_can_impute(draws)
        self._draws, self._seed = draws, seed
        filled = fields_of(model.schema.modelled_names, model.schema)
        others = [field for field in self._kept if field.name not in filled.names]
        number = [] if draws is None else [pa.field(DRAW, pa.int64())]
        self._kept = pa.schema(others)
        self.schema = pa.schema([*number, *others, *filled])
        if len(set(self.schema.names)) < len(self.schema):
            raise UsageError(
                "a column has the name that numbers the draws", column=DRAW, fix="rename the column"
            )

    def _answered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        model = self.source.model()
        table = self._table(batch).select(model.schema.modelled_names)
        identity = self._identity(batch)
        found = list(model.impute_table(table, draws=self._draws, seed=self._seed, identity=identity))
        filled = pa.Table.from_batches(found).unify_dictionaries().combine_chunks()
        copies = 1 if self._draws is None else self._draws
        kept = pa.Table.from_pydict(self._kept_cells(batch), schema=self._kept)
        repeated = pa.concat_tables([kept] * copies).combine_chunks() if self._kept.names else None
        arrays = []
        for field in self.schema:
            own = repeated if repeated is not None and field.name in self._kept.names else filled
            arrays.append(_one_array(own.column(field.name), field))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _one_array(cells: pa.ChunkedArray, field: pa.Field) -> pa.Array:
    try:
        return pa.concat_arrays(cells.cast(field.type).chunks)
    except pa.ArrowException as error:
        raise DataError(
            f"cells stored as {cells.type} do not fit {field.type}, as the model knows the column: {error}",
            column=field.name,
            fix="convert the column",
        ) from None


def impute_batches(
    model_folder: str | os.PathLike[str],
    draws: int | None = None,
    *,
    keep: Sequence[str] | pa.Schema = (),
    id: Sequence[str] | str = (),
    seed: int = 0,
    device: str = "cpu",
    carry: bool = False,
) -> ImputeBatches:
    """Return a function from record batches to the same rows without missing cells.

    It is as pure as `score_batches`, and pickled and called like it.

    Parameters
    ----------
    model_folder
        A model of a table that can fill in missing cells.
    draws
        How many times to draw the missing cells of every row from their joint conditional distribution; the
        draws of a batch follow one another, numbered in a column ``draw``. None fills in the best guess.
    keep
        Columns to pass on beside those of the model; see `score_batches`.
    id
        Columns that identify a row, which draws depend on, and the seed. Draws need one.
    seed, device, carry
        As in `score_batches`.

    Returns
    -------
    ImputeBatches
        The result has the kept columns, and then all modelled ones.

    Raises
    ------
    ModelFolderError
        If the folder cannot be loaded, or holds no model of a table.
    UsageError
        If the model cannot fill in missing cells, or there are draws without an id.
    """
    source = ModelSource(model_folder, device, carry=carry)
    return ImputeBatches(source, draws=draws, keep=keep, id=id, seed=seed)


def impute_schema(
    model_folder: str | os.PathLike[str], draws: int | None = None, *, keep: Sequence[str] | pa.Schema = ()
) -> pa.Schema:
    """Return the names and types of what `impute_batches` gives, before any row is read.

    Parameters
    ----------
    model_folder, draws, keep
        As in `impute_batches`.
    """
    own = () if draws is None else ("",)
    return impute_batches(model_folder, draws, keep=keep, id=own).schema
