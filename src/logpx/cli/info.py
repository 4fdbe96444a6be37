"""``logpx info``: what a model folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logpx.cli.options import Json, ModelFolder, Quiet
from logpx.cli.output import Output, nats

if TYPE_CHECKING:
    from logpx.files.details import Details

__all__ = ["info"]


def info(model: ModelFolder, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what a model folder holds.

    \b
    Examples:
      logpx info model/
      logpx info model/ --json

    Lists the columns with their kinds and scales and the reasons for them, the models that were tried, and
    versions. Every file of the folder is verified. Lines fit the terminal, or the variable COLUMNS, or 80
    characters: reasons need a wide one, or --json.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    # Not from logpx.storage, which loads PyTorch.
    from logpx.files.details import read_details

    details = read_details(model)
    for label, value in _summary(details):
        out.wrapped(label, value)
    if details.schema is not None:
        out.text("")
        out.narrow_table(_columns(details), spare=("why", "distinct", "grid"))
    candidates = details.metrics.get("candidates")
    if candidates:
        out.text("")
        out.narrow_table([_candidate(one) for one in candidates])
    out.document(
        {
            "folder": model,
            "weights_bytes": details.weights_bytes,
            "config": details.config,
            "schema": details.schema,
            "metrics": details.metrics,
        }
    )


def _summary(details: Details) -> list[tuple[str, str]]:
    config, metrics = details.config, details.metrics
    chosen = metrics.get("chosen") or {}
    name = chosen.get("model") or config["model"]["class"]
    written = f"by logpx {config['logpx_version']} (format {config['format_version']})"
    # A fit that can be repeated to the bit leaves no dates.
    written = f"{config['saved']} {written}" if config.get("saved") else written
    facts = {"model": f"{name}, {config['parameters']:,} parameters, {details.weights_bytes / 1e6:.2f} MB"}
    if metrics.get("kind"):
        facts["log p(x)"] = f"{metrics['kind']}, in nats"
    if chosen:
        facts["validation"] = f"{nats(chosen.get('validation'), chosen.get('standard_error'))} nats per row"
    if metrics.get("bits_per_dimension") is not None:
        bits = nats(metrics["bits_per_dimension"], metrics.get("standard_error"))
        facts["bits/dim"] = f"{bits}, an upper bound"
    if metrics.get("images"):
        shape = metrics["images"]
        facts["images"] = (
            f"{shape.get('height')}×{shape.get('width')} pixels, {shape.get('channels')} "
            f"{'channel' if shape.get('channels') == 1 else 'channels'}, "
            f"{shape.get('levels')} levels"
        )
    if metrics.get("train_rows"):
        facts["rows"] = (
            f"{metrics['train_rows']:,} to train, {metrics['validation_rows']:,} to choose the model by"
        )
    if metrics.get("source"):
        facts["fitted to"] = str(metrics["source"])
    if metrics.get("seconds") is not None:
        facts["took"] = f"{metrics['seconds']:.1f} s, seed {metrics.get('seed')}"
    elif metrics.get("seed") is not None:
        facts["seed"] = str(metrics["seed"])
    if metrics.get("ended"):
        facts["ended"] = str(metrics["ended"])
    facts["saved"] = written
    said = [("verdict", sentence) for sentence in (metrics.get("verdict") or {}).get("sentences", [])]
    notes = [("note", note) for note in metrics.get("notes", [])]
    return [*facts.items(), *said, *notes]


def _columns(details: Details) -> list[dict[str, str]]:
    from logpx.files.documents import to_bytes
    from logpx.tables import Schema

    scales = {one["column"]: one["scale"] for one in details.metrics.get("scales", [])}
    rows = Schema.from_json(to_bytes(details.schema)).describe()
    return [{**row, "scale": str(scales.get(row["column"], "")), "why": row["why"]} for row in rows]


def _candidate(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "tried": str(one.get("model")),
        "scales": str(one.get("scales")),
        "validation nats per row": nats(one.get("validation"), one.get("standard_error")),
        "": "chosen" if one.get("chosen") else str(one.get("note", "")),
    }
