"""Whether the joint distribution of a table has moved, by a model and the rows set aside at its fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from logpx.distributions.seeding import derived_seed
from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring import RankReference, RankTest, RankTests, RunningMean
from logpx.scoring.conformal import check_level
from logpx.scoring.significance import holm, two_sided
from logpx.tables import TableModel, UnseenLabels
from logpx.tables.companions import CONDITIONS, answers_conditions
from logpx.tables.reference import conditional_positions, reference_scores
from logpx.wording import counted

__all__ = ["ColumnDrift", "Drift", "drift"]

# New rows whose cells are placed in their distributions given the rest.
_CONDITIONED = 2000
_ROW_SAMPLE = 7_005
_MOST_SCORES = 100_000
# With fewer new rows, tests have next to no power.
_FEW = 20


@dataclass(frozen=True, kw_only=True, repr=False)
class ColumnDrift(Shown):
    """How much a column has moved.

    Attributes
    ----------
    column : str
        The column.
    given_rest : bool
        Whether it is the column given the others of its row, or by itself.
    distance : float
        The largest difference between the distribution functions of new and reference values, 0 to 1.
    median_rank : float
        Where the median of the new values lies among the reference values: 0.5 if nothing moved.
    p_value : float
        The probability of such a distance by chance, adjusted for all tests together.
    rows : int
        The number of new rows.
    """

    column: str
    given_rest: bool
    distance: float
    median_rank: float
    p_value: float
    rows: int

    @property
    def _words(self) -> str:
        """The column in quotes, and whether it is given the rest."""
        return f"{self.column!r} given the rest" if self.given_rest else f"{self.column!r}"

    def __str__(self) -> str:
        """Say how the column has moved."""
        p = "< 0.0001" if self.p_value < 1e-4 else f"= {self.p_value:.2g}"
        return (
            f"{self._words}: distance {self.distance:.3f}, median now at the {self.median_rank:.2f} quantile "
            f"(adjusted p {p})"
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Drift(Shown):
    """A comparison of new rows with rows set aside when a model was fitted.

    Attributes
    ----------
    rows : int
        The number of new rows.
    reference_rows : int
        The number of rows set aside.
    mean, reference_mean : float
        Their mean log p in nats, of rows that the model finds possible.
    difference, standard_error : float
        How much more probable new rows are, and the standard error.
    mean_p_value : float
        The probability of such a difference by chance, adjusted for all tests together.
    distance, distance_p_value : float
        The Kolmogorov-Smirnov distance between the log p of new rows and of rows set aside, a two-sample
        statistic that needs no classifier; its p-value, adjusted likewise.
    outside : int
        The number of new rows that the model finds impossible.
    columns : tuple of ColumnDrift
        All columns, by themselves and given the rest.
    alpha : float
        The level for all tests together.
    kind : str
        What log p is: ``exact`` or ``lower bound``.
    notes : tuple of str
        What a reader should know.
    """

    rows: int
    reference_rows: int
    mean: float
    reference_mean: float
    difference: float
    standard_error: float
    mean_p_value: float
    distance: float
    distance_p_value: float
    outside: int
    columns: tuple[ColumnDrift, ...]
    alpha: float
    kind: str
    notes: tuple[str, ...] = ()

    @property
    def moved_columns(self) -> list[ColumnDrift]:
        """The columns that have moved by more than chance, those by themselves first, the farthest first."""
        found = [one for one in self.columns if one.p_value < self.alpha]
        return sorted(found, key=lambda one: (one.given_rest, -one.distance))

    @property
    def p_value(self) -> float:
        """The probability of the strongest sign by chance, adjusted for the number of tests."""
        found = [self.mean_p_value, self.distance_p_value, *(one.p_value for one in self.columns)]
        return min((p for p in found if not math.isnan(p)), default=math.nan)

    @property
    def moved(self) -> bool:
        """Whether the distribution has moved: false alarms are at most as frequent as alpha."""
        return self.p_value < self.alpha

    def __str__(self) -> str:
        """Say whether the distribution has moved, and how."""
        if math.isnan(self.p_value):
            return "nothing was tested: too few rows"
        p = "< 0.0001" if self.p_value < 1e-4 else f"= {self.p_value:.2g}"
        if not self.moved:
            return f"no sign that the distribution has moved (least adjusted p {p})"
        lines = [f"the distribution has moved (least adjusted p {p})"]
        if self.mean_p_value < self.alpha:
            word = "less" if self.difference < 0.0 else "more"
            lines.append(
                f"new rows are {word} probable by {abs(self.difference):.3f} ± {self.standard_error:.3f} nats"
            )
        return "\n".join([*lines, *(f"moved: {one}" for one in self.moved_columns)])

    def _shown_rows(self) -> Sequence[Mapping[str, object]]:
        by = f"mean log p, by {self.difference:.3f} ± {self.standard_error:.3f} nats"
        columns = sorted(self.columns, key=lambda one: (one.given_rest, -one.distance))
        rows = [
            (by, "", "", self.mean_p_value),
            ("log p", f"{self.distance:.3f}", "", self.distance_p_value),
            *((one._words, f"{one.distance:.3f}", f"{one.median_rank:.2f}", one.p_value) for one in columns),
        ]
        names = ("what", "distance", "median at quantile", "adjusted p")
        return [dict(zip(names, (*row, f"{p:.2g}"), strict=True)) for *row, p in rows]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        values = {name: value for name, value in vars(self).items() if name != "columns"}
        return values | {
            "columns": [vars(one) for one in self.columns],
            "moved": self.moved,
            "p_value": self.p_value,
            "moved_columns": [one.column for one in self.moved_columns],
            "notes": list(self.notes),
        }


def drift(model: TableModel, rows: Any, *, alpha: float = 0.05, seed: int = 0) -> Drift:
    """Test whether new rows come from the distribution of the rows that a model of a table was fitted to.

    Everything is compared with rows set aside at the fit, which the model has not seen, so a model that is
    wrong raises no false alarm: the mean of log p; the distribution of log p; every column by itself; and
    every column given the others of its row. p-values are adjusted by Holm's procedure for all of these
    tests together. Rows must be independent of each other.

    Parameters
    ----------
    model
        A model of `logpx.fit`, with 40 rows or more.
    rows
        New rows: anything that `open_table` takes.
    alpha
        The level of all tests together.
    seed
        Seed of the noise that breaks ties and of the rows whose columns are compared given the rest, of which
        at most 2,000 are taken.

    Raises
    ------
    DataError
        If the table does not fit the model.
    UsageError
        If the model was fitted without rows set aside, or the level is none.

    References
    ----------
    Nalisnick, Matsukawa, Teh and Lakshminarayanan 2019, Detecting out-of-distribution inputs to deep
    generative models using typicality; Rabanser, Günnemann and Lipton 2019, Failing loudly.
    https://arxiv.org/abs/1906.02994
    https://arxiv.org/abs/1810.11953

    Examples
    --------
    >>> import logpx, numpy as np
    >>> draw = np.random.default_rng(0)
    >>> model = logpx.fit("gaussian", {"a": draw.normal(size=900), "b": draw.normal(size=900)}).model
    >>> same = {"a": draw.normal(size=300), "b": draw.normal(size=300)}
    >>> drift(model, same).moved
    False
    >>> found = drift(model, same | {"b": same["b"] + 1.0})
    >>> found.moved, found.moved_columns[0].column
    (True, 'b')
    """
    check_level("alpha", alpha)
    if not isinstance(model, TableModel):
        raise UsageError(
            f"a {type(model).__name__}, where a model of a table was expected", fix="fit one with logpx.fit"
        )
    if model.reference is None:
        raise UsageError(
            "the model has no rows set aside to compare with: its table had fewer than 40 rows, or so many "
            "columns that there was no time, or it was fitted by a version of logpx that kept none",
            fix="fit it again, to 40 rows or more, and with more time if its fit said that it lacked it",
        )
    return _Comparison(model, seed).of(rows, alpha)


class _Comparison:
    """New rows, taken batch by batch."""

    def __init__(self, model: TableModel, seed: int) -> None:
        reference = model.reference
        assert reference is not None
        self._model, self._seed, self._reference = model, seed, reference
        self._density = model.density if reference.density is None else reference.density
        self._known = reference.scores.spread(_MOST_SCORES).cpu()
        self._scores = RankTests([RankReference.of(self._known)], derived_seed(seed, 0))
        self._marginals = RankTests(list(reference.marginals), derived_seed(seed, 1))  # type: ignore[arg-type]
        self._given: list[RankReference] = list(reference.conditionals)  # type: ignore[arg-type]
        self._mean = RunningMean()
        self._outside = 0
        # So far below the least probable row known as that is below the most probable one.
        usual = self._known[self._known > torch.finfo(torch.float64).min / 4]
        self._far_out, self._limit = 0, float(2.0 * usual[0] - usual[-1]) if len(usual) else -math.inf
        self._sample = _Sample(_CONDITIONED, seed)

    @torch.no_grad()
    def of(self, rows: Any, alpha: float) -> Drift:
        """Return the comparison of a table."""
        unseen = UnseenLabels()
        count = 0
        for start, x, log_prob in self._scored(rows, unseen):
            count += len(x)
            self._scores.add(log_prob[:, None], start)
            self._marginals.add(x, start)
            possible = log_prob[log_prob.isfinite()]
            self._mean.add(possible)
            self._outside += len(log_prob) - len(possible)
            self._far_out += int((possible < self._limit).sum())
            self._sample.add(x)
        tests = [*self._marginals.results(), *self._conditional()]
        (scores,) = self._scores.results()
        known = self._known[self._known > torch.finfo(torch.float64).min / 4]
        difference = self._mean.value - float(known.mean())
        error = math.hypot(self._mean.standard_error, float(known.std()) / math.sqrt(max(len(known), 1)))
        own = two_sided(difference / error) if error > 0.0 and self._mean.count > 1 else math.nan
        mean, distance, *each = holm([own, scores.p_value, *(test.p_value for test in tests)])
        names = self._model.schema.modelled_names
        return Drift(
            rows=count,
            reference_rows=len(self._known),
            mean=self._mean.value,
            reference_mean=float(known.mean()),
            difference=difference,
            standard_error=error,
            mean_p_value=mean,
            distance=scores.distance,
            distance_p_value=distance,
            outside=self._outside,
            columns=tuple(
                ColumnDrift(
                    column=names[place % len(names)],
                    given_rest=place >= len(names),
                    distance=test.distance,
                    median_rank=test.median,
                    p_value=p_value,
                    rows=test.rows,
                )
                for place, (test, p_value) in enumerate(zip(tests, each, strict=True))
            ),
            alpha=alpha,
            kind=self._model.kind,
            notes=(*unseen.notes(), *self._notes(count)),
        )

    def _notes(self, count: int) -> list[str]:
        """Say what tests leave out, and that some rows are strange, which tests of all rows need not see."""
        notes = []
        if count < _FEW:
            notes.append(
                f"{counted(count, 'new row', 'are')} few: only a large change is seen in them, and none seen "
                "says little"
            )
        if not self._given and len(self._model.schema.modelled) > 1:
            notes.append(
                "columns given the rest are not compared, for the fit had no time to prepare it, or the "
                "model has no such distributions: a dependence that broke may go unseen"
            )
        if self._far_out:
            notes.append(
                f"{counted(self._far_out, 'new row', 'are')} far less probable than any row set aside, "
                "whatever became of the others: logpx anomalies names such rows"
            )
        return notes

    def _scored(self, rows: Any, unseen: UnseenLabels) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the number of rows before each batch, its rows and their log p, on noise as at the fit."""
        model = self._model
        for batch, x in model.batches(rows, unseen):
            found = reference_scores(self._density, model.supports, x, self._seed, batch.start)
            yield batch.start, x.cpu(), found

    def _conditional(self) -> list[RankTest]:
        """Return the tests of columns given the rest, on a sample of the rows."""
        model, own = self._model, self._reference.conditions
        if own is None:
            own = self._density if answers_conditions(self._density) else model.answering(CONDITIONS)
        rows = self._sample.rows()
        if not self._given or not len(rows):
            return []
        tests = RankTests(self._given, derived_seed(self._seed, 2))
        tests.add(conditional_positions(own, model.supports, rows, self._seed), 0)
        return tests.results()


class _Sample:
    """A uniform sample of rows that arrive in batches."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._generator = size, np.random.default_rng([_ROW_SAMPLE, seed])
        self._keys, self._rows = np.empty(0), torch.empty(0)

    def add(self, x: Tensor) -> None:
        keys = np.concatenate([self._keys, self._generator.random(len(x))])
        rows = torch.cat([self._rows, x]) if len(self._rows) else x
        kept = np.argsort(keys)[: self._size]
        self._keys, self._rows = keys[kept], rows[torch.from_numpy(kept)]

    def rows(self) -> Tensor:
        return self._rows
