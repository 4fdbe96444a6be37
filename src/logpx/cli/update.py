"""``logpx update``: a fitted model, brought up to date by new rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from logpx.cli.folder import load_model
from logpx.cli.options import Device, Json, ModelFolder, Overwrite, Quiet, Seed, TableSource, from_home
from logpx.cli.output import Output
from logpx.cli.requests import UpdateRequest
from logpx.cli.values import parse_duration

__all__ = ["update"]


def update(
    model: ModelFolder,
    source: TableSource,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FOLDER", callback=from_home, help="The model folder to write."
        ),
    ],
    old: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="OLD",
            show_default=False,
            help="The table that the model was fitted to, if it is still there.",
        ),
    ] = None,
    passes: Annotated[
        int,
        typer.Option("--passes", min=1, help="Steps of EM; with --with, all of them on old and new rows."),
    ] = 1,
    time: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="DURATION",
            parser=parse_duration,
            show_default=False,
            help="How long to train networks: 30s, 10m, 2h. 60s by default.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Update a model by new rows, and write it to another folder.

    \b
    Examples:
      logpx update model/ new.parquet -o model2/
      logpx update model/ new.csv -o model2/ --with old.csv --passes 20
      logpx update model/ new.csv -o model/ --overwrite

    Gaussians, mixtures, ppca and fa are updated from statistics of old and new rows together, exactly as if
    EM had made its step on all rows from this model; the folder keeps those of the old rows. Networks (flows,
    vae, autoregressive) are trained on, on the old rows, too, if --with gives them. The maps of the columns
    and the labels stay as they are. The new folder says where it comes from (lineage).
    """  # noqa: D301 - \b keeps the lines of the examples apart
    out = Output(as_json, quiet)
    from logpx.storage import check_target, model_digest, read_details, read_statistics, save_or_keep

    target = check_target(output, overwrite=overwrite)
    digest, details = model_digest(model), read_details(model)
    subject, fitted = load_model(model, device)
    metrics = details.metrics
    lineage = list(metrics.get("lineage") or [])
    before = int(metrics.get("rows") or 0) + sum(int(one.get("rows") or 0) for one in lineage)
    request = UpdateRequest(
        source=source,
        old=old,
        passes=passes,
        time=time,
        seed=seed,
        quiet=quiet,
        statistics=read_statistics(model),
        rows_before=before,
    )
    found = subject.update(fitted, request, out)
    step: dict[str, Any] = {
        "parent": digest,
        "parent_folder": model,
        "parent_saved": details.config.get("saved"),
        "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": source,
        "rows": found.document["new_rows"],
        "with": old,
        "passes": passes,
        "seed": seed,
        "notes": found.notes,
    }
    # What was measured on rows set aside is about the parent.
    known: dict[str, Any] = {
        name: metrics[name] for name in ("source", "rows", "kind", "scales", "seed") if name in metrics
    }
    elsewhere = save_or_keep(
        found.model,
        target,
        overwrite=overwrite,
        metrics={**known, "lineage": [*lineage, step]},
        statistics=found.statistics,
    )
    if elsewhere is not None:
        raise elsewhere
    for note in found.notes:
        out.note(f"note: {note}")
    out.note(f"{output}: {step['rows']:,} new rows after {before:,}")
    out.document({"model": str(target), "lineage": [*lineage, step]})
