"""The missing cells of a table, filled in by the model of its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.distributions.seeding import derived_seed
from logpx.errors import UsageError
from logpx.tables.columns.labels import Labels
from logpx.tables.density import CellDensity, ObservedRange, TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.schema.schema import Column

__all__ = ["check_can_fill", "completed_rows", "observed_range", "within_observed"]


def completed_rows(
    density: Distribution,
    x: Tensor,
    words: Sequence[int] | None = None,
    observed: ObservedRange | None = None,
) -> Tensor:
    """Return rows in table units with their missing cells filled in.

    Parameters
    ----------
    density
        The density of a table model.
    x
        Shape ``(n, d)``, float64; for draws, columns on a grid are dequantised. NaN is missing.
    words
        The seed of a draw from the joint conditional distribution, and numbers that identify the draw. None
        gives the best guess: the mean of the conditional distribution on the column's scale (of a component,
        that is the median in table units), or of cells as they are, or the most probable label.
    observed
        The range of the values of each column that were observed, for means of cells with heavy tails.

    Raises
    ------
    UsageError
        If the model cannot fill in missing cells.
    """
    members = list(_members(density))
    seeds = [None if words is None else derived_seed(*words, number) for number in range(len(members) + 1)]
    each = [member.completed(x, own, observed) for member, own in zip(members, seeds[1:], strict=True)]
    if not isinstance(density, Mixture):
        return each[0]
    shares, filled = _shares(density, members, x), torch.stack(each)
    rows = torch.arange(len(x), device=x.device)
    if seeds[0] is not None:
        generator = torch.Generator().manual_seed(seeds[0])
        uniform = torch.rand(len(x), generator=generator, dtype=torch.float64).to(x.device)
        return filled[(uniform >= shares.cumsum(0)[:-1]).sum(0), rows]
    labels = [isinstance(support, Labels) for support in members[0].supports]
    centre = torch.einsum("mn,mnd->nd", shares, filled)
    return torch.where(torch.tensor(labels, device=x.device), filled[shares.argmax(0), rows], centre)


def check_can_fill(density: Distribution) -> None:
    """Raise a `UsageError` if the density of a table model cannot fill in missing cells."""
    for _ in _members(density):
        pass


def observed_range(columns: Sequence[Column]) -> ObservedRange:
    """Return the least and the most value of each column that was observed when the schema was inferred.

    Both are infinite for labels, and for a column without a minimum and maximum.
    """
    numbers = [column.levels is None for column in columns]
    least, most = [column.minimum for column in columns], [column.maximum for column in columns]
    return (
        [-math.inf if low is None or not own else low for low, own in zip(least, numbers, strict=True)],
        [math.inf if high is None or not own else high for high, own in zip(most, numbers, strict=True)],
    )


def within_observed(x: Tensor, columns: Sequence[Column]) -> Tensor:
    """Return best guesses no further out than the values observed when the schema was inferred.

    The map back from model units is steep in its tails, where a guess may lie many ranges away.

    Parameters
    ----------
    x
        Rows in table units, shape ``(n, d)``.
    columns
        The modelled columns of the schema; one without a minimum and maximum leaves its guesses as they are.
    """
    least, most = (x.new_tensor(ends) for ends in observed_range(columns))
    return torch.minimum(torch.maximum(x, least), most)


def _members(density: Distribution) -> Iterator[TableDensity | CellDensity]:
    for member in density.components if isinstance(density, Mixture) else [density]:
        if not isinstance(member, TableDensity | CellDensity) or not member.allows_missing:
            raise UsageError(
                "the model cannot fill in missing cells",
                fix=f"fit one that can: {FAMILIES.fix(lambda family: family.allows_missing)}",
            )
        yield member


def _shares(density: Mixture, members: Sequence[TableDensity | CellDensity], x: Tensor) -> Tensor:
    each = torch.stack([member.log_prob(x) for member in members])
    weighted = each + torch.log_softmax(density.logits, 0).to(each)[:, None]
    # If a row is impossible under every member, all members share equally.
    return torch.softmax(weighted.clamp_min(torch.finfo(each.dtype).min / 2), 0)
