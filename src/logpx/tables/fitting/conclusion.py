"""What follows the search: the chosen model with all that is kept beside it, a verdict, and notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from logpx.scoring import Ending, ModelVerdict
from logpx.tables.companions import CONDITIONS
from logpx.tables.density import TableDensity
from logpx.tables.fitting.all_rows import Finish
from logpx.tables.fitting.calibration import unseen_scores
from logpx.tables.fitting.notes import companion_notes, density_notes
from logpx.tables.fitting.reference import table_reference
from logpx.tables.fitting.rows import DividedRows
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.selection import Candidate
from logpx.tables.fitting.unusualness import table_unusualness
from logpx.tables.fitting.verdict import table_verdict
from logpx.tables.model import TableModel
from logpx.tables.schema.schema import Schema

__all__ = ["Conclusion", "concluded"]

# What is left out of a table of many columns, and how long it takes for each of them.
_NO_REFERENCE = "nothing is kept that later tables are compared with (logpx drift)"
_REFERENCE_SECONDS = 0.003


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The outcome of a search.

    Attributes
    ----------
    best : Candidate
        The candidate, or the stack of several, that was chosen.
    model : TableModel
        The model, with its baselines, its calibration, its companions and its reference.
    verdict : ModelVerdict or None
        Whether it is any good; None if no rows were set aside.
    ended : Ending
        What ended the fit of the model.
    notes : list of str
        What the user should know.
    """

    best: Candidate
    model: TableModel
    verdict: ModelVerdict | None
    ended: Ending
    notes: list[str]


def concluded(
    search: Search,
    schema: Schema,
    read: DividedRows,
    *,
    measured: str,
    seen: bool,
    several: bool,
    last: Callable[[TableDensity], Finish] | None = None,
) -> Conclusion:
    """Choose, judge and refit, in this order: rows set aside are unseen until the last of them.

    Parameters
    ----------
    search
        The search, which has tried all families.
    schema, read
        The columns and the rows.
    measured
        What rows candidates are compared on, in words.
    seen
        Whether the candidates were fitted to these rows, too.
    several
        Whether the result may be a stack, with companions that answer what it cannot.
    last
        Fits the chosen density to all rows of a table of which a sample was searched, in place.
    """
    # Weights of a stack suit log p of whole rows.
    several = several and last is None and not search.budget.target
    best = search.best(stacked=several)
    baselines = search.baselines()
    companions = search.companions(best) if several else {}
    verdict = reference = None
    if not read.undivided:
        verdict = table_verdict(search, best, baselines, measured)
        able = companions.get(CONDITIONS, best)
        if search.has_time_for(_NO_REFERENCE, _REFERENCE_SECONDS):
            reference = table_reference(search, best, able, refitted=read.joined)
    scores = unseen_scores(search, best, read, unseen=None if seen else measured)
    ended = best.ended
    if last is not None and isinstance(best.density, TableDensity):
        finish = last(best.density)
        ended, said = finish.ended, [f"{best.model} on {best.scales} scales: {finish.note}"]
    else:
        again = search.refit([best, *companions.values()]) if read.joined else {}
        remarks = [(one, [one.note, *again.get(id(one.density), ())]) for one in best.parts if one.note]
        said = [f"{one.model} on {one.scales} scales: {'; '.join(notes)}" for one, notes in remarks]
    calibration = unusualness = None
    if scores is not None:
        scores = scores.of(best.density, search.supports, search.budget.seed)
        calibration = scores.calibration()
        unusualness = table_unusualness(search, schema, read, scores, calibration)
    model = TableModel(
        schema,
        best.density,
        baselines,
        calibration=calibration,
        companions={purpose: one.density for purpose, one in companions.items()},
        reference=reference,
        unusualness=unusualness,
    ).eval()
    notes = [*density_notes(schema, best.density), *search.remarks]
    notes += said
    if best.density.kind != "exact":
        notes.append(f"log p is a lower bound: {best.model} has no exact one")
    return Conclusion(
        best=best,
        model=model,
        verdict=verdict,
        ended=ended,
        notes=[*notes, *companion_notes(best, companions)],
    )
