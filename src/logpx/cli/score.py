"""``logpx score``: log p of every row of a table, or of every image."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.folder import load_model, to_stdout
from logpx.cli.options import (
    Data,
    Device,
    Draws,
    Exactness,
    GivenColumns,
    Json,
    Keep,
    KeptNames,
    ModelFolder,
    Overwrite,
    Quiet,
    Resume,
    Seed,
    Shard,
    Source,
    Target,
    WrittenParts,
)
from logpx.cli.output import Output
from logpx.cli.requests import Request
from logpx.cli.table_parts import parts_asked_for

__all__ = ["score"]


def score(
    model: ModelFolder,
    source: Source,
    kept: KeptNames = None,
    output: WrittenParts = "-",
    draws: Draws = 8,
    exactness: Exactness = None,
    data: Data = None,
    target: Target = None,
    given: GivenColumns = None,
    keep: Keep = False,
    columns_scores: Annotated[
        bool,
        typer.Option(
            "--columns-scores",
            help="Tables: also write the surprisal of every cell given the others of its row, in nats: "
            "price_surprisal and so on.",
        ),
    ] = False,
    shard: Shard = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write log p(x) of every row of a table, or of every image.

    \b
    Examples:
      logpx score model/ new.csv -o scores.parquet
      logpx score model/ new.parquet | sort -g | head
      logpx score model/ 'parts/*.parquet' -o scores.parquet --json
      logpx score model/ new.csv -o scores.csv --exactness 5000
      logpx score model/ new.csv -o scored.csv --keep
      logpx score model/ new.csv -o scores.csv --target income --keep id
      logpx score model/ new.csv -o scores.csv --target income --given age,sex
      logpx score model/ new.csv -o scores.csv --columns-scores
      logpx score model/ 'parts/*.parquet' -o scores/ --shard 3/16 --resume

    The column is called log_prob where the number is exact. Where columns lie on a grid, or the model has no
    exact log p (vae), it is a lower bound: the columns are log_prob_lower and log_prob_se, its standard
    error. With --exactness K, K draws are spent on each row, and the bound is tighter. Tables of any length
    are scored in constant memory. With --target, log p is that of the target columns, jointly, given all
    others, or given only those of --given; if the model has no exact log p, it is an estimate
    (log_prob_estimate). Rows in files are numbered from 1 (row). Where -o is a folder, or an address such as
    s3://bucket/scores, each file of the table becomes a part of that name, which appears whole or not at all;
    with --resume finished parts are kept, and --shard divides the parts among machines. For images, the
    columns are file, image (its number in the file), log_prob_lower, log_prob_se and bits_per_dimension.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    to_stdout(output, as_json, "the scores")
    parts = parts_asked_for(output, shard, resume)
    subject, fitted = load_model(model, device, source)
    request = Request(
        source=source,
        output=output,
        seed=seed,
        draws=draws,
        overwrite=overwrite,
        keep=keep,
        each_cell=columns_scores,
        data=data,
        exactness=exactness,
        kept=kept or (),
        target=target or (),
        given=given or (),
        model=model,
        parts=parts,
    )
    subject.score(fitted, request, out)
