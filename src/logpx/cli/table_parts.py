"""Tables in many files on the command line: an output part for each input part, shard by shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from logpx.cli.output import Output
from logpx.cli.requests import Parts, Request
from logpx.cli.several import own_shard
from logpx.cli.subject import Subject
from logpx.errors import UsageError
from logpx.wording import counted

__all__ = ["impute_parts", "parts_asked_for", "score_parts"]


def parts_asked_for(output: str, shard: str | None, resume: bool) -> Parts | None:
    """Return which parts of a table are worked on; None if its rows go into one file.

    Raises
    ------
    UsageError
        If the options do not go together.
    """
    folder = output.endswith(("/", os.sep)) or "://" in output
    in_parts = folder or shard is not None or resume
    if in_parts and output == "-":
        raise UsageError("parts cannot go to stdout", fix="name a folder for them: -o scores/")
    asked = None
    if shard is not None:
        from logpx.engines.parts import parse_shard

        asked = parse_shard(shard)
    own = own_shard(asked, output, in_parts=in_parts)
    return Parts(shard=own or (1, 1), resume=resume) if in_parts else None


def score_parts(subject: Subject, scorer: Any, request: Request, out: Output) -> None:
    """Write log p of the rows of each part."""
    from logpx.scoring import ScoreTotals

    columns: list[str] = []
    totals, notes = ScoreTotals(), list[str]()

    def work(part: Request) -> Mapping[str, Any]:
        own, names, said = subject.score_file(scorer, part, out)
        return {"columns": names, "notes": said, **own.to_dict()}

    options = {
        "draws": request.draws,
        "exactness": request.exactness,
        "keep": request.keep and (list(request.kept) or True),
        "target": list(request.target),
        "given": list(request.given),
        "each_cell": request.each_cell,
    }
    request.check_kept()
    # The rows are numbered in what is written, and random numbers go by them.
    counts, results = _worked("score", options, work, request, out, numbered=True)
    for result in results:
        totals.merge(ScoreTotals.from_dict(result))
        columns, notes = result["columns"], [*notes, *result["notes"]]
    if results:
        subject.say_totals(totals, scorer, request, out, {**counts, "columns": columns, "notes": notes})
    else:
        out.document({"output": request.output, "rows": 0, **counts})


def impute_parts(
    impute_file: Callable[[Request], Mapping[str, Any]], draws: int | None, request: Request, out: Output
) -> None:
    """Fill in the missing cells of each part."""
    options, numbered = {"draws": draws}, draws is not None
    counts, results = _worked("impute", options, impute_file, request, out, numbered=numbered)
    rows = sum(result["written"] for result in results)
    notes = [note for result in results for note in result["notes"]]
    out.note(counted(rows, "row") + ("" if draws is None else f" in {counted(draws, 'table')}"))
    out.document(
        {
            "output": request.output,
            "rows": rows,
            "draws": draws,
            "columns": results[0]["columns"] if results else [],
            "seed": request.seed,
            "notes": notes,
            **counts,
        }
    )


def _worked(
    command: str,
    options: Mapping[str, Any],
    work: Callable[[Request], Mapping[str, Any]],
    request: Request,
    out: Output,
    *,
    numbered: bool,
) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """Work on the parts of a request; return how many there are, and what became of each."""
    from logpx.engines.parts import PartsRun
    from logpx.storage import model_digest

    parts = request.parts or Parts()
    job = {
        "command": command,
        "model": model_digest(request.model),
        "options": {**options, "seed": request.seed},
    }
    run = PartsRun(
        request.source,
        request.output,
        job,
        shard=parts.shard,
        resume=parts.resume,
        overwrite=request.overwrite,
    )

    def on_files(source: str, output: str, first_row: int) -> Mapping[str, Any]:
        return work(replace(request, source=source, output=output, first_row=first_row))

    of = f" of shard {parts.shard[0]}/{parts.shard[1]}" if parts.shard[1] > 1 else ""
    if not run.own:
        out.note(f"note: {counted(len(run.parts), 'part')}, and none{of}")
    results, before = [], 0
    for number, result in enumerate(run.run(on_files, numbered=numbered), 1):
        rows = counted(result.facts["rows"], "row")
        how = "finished before" if result.finished_before else rows
        out.note(f"part {number} of {len(run.own)}{of}: {result.name}, {how}")
        for note in () if result.finished_before else result.facts["notes"]:
            out.note(f"note: {note}")
        before += result.finished_before
        results.append(result.facts)
    counts = {"parts": len(run.own), "finished_before": before, "shard": list(parts.shard)}
    return counts, results
