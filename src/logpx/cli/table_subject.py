"""Tables on the command line."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from logpx.cli.found import write_found
from logpx.cli.output import Output, nats
from logpx.cli.requests import FitRequest, Fitted, InspectRequest, Parent, Request, UpdateRequest
from logpx.cli.subject import Subject
from logpx.cli.table_columns import beside, cells_of, is_numbered, kept_names, surprisals
from logpx.cli.table_parts import impute_parts, score_parts
from logpx.cli.table_sample import write_sample
from logpx.cli.table_source import conditional_of, inspected, note_companion, opened, pins, schema_file
from logpx.cli.table_update import updated
from logpx.errors import DataError, UsageError
from logpx.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from logpx.detection.selection import Selection
    from logpx.scoring import ScoredBatch
    from logpx.tables import Table, TableFitResult, TableModel
    from logpx.tables.conditioning.conditional_model import ConditionalModel
    from logpx.tables.kept_cells import KeptCells
    from logpx.tables.reading.text_form import TextForm

__all__ = ["TableSubject"]

# What writing a model takes for each column, about, and statistics of rows with missing cells.
_SECONDS_A_COLUMN = 0.004
# Statistics for later updates are kept of tables with no more rows.
_ROWS_KEPT = 1_000_000


class TableSubject(Subject):
    """CSV and Parquet files; any source that no other kind of data recognises."""

    name = "a table"
    rows = "rows"
    read = "the table being read"
    foreign = ("data", "dequantisation", "conditional", "levels")
    foreign_to = "images"

    def recognises(self, source: str) -> bool:
        """Accept every source: one that is not a table is refused when it is opened."""
        return True

    def knows(self, model: Any) -> bool:
        """Tell whether a model is a `TableModel`."""
        from logpx.tables import TableModel

        return isinstance(model, TableModel)

    def open(self, request: Request, out: Output) -> Table:
        """Open a table."""
        return opened(request.source, out, missing=request.missing, decimal=request.decimal)

    def files(self, source: Table) -> Iterable[str | None]:
        """Return the files of a table."""
        return [part.file for part in source.parts]

    def check_model(self, request: FitRequest) -> None:
        """Refuse unknown models, and sizes that the model does not have."""
        from logpx.tables import FAMILIES
        from logpx.tables.fitting.all_rows import require_all_rows
        from logpx.tables.fitting.trials import require_trials

        FAMILIES.check_options(request.model, {"components": request.components, "latent": request.latent})
        require_trials(request.model, FAMILIES.named(request.model), request.trials)
        if request.all_rows:
            require_all_rows(request.model)

    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Inspect the columns, and fit and choose a model."""
        from logpx.tables import fit_table, table_statistics

        source = opened(request.source, out, missing=request.missing, decimal=request.decimal)
        found = inspected(source, request)
        out.note_table(found.describe())
        if found.left_out is not None:
            out.note(found.left_out)
        found.require_clean()
        schema = found.schema
        result = fit_table(
            source,
            request.model,
            schema=schema,
            components=request.components,
            trials=request.trials,
            all_rows=request.all_rows,
            **request.arguments(out, after=_SECONDS_A_COLUMN * len(schema.modelled)),
        )
        columns = [column.model_dump(mode="json") for column in schema.columns]
        return Fitted(
            model=result.model,
            metrics={"source": request.source, **result.to_dict()},
            document={"schema": columns},
            notes=[f"note: {note}" for note in result.notes if note not in source.notes],
            summary=_summary(result),
            # More rows are not worth the time of another pass over them; weighted ones are not updated.
            statistics={}
            if result.rows > _ROWS_KEPT or schema.weight is not None
            else table_statistics(result.model, source),
        )

    def inspect(self, request: InspectRequest, out: Output) -> int:
        """Print the schema, problems of all columns and a line that pins each decision."""
        from logpx.files.single import check_file_target, install_file
        from logpx.tables import inspect_table

        pinned, schema = pins(request.columns), schema_file(request)
        target = None if request.output is None else check_file_target(request.output, request.overwrite)
        source = opened(request.source, out, missing=request.missing, decimal=request.decimal)
        found = inspect_table(source, columns=pinned, schema=schema, seed=request.seed)
        out.text(f"{counted(found.schema.rows, 'row')}, {counted(len(found.schema.columns), 'column')}")
        out.table(found.describe())
        if found.left_out is not None:
            out.text(found.left_out)
        for note in found.notes:
            if note not in source.notes:
                out.note(f"note: {note}")
        problems = found.problems
        for number, problem in enumerate(problems, 1):
            out.text(f"problem {number} of {len(problems)}: {problem}")
        out.text(f"to pin the kinds: {found.option}")
        out.document({**found.to_dict(), "output": None if problems else request.output})
        if problems:
            return DataError.exit_code
        if target is not None:
            install_file(found.schema.to_json().encode(), target)
            out.note(f"{target}: fit with --schema {shlex.quote(target)}")
        return 0

    def drift(self, model: TableModel, alpha: float, request: Request, out: Output) -> None:
        """Print whether the distribution has moved, and which columns have."""
        from logpx.detection.drift import drift

        found = drift(model, self.open(request, out), alpha=alpha, seed=request.seed)
        for note in found.notes:
            out.note(f"note: {note}")
        out.text(
            f"{counted(found.rows, 'new row')} beside {found.reference_rows:,} that the model has not seen"
        )
        unit = model.unit.heading(found.kind)
        known = found.reference_mean
        out.text(f"mean {unit}: {found.mean:.3f}, before {known:.3f} ({_adjusted(found.mean_p_value)})")
        by = f"{found.distance:.3f} ({_adjusted(found.distance_p_value)})"
        out.text(f"distance of the distributions of log p: {by}")
        if found.outside:
            out.text(f"{counted(found.outside, 'new row', 'have')} probability 0 under the model")
        out.text(str(found))
        out.document({**found.to_dict(), "seed": request.seed})

    def score(self, model: TableModel, request: Request, out: Output) -> None:
        """Write log p of every row, or of some of its columns given others."""
        scorer: Any = model
        if request.target and request.each_cell:
            raise UsageError(
                "both --target and --columns-scores were given",
                fix="leave one out: the latter is of all columns",
            )
        if request.target:
            scorer = conditional_of(model, request)
            note_companion(model, "conditions", out)
        elif request.given:
            raise UsageError("--given without --target", fix="name the columns asked for with --target")
        if request.parts is None:
            super().score(scorer, request, out)
        else:
            score_parts(self, scorer, request, out)

    def score_schema(self, model: TableModel) -> pa.Schema:
        """Return columns named after what the number is: all but an exact one have a standard error."""
        from logpx.scoring import score_schema

        return score_schema(model.kind)

    def score_columns(self, source: Table, batch: ScoredBatch) -> dict[str, Any]:
        """Return log p, or its bound or estimate with the standard error."""
        from logpx.scoring import score_columns

        return score_columns(batch)

    def written_schema(self, model: TableModel, source: Table, request: Request) -> pa.Schema:
        """Return the columns of the scores, after those of the table if they are kept."""
        import pyarrow as pa

        own = self._kept(model, source, request)
        numbered = is_numbered(own, request)
        form = pa.schema([*([pa.field("row", pa.int64())] if numbered else []), *self.score_schema(model)])
        for name in model.schema.modelled_names if request.each_cell else ():
            form = form.append(pa.field(f"{name}_surprisal", pa.float64()))
        return beside(own, form)

    def scored(
        self, model: TableModel, source: Table, request: Request, notes: list[str]
    ) -> Iterator[tuple[ScoredBatch, Mapping[str, Any]]]:
        """Yield the scores, with the cells of the table if they are kept; labels that are new are noted."""
        import numpy as np

        from logpx.scoring import NumberedRows
        from logpx.tables import UnseenLabels

        unseen = UnseenLabels()
        # A key that only the option names is no column that log p leaves out unnoticed.
        named = kept_names(source, request.kept)
        scores = model.score(
            source.without(set(named) - set(model.schema.names)),
            seed=request.seed,
            draws=request.draws,
            exactness=request.exactness,
            unseen=unseen,
            identity=NumberedRows(request.first_row),
        )
        own = self._kept(model, source, request)
        numbered = is_numbered(own, request)
        beyond = surprisals(model, source, request)
        for batch, cells, others in zip(scores, cells_of(own), beyond, strict=False):
            row = {"row": batch.start + 1 + np.arange(len(batch.log_prob))} if numbered else {}
            yield batch, {**cells, **row, **self.score_columns(source, batch), **others}
        notes += unseen.notes()

    def text_form(self, source: Table, request: Request) -> TextForm | None:
        """Return how the table is written, if its cells are kept."""
        return source.text_form if request.keep else None

    def _kept(
        self, model: TableModel | ConditionalModel, source: Table, request: Request
    ) -> KeptCells | None:
        """Return what passes on the columns that are kept, if any are."""
        from logpx.tables.formats import is_delimited_text

        request.check_kept()
        if not request.keep:
            return None
        return model.kept_cells(
            source, as_text=is_delimited_text(request.output), names=kept_names(source, request.kept)
        )

    def sample(self, model: TableModel, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new rows."""
        if labels is not None:
            raise UsageError("--label is for images, not for a table", fix="leave --label out")
        write_sample(
            model, n, request, out, lambda source: self.open_other(replace(request, source=source), out)
        )

    def predict(self, model: TableModel, quantiles: Sequence[float], request: Request, out: Output) -> None:
        """Write the distribution of the target columns of every row."""
        from logpx.tables import UnseenLabels, open_writer
        from logpx.tables.conditioning.conditional_model import PREDICTED_ROWS

        conditional = conditional_of(model, request)
        note_companion(model, "conditions", out)
        form = conditional.predict_schema(quantiles)
        source, unseen = self.open_other(request, out), UnseenLabels()
        # Before anything is written.
        conditional.check(source)
        kept = self._kept(conditional, source, request)
        written = beside(kept, form)
        with open_writer(request.output, written, request.overwrite) as writer:
            found = conditional.predict_table(
                source, quantiles, draws=request.draws, seed=request.seed, unseen=unseen
            )
            for batch, cells in zip(found, cells_of(kept, PREDICTED_ROWS), strict=False):
                writer.write({**cells, **dict(zip(form.names, batch.columns, strict=True))})
            rows = writer.rows
        for note in unseen.notes():
            out.note(f"note: {note}")
        out.note(f"{counted(rows, 'row')}, {', '.join(conditional.target)} given {conditional.conditions}")
        out.document(
            {
                "output": request.output,
                "rows": rows,
                "target": list(conditional.target),
                "given": list(conditional.given),
                "quantiles": list(quantiles),
                "columns": written.names,
                "seed": request.seed,
                "notes": unseen.notes(),
            }
        )

    def impute(self, model: TableModel, draws: int | None, request: Request, out: Output) -> None:
        """Write a table with its missing cells filled in."""
        if request.parts is not None:
            impute_parts(lambda part: self.impute_file(model, draws, part, out), draws, request, out)
            return
        facts = self.impute_file(model, draws, request, out)
        for note in facts["notes"]:
            out.note(f"note: {note}")
        tables = "" if draws is None else f" in {counted(draws, 'table')}"
        out.note(f"{counted(facts['written'], 'row')}{tables}")
        out.document(
            {
                "output": request.output,
                "rows": facts["written"],
                "draws": draws,
                "columns": facts["columns"],
                "seed": request.seed,
                "notes": facts["notes"],
            }
        )

    def impute_file(
        self, model: TableModel, draws: int | None, request: Request, out: Output
    ) -> dict[str, Any]:
        """Write a table with its missing cells filled in into one file; return what is said of it."""
        from logpx.scoring import NumberedRows
        from logpx.tables import UnseenLabels, open_writer
        from logpx.tables.formats import is_delimited_text

        note_companion(model, "conditions", out)
        source, unseen = self.open_other(request, out), UnseenLabels()
        as_text = is_delimited_text(request.output)
        form = model.impute_schema(source, draws, as_text=as_text)
        filled = model.impute_table(
            source,
            draws=draws,
            seed=request.seed,
            as_text=as_text,
            unseen=unseen,
            identity=NumberedRows(request.first_row),
        )
        with open_writer(request.output, form, request.overwrite, source.text_form) as writer:
            for batch in filled:
                writer.write(batch)
            written = writer.rows
        return {
            "rows": written // (draws or 1),
            "written": written,
            "columns": list(form.names),
            "notes": unseen.notes(),
        }

    def update(self, model: TableModel, request: UpdateRequest, parent: Parent, out: Output) -> Fitted:
        """Update a model by new rows."""
        older = None if request.old is None else opened(request.old, out)
        return updated(model, opened(request.source, out), older, request, parent)

    def anomalies(
        self, model: TableModel, selection: Selection, explain: bool | None, request: Request, out: Output
    ) -> None:
        """Write the unusual rows with their p-values and reasons."""
        from logpx.detection.search import AnomalySearch

        source = self.open_other(request, out)
        wanted = not selection.everything if explain is None else explain
        search = AnomalySearch(
            model,
            source,
            selection,
            explain=wanted,
            kept=self._kept(model, source, request),
            seed=request.seed,
        )
        write_found(search, request, out, self.text_form(source, request), tell=bool(explain))

    def own_anomalies(
        self, selection: Selection, explain: bool | None, request: Request, out: Output
    ) -> None:
        """Write the unusual rows of a table among its own."""
        from logpx.detection.own_rows import OwnRowsSearch
        from logpx.tables.formats import is_delimited_text

        pinned = pins(request.columns)
        source = self.open_other(request, out)
        search = OwnRowsSearch(
            source,
            selection,
            columns=pinned,
            explain=not selection.everything if explain is None else explain,
            seed=request.seed,
            kept_names=kept_names(source, request.kept) if request.keep else None,
            as_text=is_delimited_text(request.output),
        )
        write_found(search, request, out, self.text_form(source, request), tell=bool(explain))

    def cluster(self, model: TableModel, probabilities: bool, request: Request, out: Output) -> None:
        """Write the most probable component of every row."""
        import numpy as np
        import pyarrow as pa

        from logpx.tables import UnseenLabels, open_writer

        note_companion(model, "clusters", out)
        source, unseen = self.open_other(request, out), UnseenLabels()
        count = model.clusters
        each = [f"probability_{index}" for index in range(count)] if probabilities else []
        form = pa.schema(
            [("cluster", pa.int64()), *((name, pa.float64()) for name in ("probability", *each))]
        )
        rows = np.zeros(count, np.int64)
        own = self._kept(model, source, request)
        written, kept = beside(own, form), cells_of(own)
        text_form = self.text_form(source, request)
        with open_writer(request.output, written, request.overwrite, text_form) as writer:
            found = model.cluster(source, seed=request.seed, draws=request.draws, unseen=unseen)
            for batch, cells in zip(found, kept, strict=False):
                columns = [batch.cluster, batch.probability, *(batch.probabilities.T if each else [])]
                writer.write({**cells, **dict(zip(form.names, columns, strict=True))})
                rows += np.bincount(batch.cluster, minlength=count)
        for note in unseen.notes():
            out.note(f"note: {note}")
        out.note(f"{counted(rows.sum(), 'row')} in {counted(int(np.count_nonzero(rows)), 'cluster')}")
        out.document(
            {
                "output": request.output,
                "rows": int(rows.sum()),
                "rows_per_cluster": rows.tolist(),
                "columns": written.names,
                "seed": request.seed,
                "notes": unseen.notes(),
            }
        )


def _adjusted(p: float) -> str:
    if math.isnan(p):
        return "not tested: too few rows"
    return f"adjusted p = {p:.2g}" if p >= 1e-4 else "adjusted p < 0.0001"


def _summary(result: TableFitResult) -> list[str]:
    chosen = result.chosen
    name = "log p(x)" if result.model.kind == "exact" else "log p(x), lower bound,"
    value = nats(chosen.validation, chosen.standard_error)
    what = f"{chosen.model} on {chosen.scales} scales" + (f" ({chosen.note})" if chosen.note else "")
    verdict = [] if result.verdict is None else result.verdict.sentences
    return [what, f"mean {name} of {result.measured}: {value} nats per row", *verdict]
