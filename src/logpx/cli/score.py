"""``logpx score``: log p of every row of a table."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Annotated

import typer

from logpx.cli.folder import load_table_model, to_stdout
from logpx.cli.options import Device, Draws, Json, ModelFolder, Overwrite, Quiet, Seed, TablePath
from logpx.cli.output import Output, nats
from logpx.errors import UsageError

if TYPE_CHECKING:
    from logpx.tables import Table

__all__ = ["score"]


def score(
    model: ModelFolder,
    table: TablePath,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .parquet, .csv or .tsv file; - is CSV on stdout."
        ),
    ] = "-",
    draws: Draws = 8,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write log p(x) of every row of a table.

    \b
    Examples:
      logpx score model/ new.csv -o scores.parquet
      logpx score model/ new.parquet | sort -g | head
      logpx score model/ 'parts/*.parquet' -o scores.parquet --json

    The column is called log_prob where the number is exact. Where columns lie on a grid it is a lower bound:
    the columns are log_prob_lower and log_prob_se, its standard error over the --draws noises. Tables of any
    length are scored in constant memory.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the scores")
    import torch

    from logpx.tables import open_table, open_writer
    from logpx.tables.evaluation import RunningMean

    fitted = load_table_model(model, device)
    source = open_table(table)
    _refuse_own_input(source, output)
    exact = fitted.kind == "exact"
    names = ["log_prob"] if exact else ["log_prob_lower", "log_prob_se"]
    mean, lowest = RunningMean(), math.inf
    with open_writer(output, names, overwrite) as writer:
        for batch in fitted.score(source, seed=seed, draws=draws):
            values = (
                [batch.log_prob] if batch.standard_error is None else [batch.log_prob, batch.standard_error]
            )
            writer.write(dict(zip(names, values, strict=True)))
            mean.add(torch.from_numpy(batch.log_prob))
            lowest = min(lowest, float(batch.log_prob.min()))
    out.note(f"{mean.count:,} rows, mean {names[0]} {nats(mean.value, mean.standard_error)} nats")
    out.document(
        {
            "output": output,
            "rows": mean.count,
            "kind": fitted.kind,
            "columns": names,
            "mean": mean.value,
            "standard_error": mean.standard_error,
            "lowest": lowest,
            "seed": seed,
        }
    )


def _refuse_own_input(table: Table, output: str) -> None:
    for part in table.parts:
        if part.file is not None and os.path.exists(output) and os.path.samefile(part.file, output):
            raise UsageError(
                "the output is a file of the table that is scored", file=output, fix="choose another name"
            )
