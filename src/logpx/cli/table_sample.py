"""Rows that a model of a table draws, on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.table_source import note_companion
from logpx.errors import UsageError
from logpx.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from logpx.tables import Table, TableModel

__all__ = ["write_sample"]

# Rows that are compared with the training rows.
_CHECKED = 100_000


def write_sample(
    model: TableModel, n: int, request: Request, out: Output, opened: Callable[[str], Table]
) -> None:
    """Write new rows, given values or rows if the request names some; `opened` opens another table."""
    from logpx.tables import open_writer

    form, batches = model.arrow_schema, model.sample_table(n, seed=request.seed)
    train = None
    if request.check is not None:
        if request.given:
            raise UsageError("--check and --given do not go together", fix="leave one of them out")
        if n < 2:
            raise UsageError("fewer than two rows to check", fix="draw more with -n")
        train = opened(request.check)
    if request.given:
        note_companion(model, "conditions", out)
        form, batches = _given(model, n, request, opened)
    with open_writer(request.output, form, request.overwrite) as writer:
        for batch in batches:
            writer.write(batch)
        rows = writer.rows
    out.note(counted(rows, "row"))
    checked = {} if train is None else {"check": _checked(model, rows, train, request, out)}
    out.document(
        {
            "output": request.output,
            "rows": rows,
            "columns": form.names,
            "given": list(request.given),
            "seed": request.seed,
            **checked,
        }
    )


def _checked(model: TableModel, rows: int, train: Table, request: Request, out: Output) -> dict[str, Any]:
    """Say how near to the training rows the sampled ones are, which are drawn once more."""
    from logpx.detection import check_synthetic

    drawn = model.sample(min(rows, _CHECKED), seed=request.seed)
    found = check_synthetic(model, drawn, train, seed=request.seed)
    for line in str(found).splitlines():
        out.note(line)
    return found.to_dict()


def _given(
    model: TableModel, n: int, request: Request, opened: Callable[[str], Table]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return columns and batches of rows drawn given values, or given the rows of a table."""
    from logpx.tables.conditioning.given import is_given_value, values_of_options
    from logpx.tables.formats import is_delimited_text

    sources = [text for text in request.given if not is_given_value(text, model.schema)]
    if not sources:
        conditioned = model.condition(values_of_options(request.given, model.schema))
        return model.arrow_schema, conditioned.sample_table(n, request.seed)
    if len(request.given) > 1:
        raise UsageError(
            "--given names a table and something else",
            file=sources[0],
            fix="give either one table, or values such as age=40",
        )
    extension = model.extension(opened(sources[0]), as_text=is_delimited_text(request.output))
    return extension.form, extension.batches(n, request.seed)
