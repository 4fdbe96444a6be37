"""The distribution of some columns of a table, given others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from logpx.distributions import Distribution, LowerBound
from logpx.distributions.seeding import BLOCK_ROWS, checked_count
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring import NatsPerRow, NumberedRows, RowIdentity, ScoredBatch
from logpx.tables.arrow_columns import arrow_array, written_type
from logpx.tables.columns.supports import Supports
from logpx.tables.conditioning.columns import ColumnChoice
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.conditioning.predictions import Prediction, checked_levels
from logpx.tables.conditioning.rows import opened, partial_rows
from logpx.tables.conditioning.transforms import integral_transforms, transform_noise
from logpx.tables.effort import Effort
from logpx.tables.kept_cells import KeptCells
from logpx.tables.possible import possible_rows
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.unseen_labels import UnseenLabels
from logpx.tables.sources import open_table

__all__ = ["PREDICTED_ROWS", "QUANTILES", "ConditionalModel"]

#: The levels of quantiles that predictions have by default.
QUANTILES = (0.05, 0.5, 0.95)
#: Rows in a batch of predictions.
PREDICTED_ROWS = 8192


class ConditionalModel(Shown):
    r"""p(target | given) of the columns of a table, from a model of all of them.

    Columns that are neither are integrated out, and so are missing cells of given columns. Where given
    columns are on a grid or have atoms, conditioning on a value means conditioning on noise within its cell,
    and averaging: :math:`q(t \mid c) = E_u \, p(t \mid c + u)`. What `sample` draws, `predict` describes and
    `log_prob` bounds from below, is this distribution.

    Parameters
    ----------
    schema
        The columns of the model.
    density
        The distribution of dequantised rows.
    target, given
        Names of columns; with no given, all columns but the target are.

    Attributes
    ----------
    target, given : tuple of str
        The names.

    Raises
    ------
    UsageError
        If a column is unknown, not modelled, or named twice, or the density cannot condition on columns.

    Examples
    --------
    >>> from logpx.tables import fit_table
    >>> x = np.random.default_rng(0).normal(size=(500, 1))
    >>> table = {"a": x[:, 0], "b": 2.0 * x[:, 0] + np.random.default_rng(1).normal(size=500)}
    >>> model = fit_table(table, model="gaussian").model
    >>> b_given_a = model.conditional(target="b")
    >>> b_given_a.kind, b_given_a.predict({"a": [0.0, 1.0]}, quantiles=[0.5]).column_names
    ('exact', ['b_mean', 'b_quantile_0.5'])
    """

    def __init__(
        self,
        schema: Schema,
        density: Distribution,
        target: Sequence[str] | str,
        given: Sequence[str] | str | None = None,
    ) -> None:
        self.schema, self.supports = schema, Supports.of(schema.modelled)
        self._choice = ColumnChoice.of(schema, target, given)
        self.target, self.given = self._choice.target, self._choice.given
        self._conditioner = Conditioner(density, self.supports)
        self._device = density._like().device

    def _shown_parts(self) -> Mapping[str, object]:
        return {"target": self.target, "given": self.given, "kind": self.kind}

    @property
    def unit(self) -> NatsPerRow:
        """The unit of scores."""
        return NatsPerRow(f"{', '.join(self.target)} | {self.conditions}" if self.given else "x")

    @property
    def conditions(self) -> str:
        """The names of what is given, in words."""
        rest = len(self.target) + len(self.given) == len(self.schema.modelled)
        return "the rest" if rest and self.given else ", ".join(self.given) or "nothing"

    def kept_cells(self, rows: Any, *, as_text: bool = False, names: Sequence[str] = ()) -> KeptCells:
        """Return what passes the cells of a table on beside scores or predictions of its rows.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with the given columns, or a `Table`.
        as_text, names
            As in `TableModel.kept_cells`.
        """
        table = rows if isinstance(rows, Table) else open_table(rows)
        opened(table.without(set(names) - set(self.schema.names)), self.schema, self.given)
        return KeptCells(table, self.schema, self.supports, as_text=as_text, names=names)

    @property
    def kind(self) -> str:
        """What log p is: ``exact``, ``lower bound`` or ``estimate``.

        It is a lower bound if the density is exact and a target or given column is dequantised; and an
        estimate if the density is a bound itself, because a difference of two bounds is none.
        """
        return self._conditioner.kind(self._choice.is_target | self._choice.is_given)

    def check(self, rows: Any) -> None:
        """Raise unless a table has the given columns, and none that the model does not know.

        Raises
        ------
        DataError
            Naming the column.
        """
        opened(rows, self.schema, self.given)

    def log_prob(self, rows: Any, *, seed: int = 0, draws: int = 8, exactness: int | None = None) -> Tensor:
        """Return log p(target | given) of the rows of a table, as `kind` says; see `score`."""
        return self.log_prob_lower(rows, draws=draws, seed=seed, exactness=exactness).log_prob

    def log_prob_lower(
        self, rows: Any, *, draws: int = 8, seed: int = 0, exactness: int | None = None
    ) -> LowerBound:
        """Return log p(target | given) of the rows with its standard error, 0 where it is exact.

        It is a lower bound, unless `kind` is ``estimate``. The parameters are those of `score`.
        """
        bounds = [batch.bound for batch in self.score(rows, seed=seed, draws=draws, exactness=exactness)]
        return LowerBound(
            torch.cat([bound.log_prob for bound in bounds]),
            torch.cat([bound.standard_error for bound in bounds]),
        )

    @torch.no_grad()
    def score(
        self,
        rows: Any,
        *,
        seed: int = 0,
        draws: int = 8,
        exactness: int | None = None,
        unseen: UnseenLabels | None = None,
        identity: RowIdentity | None = None,
    ) -> Iterator[ScoredBatch]:
        """Score a table of any length, in constant memory.

        Noise is that of `TableModel.score`, so that log p(a, b) is log p(a | b) plus log p(b) to rounding.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with the target and the given columns. A missing target cell
            does not count. A given cell that is missing or that is impossible to the model is not given.
        seed, draws, exactness
            As in `TableModel.score`.
        unseen
            Where labels that the model does not know are counted: as a target they have log p minus infinity.
        identity
            As in `TableModel.score`.

        Raises
        ------
        DataError
            If a column is missing or unknown, or a cell cannot be read.
        """
        columns = self._choice.is_target | self._choice.is_given
        density = self._conditioner.log_prob(self._choice.is_target)
        effort = Effort.of(
            self._conditioner.density.kind == "exact", self._conditioner.is_noisy(columns), draws, exactness
        )
        names = [*self.target, *self.given]
        unseen = UnseenLabels() if unseen is None else unseen
        table, identity = opened(rows, self.schema, names), identity or NumberedRows()
        for batch, read in partial_rows(table, self.schema, names, unseen):
            x = self._possible(read.to(self._device), batch, unseen)
            own = batch.start if self.kind == "exact" else identity.of(batch.start, x)
            (found,) = effort.bounds([density], self.supports, x, seed, own)
            bound = LowerBound(found.log_prob.cpu(), found.standard_error.cpu())
            yield ScoredBatch(start=batch.start, bound=bound, kind=self.kind, unit=self.unit)

    def predict(
        self, rows: Any, quantiles: Sequence[float] = QUANTILES, *, draws: int = 4, seed: int = 0
    ) -> pa.Table:
        """Return what the model predicts of the target of each row; see `predict_table`."""
        batches = list(self.predict_table(rows, quantiles, draws=draws, seed=seed))
        return pa.Table.from_batches(batches, schema=self.predict_schema(quantiles))

    def predict_schema(self, quantiles: Sequence[float] = QUANTILES) -> pa.Schema:
        """Return the names and types of the columns of `predict`."""
        levels = checked_levels(quantiles)
        return pa.schema([field for part in self._predictions for field in part.fields(levels)])

    @torch.no_grad()
    def predict_table(
        self,
        rows: Any,
        quantiles: Sequence[float] = QUANTILES,
        *,
        draws: int = 4,
        seed: int = 0,
        unseen: UnseenLabels | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Describe the distribution of each target column given the given ones, row by row.

        Of numbers and dates the columns are ``price_mean`` and ``price_quantile_0.05`` and so on; of labels
        ``cut_predicted``, the most probable one, and ``cut_probability_Fair`` and so on. Mixtures, Gaussians
        and their like answer in closed form; others from at least 200 draws.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with the given columns; target columns are not looked at.
        quantiles
            Levels above 0 and below 1.
        draws
            How many draws of noise within the cells of given columns to average over, the same for all rows.
        seed
            Seed of everything random.
        unseen
            Where labels that the model does not know are counted; they are not given.

        Raises
        ------
        DataError
            If a column is missing or unknown, or a cell cannot be read.
        UsageError
            If a level is not between 0 and 1, or draws not a whole number of 1 or more.
        """
        levels, schema = checked_levels(quantiles), self.predict_schema(quantiles)
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="use at least one draw")
        unseen = UnseenLabels() if unseen is None else unseen
        table = opened(rows, self.schema, self.given)
        for batch, read in partial_rows(table, self.schema, self.given, unseen, batch_rows=PREDICTED_ROWS):
            x = self._possible(read.to(self._device), batch, unseen)
            several = draws if self._conditioner.is_noisy(self._choice.is_given) else 1
            noisy = self.supports.dequantise_alike(x, seed=seed, draws=several)
            marginals = self._conditioner.marginals(noisy, self._choice.places, (seed, batch.start))
            arrays = [
                array
                for part, own in zip(self._predictions, marginals, strict=True)
                for array in part.arrays(own, levels)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    @torch.no_grad()
    def integral_transforms(self, rows: Any, draws: int = 4, seed: int = 0) -> dict[str, Tensor]:
        """Return where the target cells of a table lie in the distributions that are predicted for them.

        These are uniform between 0 and 1 if predictions are right: `logpx.plots.plot_calibration` shows
        whether they are. Where a single value has mass, such as a label, its place within that is random.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with the target and the given columns, whose transforms fit in
            memory.
        draws, seed
            As in `predict_table`.

        Returns
        -------
        dict of str to Tensor
            By target column those of its cells that are there, float64.

        Raises
        ------
        DataError
            If a column is missing or unknown, or a cell cannot be read.

        Examples
        --------
        >>> from logpx.tables import fit_table
        >>> x = np.random.default_rng(0).normal(size=(500, 2))
        >>> model = fit_table({"a": x[:, 0], "b": x[:, 1]}, model="gaussian").model
        >>> found = model.conditional("b").integral_transforms({"a": [0.3], "b": [0.0]})["b"]
        >>> bool(abs(found - 0.5) < 0.1)
        True
        """
        names, unseen = [*self.target, *self.given], UnseenLabels()
        parts: dict[str, list[Tensor]] = {name: [] for name in self.target}
        for batch, read in partial_rows(
            opened(rows, self.schema, names), self.schema, names, unseen, batch_rows=PREDICTED_ROWS
        ):
            x = self._possible(read.to(self._device), batch, unseen)
            noise = transform_noise(seed, batch.start, x)
            given = x.masked_fill(self._choice.is_target.to(x.device), torch.nan)
            several = draws if self._conditioner.is_noisy(self._choice.is_given) else 1
            noisy = self.supports.dequantise_alike(given, seed=seed, draws=several)
            places = self._choice.places
            marginals = self._conditioner.marginals(noisy, places, (seed, batch.start))
            for place, own in zip(places, marginals, strict=True):
                support, name = self.supports.supports[place], self.schema.modelled_names[place]
                found = integral_transforms(own, support, x[:, place], noise[:, place])
                parts[name].append(found[~found.isnan()].cpu())
        return {name: torch.cat(several) for name, several in parts.items()}

    @torch.no_grad()
    def sample(self, rows: Any, n: int = 1, seed: int = 0) -> pa.Table:
        """Draw the target jointly, n times for each row; draws of a row follow one another.

        Parameters
        ----------
        rows
            Anything that `open_table` takes with the given columns.
        n
            How many draws for each row.
        seed
            Seed of the draws.

        Returns
        -------
        pyarrow.Table
            The given columns and the target, in the order of the model's columns.
        """
        n, table = checked_count(n), opened(rows, self.schema, self.given)
        names = [name for name in self.schema.modelled_names if name in {*self.target, *self.given}]
        batches = []
        unseen = UnseenLabels()
        for batch, read in partial_rows(table, self.schema, self.given, unseen):
            x = self._possible(read.to(self._device), batch, unseen)
            drawn = self._drawn(x.repeat_interleave(n, 0), seed, batch.start * n)
            target = self._choice.is_target.to(x.device)
            values = torch.where(target, drawn, read.repeat_interleave(n, 0).to(drawn)).numpy(force=True)
            batches.append(self._written(values, names))
        return pa.Table.from_batches(batches)

    def _drawn(self, x: Tensor, seed: int, first: int) -> Tensor:
        blocks = [
            self._conditioner.drawn(
                self.supports.dequantise(part, seed=seed, first_row=first + block * BLOCK_ROWS),
                (seed, first, block),
            )
            for block, part in enumerate(torch.split(x, BLOCK_ROWS))
        ]
        return torch.cat(blocks)

    def _written(self, values: np.ndarray[Any, Any], names: Sequence[str]) -> pa.RecordBatch:
        arrays = []
        for index, column in enumerate(self.schema.modelled):
            if column.name in names:
                gone = np.isnan(values[:, index])
                form = written_type(column, self.supports.supports[index])
                cells = arrow_array(np.where(gone, self._any_value(index), values[:, index]), column, form)
                arrays.append(pa.compute.if_else(pa.array(gone), pa.scalar(None, cells.type), cells))
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _any_value(self, index: int) -> float:
        column = self.schema.modelled[index]
        return 0.0 if column.minimum is None else column.minimum

    @property
    def _predictions(self) -> list[Prediction]:
        return [
            Prediction.of(self.schema.modelled[place], self.supports.supports[place])
            for place in self._choice.places
        ]

    def _possible(self, x: Tensor, batch: TableBatch, unseen: UnseenLabels) -> Tensor:
        """Return rows without given cells that are impossible to the model: they are not given."""
        density, given = self._conditioner.density, self._choice.is_given
        return possible_rows(density, x, self.schema.modelled, batch, unseen, given)
