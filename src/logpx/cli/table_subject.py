"""Tables on the command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output, nats
from logpx.cli.subject import FitRequest, Fitted, Request, Subject
from logpx.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from logpx.scoring import ScoredBatch
    from logpx.tables import Schema, Table, TableFitResult, TableModel
    from logpx.tables.kept_cells import KeptCells
    from logpx.tables.reading.text_form import TextForm

__all__ = ["TableSubject"]


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
        return _opened(request.source, out)

    def files(self, source: Table) -> Iterable[str | None]:
        """Return the files of a table."""
        return [part.file for part in source.parts]

    def check_model(self, request: FitRequest) -> None:
        """Refuse unknown models, and sizes that the model does not have."""
        from logpx.tables import FAMILIES

        FAMILIES.check_options(request.model, {"components": request.components, "latent": request.latent})

    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Inspect the columns, and fit and choose a model."""
        from logpx.tables import fit_table

        source = _opened(request.source, out, missing=request.missing, decimal=request.decimal)
        schema = _schema(source, request.columns, request.schema, request.seed)
        out.note_table(schema.describe())
        result = fit_table(
            source,
            request.model,
            schema=schema,
            components=request.components,
            **request.arguments(out),
        )
        columns = [column.model_dump(mode="json") for column in schema.columns]
        return Fitted(
            model=result.model,
            metrics={"source": request.source, **result.to_dict()},
            document={"schema": columns},
            notes=[f"note: {note}" for note in result.notes if note not in source.notes],
            summary=_summary(result),
        )

    def score_schema(self, model: TableModel) -> pa.Schema:
        """Return columns named after what the number is: a bound has a standard error."""
        import pyarrow as pa

        names = ["log_prob"] if model.kind == "exact" else ["log_prob_lower", "log_prob_se"]
        return pa.schema([(name, pa.float64()) for name in names])

    def score_columns(self, source: Table, batch: ScoredBatch) -> dict[str, Any]:
        """Return log p, or its bound with the standard error."""
        if batch.standard_error is None:
            return {"log_prob": batch.log_prob}
        return {"log_prob_lower": batch.log_prob, "log_prob_se": batch.standard_error}

    def written_schema(self, model: TableModel, source: Table, request: Request) -> pa.Schema:
        """Return the columns of the scores, after those of the table if they are kept."""
        scores = self.score_schema(model)
        return self._kept(model, source, request).beside(scores) if request.keep else scores

    def scored(
        self, model: TableModel, source: Table, request: Request, notes: list[str]
    ) -> Iterator[tuple[ScoredBatch, Mapping[str, Any]]]:
        """Yield the scores, with the cells of the table if they are kept; labels that are new are noted."""
        from logpx.tables import UnseenLabels

        unseen = UnseenLabels()
        scores = model.score(
            source, seed=request.seed, draws=request.draws, exactness=request.exactness, unseen=unseen
        )
        kept = self._kept(model, source, request).batches() if request.keep else itertools.repeat({})
        for batch, cells in zip(scores, kept, strict=False):
            yield batch, {**cells, **self.score_columns(source, batch)}
        notes += unseen.notes()

    def text_form(self, source: Table, request: Request) -> TextForm | None:
        """Return how the table is written, if its cells are kept."""
        return source.text_form if request.keep else None

    def _kept(self, model: TableModel, source: Table, request: Request) -> KeptCells:
        from logpx.tables.formats import is_delimited_text

        return model.kept_cells(source, as_text=is_delimited_text(request.output))

    def sample(self, model: TableModel, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new rows."""
        from logpx.tables import open_writer

        if labels is not None:
            raise UsageError("--label is for images, not for a table", fix="leave --label out")
        with open_writer(request.output, model.arrow_schema, request.overwrite) as writer:
            for batch in model.sample_table(n, seed=request.seed):
                writer.write(batch)
        out.note(f"{n:,} rows")
        names = model.arrow_schema.names
        out.document({"output": request.output, "rows": n, "columns": names, "seed": request.seed})

    def impute(self, model: TableModel, draws: int | None, request: Request, out: Output) -> None:
        """Write a table with its missing cells filled in."""
        from logpx.tables import UnseenLabels, open_writer
        from logpx.tables.formats import is_delimited_text

        source, unseen = self.open_other(request, out), UnseenLabels()
        as_text = is_delimited_text(request.output)
        form = model.impute_schema(source, draws, as_text=as_text)
        with open_writer(request.output, form, request.overwrite, source.text_form) as writer:
            for batch in model.impute_table(source, draws, request.seed, as_text=as_text, unseen=unseen):
                writer.write(batch)
            rows = writer.rows
        for note in unseen.notes():
            out.note(f"note: {note}")
        tables = "" if draws is None else f" in {draws:,} tables"
        out.note(f"{rows:,} rows{tables}")
        out.document(
            {
                "output": request.output,
                "rows": rows,
                "draws": draws,
                "columns": form.names,
                "seed": request.seed,
                "notes": unseen.notes(),
            }
        )

    def cluster(self, model: TableModel, probabilities: bool, request: Request, out: Output) -> None:
        """Write the most probable component of every row."""
        import numpy as np
        import pyarrow as pa

        from logpx.tables import open_writer

        source = self.open_other(request, out)
        count = model.clusters
        each = [f"probability_{index}" for index in range(count)] if probabilities else []
        form = pa.schema(
            [("cluster", pa.int64()), *((name, pa.float64()) for name in ("probability", *each))]
        )
        rows = np.zeros(count, np.int64)
        written = self._kept(model, source, request).beside(form) if request.keep else form
        kept = self._kept(model, source, request).batches() if request.keep else itertools.repeat({})
        text_form = self.text_form(source, request)
        with open_writer(request.output, written, request.overwrite, text_form) as writer:
            found = model.cluster(source, request.seed, request.draws)
            for batch, cells in zip(found, kept, strict=False):
                columns = [batch.cluster, batch.probability, *(batch.probabilities.T if each else [])]
                writer.write({**cells, **dict(zip(form.names, columns, strict=True))})
                rows += np.bincount(batch.cluster, minlength=count)
        out.note(f"{rows.sum():,} rows in {np.count_nonzero(rows)} clusters")
        out.document(
            {
                "output": request.output,
                "rows": int(rows.sum()),
                "rows_per_cluster": rows.tolist(),
                "columns": written.names,
                "seed": request.seed,
            }
        )


def _opened(
    source: str, out: Output, missing: Sequence[str] | None = None, decimal: str | None = None
) -> Table:
    """Open a table, and say what of it is skipped."""
    from logpx.tables import open_table

    table = open_table(source, missing=missing, decimal=decimal)
    for note in table.notes:
        out.note(f"note: {note}")
    return table


def _schema(source: Table, columns: Sequence[str], schema: str | None, seed: int) -> Schema:
    from logpx.tables import Schema, infer_schema, parse_columns

    if schema is None:
        pinned = {name: column for text in columns for name, column in parse_columns(text).items()}
        return infer_schema(source, pinned, seed=seed)
    if columns:
        raise UsageError("both --schema and --columns were given", fix="put the kinds into the schema file")
    try:
        content = Path(schema).read_bytes()
    except OSError as error:
        message = f"the schema cannot be read: {error.strerror}"
        raise UsageError(message, file=schema, fix="correct the path") from error
    return Schema.from_json(content, file=schema)


def _summary(result: TableFitResult) -> list[str]:
    chosen = result.chosen
    name = "log p(x)" if result.model.kind == "exact" else "log p(x), lower bound,"
    value = nats(chosen.validation, chosen.standard_error)
    what = f"{chosen.model} on {chosen.scales} scales" + (f" ({chosen.note})" if chosen.note else "")
    return [what, f"mean {name} of {result.measured}: {value} nats per row"]
