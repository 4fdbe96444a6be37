"""What ``logpx anomalies`` writes and prints of the rows that were found."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output
from logpx.cli.requests import Request

if TYPE_CHECKING:
    from logpx.detection.search import AnomalySearch
    from logpx.tables.reading.text_form import TextForm

__all__ = ["write_found"]


def write_found(
    search: AnomalySearch, request: Request, out: Output, form: TextForm | None, *, tell: bool
) -> None:
    """Write the selected rows; then say how many there are and, if asked to, why.

    Parameters
    ----------
    search
        The search, not yet begun.
    request, out
        The output, and where to print.
    form
        How delimited text is written.
    tell
        Whether reasons are printed.
    """
    from logpx.detection.reasons import words_of
    from logpx.tables import open_writer

    with open_writer(request.output, search.schema, request.overwrite, form) as writer:
        for batch in search.batches():
            writer.write(batch)
    if tell:
        say = out.note if request.output == "-" else out.text
        for row, reasons in search.explained:
            say(f"row {row:,}: {words_of(reasons)}")
    for note in search.notes:
        out.note(f"note: {note}")
    words = search.selection.words(search.rows, search.selected)
    out.note(words)
    if search.calibration is not None:
        out.note(f"p-values from {search.calibration.source}; none is below {search.calibration.least:.2g}")
    out.document(_document(search, request, words, tell))


def _document(search: AnomalySearch, request: Request, words: str, tell: bool) -> dict[str, Any]:
    calibration, explainer = search.calibration, search.explainer
    document = {
        "output": request.output,
        "rows": search.rows,
        "selected": search.selected,
        "selection": words,
        "kind": search.model.kind,
        "calibration": None
        if calibration is None
        else {"rows": calibration.rows, "source": calibration.source, "least_p_value": calibration.least},
        "reasons": None if explainer is None else explainer.method,
        "columns": search.schema.names,
        "seed": request.seed,
        "notes": search.notes,
    }
    if tell:
        document["explained"] = [
            {"row": row, "reasons": [asdict(reason) for reason in reasons]}
            for row, reasons in search.explained
        ]
    return document
