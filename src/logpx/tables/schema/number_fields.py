"""What a schema says of a column of numbers: its grid or its atoms, and where its values end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from logpx.tables.schema.atoms import detect_cells
from logpx.tables.schema.ends import claimed_ends
from logpx.tables.schema.kind_rules import KindChoice
from logpx.tables.schema.kinds import Kind
from logpx.tables.schema.summaries import NumberSummary

__all__ = ["number_fields"]


def number_fields(summary: NumberSummary, choice: KindChoice, *, pinned: bool) -> dict[str, Any]:
    """Return the fields of a `Column` of numbers of a kind that is modelled.

    Parameters
    ----------
    summary : NumberSummary
        What is known about the values.
    choice : KindChoice
        The kind, and the bounds that come with it.
    pinned : bool
        Whether a user gave the kind. It then claims no ends, but for whole numbers.
    """
    grid, atoms = detect_cells(summary.sample)
    if grid is not None and grid.step >= 1 and grid.whole and not (summary.whole or atoms):
        # The sample happened to miss the rows with fractions.
        grid = replace(grid, uniform=False)
    kind, lower, upper, reasons = choice.kind, choice.lower, choice.upper, [choice.reason]
    if kind is Kind.INTEGER or not (pinned or kind is Kind.TIMESTAMP):
        # An atom between whole numbers is no reason to expect negative ones.
        whole = summary.whole or (bool(atoms) and grid is not None and grid.whole)
        gridded = grid is not None and grid.uniform
        ends = claimed_ends(replace(summary, whole=whole), gridded=gridded)
        if kind is Kind.CONTINUOUS and ends.lower is not None and ends.upper is not None:
            kind = Kind.BOUNDED
        if kind is Kind.POSITIVE and not ends.lower:
            ends = replace(ends, lower=lower)
        if choice.upper is None and (ends.lower, ends.upper) != (lower, upper):
            lower, upper = ends.lower, ends.upper
            reasons.append(ends.reason)
    if grid is None:
        # A density ends at a bound: values on it have mass of their own.
        reached = {end for end in (lower, upper) if end in (summary.minimum, summary.maximum)}
        atoms = sorted({*atoms, *(end for end in reached if end is not None)})
    if atoms:
        shown = ", ".join(f"{atom:g}" for atom in atoms[:5]) + (", …" if len(atoms) > 5 else "")
        share = float(np.isin(summary.sample, atoms).mean())
        reasons.append(f"mass of its own at {shown} ({share:.1%} of the rows)")
    fields: dict[str, Any] = {"kind": kind, "lower": lower, "upper": upper, "atoms": atoms}
    if grid is not None:
        where = f"on a grid of {grid.step:g}" if grid.uniform else f"that repeat, {grid.step:g} apart or more"
        reasons.append(f"values {where}")
        fields |= {
            "step": grid.step,
            "offset": grid.offset,
            "uniform": grid.uniform,
            "rounding": grid.rounding,
        }
    return {**fields, "reason": "; ".join(reasons)}
