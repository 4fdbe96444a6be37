"""``logpx evaluate``: held-out likelihood beside baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from logpx.cli.folder import load_table_model
from logpx.cli.options import Device, Json, ModelFolder, Quiet, Seed, TablePath
from logpx.cli.output import Output, nats

if TYPE_CHECKING:
    from logpx.tables import Evaluation

__all__ = ["evaluate"]


def evaluate(
    model: ModelFolder,
    table: TablePath,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Noises to average over where log p is a lower bound.")
    ] = 1,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the held-out mean of log p(x) beside baselines.

    \b
    Examples:
      logpx evaluate model/ test.csv
      logpx evaluate model/ test.parquet --json

    Give rows that the model has not seen. Means come with their standard errors. The baselines, independent
    marginals and a Gaussian with full covariance, were fitted to the same training rows. Differences are
    paired, row by row.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    fitted = load_table_model(model, device)
    evaluation = fitted.evaluate(table, seed=seed, draws=draws)
    name = "log p(x)" if evaluation.kind == "exact" else "log p(x), lower bound"
    out.text(f"{evaluation.rows:,} rows, {name}, nats per row (mean ± standard error)")
    out.table(_rows(evaluation))
    if evaluation.outside:
        out.note(
            f"note: {evaluation.outside:,} rows lie outside the model's support: their log p is minus "
            "infinity, and part of the mean"
        )
    out.document({**evaluation.to_dict(), "unit": "nats per row", "seed": seed})


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
