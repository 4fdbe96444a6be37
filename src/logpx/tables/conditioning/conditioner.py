"""How the density of a table answers for some columns, given others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution, LowerBound, Mixture
from logpx.distributions.conditional import (
    CategoryMarginals,
    DrawnMarginals,
    Marginals,
    mixed,
)
from logpx.errors import UsageError
from logpx.tables.columns.supports import Supports
from logpx.tables.completion import completed_rows
from logpx.tables.density import CellDensity, TableDensity, impossible_cells, needs_noise
from logpx.tables.families.families import FAMILIES

__all__ = ["Conditioner"]

# Draws of a row where there is no closed form, for each draw of noise that is averaged over.
_DRAWS_PER_NOISE = 50
_LEAST_DRAWS = 200
_TINY = 1e-300
_ABLE = (TableDensity, CellDensity)


class Conditioner:
    """A density of dequantised rows that integrates missing cells out, asked for some columns given others.

    Parameters
    ----------
    density
        The density of a table model, or of several with weights.
    supports
        Bounds, grids and atoms of the columns.

    Raises
    ------
    UsageError
        If the density cannot integrate missing cells out.
    """

    def __init__(self, density: Distribution, supports: Supports) -> None:
        members = list(density.components) if isinstance(density, Mixture) else [density]
        self._members: list[TableDensity | CellDensity] = [
            part for part in members if isinstance(part, _ABLE) and part.allows_missing
        ]
        if len(self._members) < len(members):
            raise UsageError(
                "the model cannot condition some columns on others",
                fix=f"fit one that can: {FAMILIES.fix(lambda family: family.allows_missing)}",
            )
        self.density, self.supports = density, supports

    def kind(self, columns: Tensor) -> str:
        """Return what log p of some columns given others is, by which columns take part, ``(d,)``.

        ``exact``; a ``lower bound``, where a column is dequantised; or an ``estimate``, where the density is
        a bound itself, for a difference of two bounds is none.
        """
        if self.density.kind != "exact":
            return "estimate"
        return "lower bound" if self.is_noisy(columns) else "exact"

    def is_noisy(self, columns: Tensor) -> bool:
        """Whether any of some columns, ``(d,)``, is dequantised."""
        return needs_noise(self.density) and any(bool(columns[place]) for place in self.supports.noisy)

    def possible(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows without the cells that the density finds impossible, and which those are.

        Nothing can be conditioned on them, so they count as not there.
        """
        impossible = impossible_cells(self.density, x)
        return x.masked_fill(impossible, math.nan), impossible

    def log_prob(self, target: Tensor) -> _ConditionalDensity:
        """Return log p of the target columns, ``(d,)``, given all other cells that are there."""
        return _ConditionalDensity(self.density, target)

    def drawn(self, x: Tensor, words: Sequence[int]) -> Tensor:
        """Return rows whose missing cells are drawn jointly, given the others.

        Parameters
        ----------
        x
            Dequantised rows, shape ``(n, d)``; NaN is missing.
        words
            The seed, and numbers that identify the draw.

        Returns
        -------
        Tensor
            On grids, atoms and labels, shape ``(n, d)``.
        """
        return self.supports.snap(completed_rows(self.density, x, words))

    def marginals(
        self, rows: Sequence[Tensor], places: Sequence[int], words: Sequence[int]
    ) -> list[Marginals]:
        """Return the distributions of some columns given the cells that are there, in table units.

        Parameters
        ----------
        rows
            The same rows with several draws of noise, which are averaged over; each of shape ``(n, d)``.
        places
            The columns, missing in all rows.
        words
            The seed, and numbers that identify the rows, where there is no closed form.
        """
        if all(member.has_closed_marginals for member in self._members):
            shares = [share / len(rows) for share in self._shares(rows)]
            return self._closed(rows, shares, places)
        draws = max(_DRAWS_PER_NOISE, -(-_LEAST_DRAWS // len(rows)))
        several = [
            self.drawn(x.repeat(draws, 1), (*words, number)).view(draws, *x.shape)
            for number, x in enumerate(rows)
        ]
        found = torch.cat(several)
        return [self._by_draws(found[:, :, place].T, place) for place in places]

    def _closed(
        self, rows: Sequence[Tensor], shares: Sequence[Tensor], places: Sequence[int]
    ) -> list[Marginals]:
        """Return the exact distributions of columns, from those of each member and draw of noise."""
        parts, weights = [], []
        for number, member in enumerate(self._members):
            own = torch.stack([share[:, number] for share in shares], 1)
            total = own.sum(1)
            parts.append(member.conditional_marginals(rows, own / total.clamp_min(_TINY)[:, None], places))
            weights.append(total)
        shared = torch.stack(weights, 1)
        return [mixed(of_column, shared) for of_column in zip(*parts, strict=True)]

    def _shares(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Return the weights of the members given the cells that are there, for each draw of noise."""
        density = self.density
        if not isinstance(density, Mixture):
            return [x.new_ones(len(x), 1) for x in rows]
        each = [_on_each_draw(member.log_prob, member, rows) for member in self._members]
        weights = (density.log_weights(found) for found in zip(*each, strict=True))
        return [torch.softmax(found.clamp_min(-1e30), 1) for found in weights]

    def _by_draws(self, draws: Tensor, place: int) -> Marginals:
        levels = self.supports.levels[place]
        if levels is None:
            return DrawnMarginals(draws)
        counts = torch.nn.functional.one_hot(draws.long(), levels).double()
        return CategoryMarginals(counts.mean(1))


def _on_each_draw(
    asked: Callable[[Tensor], Tensor], member: Distribution, rows: Sequence[Tensor]
) -> list[Tensor]:
    """Return what a member says of rows with several draws of noise; once, if it has no need of noise."""
    if isinstance(member, CellDensity):
        return [asked(rows[0])] * len(rows)
    return [asked(x) for x in rows]


class _ConditionalDensity:
    """Log p of target columns given all others, estimated like the log p of a density."""

    def __init__(self, density: Distribution, target: Tensor) -> None:
        self._density, self._target = density, target

    def log_prob_lower(
        self, x: Tensor, draws: int | None = None, seed: int = 0, *, first: int | Tensor = 0
    ) -> LowerBound:
        """Return log p with its standard error: exact, or the difference of two bounds."""
        target = self._target.to(x.device)
        if self._density.kind == "exact":
            found = self._density.conditional_log_prob(x, target)
            return LowerBound(found, torch.zeros_like(found))
        joint = self._density.log_prob_lower(x, draws, seed, first=first)
        given = self._density.log_prob_lower(x.masked_fill(target, math.nan), draws, seed, first=first)
        return LowerBound(
            joint.log_prob - given.log_prob, torch.hypot(joint.standard_error, given.standard_error)
        )

    def bound_on_noise(self, x: Tensor) -> Callable[[Tensor, int | None, int, int | Tensor], LowerBound]:
        """Return what gives log p of rows on some noise, with what members of cells say found once."""
        density, target = self._density, self._target.to(x.device)
        if density.kind != "exact" or not isinstance(density, Mixture):
            return lambda noisy, draws, seed, first: self.log_prob_lower(noisy, draws, seed, first=first)
        members = [_conditional_on_noise(member, x, target) for member in density.components]

        def bound(noisy: Tensor, draws: int | None, seed: int, first: int | Tensor) -> LowerBound:
            given, own = zip(*(member(noisy) for member in members), strict=True)
            found = density.mixed_conditionals(given, own)
            return LowerBound(found, torch.zeros_like(found))

        return bound


def _conditional_on_noise(
    member: Distribution, x: Tensor, target: Tensor
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what gives a member's log p of the given cells, and of the target ones given these."""
    if type(member) is TableDensity and not bool(x.isinf().any()):
        return lambda noisy: member.given_and_conditional_log_prob(noisy, target)

    def asked(rows: Tensor) -> tuple[Tensor, Tensor]:
        given = member.log_prob(rows.masked_fill(target, math.nan))
        return given, member.conditional_log_prob(rows, target)

    if not isinstance(member, CellDensity):
        return asked
    given, own = asked(x)

    def repeated(noisy: Tensor) -> tuple[Tensor, Tensor]:
        times = len(noisy) // max(len(x), 1)
        return given.repeat(times), own.repeat(times)

    return repeated
