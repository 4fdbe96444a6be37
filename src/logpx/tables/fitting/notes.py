"""What a user should know of a fitted table."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.tables.density import CellDensity, needs_noise
from logpx.tables.fitting.dependences import identities
from logpx.tables.fitting.requirements import leaving_out
from logpx.tables.fitting.selection import Candidate
from logpx.tables.fitting.weighing import effective_rows
from logpx.tables.schema.schema import Schema

__all__ = ["companion_notes", "density_notes", "notes_on"]


def notes_on(schema: Schema, rows: Tensor, weights: Tensor | None = None) -> list[str]:
    """Return notes on columns that are strange, full of holes, or determined by others, and on rows.

    Parameters
    ----------
    schema
        The columns.
    rows
        The rows that were read, in table units, shape ``(n, d)``.
    weights
        How much each of the rows counts; None if all count alike.
    """
    used = len(rows)
    notes = [f"column {column.name!r}: {note}" for column in schema.columns for note in column.notes]
    holes = [name for name, column in zip(schema.modelled_names, rows.T, strict=True) if column.isnan().any()]
    if holes:
        notes.append(f"log p is that of the cells present; some are missing in {', '.join(holes)}")
    notes.extend(_redundant(schema, rows))
    if weights is not None:
        alike = f"as many as tell {effective_rows(weights):,.0f} that count alike"
        notes.append(f"rows are weighted: {used:,} with a weight above 0, {alike}")
    return notes


def density_notes(schema: Schema, density: Distribution) -> list[str]:
    """Return notes on what log p of grids, atoms and labels is under a density."""
    noisy, notes = needs_noise(density), []
    gridded = [column.name for column in schema.modelled if column.step is not None]
    if gridded and noisy:
        notes.append(f"log p is a lower bound: columns on a grid were dequantised ({', '.join(gridded)})")
    elif gridded:
        notes.append(f"on a grid log p is that of a cell's mass, per unit ({', '.join(gridded)})")
    atoms = [column.name for column in schema.modelled if column.atoms]
    if atoms:
        bound = "log p is a lower bound: " if noisy else ""
        notes.append(
            f"{bound}single values hold mass of their own, and log p is that of the mass "
            f"there and of the density elsewhere ({', '.join(atoms)})"
        )
    labels = [column.name for column in schema.modelled if column.levels is not None]
    members = density.components if isinstance(density, Mixture) else [density]
    if labels and not any(isinstance(member, CellDensity) for member in members):
        notes.append(f"labels are independent given the component or z of the model ({', '.join(labels)})")
    return notes


def companion_notes(best: Candidate, companions: Mapping[str, Candidate]) -> list[str]:
    """Return what answers where the chosen model cannot, and how much worse that is."""
    notes = []
    for purpose, other in companions.items():
        behind = (best.log_prob - other.log_prob).double()
        behind = behind[behind.isfinite()]
        by = f"{float(behind.mean()):.3f} ± {float(behind.std()) / max(len(behind), 1) ** 0.5:.3f}"
        notes.append(
            f"{purpose} are answered by {other.model} on {other.scales} scales, which is {by} nats per row "
            f"worse than {best.model}, which has none"
        )
    return notes


def _redundant(schema: Schema, rows: Tensor) -> list[str]:
    places = [place for place, column in enumerate(schema.modelled) if column.levels is None]
    columns = [schema.modelled[place] for place in places]
    found = identities(rows[:, places], [column.step for column in columns])
    if not found:
        return []
    names = [column.name for column in columns]
    fix = leaving_out([names[identity.column] for identity in found])
    several = "columns that others determine add" if len(found) > 1 else "a column that others determine adds"
    each = "; ".join(identity.written(names) for identity in found)
    return [f"{each}: {several} nats that mean nothing; {fix}"]
