"""The model of a table: rows in, log p(x) in the table's own units out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import torch
from torch import Tensor, nn

from logpx.configuration import Configured, shortened
from logpx.distributions import Distribution, LowerBound, Mixture
from logpx.distributions.seeding import BLOCK_ROWS, checked_count, checked_seed
from logpx.errors import UsageError
from logpx.markup import card, facts, html_table
from logpx.scoring import (
    Calibration,
    Evaluation,
    ImpossibleRow,
    NatsPerRow,
    NumberedRows,
    RowIdentity,
    ScoredBatch,
    Tally,
    sample_blocks,
)
from logpx.tables.arrow_columns import arrow_array, arrow_schema
from logpx.tables.clusters import ClusteredBatch, mixture_of
from logpx.tables.column_ranks import ColumnRanks
from logpx.tables.columns.supports import Supports
from logpx.tables.companions import CLUSTERS, CONDITIONS, answers_conditions, has_clusters
from logpx.tables.completion import check_can_fill
from logpx.tables.conditioning.conditional_model import ConditionalModel
from logpx.tables.conditioning.conditioned_model import ConditionedModel
from logpx.tables.conditioning.extension import Extension
from logpx.tables.conditioning.surprisals import CellSurprisals
from logpx.tables.density import CellDensity, TableDensity, has_bound_alone, impossible_cells, needs_noise
from logpx.tables.effort import Effort
from logpx.tables.filling import Filling
from logpx.tables.kept_cells import KeptCells
from logpx.tables.possible import possible_rows
from logpx.tables.reading.frame_part import with_names
from logpx.tables.reading.table import Table, TableBatch
from logpx.tables.reference import TableReference
from logpx.tables.schema.matrix import modelled_part, to_matrix
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.unseen_labels import UnseenLabel, UnseenLabels
from logpx.tables.schema.weights import row_weights, weighed_part
from logpx.tables.sources import open_table
from logpx.tables.unusualness import Unusualness
from logpx.wording import counted

__all__ = ["TableModel"]

_BATCH_ROWS = 65536
# Columns in a representation.
_NAMED = 6


class TableModel(Configured, nn.Module):
    r"""A distribution over the rows of a table, in the table's own units.

    Missing cells are integrated out if the density allows it: log p is then that of the cells present.

    Columns on a grid of step s are dequantised: with u uniform over exactly one cell around the value,
    :math:`E_u \log p(x + u) \le \log \frac{1}{s} P(\text{cell})`. What is reported for such a table is that
    lower bound, as a density per unit of the table; for whole numbers (s = 1) it bounds the log-probability
    itself. A density of cells as they are (`CellDensity`) needs no noise and no bound: there the same number
    is exact. Where a column has atoms, single values that hold mass among others that have a density, each is
    spread over a narrow cell of its own, and log p is that of the mass at an atom and of the density
    elsewhere, again a lower bound. If the density itself gives only a bound, as a variational autoencoder
    does, so does the model.

    Parameters
    ----------
    schema
        The columns of the table; a `Schema` or its JSON values.
    density
        The fitted distribution of rows in table units: dequantised, or cells as they are.
    baselines
        Simple distributions by name, fitted to the same training rows, for `evaluate`.
    calibration
        Scores of rows that the model has not seen, for p-values; None if there are none.
    companions
        Other densities of the same rows, by what they answer in place of one that cannot: ``conditions``,
        any columns given any others; ``clusters``, the components of a mixture.
    reference
        The columns of rows that the model has not seen, for comparisons with later tables.
    unusualness
        What anomalies are judged by beside log p; None if by log p alone.

    Examples
    --------
    >>> import numpy as np
    >>> from logpx.tables import fit_table
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> model = fit_table(x, model="gaussian").model
    >>> model.kind, model.log_prob(x[:3]).shape
    ('exact', torch.Size([3]))
    """

    def __init__(
        self,
        schema: Schema | Mapping[str, Any],
        density: Distribution,
        baselines: Mapping[str, Distribution] | None = None,
        *,
        calibration: Calibration | None = None,
        companions: Mapping[str, Distribution] | None = None,
        reference: TableReference | None = None,
        unusualness: Unusualness | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema if isinstance(schema, Schema) else Schema.from_json(json.dumps(dict(schema)))
        self._arguments["schema"] = json.loads(self.schema.to_json())
        self.density = density
        self.baselines = nn.ModuleDict(dict(baselines or {}))
        self.calibration = calibration
        self.companions = nn.ModuleDict(dict(companions or {}))
        self.reference = reference
        self.unusualness = unusualness
        self.supports = Supports.of(self.schema.modelled)
        self._check_parts()

    def _check_parts(self) -> None:
        """Refuse parts that are about other columns than the schema's."""
        features = len(self.schema.modelled)
        sizes = {
            name: part.event_shape[0] if len(part.event_shape) == 1 else 0
            for name, part in self.named_modules()
            if isinstance(part, (TableDensity, CellDensity)) or part is self.density
        }
        if self.reference is not None:
            sizes["reference"] = len(self.reference.marginals)
            sizes["the conditionals of the reference"] = len(self.reference.conditionals) or features
        if self.unusualness is not None:
            sizes["the coding of unusualness"] = len(self.unusualness.coding.levels)
            sizes["the ensemble of unusualness"] = self.unusualness.ensemble.features
        for name, size in sizes.items():
            if size != features:
                raise UsageError(
                    f"{name} has {counted(size, 'column')}, but the schema models {features}",
                    fix="give parts that were fitted to the columns of the schema",
                )
        wanted = [(self.supports.levels[place], one.step) for place, one in enumerate(self.supports.supports)]
        for name, part in self.named_modules():
            if isinstance(part, (TableDensity, CellDensity)):
                own = Supports(part.supports)
                found = [(own.levels[place], one.step) for place, one in enumerate(own.supports)]
                if found != wanted:
                    raise UsageError(
                        f"{name} has other labels or grids than the schema",
                        fix="give parts that were fitted to the columns of the schema",
                    )

    def __repr__(self) -> str:
        """Return what it is a model of, in a line or two."""
        names = self.schema.modelled_names
        more = f", … {len(names):,} in all" if len(names) > _NAMED else ""
        shown = ", ".join(shortened(repr(name), 30) for name in names[:_NAMED])
        return f"TableModel of columns {shown}{more}; log p: {self.kind}; {self._family}"

    def _repr_html_(self) -> str:
        """Show the columns in a notebook."""
        size = sum(parameter.numel() for parameter in self.density.parameters())
        known = {"log p": f"{self.kind}, in nats per row", "model": self._family, "parameters": f"{size:,}"}
        first = f"A density of rows with {counted(len(self.schema.modelled), 'column')}"
        return card("TableModel", first, facts(known), html_table(self.schema.describe()))

    @property
    def _family(self) -> str:
        parts = list(self.density.components) if isinstance(self.density, Mixture) else [self.density]
        return " + ".join(type(getattr(part, "model", part)).__name__ for part in parts)

    @property
    def unit(self) -> NatsPerRow:
        """The unit of evaluations."""
        return NatsPerRow()

    @property
    def measure(self) -> dict[str, Any]:
        """What log p refers to, by column: densities and masses of different things cannot be compared."""
        return {f"column {column.name!r}": column.measure for column in self.schema.modelled}

    @property
    def remarks_on_measure(self) -> dict[str, Any]:
        """What may differ between models that are compared, but changes which cells count."""
        columns = self.schema.modelled
        return (
            {"the column of weights": self.schema.weight}
            | {f"missing words of {column.name!r}": column.missing_words for column in columns}
            | {f"labels of {column.name!r}": len(column.levels) for column in columns if column.levels}
        )

    def weights(self, rows: Any) -> Iterator[Tensor] | None:
        """Return how much the rows of each batch of `score` count, by the column that weighed the fit.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.

        Returns
        -------
        iterator of Tensor or None
            Each of shape ``(n,)``, float64; None if the rows were not weighted by a column, or the table does
            not have it.

        Raises
        ------
        DataError
            If a weight is missing, infinite, negative or no number; while they are read.
        """
        table = self._checked(rows)
        if self.schema.weight is None or self.schema.weight not in table.names:
            return None
        batches = weighed_part(table, self.schema).select([self.schema.weight]).batches(_BATCH_ROWS)
        return (torch.from_numpy(row_weights(batch, self.schema)) for batch in batches)

    def note_on_weights(self, rows: Any) -> str | None:
        """Say which column of a table weighs its rows, or is missing; None if the fit was not weighted so."""
        name = self.schema.weight
        if name is None:
            return None
        if name in self._checked(rows).names:
            return f"rows are weighted by {name!r}, as in the fit"
        return f"rows count alike, for the table lacks the column {name!r} that weighed the fit"

    def opened(self, rows: Any, beside: Sequence[TableModel] = ()) -> Table:
        """Return a table that can be read as often as needed, after checking that its columns fit.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        beside
            Models of the same columns. What else one of them knows, such as weights, is no unknown column.
        """
        if not isinstance(rows, Table):
            most = max((self, *beside), key=lambda model: len(model.schema.names)).schema
            rows = open_table(with_names(rows, most.modelled_names, most.names))
        known = {name for model in beside for name in model.schema.names}
        return self._checked(rows.without(known - set(self.schema.names)))

    @property
    def kind(self) -> str:
        """What the reported numbers are: ``exact``, or ``lower bound``.

        They are a bound if the density has no exact log p, or if a column is on a grid or has atoms and the
        density is one of dequantised rows.
        """
        return "lower bound" if has_bound_alone(self.density, self.supports) else "exact"

    @property
    def _depends_on_noise(self) -> bool:
        return bool(self.supports.noisy) and needs_noise(self.density)

    def log_prob(self, rows: Any, *, seed: int = 0, draws: int = 8, exactness: int | None = None) -> Tensor:
        """Return log p of the rows of a table, a frame or an array, exact or a lower bound.

        This is the first part of `log_prob_lower`. For tables larger than memory there is `score`.

        Returns
        -------
        Tensor
            Shape ``(n,)``, float64, in nats: exact, or a lower bound, as `kind` says.
        """
        return self.log_prob_lower(rows, draws=draws, seed=seed, exactness=exactness).log_prob

    def log_prob_lower(
        self, rows: Any, *, draws: int = 8, seed: int = 0, exactness: int | None = None
    ) -> LowerBound:
        """Return a lower bound of log p of the rows, with the standard error of its estimate.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`, whose scores fit in memory.
        draws, seed, exactness
            As in `score`.

        Returns
        -------
        LowerBound
            In nats, float64. If `kind` is ``exact``, log p itself and zeros; otherwise the standard error is
            NaN for a bound from a single draw.
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

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        seed
            Seed of the draws of noise and of z; those of a row depend only on the seed and on what identifies
            the row.
        draws
            How many draws of noise the bound is averaged over, if columns are on a grid.
        exactness
            How many draws to spend on a row for a tighter bound: of z, of noise within the cell of a grid, or
            of both. Probabilities are then averaged, not their logarithms. In expectation the bound rises to
            log p with the number of draws. Unused where log p is exact.
        unseen
            Where labels that the model does not know are counted. Log p of their rows is minus infinity,
            unless the density keeps mass for them.
        identity
            What identifies a row: its number by default.

        Raises
        ------
        DataError
            If the columns are not those of the model, or a cell cannot be scored.
        UsageError
            If draws or exactness is not a whole number of 1 or more.
        """
        for batch, _ in self.scored_rows(
            rows, seed=seed, draws=draws, exactness=exactness, unseen=unseen, identity=identity
        ):
            yield batch

    @torch.no_grad()
    def scored_rows(
        self,
        rows: Any,
        *,
        seed: int = 0,
        draws: int = 8,
        exactness: int | None = None,
        unseen: UnseenLabels | None = None,
        identity: RowIdentity | None = None,
    ) -> Iterator[tuple[ScoredBatch, Tensor]]:
        """Yield what `score` yields, and the rows with numbers and codes of labels: ``(n, d)``, float64."""
        effort, identity = self._effort(draws, exactness), identity or NumberedRows()
        for start, x in self._matrices(rows, unseen):
            own = start if self.kind == "exact" else identity.of(start, x)
            (found,) = effort.bounds([self.density], self.supports, x, checked_seed(seed, least=0), own)
            bound = LowerBound(found.log_prob.cpu(), found.standard_error.cpu())
            yield ScoredBatch(start=start, bound=bound, kind=self.kind, unit=self.unit), x

    def judged(self, x: Tensor, log_prob: Tensor) -> tuple[Tensor, Calibration | None]:
        """Return what rows are ordered by, the more unusual the lower, and what makes p-values of it.

        Parameters
        ----------
        x, log_prob
            Rows as in the table, shape ``(n, d)``, and their log p with 8 draws of noise, ``(n,)``.

        Returns
        -------
        tuple of (Tensor, Calibration or None)
            Scores by the ensemble and log p, shape ``(n,)``; log p itself, if no ensemble is kept. None if no
            rows were set aside.
        """
        if self.unusualness is None or self.calibration is None:
            return log_prob, self.calibration
        return self.unusualness.of(x, log_prob, self.calibration), self.unusualness.calibration

    @torch.no_grad()
    def evaluate(
        self, rows: Any, *, seed: int = 0, draws: int = 1, exactness: int | None = None
    ) -> Evaluation:
        """Return the mean log p per row and its standard error, beside baselines on the same noise.

        The parameters are those of `score`. Labels that the model does not know are among the notes. Rows
        count by the column that weighed the fit, if the table has it.
        """
        rows = self._checked(rows)
        weights, note = self.weights(rows), self.note_on_weights(rows)
        baselines: Any = dict(self.baselines.items())
        seed, unseen = checked_seed(seed, least=0), UnseenLabels()
        bounds = [name for name, one in baselines.items() if has_bound_alone(one, self.supports)]
        # Draws make bounds of baselines tighter, too, though the model's number is exact.
        noisy = self._depends_on_noise or bool(bounds)
        effort = Effort.of(self.density.kind == "exact", noisy, draws, exactness)
        tally = Tally(baselines, self.unit, bounds)
        ranks = ColumnRanks(self.density, self.supports, self.schema.modelled_names, seed)
        for batch, x in self.batches(rows, unseen):
            densities = [self.density, *baselines.values()]
            found = effort.bounds(densities, self.supports, x, seed, batch.start)
            own, *others = (bound.log_prob for bound in found)
            weight = None if weights is None else next(weights)
            tally.add(own, dict(zip(baselines, others, strict=True)), weight)
            own_rows = slice(None) if weight is None else weight > 0.0
            ranks.add(x[own_rows], batch.start, None if weight is None else weight[own_rows])
            places = torch.isneginf(own).nonzero().flatten()[: tally.unnamed]
            cells = impossible_cells(self.density, self._noisy(x, seed, batch.start, 0)[places])
            for place, strange in zip(places.tolist(), cells.tolist(), strict=True):
                file, row = batch.locate(place)
                names = [name for name, odd in zip(self.schema.modelled_names, strange, strict=True) if odd]
                tally.name(ImpossibleRow(file, row, names))
        averaged = effort.noise_draws if self._depends_on_noise and exactness is None else None
        evaluation = tally.evaluation(self.kind, averaged, exactness)
        notes = [*unseen.notes(), *([] if note is None else [note])]
        return replace(evaluation, notes=tuple(notes), calibration=ranks.calibration())

    def unseen_labels(self, rows: Any) -> list[UnseenLabel]:
        """Return the labels of a table that the model does not know.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        """
        unseen = UnseenLabels()
        for _ in self._matrices(rows, unseen, missing=True):
            pass
        return unseen.labels

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> pa.Table:
        """Draw synthetic rows as a table; row i depends only on the seed and i."""
        batches = list(self.sample_table(n, seed))
        return pa.Table.from_batches(batches, schema=self.arrow_schema)

    @torch.no_grad()
    def sample_table(self, n: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
        """Draw synthetic rows in batches: modelled columns on their grids and within their bounds."""
        n = checked_count(n)
        blocks = sample_blocks(self.density, n, BLOCK_ROWS, seed=checked_seed(seed, least=0))
        forms = self.arrow_schema.types
        while several := list(itertools.islice(blocks, _BATCH_ROWS // BLOCK_ROWS)):
            x = self.supports.snap(torch.cat(several)).numpy(force=True)
            arrays = [
                arrow_array(values, column, form)
                for values, column, form in zip(x.T, self.schema.modelled, forms, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The names and types of sampled columns."""
        return arrow_schema(self.schema, self.supports)

    def impute(self, rows: Any, *, draws: int | None = None, seed: int = 0) -> pa.Table:
        """Return a table with its missing cells filled in; see `impute_table`."""
        return pa.Table.from_batches(
            list(self.impute_table(rows, draws=draws, seed=seed))
        ).unify_dictionaries()

    def impute_schema(self, rows: Any, draws: int | None = None, *, as_text: bool = False) -> pa.Schema:
        """Return the names and types of the columns of `impute_table`."""
        return self._filling.schema(self._checked(rows), draws, as_text=as_text)

    def check_can_impute(self, draws: int | None = None) -> None:
        """Raise a `UsageError` if the model cannot fill in missing cells, or so many draws make no sense."""
        if draws is not None and checked_count(draws) < 1:
            raise UsageError(counted(draws, "draw"), fix="draw once or more, or leave draws out")
        check_can_fill(self.density)

    @torch.no_grad()
    def impute_table(
        self,
        rows: Any,
        *,
        draws: int | None = None,
        seed: int = 0,
        as_text: bool = False,
        unseen: UnseenLabels | None = None,
        identity: RowIdentity | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Fill in missing cells and keep all other cells as they are stored, in constant memory.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        draws
            How many completed tables to draw from the joint conditional distribution of the missing cells,
            one after another, with a column ``draw`` that counts from 1. None fills in the best guess for
            each: the conditional mean on the column's scale (of `autoregressive`, in its units), no further
            out than the values that the model was fitted to, or the most probable label.
        seed
            Seed of the draws.
        as_text
            Whether the cells of a text file stay the text that was read, to be written as text again; else
            its columns of plain numbers become numbers.
        unseen
            Where labels that the model does not know are counted.
        identity
            What identifies a row, whose random numbers depend on that and the seed: its number by default.

        Raises
        ------
        DataError
            If the columns are not those of the model, or a cell cannot be read.
        UsageError
            If the model cannot fill in missing cells, or the table already has a column ``draw``.
        """
        if draws is not None and checked_count(draws) < 1:
            raise UsageError(counted(draws, "draw"), fix="draw once or more, or leave draws out")
        table, seed = self._checked(rows), checked_seed(seed, least=0)
        yield from self._filling.batches(
            table, draws, seed, as_text=as_text, unseen=unseen, identity=identity
        )

    def conditional(
        self, target: Sequence[str] | str, given: Sequence[str] | str | None = None
    ) -> ConditionalModel:
        """Return the distribution of some columns given others: by default, given all others.

        Parameters
        ----------
        target, given
            Names of columns.

        Raises
        ------
        UsageError
            If a column is unknown, not modelled or named twice, or the model cannot condition on columns.
        """
        return ConditionalModel(self.schema, self.answering(CONDITIONS), target, given)

    def condition(self, values: Mapping[str, Any]) -> ConditionedModel:
        """Return the distribution of rows in which some columns have given values.

        Parameters
        ----------
        values
            By column: numbers, labels, dates, or text as in a file.

        Raises
        ------
        UsageError
            If a column is unknown or not modelled, a value is one that its column cannot have, every column
            is given, or the model cannot condition on columns.
        """
        return ConditionedModel(self.schema, self.answering(CONDITIONS), values)

    def extension(self, rows: Any, *, as_text: bool = False) -> Extension:
        """Return what draws the rest of rows of which a table gives some cells.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`, with some of the model's columns.
        as_text
            As in `impute_table`.
        """
        table = rows if isinstance(rows, Table) else open_table(rows)
        return Extension(self.schema, self.answering(CONDITIONS), table, as_text=as_text)

    def kept_cells(self, rows: Any, *, as_text: bool = False, names: Sequence[str] = ()) -> KeptCells:
        """Return what passes the cells of a table on beside what the model says of its rows.

        Parameters
        ----------
        rows
            Anything that `open_table` takes, or a `Table`.
        as_text
            As in `impute_table`.
        names
            The columns to pass on, which the model need not know; none for all.
        """
        table = rows if isinstance(rows, Table) else open_table(rows)
        self._checked(table.without(set(names) - set(self.schema.names)))
        return KeptCells(table, self.schema, self.supports, as_text=as_text, names=names)

    def surprisals(self, rows: Any, *, seed: int = 0, draws: int = 8) -> Tensor:
        r"""Return how surprising each cell is, :math:`-\log p(x_j \mid x_{-j})`; see `surprisal_batches`.

        Returns
        -------
        Tensor
            Shape ``(n, d)``, float64, in nats; NaN where a cell is missing.
        """
        return torch.cat(list(self.surprisal_batches(rows, seed=seed, draws=draws)))

    def surprisal_batches(self, rows: Any, *, seed: int = 0, draws: int = 8) -> Iterator[Tensor]:
        """Yield the surprisal of every cell given the others, in the batches of `score`.

        For a flow that is an estimate by quadrature, for a variational autoencoder the difference of two
        bounds; see `logpx.tables.conditioning.surprisals.CellSurprisals`.

        Parameters
        ----------
        rows, seed, draws
            As in `score`.
        """
        cells = CellSurprisals(self.density, self.supports)
        for batch, x in self.batches(rows):
            yield cells.of(x, seed=checked_seed(seed, least=0), first=batch.start, draws=draws).cpu()

    @torch.no_grad()
    def cluster(
        self, rows: Any, *, seed: int = 0, draws: int = 8, unseen: UnseenLabels | None = None
    ) -> Iterator[ClusteredBatch]:
        """Yield the probability of each component of the mixture for each row; arguments as for `score`.

        Raises
        ------
        DataError
            If the columns are not those of the model, or a cell cannot be read.
        UsageError
            If the model is not a mixture.
        """
        density = self.answering(CLUSTERS)
        columns, mixture = mixture_of(density)
        noisy = bool(self.supports.noisy) and needs_noise(density)
        draws = Effort.of(density.kind == "exact", noisy, draws, None).noise_draws
        unseen = UnseenLabels() if unseen is None else unseen
        for batch, read in self.batches(rows, unseen, missing=density.allows_missing):
            x = possible_rows(density, read, self.schema.modelled, batch, unseen)
            shares = x.new_zeros(len(x), mixture.components)
            for draw in range(draws):
                y, _ = columns.forward(self._noisy(x, seed, batch.start, draw))
                shares += mixture.responsibilities(y) / draws
            yield ClusteredBatch(batch.start, shares.numpy(force=True))

    @property
    def clusters(self) -> int:
        """The number of components of the mixture."""
        return mixture_of(self.answering(CLUSTERS))[1].components

    def answering(self, purpose: str) -> Distribution:
        """Return the density that answers for a purpose: the model's own, or a companion if that cannot.

        Parameters
        ----------
        purpose
            ``conditions`` or ``clusters``.
        """
        own = {CONDITIONS: answers_conditions, CLUSTERS: has_clusters}[purpose](self.density)
        if own or purpose not in self.companions:
            return self.density
        return cast(Distribution, self.companions[purpose])

    def companion_note(self, purpose: str) -> str | None:
        """Return that a companion answers for a purpose in place of the model; None if it does not."""
        if self.answering(purpose) is self.density:
            return None
        return (
            f"the model has no {purpose}; the best model tried that has them is kept beside it, and answers"
        )

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self.density._like().device

    @property
    def _filling(self) -> Filling:
        return Filling(self.schema, self.supports, self.answering(CONDITIONS))

    def _effort(self, draws: int, exactness: int | None = None) -> Effort:
        exact = self.density.kind == "exact"
        return Effort.of(exact, self._depends_on_noise, draws, exactness)

    def _noisy(self, x: Tensor, seed: int, start: int, draw: int) -> Tensor:
        return self.supports.dequantise(x, seed=seed, first_row=start, draw=draw)

    def _matrices(
        self, rows: Any, unseen: UnseenLabels | None = None, *, missing: bool | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        return ((batch.start, x) for batch, x in self.batches(rows, unseen, missing=missing))

    def batches(
        self, rows: Any, unseen: UnseenLabels | None = None, *, missing: bool | None = None
    ) -> Iterator[tuple[TableBatch, Tensor]]:
        """Yield the rows of a table, with their modelled cells as numbers and codes of labels.

        Parameters
        ----------
        rows, unseen
            As in `score`.
        missing
            Whether cells may be missing; by default, whether the density integrates them out.

        Returns
        -------
        iterator of (TableBatch, Tensor)
            A batch, and its rows of shape ``(n, d)``, float64.
        """
        missing, device = self.density.allows_missing if missing is None else missing, self.device
        unseen = UnseenLabels() if unseen is None else unseen
        for batch in modelled_part(self._checked(rows), self.schema).batches(_BATCH_ROWS):
            x = to_matrix(batch, self.schema, missing=missing, unseen=unseen)
            yield batch, torch.from_numpy(x).to(device)

    def _checked(self, rows: Any) -> Table:
        names, every = self.schema.modelled_names, self.schema.names
        table = rows if isinstance(rows, Table) else open_table(with_names(rows, names, every))
        self.schema.check(table.names, table.file)
        return table
