"""``logpx evaluate``: held-out likelihood beside baselines."""

from __future__ import annotations

from logpx.cli.folder import load_model
from logpx.cli.options import Data, Device, Draws, Exactness, Json, ModelFolder, Quiet, Seed, Source
from logpx.cli.output import Output
from logpx.cli.requests import Request

__all__ = ["evaluate"]


def evaluate(
    model: ModelFolder,
    source: Source,
    draws: Draws = 1,
    exactness: Exactness = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the mean of log p(x) on held-out rows, beside baselines.

    \b
    Examples:
      logpx evaluate model/ test.csv
      logpx evaluate model/ test.parquet --json
      logpx evaluate model/ mnist:test --exactness 1000

    Give rows that the model has not seen. Means come with their standard errors, in nats per row or, for
    images, in bits per dimension. The baselines, such as independent marginals and a Gaussian with full
    covariance, were fitted to the same training rows. Differences are paired, row by row.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    subject, fitted = load_model(model, device, source)
    request = Request(source=source, seed=seed, draws=draws, data=data, exactness=exactness)
    subject.evaluate(fitted, request, out)
