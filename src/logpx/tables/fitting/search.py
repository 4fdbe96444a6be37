"""The search for a table's density: families on two sets of column maps, with their validation scores."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution, FullNormal
from logpx.errors import DataError, DivergedError, LogpxError
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.supports import Supports
from logpx.tables.density import TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, QuickFamily, TableFamily
from logpx.tables.families.mixtures import one_component
from logpx.tables.fitting.rows import TableRows, with_noise
from logpx.tables.fitting.selection import Candidate, CandidateRecord, choose
from logpx.tables.schema.schema import Schema

__all__ = ["Search"]

_SEEDS = 2**64
_QUICK_SHARE = 0.2
# With more rows per second left, a second flow costs more than it gains: neither sees them often enough.
_ROWS_PER_SECOND = 400
# In any direction, for columns with unit variance.
_LEAST_VARIANCE = 1e-10


class Search:
    """Fits families to one table and remembers how each did.

    Parameters
    ----------
    schema
        The columns.
    training, validation
        Rows in table units, shape ``(n, d)``, float64.
    budget
        The budget of the whole search; families get shares of it.
    report
        Called with a line of text after each step.

    Attributes
    ----------
    maps : dict of str to ColumnScales
        The two sets of column maps.
    baselines : dict of str to Distribution
        The simple models that `TableModel.evaluate` compares with.
    candidates, failures : list
        The candidates fitted so far, and the records of those that failed.

    Raises
    ------
    DataError
        If a column never varies or is a linear combination of others.
    """

    def __init__(
        self,
        schema: Schema,
        training: Tensor,
        validation: Tensor,
        budget: Budget,
        *,
        report: Callable[[str], object],
    ) -> None:
        self.names = schema.modelled_names
        self.budget, self.deadline, self.report = budget, budget.deadline, report
        seed = budget.seed
        noise = Supports.of(schema.modelled)
        supports = noise.supports
        self.training: TableRows = with_noise(training, noise, (3 * seed + 1) % _SEEDS)
        self.validation: TableRows = with_noise(validation, noise, (3 * seed + 2) % _SEEDS)
        chosen = ColumnScales.fit(training.numpy(), supports, seed=seed, names=self.names)
        standard = ColumnScales.standard(training.numpy(), supports, seed=seed, names=self.names)
        self.maps = {"standard": standard, "chosen": chosen}
        self.baselines = self._baselines()
        self.candidates: list[Candidate] = []
        self.failures: list[CandidateRecord] = []

    def run(self, families: Sequence[TableFamily]) -> None:
        """Fit the quick families on both sets of maps, then divide the time left among the slow ones."""
        able = [family for family in families if self._unsuited(family) is None]
        if not able:
            note = f"needs {self._unsuited(families[0])}"
            self.failures.append(
                CandidateRecord(model=families[0].name, scales="chosen", seconds=0.0, note=note)
            )
        quick = [family for family in able if isinstance(family, QuickFamily)]
        slow = [family for family in able if family not in quick]
        if len(self.training.values) > _ROWS_PER_SECOND * self._left():
            slow = slow[:1]
        share = _QUICK_SHARE if slow else 1.0
        for index, (fast, scales) in enumerate(itertools.product(quick, self.maps)):
            self._try(fast, scales, share * self._left() / (len(quick) * len(self.maps) - index))
        for index, family in enumerate(slow):
            if not self.budget.should_stop() or not self.candidates:
                self._try(family, "chosen", self._left() / (len(slow) - index))

    def best(self, refit: bool, stacked: bool = True) -> Candidate:
        """Return the best candidate or stack of candidates.

        Parameters
        ----------
        refit
            Whether to fit quick families again, now to the validation rows too.
        stacked
            Whether the result may be a stack of several candidates.

        Raises
        ------
        DivergedError
            If every family failed, with the reasons.
        """
        if not self.candidates:
            reasons = "; ".join(f"{record.model}: {record.note}" for record in self.failures)
            raise DivergedError(
                f"no model could be fitted ({reasons})",
                fix="give more rows, or ask for fewer components or columns",
            )
        best = choose(self.candidates, stacked)
        for member in best.members or (best,):
            family, density = FAMILIES[member.model], member.density
            if refit and isinstance(family, QuickFamily) and isinstance(density, TableDensity):
                parts = [
                    self._in_model_units(member.scales, rows) for rows in (self.training, self.validation)
                ]
                family.refit(density.model, torch.cat(parts))
        return best

    def _unsuited(self, family: TableFamily) -> str | None:
        """Return what a family requires and the table is not; None if it suits."""
        missing = bool(self.training.values.isnan().any() | self.validation.values.isnan().any())
        if missing and not family.allows_missing:
            return "a table without missing cells"
        if not family.allows_labels and any(kind != "normal" for kind in self.budget.kinds):
            return "a table without labels"
        if family.least_features > len(self.names):
            return f"{family.least_features} columns or more"
        return None

    def _baselines(self) -> dict[str, Distribution]:
        kinds = self.budget.kinds
        with _naming(self.names):
            linear = self._in_model_units("standard", self.training)
            self._refuse_redundant(linear)
            independent = one_component(self._in_model_units("chosen", self.training), kinds, "diagonal")
            gaussian = one_component(linear, kinds)
        return {
            "independent marginals": TableDensity(self.maps["chosen"], independent),
            "full-covariance Gaussian": TableDensity(self.maps["standard"], gaussian),
        }

    def _refuse_redundant(self, rows: Tensor) -> None:
        """Raise if a column is a linear combination of others: then no density exists."""
        numbers = [index for index, kind in enumerate(self.budget.kinds) if kind == "normal"]
        if not numbers:
            return
        with _naming([self.names[index] for index in numbers]):
            if not bool(rows.isnan().any()):
                gaussian = FullNormal(len(numbers)).double()
                gaussian.update(gaussian.statistics(rows[:, numbers]))
                return
            mixture: Any = one_component(rows[:, numbers], ["normal"] * len(numbers))
            values, vectors = torch.linalg.eigh(mixture.covariances[0].detach())
            if not bool(values[0] > _LEAST_VARIANCE):
                raise DataError(
                    "the column is a linear combination of other columns",
                    column=int(vectors[:, 0].abs().argmax()),
                    fix="leave it out",
                )

    def _in_model_units(self, scales: str, rows: TableRows) -> Tensor:
        y: Tensor = self.maps[scales](rows.noisy)[0]
        return y

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _try(self, family: TableFamily, scales: str, seconds: float) -> Candidate | None:
        start = time.monotonic()
        budget = replace(self.budget, seconds=max(seconds, 0.5))
        try:
            with _naming(self.names):
                y, held_out = (
                    self._in_model_units(scales, rows) for rows in (self.training, self.validation)
                )
                model = family.fit(y, held_out, budget)
                density = TableDensity(self.maps[scales], model)
                with torch.no_grad():
                    draws = density.log_prob(self.validation.noisy).view(-1, len(self.validation.values))
        except LogpxError as error:
            note = error.message if error.column is None else f"column {error.column!r}: {error.message}"
            seconds = time.monotonic() - start
            self.failures.append(
                CandidateRecord(model=family.name, scales=scales, seconds=seconds, note=note)
            )
            self.report(f"{family.name} on {scales} scales failed: {note}")
            return None
        candidate = Candidate(
            model=family.name,
            scales=scales,
            density=density,
            log_prob=draws.mean(0),
            seconds=time.monotonic() - start,
        )
        self.candidates.append(candidate)
        self.report(
            f"{family.name} on {scales} scales: {candidate.score:.3f} nats per validation row "
            f"({candidate.seconds:.1f} s)"
        )
        return candidate


@contextmanager
def _naming(names: Sequence[str]) -> Iterator[None]:
    """Name the column in an error that has its number."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.column, int):
            raise
        raise DataError(error.message, row=error.row, column=names[error.column], fix=error.fix) from error
