"""Tables on the command line."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output, nats
from logpx.cli.subject import FitRequest, Fitted, Request, Subject
from logpx.errors import UsageError

if TYPE_CHECKING:
    from logpx.tables import Evaluation, Schema, Table, TableFitResult, TableModel

__all__ = ["TableSubject"]


class TableSubject(Subject):
    """CSV and Parquet files; any source that nothing else recognises."""

    def recognises(self, source: str) -> bool:
        """Take every source: what is no table is refused with an error of tables."""
        return True

    def knows(self, model: Any) -> bool:
        """Know a `TableModel`."""
        from logpx.tables import TableModel

        return isinstance(model, TableModel)

    def check(self, request: FitRequest) -> None:
        """Refuse the options of images, and unknown models."""
        from logpx.tables.fitting.families import family_named

        for name in ("data", "dequantisation", "conditional", "levels"):
            if getattr(request, name):
                raise UsageError(f"--{name} is for images, not for a table", fix=f"leave --{name} out")
        if request.model != "auto":
            family_named(request.model)

    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Inspect the columns, and fit and choose a model."""
        from logpx.tables import fit_table, open_table

        source = open_table(request.source)
        schema = _schema(source, request.columns, request.schema, request.seed)
        out.note_table(schema.describe())
        result = fit_table(
            source,
            request.model,
            schema=schema,
            components=request.components,
            latent=request.latent,
            validation=request.validation,
            max_time=request.time,
            seed=request.seed,
            report=out.note,
            progress=False if request.quiet else None,
            should_stop=request.should_stop,
            device=request.device,
        )
        columns = [column.model_dump(mode="json") for column in schema.columns]
        return Fitted(
            result.model,
            {"source": request.source, **result.to_dict()},
            {"schema": columns},
            [f"note: {note}" for note in result.notes],
            _summary(result),
        )

    def score(self, model: TableModel, request: Request, out: Output) -> None:
        """Write log p of every row of a table."""
        import torch

        from logpx.tables import open_table, open_writer
        from logpx.training.means import RunningMean

        source = open_table(request.source)
        _refuse_own_input(source, request.output)
        exact = model.kind == "exact"
        names = ["log_prob"] if exact else ["log_prob_lower", "log_prob_se"]
        mean, lowest = RunningMean(), math.inf
        with open_writer(request.output, names, request.overwrite) as writer:
            scored = model.score(source, seed=request.seed, draws=request.draws, exactness=request.exactness)
            for batch in scored:
                values = (
                    [batch.log_prob]
                    if batch.standard_error is None
                    else [batch.log_prob, batch.standard_error]
                )
                writer.write(dict(zip(names, values, strict=True)))
                mean.add(torch.from_numpy(batch.log_prob))
                lowest = min(lowest, float(batch.log_prob.min()))
        out.note(f"{mean.count:,} rows, mean {names[0]} {nats(mean.value, mean.standard_error)} nats")
        out.document(
            {
                "output": request.output,
                "rows": mean.count,
                "kind": model.kind,
                "columns": names,
                "mean": mean.value,
                "standard_error": mean.standard_error,
                "lowest": lowest,
                "exactness": request.exactness,
                "seed": request.seed,
            }
        )

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
        from logpx.tables import open_table, open_writer

        source = open_table(request.source)
        _refuse_own_input(source, request.output)
        form = model.impute_schema(source, draws)
        with open_writer(request.output, form, request.overwrite) as writer:
            for batch in model.impute_table(source, draws, request.seed):
                writer.write(batch)
            rows = writer.rows
        tables = "" if draws is None else f" in {draws:,} tables"
        out.note(f"{rows:,} rows{tables}")
        out.document(
            {
                "output": request.output,
                "rows": rows,
                "draws": draws,
                "columns": form.names,
                "seed": request.seed,
            }
        )

    def cluster(self, model: TableModel, probabilities: bool, request: Request, out: Output) -> None:
        """Write the most probable component of every row."""
        import numpy as np
        import pyarrow as pa

        from logpx.tables import open_table, open_writer

        source = open_table(request.source)
        _refuse_own_input(source, request.output)
        count = model.clusters
        each = [f"probability_{index}" for index in range(count)] if probabilities else []
        form = pa.schema(
            [("cluster", pa.int64()), *((name, pa.float64()) for name in ("probability", *each))]
        )
        rows = np.zeros(count, np.int64)
        with open_writer(request.output, form, request.overwrite) as writer:
            for batch in model.cluster(source, request.seed, request.draws):
                columns = [batch.cluster, batch.probability, *(batch.probabilities.T if each else [])]
                writer.write(dict(zip(form.names, columns, strict=True)))
                rows += np.bincount(batch.cluster, minlength=count)
        out.note(f"{rows.sum():,} rows in {np.count_nonzero(rows)} clusters")
        out.document(
            {
                "output": request.output,
                "rows": int(rows.sum()),
                "rows_per_cluster": rows.tolist(),
                "columns": form.names,
                "seed": request.seed,
            }
        )

    def evaluate(self, model: TableModel, request: Request, out: Output) -> None:
        """Print nats per row beside the baselines."""
        evaluation = model.evaluate(
            request.source, seed=request.seed, draws=request.draws, exactness=request.exactness
        )
        name = "log p(x)" if evaluation.kind == "exact" else "log p(x), lower bound"
        out.text(f"{evaluation.rows:,} rows, {name}, nats per row (mean ± standard error)")
        out.table(_rows(evaluation))
        if evaluation.outside:
            out.note(
                f"note: {evaluation.outside:,} rows lie outside the model's support: their log p is minus "
                "infinity, and part of the mean"
            )
        asked = {"unit": "nats per row", "exactness": request.exactness, "seed": request.seed}
        out.document({**evaluation.to_dict(), **asked})


def _schema(source: Table, columns: str | None, schema: str | None, seed: int) -> Schema:
    from logpx.tables import Schema, infer_schema, parse_columns

    if schema is None:
        return infer_schema(source, None if columns is None else parse_columns(columns), seed=seed)
    if columns is not None:
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
    return [what, f"mean {name} of {result.validation_rows:,} rows set aside: {value} nats per row"]


def _refuse_own_input(table: Table, output: str) -> None:
    for part in table.parts:
        if part.file is not None and os.path.exists(output) and os.path.samefile(part.file, output):
            raise UsageError(
                "the output is a file of the table that is read", file=output, fix="choose another name"
            )


def _rows(evaluation: Evaluation) -> list[dict[str, str]]:
    first = {
        "model": "this model",
        "log p": nats(evaluation.mean, evaluation.standard_error),
        "this model is better by": "",
    }
    others = [
        {
            "model": name,
            "log p": nats(other.mean, other.standard_error),
            "this model is better by": nats(other.gain, other.gain_standard_error),
        }
        for name, other in evaluation.baselines.items()
    ]
    return [first, *others]
