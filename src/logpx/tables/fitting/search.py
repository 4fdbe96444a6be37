"""The search for a table's density: families on two sets of column maps, with their validation scores."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import DataError, DivergedError, LogpxError
from logpx.latent import LatentMixture
from logpx.scoring import Ending
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.supports import Supports
from logpx.tables.companions import CLUSTERS, CONDITIONS, answers_conditions, has_clusters
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, QuickFamily, TableFamily
from logpx.tables.families.mixtures import normal_of, one_component
from logpx.tables.families.settings import Value
from logpx.tables.fitting.maps import column_maps
from logpx.tables.fitting.redundancy import redundancy, standardised
from logpx.tables.fitting.rows import TableRows, with_noise
from logpx.tables.fitting.selection import Candidate, CandidateRecord, choose
from logpx.tables.fitting.trials import Trial, in_words, searched_settings
from logpx.tables.fitting.weighing import scaled
from logpx.tables.scales import Standard
from logpx.tables.schema.schema import Schema
from logpx.training import FitResult
from logpx.training.history import HistoryRecord
from logpx.training.journal import Journal
from logpx.training.progress import Display
from logpx.wording import counted

__all__ = ["OWN_SCALES", "Search"]

# What candidates are called that model cells as they are, without maps of columns.
OWN_SCALES = "own"

_SEEDS, _SEEDS_APART = 2**64, 7919
_QUICK_SHARE = 0.2
# Shares of the time for what comes before and after the families.
_MAPS_SHARE = 0.35
_GAUSSIAN_SHARE = 0.1
_LAST_SHARE = 0.15
# What comes after the families takes longer where there are many columns, and is left out where it would take
# up to half of the time.
_LAST_SECONDS_A_COLUMN, _MOST_LAST_SHARE = 0.006, 0.5
_NO_TIME = 1.0
# Of what is left for slow families, the share of the search for their settings.
_TRIALS_SHARE = 0.6
# With fewer rows set aside, p-values are coarse: of the time, what is kept for models that are trained anew
# without other rows, which are then scored, too.
_FEW_ASIDE, _CALIBRATION_SHARE = 500, 0.25
# With more rows per second left, a second flow costs more than it gains: neither sees them often enough.
_ROWS_PER_SECOND = 400
# Rows in model units are kept as long as they are no more numbers than these.
_MOST_KEPT = 5_000_000


class Search:
    """Fits families to one table and remembers how each did.

    Parameters
    ----------
    schema
        The columns.
    training, validation
        Rows in table units, shape ``(n, d)``, float64. Families choose sizes and stop by the latter.
    budget
        The budget of the whole search; families get shares of it.
    held_out
        Rows that candidates are compared on; by default the validation rows.
    maps
        Maps that are known already; by default they are found.
    weights, weights_aside
        How much each of the training rows counts, and of the rows that candidates are compared on; by
        default all count alike.
    report
        Called with a line of text after each step.

    Attributes
    ----------
    schema : Schema
        The columns.
    maps : dict of str to ColumnScales
        The two sets of column maps.
    candidates, failures : list
        The candidates fitted so far, and the records of those that failed or gained nothing.
    errors : list of LogpxError
        Why they failed.
    supports : Supports
        The supports of the columns.
    remarks : list of str
        What was cut short for lack of time, other than candidates.
    cut_short : bool
        Whether there was no time to try all families.
    histories : list of dict
        How each training went, by model and scales, as JSON values.
    trials : list of Trial
        The settings that were tried.
    compared_on : Tensor or None
        The numbers of the training rows that candidates are compared on; None if other rows are.

    Raises
    ------
    DataError
        If a column never varies.
    """

    def __init__(
        self,
        schema: Schema,
        training: Tensor,
        validation: Tensor,
        budget: Budget,
        *,
        held_out: Tensor | None = None,
        maps: Mapping[str, ColumnScales] | None = None,
        weights: Tensor | None = None,
        weights_aside: Tensor | None = None,
        report: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.schema, self.names = schema, schema.modelled_names
        self.budget, self.deadline, self.report = budget, budget.deadline, report
        self._last = _seconds_after(len(self.names), budget.seconds)
        self.cut_short = False
        seed = budget.seed
        noise = self.supports = Supports.of(schema.modelled)
        weights, weights_aside = scaled(weights), scaled(weights_aside)
        self.training: TableRows = with_noise(training, noise, (3 * seed + 1) % _SEEDS, weights)
        # Families recognise by their identity that there are no rows to choose a size by.
        self.validation = self.training
        if validation is not training:
            self.validation = with_noise(validation, noise, (3 * seed + 2) % _SEEDS, weights_aside)
        self.held_out = self.validation
        if held_out is not None:
            self.held_out = with_noise(held_out, noise, (3 * seed + 2) % _SEEDS, weights_aside)
        self.remarks: list[str] = []
        if maps is None:
            maps, self.remarks = column_maps(
                training,
                noise.supports,
                self.names,
                seed,
                deadline=time.monotonic() + _MAPS_SHARE * budget.seconds,
                journal=budget.journal.part("maps"),
                weights=weights,
            )
        self.maps = dict(maps)
        self.candidates: list[Candidate] = []
        self.failures: list[CandidateRecord] = []
        self.errors: list[LogpxError] = []
        self.histories: list[dict[str, Any]] = []
        self.trials: list[Trial] = []
        self.compared_on: Tensor | None = None
        self._settings: dict[str, dict[str, Value]] = {}
        self._kept: dict[tuple[str, int], Tensor] = {}
        self._gaussian: LatentMixture | None = None

    def refuse_redundant(self) -> None:
        """Refuse columns that are linear combinations of others: then no density exists.

        Raises
        ------
        DataError
            Naming all of them.
        """
        numbers = [index for index, kind in enumerate(self.budget.kinds) if kind == "normal"]
        if not numbers:
            return
        rows = self._in_model_units("standard", self.training)
        with _naming(self.names):
            self._gaussian = self._one_component(rows, "full", "the Gaussian that evaluate compares with")
        linear = all(isinstance(self.maps["standard"].scales[index], Standard) for index in numbers)
        # Maps that bend at bounds hide linear relations of table units.
        straight = rows[:, numbers] if linear else standardised(self.training.noisy[:, numbers])
        known = normal_of(self._gaussian).matrices()[0].detach() if linear else None
        until = time.monotonic() + _GAUSSIAN_SHARE * self.budget.seconds
        error = redundancy(straight, [self.names[index] for index in numbers], known, until)
        if error is not None:
            raise error

    def run(self, families: Sequence[TableFamily], trials: int = 0, part: float = 1.0) -> None:
        """Fit the quick families on both sets of maps, then divide the time left among the slow ones.

        Parameters
        ----------
        families
            In the order in which they are tried.
        trials
            How many settings of slow families to try before these are fitted, in part of the time.
        part
            The part of that time that several slow families get; the rest is left.
        """
        quick = [family for family in families if isinstance(family, QuickFamily)]
        slow = [family for family in families if family not in quick]
        few_aside = self.held_out is not self.training and len(self.held_out.values) < _FEW_ASIDE
        if slow and few_aside and math.isfinite(self.budget.seconds) and not self.budget.target:
            self._last = max(self._last, _CALIBRATION_SHARE * self.budget.seconds)
        many = len(self.training.values) > _ROWS_PER_SECOND * self.left()
        if self.budget.journal.decided("many rows", lambda: many):
            self.cut_short = len(slow) > 1
            slow = slow[:1]
        share = _QUICK_SHARE if slow else 1.0
        for index, (fast, scales) in enumerate(itertools.product(quick, self.maps)):
            if self._is_over(fast, scales):
                break
            self._try(fast, scales, share * self.left() / (len(quick) * len(self.maps) - index))
        if trials and slow:
            self._search_settings(slow, trials)
        part = part if len(slow) > 1 else 1.0
        for index, family in enumerate(slow):
            scales = OWN_SCALES if family.takes_cells else "chosen"
            if not self._is_over(family, scales):
                self._try(family, scales, part * self.left() / (len(slow) - index * part))

    def rescore(
        self, scores: Mapping[tuple[str, str], Tensor], places: Tensor, weights: Tensor | None = None
    ) -> None:
        """Compare candidates by scores of training rows, and drop those without any.

        Parameters
        ----------
        scores
            Log p of these rows under models that have not seen them, by model and scales.
        places
            The numbers of the rows.
        weights
            How much each of these rows counts.
        """
        self.compared_on = places
        self.candidates = [
            replace(candidate, log_prob=scores[candidate.model, candidate.scales], weights=weights)
            for candidate in self.candidates
            if (candidate.model, candidate.scales) in scores
        ]

    def best(self, stacked: bool = True) -> Candidate:
        """Return the best candidate or stack of candidates.

        Parameters
        ----------
        stacked
            Whether the result may be a stack of several candidates.

        Raises
        ------
        DivergedError
            If every family failed, with the reasons.
        LogpxError
            If the only family failed: why.
        """
        if not self.candidates:
            if len({record.model for record in self.failures}) == 1:
                raise self.errors[0]
            reasons = "; ".join(f"{record.model}: {record.note}" for record in self.failures)
            raise DivergedError(
                f"no model could be fitted ({reasons})",
                fix="give more rows, or ask for fewer components or columns",
            )
        return choose(self.candidates, stacked)

    def companions(self, best: Candidate) -> dict[str, Candidate]:
        """Return by purpose the best candidate that answers what the chosen one cannot."""
        able = {
            CONDITIONS: [one for one in self.candidates if answers_conditions(one.density)],
            # A single component is an answer, too: the rows form one cluster.
            CLUSTERS: [one for one in self.candidates if has_clusters(one.density, least=2)]
            or [one for one in self.candidates if has_clusters(one.density)],
        }
        if answers_conditions(best.density):
            del able[CONDITIONS]
        if has_clusters(best.density):
            del able[CLUSTERS]
        return {purpose: max(others, key=lambda one: one.score) for purpose, others in able.items() if others}

    def refit(self, chosen: Sequence[Candidate]) -> dict[int, list[str]]:
        """Fit the quick families of candidates again, now to the validation rows too, each once.

        Returns
        -------
        dict of int to list of str
            What there is to say of it, by the ``id`` of the density.
        """
        said: dict[int, list[str]] = {}
        parts = {id(member.density): member for candidate in chosen for member in candidate.parts}
        for index, (key, member) in enumerate(parts.items()):
            family, density = FAMILIES[member.model], member.density
            if isinstance(family, QuickFamily) and isinstance(density, TableDensity):
                rows, weights = self._joint_rows(member.scales)
                left = (self.deadline - time.monotonic()) / (len(parts) - index)
                budget = replace(
                    self.budget,
                    weights=weights,
                    seconds=max(left, 0.5),
                    rows=self.budget.rows + len(self.validation.values),
                    journal=self.budget.journal.part(f"refit-{member.model}-{member.scales}"),
                    remark=said.setdefault(key, []).append,
                )
                family.refit(density.model, rows, budget)
        return said

    def _joint_rows(self, scales: str) -> tuple[Tensor, Tensor | None]:
        """Return training and validation rows in model units, with their weights.

        Each row comes once before any comes again with other noise, and all come equally often: there are
        more noisy copies of the validation rows, for they are fewer.
        """
        both = self.training, self.validation
        draws = min(rows.draws for rows in both)
        copies = [self._in_model_units(scales, rows).view(rows.draws, len(rows.values), -1) for rows in both]
        joint = torch.cat([part[:draws] for part in copies], 1).flatten(0, 1)
        own, other = (rows.weights for rows in both)
        weights = None if own is None or other is None else torch.cat([own, other]).repeat(draws)
        return joint, weights

    def fit_again(
        self, family: TableFamily, scales: str, seconds: float, start: int = 0, *, longer: bool = False
    ) -> Distribution | None:
        """Return a family fitted on one set of maps, such as a candidate of another search; None if it fails.

        Parameters
        ----------
        family, scales
            The family, and the name of the maps.
        seconds
            How long to take at most.
        start
            Which of several fits of this family it is.
        longer
            Whether it follows one that was short of time.
        """
        before = len(self.candidates)
        self._try(family, scales, seconds, start, longer=longer)
        return self.candidates[-1].density if len(self.candidates) > before else None

    def records(self, best: Candidate) -> list[CandidateRecord]:
        """Return the outcomes of all candidates and failures, that of the chosen one last."""
        others = [candidate.record() for candidate in self.candidates if candidate is not best]
        return [*others, *self.failures, best.record(chosen=True)]

    def baselines(self) -> dict[str, Distribution]:
        """Return the simple models that `TableModel.evaluate` compares with, as far as they exist."""
        with _naming(self.names):
            rows = self._in_model_units("chosen", self.training)
            marginals = self._one_component(rows, "diagonal", "the independent marginals of evaluate")
        found: dict[str, Distribution] = {
            "independent marginals": TableDensity(self.maps["chosen"], marginals)
        }
        if self._gaussian is not None:
            found["full-covariance Gaussian"] = TableDensity(self.maps["standard"], self._gaussian)
        return found

    def _search_settings(self, families: Sequence[TableFamily], trials: int) -> None:
        """Try settings of families in a share of the time, and remember the best of each."""
        end = time.monotonic() + _TRIALS_SHARE * self.left()

        def tried(family: TableFamily, settings: Mapping[str, Value], number: int, of: int) -> Trial | None:
            if self.budget.should_stop():
                return None
            trial = self._trial(family, settings, number, (end - time.monotonic()) / (of - number))
            self.report(f"trial {number + 1} of {of}: {trial}")
            return trial

        shape = len(self.training.values), len(self.names)
        found = searched_settings(families, trials, shape, self.budget.seed, tried)
        self._settings, self.trials = found
        for name, settings in self._settings.items():
            self.remarks.append(
                f"{name} has the best settings of {counted(len(self.trials), 'trial')} "
                f"({in_words(settings)}); as they "
                "were chosen on the rows that candidates are compared on, its log p there is a little high"
            )

    def _trial(
        self, family: TableFamily, settings: Mapping[str, Value], number: int, seconds: float
    ) -> Trial:
        scales = OWN_SCALES if family.takes_cells else "chosen"
        start = time.monotonic()
        journal = self.budget.journal.part(f"trial-{number}")
        seconds, spent = journal.allotted(max(seconds, 0.5))
        budget = replace(self.budget, seconds=seconds, spent=spent, journal=journal, settings=settings)
        value, note = None, ""
        try:
            with _naming(self.names):
                score = float(self._fitted(family, scales, budget)[1].mean())
            value = score if math.isfinite(score) else None
            note = "" if value is not None else "a row set aside is impossible"
        except LogpxError as error:
            note = error.message
        taken = time.monotonic() - start
        return Trial(model=family.name, settings=dict(settings), validation=value, seconds=taken, note=note)

    def _one_component(self, rows: Tensor, covariance: str, what: str) -> LatentMixture:
        until = time.monotonic() + _GAUSSIAN_SHARE * self.budget.seconds
        model, climbed = one_component(
            rows,
            self.budget.kinds,
            covariance,
            deadline=until,
            weights=self.training.noisy_weights,
            journal=self.budget.journal.part(f"one-{covariance}"),
            of_rows=self.budget.rows,
        )
        if climbed is not None and climbed.remark:
            self.remarks.append(f"{what}: {climbed.remark}")
        return model

    def _in_model_units(self, scales: str, rows: TableRows) -> Tensor:
        key = scales, id(rows)
        y = self._kept.get(key)
        if y is None:
            y = self.maps[scales](rows.noisy)[0]
            if y.numel() <= _MOST_KEPT:
                self._kept[key] = y
        return y

    def journal_of(
        self, family: TableFamily, scales: str, start: int = 0, *, longer: bool = False
    ) -> Journal:
        """Return where a fit of a family on one set of maps is kept."""
        name = f"{family.name}-{scales}" + "-longer" * longer
        return self.budget.journal.part(f"{name}-{start}" if start else name)

    def _is_over(self, family: TableFamily, scales: str) -> bool:
        """Return whether to try no more families, once there is a candidate."""
        if self.journal_of(family, scales).knows("seconds"):
            return False
        late = self.left() < 0.0
        over = bool(self.candidates) and (late or self.budget.should_stop())
        self.cut_short |= over and late
        return over

    def has_time_for(self, what: str, seconds_a_column: float) -> bool:
        """Return whether there is time for what follows the families, and remark on what is left out.

        Parameters
        ----------
        what
            What it is, in words.
        seconds_a_column
            How long it takes for each column. Up to a second, it is done in any case.
        """
        needed = seconds_a_column * len(self.names)
        left = self.deadline - time.monotonic()
        if self.budget.journal.decided(what, lambda: needed < _NO_TIME or needed < left):
            return True
        self.remarks.append(f"for lack of time with {len(self.names):,} columns, {what}")
        return False

    def left(self) -> float:
        """Return the seconds left for families."""
        return self.deadline - self._last - time.monotonic()

    def _try(
        self, family: TableFamily, scales: str, seconds: float, start: int = 0, *, longer: bool = False
    ) -> None:
        """Fit a family on one set of maps, for the first time, longer or anew, and keep how it did."""
        began = time.monotonic()
        remarks: list[str] = []
        endings: list[Ending] = []
        trained: list[FitResult] = []
        named = {"model": family.name, "scales": scales}

        def keep(result: FitResult) -> None:
            trained.append(result)
            self.histories.append(named | result.summary())

        journal = self.journal_of(family, scales, start, longer=longer)
        seconds, spent = journal.allotted(max(seconds, 0.5))
        budget = replace(
            self.budget,
            seconds=seconds,
            spent=spent,
            seed=(self.budget.seed + start * _SEEDS_APART) % _SEEDS,
            start=start,
            journal=journal,
            settings=self._settings.get(family.name, self.budget.settings),
            remark=remarks.append,
            ended=endings.append,
            trained=keep,
        )
        try:
            with _naming(self.names):
                density, draws = self._fitted(family, scales, budget)
        except LogpxError as error:
            note = error.message if error.column is None else f"column {error.column!r}: {error.message}"
            seconds = time.monotonic() - began
            self.errors.append(error)
            self.failures.append(
                CandidateRecord(model=family.name, scales=scales, seconds=seconds, note=note)
            )
            self.report(f"{family.name} on {scales} scales failed: {note}")
            return
        candidate = Candidate(
            model=family.name,
            scales=scales,
            density=density,
            log_prob=draws.mean(0),
            weights=self.held_out.weights,
            seconds=time.monotonic() - began,
            ended=Ending.last_of(endings),
            note="; ".join([f"start {start + 1}"] * bool(start) + remarks),
            settings=budget.settings,
            unfinished=trained[-1].still_rising if trained else None,
            start=start,
            steps=_steps(trained),
            seconds_to_best=sum(result.seconds_to_best for result in trained),
        )
        self.candidates.append(candidate)
        again = ", longer" if longer else f", start {start + 1}" if start else ""
        self.report(
            f"{family.name} on {scales} scales{again}: {candidate.score:.3f} nats per validation row "
            f"({candidate.seconds:.1f} s)"
        )

    def _display(self, family: TableFamily, scales: str) -> Display:
        """Return how training is shown: likelihoods are those of the table's units, as in the end."""

        @functools.cache
        def shift() -> float:
            _, ladj = self.maps[scales](self.validation.noisy)
            weights = self.validation.noisy_weights
            return float(ladj.mean() if weights is None else (ladj * weights).sum() / weights.sum())

        def words(record: HistoryRecord) -> str:
            return record.line(lambda mean: mean if family.takes_cells else mean + shift())

        return Display(self.budget.progress, f"{family.name} on {scales} scales", words)

    def _fitted(self, family: TableFamily, scales: str, budget: Budget) -> tuple[Distribution, Tensor]:
        """Return a fitted density and log p of the held-out rows, for each draw of their noise."""
        budget = replace(budget, progress=self._display(family, scales))
        if family.takes_cells:
            # No copy of the rows where they serve as both, which families recognise by their identity.
            budget = replace(
                budget, weights=self.training.weights, validation_weights=self.validation.weights
            )
            model = family.fit(self.training.values, self.validation.values, budget)
            density: Distribution = CellDensity(self.supports.supports, model).eval()
            rows = self.held_out.values
        else:
            y, validation = (self._in_model_units(scales, rows) for rows in (self.training, self.validation))
            budget = replace(
                budget,
                weights=self.training.noisy_weights,
                validation_weights=self.validation.noisy_weights,
            )
            density = TableDensity(self.maps[scales], family.fit(y, validation, budget))
            rows = self.held_out.noisy
        return density, self.measured(density, rows).view(-1, len(self.held_out.values))

    @torch.no_grad()
    def measured(self, density: Distribution, rows: Tensor) -> Tensor:
        """Return what candidates are compared by: log p of rows, or of the target given the other columns."""
        if not self.budget.target or density.kind != "exact":
            return density.log_prob(rows)
        target = torch.zeros(rows.shape[1], dtype=torch.bool)
        target[list(self.budget.target)] = True
        return density.conditional_log_prob(rows, target)


def _steps(trained: Sequence[FitResult]) -> tuple[int, int, int] | None:
    """Return the best, the last and the planned number of steps of a single run of gradient descent."""
    if len(trained) != 1 or not trained[0].best_step:
        return None
    (run,) = trained
    return run.best_step, run.history[-1].step, run.planned_steps


def _seconds_after(columns: int, seconds: float) -> float:
    """Return what is kept of the time for what follows the families."""
    if math.isinf(seconds):
        return 0.0
    wanted = max(_LAST_SHARE * seconds, _LAST_SECONDS_A_COLUMN * columns)
    return min(wanted, _MOST_LAST_SHARE * seconds)


@contextmanager
def _naming(names: Sequence[str]) -> Iterator[None]:
    """Name the column in an error that has its number."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.column, int):
            raise
        raise DataError(error.message, row=error.row, column=names[error.column], fix=error.fix) from error
