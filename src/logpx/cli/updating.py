"""What an update of a model is made of: the folder, the new rows, and where the model comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from logpx.cli.folder import load_model
from logpx.cli.output import Output
from logpx.cli.requests import Fitted, Parent, UpdateRequest
from logpx.errors import UsageError

__all__ = ["updated_model"]


def updated_model(request: UpdateRequest, out: Output) -> Fitted:
    """Return a model after new rows, with what is said of it.

    Raises
    ------
    UsageError
        If the folder holds another model than when the update was begun.
    """
    from logpx.storage import model_digest, read_details, read_statistics

    details = read_details(request.model)
    if model_digest(request.model) != request.digest:
        raise UsageError(
            "the folder holds another model than when the update was begun",
            file=request.model,
            fix="begin another update",
        )
    subject, model = load_model(request.model, request.device, request.source)
    metrics = details.metrics
    lineage = list(metrics.get("lineage") or [])
    before = int(metrics.get("rows") or 0) + sum(int(one.get("rows") or 0) for one in lineage)
    found = subject.update(model, request, Parent(read_statistics(request.model), before), out)
    step: dict[str, Any] = {
        "parent": request.digest,
        "parent_folder": request.model,
        "parent_saved": details.config.get("saved"),
        **({} if request.repeatable else {"updated": datetime.now(UTC).isoformat(timespec="seconds")}),
        "source": request.source,
        "rows": found.document["new_rows"],
        "with": request.old,
        "passes": request.passes,
        "seed": request.seed,
        "notes": found.notes,
    }
    # What was measured on rows set aside is about the parent.
    known: dict[str, Any] = {
        name: metrics[name] for name in ("source", "rows", "kind", "scales", "seed") if name in metrics
    }
    return Fitted(
        model=found.model,
        metrics={**known, "ended": found.metrics["ended"], "lineage": [*lineage, step]},
        document={},
        notes=[f"note: {note}" for note in found.notes],
        summary=[f"{step['rows']:,} new rows after {before:,}"],
        statistics=found.statistics,
    )
