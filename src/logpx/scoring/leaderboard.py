"""Several models on the same rows and the same noise: which is better, by how much, and whether by chance."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from logpx.errors import UsageError
from logpx.representations import Shown
from logpx.scoring.evaluation import MeanScore, ScoredBatch
from logpx.scoring.significance import holm, two_sided
from logpx.scoring.size import ModelSize
from logpx.scoring.units import Unit
from logpx.scoring.weighted_mean import WeightedMean

__all__ = ["Difference", "Leaderboard", "LeaderboardEntry", "ScoredModel", "compare_models"]

_LEVEL = 0.05
# Of log p in single precision.
_ROUNDING = 1e-6
# With fewer, the mean of differences is not normal enough for its z to mean anything.
_FEWEST_ROWS = 20


class ScoredModel(Protocol):
    """What a model needs in order to be compared: log p of rows, and what its p refers to."""

    @property
    def kind(self) -> str:
        """What its log p is: ``exact`` or ``lower bound``."""

    @property
    def unit(self) -> Unit:
        """What its log p is reported in."""

    @property
    def measure(self) -> Mapping[str, Any]:
        """What log p refers to: models may only be compared if it is the same."""

    @property
    def remarks_on_measure(self) -> Mapping[str, Any]:
        """What may differ between compared models, but has to be said."""

    def opened(self, rows: Any, beside: Sequence[Any] = ()) -> Any:
        """Return data that can be read as often as needed, without what only models beside this one know."""

    def score(self, rows: Any, seed: int, draws: int, exactness: int | None) -> Iterator[ScoredBatch]:
        """Score rows batch by batch."""

    def weights(self, rows: Any) -> Iterator[Tensor] | None:
        """Return how much the rows of each batch of `score` count; None if all count alike."""

    def note_on_weights(self, rows: Any) -> str | None:
        """Say which column weighs the rows, or is missing; None if the model was fitted without."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LeaderboardEntry(MeanScore):
    """One model of a leaderboard: a `MeanScore`, and what the model costs.

    Attributes
    ----------
    name : str
        What the model is called.
    kind : str
        ``exact`` or ``lower bound``.
    outside : int
        The number of rows to which it gives log p minus infinity.
    size : ModelSize
        The number of its parameters, and of their bytes.
    seconds_per_million : float
        Seconds that 10⁶ such rows take, with reading.
    """

    name: str
    kind: str
    outside: int
    size: ModelSize
    seconds_per_million: float

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return super().to_dict() | {
            "name": self.name,
            "kind": self.kind,
            "mean_log_prob": self.mean,
            "outside": self.outside,
            "parameters": self.size.parameters,
            "bytes": self.size.bytes,
            "seconds_per_million_rows": self.seconds_per_million,
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class Difference(Shown):
    """How much better one model is than another, row by row.

    Attributes
    ----------
    better, worse : str
        The models, in the order of the leaderboard.
    value, standard_error : float
        The mean of the paired differences in the unit, and its standard error; infinite where only the worse
        model gives a row probability 0, NaN where both do.
    p_value : float
        The probability of such a difference by chance, adjusted for all pairs by Holm's procedure.
    bound : bool
        Whether the number of the worse model is a lower bound, so that part of the difference may be its gap.
    unit : Unit
        What the difference is given in.
    """

    better: str
    worse: str
    value: float
    standard_error: float
    p_value: float
    bound: bool
    unit: Unit

    @property
    def z(self) -> float:
        """The difference in standard errors; NaN where there is none."""
        if not math.isfinite(self.value) or not math.isfinite(self.standard_error):
            return math.nan
        if self.standard_error == 0.0:
            return math.nan if self.value == 0.0 else math.copysign(math.inf, self.value)
        return self.value / self.standard_error

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance, at 5 % for all pairs together."""
        return self.value == math.inf or self.p_value < _LEVEL

    def __str__(self) -> str:
        """Say which model is better, or that it cannot be told."""
        if math.isnan(self.value):
            return (
                f"{self.better} and {self.worse} both give rows probability 0: no difference of means exists"
            )
        if self.value == math.inf:
            return f"{self.better} is better than {self.worse}, which gives rows probability 0"
        by = f"{self.value:.4g} ± {self.standard_error:.2g} {self.unit.name}"
        if math.isnan(self.p_value):
            few = "the same number for every row" if self.value == 0.0 else "too few rows to tell"
            return f"{self.better} and {self.worse}: {by}, {few}"
        p = f"p = {self.p_value:.2g}" if self.p_value >= 1e-4 else "p < 0.0001"
        if not self.real:
            return f"{self.better} and {self.worse} cannot be told apart: {by}, z = {self.z:.1f}, {p}"
        gap = f"; the number of {self.worse} is a lower bound, and part of this may be its gap"
        return f"{self.better} is better than {self.worse} by {by}, z = {self.z:.1f}, {p}" + gap * self.bound

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        names = ("better", "worse", "value", "standard_error", "z", "p_value", "real")
        return {name: getattr(self, name) for name in names} | {
            "worse_is_bound": self.bound,
            "unit": self.unit.name,
            "statement": str(self),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class Leaderboard(Shown):
    """Models on the same rows and noise, the best first.

    Attributes
    ----------
    entries : tuple of LeaderboardEntry
        The models, by their mean log p.
    differences : tuple of Difference
        Every pair of them.
    rows : int
        The number of rows.
    unit : Unit
        What means and differences are given in.
    seed, draws, exactness
        What was spent on each row.
    possible : Leaderboard or None
        The same for the rows that every model finds possible; None if all are, or none is.
    notes : tuple of str
        What a reader of the numbers should know.
    """

    entries: tuple[LeaderboardEntry, ...]
    differences: tuple[Difference, ...]
    rows: int
    unit: Unit
    seed: int
    draws: int
    exactness: int | None
    possible: Leaderboard | None = None
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """Say which model is better, and by how much."""
        return "\n".join(self.statements)

    def _shown_rows(self) -> Sequence[Mapping[str, object]]:
        behind = {one.worse: one for one in self.differences if one.better == self.entries[0].name}
        return [
            {
                "model": entry.name,
                self.unit.column: f"{entry.value:.3f} ± {entry.standard_error:.3f}",
                "kind": self.unit.kind_of_value(entry.kind),
                "behind the best": ""
                if entry.name not in behind
                else f"{behind[entry.name].value:.3f} ± {behind[entry.name].standard_error:.3f}",
                "parameters": f"{entry.size.parameters:,}",
            }
            for entry in self.entries
        ]

    @property
    def statements(self) -> list[str]:
        """What can be said of the best model and each of the others, at 5 % for all pairs together."""
        best = self.entries[0].name
        return [str(difference) for difference in self.differences if difference.better == best]

    @property
    def best(self) -> list[str]:
        """The first model, and those that are not known to be worse."""
        first = self.entries[0].name
        ties = [one.worse for one in self.differences if one.better == first and not one.real]
        return [first, *ties]

    def to_dict(self) -> dict[str, Any]:
        """Return the leaderboard as JSON values."""
        values: dict[str, Any] = {
            "rows": self.rows,
            "unit": self.unit.name,
            "models": [entry.to_dict() for entry in self.entries],
            "differences": [difference.to_dict() for difference in self.differences],
            "best": self.best,
            "statements": self.statements,
            "seed": self.seed,
            "draws": self.draws,
            "exactness": self.exactness,
            "notes": list(self.notes),
        }
        return values if self.possible is None else values | {"possible": self.possible.to_dict()}


def compare_models(
    models: Mapping[str, ScoredModel], source: Any, *, seed: int, draws: int, exactness: int | None
) -> Leaderboard:
    """Compare models on the same rows and the same noise, in constant memory.

    The parameters are those of `logpx.compare`.
    """
    if len(models) < 2:
        raise UsageError("fewer than two models to compare", fix="name two models or more")
    notes = _checked(models)
    each = list(models.values())
    rows = {name: model.opened(source, each) for name, model in models.items()}
    scores = {
        name: model.score(rows[name], seed=seed, draws=draws, exactness=exactness)
        for name, model in models.items()
    }
    weights = None
    on_weights = {model.note_on_weights(rows[name]) for name, model in models.items()}
    if len(on_weights) == 1:
        first = next(iter(models))
        weights = models[first].weights(rows[first])
        notes += [note for note in on_weights if note is not None]
    else:
        # Rows can only count in one way.
        notes.append("rows count alike, for the models were not fitted with the same weights")
    tally, seconds = _Tally(list(models)), dict.fromkeys(models, 0.0)
    while True:
        found: dict[str, Tensor] = {}
        for name, batches in scores.items():
            start = time.perf_counter()
            batch = next(batches, None)
            seconds[name] += time.perf_counter() - start
            if batch is not None:
                found[name] = batch.bound.log_prob.double()
        if not found:
            break
        tally.add(found, None if weights is None else next(weights))
    speed = {name: 1e6 * taken / max(1, tally.all.rows) for name, taken in seconds.items()}
    board = _Board(models, speed, (seed, draws, exactness), tuple(notes))
    possible = None
    if 0 < tally.possible.rows < tally.all.rows:
        possible = board.of(tally.possible, dict.fromkeys(models, 0))
    return board.of(tally.all, tally.outside, possible)


def _checked(models: Mapping[str, ScoredModel]) -> list[str]:
    """Return notes on how models differ, after refusing those whose log p refers to different things."""
    (first, reference), *others = models.items()
    notes = []
    for name, model in others:
        if type(model) is not type(reference):
            raise UsageError(
                f"{first} and {name} are models of different kinds of data",
                fix="compare models of the same table, or of the same images",
            )
        for what in {**reference.measure, **model.measure}:
            own, other = reference.measure.get(what), model.measure.get(what)
            if own != other:
                raise UsageError(
                    f"{first} and {name} do not give log p of the same thing: {what} is {_shown(own)} in "
                    f"{first} and {_shown(other)} in {name}, so their difference means nothing",
                    fix="fit them with one schema: logpx fit … --schema "
                    "of the first model's folder (schema.json)",
                )
        for what, own in reference.remarks_on_measure.items():
            other = model.remarks_on_measure.get(what)
            if own != other:
                notes.append(f"{what}: {_shown(own)} in {first}, {_shown(other)} in {name}")
    return notes


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


class _ModelMeans:
    """Means of log p under several models, and of the differences of every pair."""

    def __init__(self, names: Sequence[str]) -> None:
        self.own = {name: WeightedMean() for name in names}
        self.pairs = {pair: WeightedMean() for pair in itertools.combinations(names, 2)}
        self.rows = 0

    def add(self, log_prob: Mapping[str, Tensor], weights: Tensor | None) -> None:
        self.rows += len(next(iter(log_prob.values())))
        for name, values in log_prob.items():
            self.own[name].add(values, weights)
        for pair, mean in self.pairs.items():
            mean.add(_difference(log_prob[pair[0]], log_prob[pair[1]]), weights)


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Return the differences of log p of rows, 0 where they are no more than rounding."""
    found = one - other
    rounding = found.isfinite() & (found.abs() <= _ROUNDING * one.abs().clamp_min(1.0))
    return found.masked_fill(rounding, 0.0)


class _Tally:
    """Means over all rows, and over those that are possible under every model."""

    def __init__(self, names: Sequence[str]) -> None:
        self.all, self.possible = _ModelMeans(names), _ModelMeans(names)
        self.outside = dict.fromkeys(names, 0)

    def add(self, log_prob: Mapping[str, Tensor], weights: Tensor | None) -> None:
        if weights is not None:
            counted = weights > 0.0
            weights = weights[counted]
            log_prob = {name: values[counted] for name, values in log_prob.items()}
        self.all.add(log_prob, weights)
        for name, values in log_prob.items():
            self.outside[name] += int(torch.isneginf(values).sum())
        finite = torch.isfinite(torch.stack(list(log_prob.values()))).all(0)
        possible = {name: values[finite] for name, values in log_prob.items()}
        self.possible.add(possible, None if weights is None else weights[finite])


@dataclass(frozen=True)
class _Board:
    models: Mapping[str, ScoredModel]
    speed: Mapping[str, float]
    effort: tuple[int, int, int | None]
    notes: tuple[str, ...]

    def of(
        self, means: _ModelMeans, outside: Mapping[str, int], possible: Leaderboard | None = None
    ) -> Leaderboard:
        unit = next(iter(self.models.values())).unit
        order = sorted(self.models, key=lambda name: -means.own[name].value)
        seed, draws, exactness = self.effort
        return Leaderboard(
            entries=tuple(self._entry(name, means, outside[name]) for name in order),
            differences=tuple(self._differences(order, means, unit)),
            rows=means.rows,
            unit=unit,
            seed=seed,
            draws=draws,
            exactness=exactness,
            possible=possible,
            notes=self.notes,
        )

    def _entry(self, name: str, means: _ModelMeans, outside: int) -> LeaderboardEntry:
        model, mean = self.models[name], means.own[name]
        assert isinstance(model, nn.Module)
        return LeaderboardEntry(
            name=name,
            kind=model.kind,
            mean=mean.value,
            mean_standard_error=mean.standard_error,
            unit=model.unit,
            outside=outside,
            size=ModelSize.of(model),
            seconds_per_million=self.speed[name],
        )

    def _differences(self, order: Sequence[str], means: _ModelMeans, unit: Unit) -> Iterator[Difference]:
        pairs = list(itertools.combinations(order, 2))
        found = []
        for better, worse in pairs:
            forward = (better, worse) in means.pairs
            mean = means.pairs[(better, worse) if forward else (worse, better)]
            sign = 1.0 if forward else -1.0
            found.append((unit.difference(sign * mean.value), unit.difference(mean.standard_error)))
        enough = means.rows >= _FEWEST_ROWS
        p_values = holm([_p_value(*one) if enough else math.nan for one in found])
        for (better, worse), (value, error), p_value in zip(pairs, found, p_values, strict=True):
            yield Difference(
                better=better,
                worse=worse,
                value=value,
                standard_error=error,
                p_value=p_value,
                bound=self.models[worse].kind != "exact",
                unit=unit,
            )


def _p_value(value: float, error: float) -> float:
    if not math.isfinite(value) or not math.isfinite(error) or (value == 0.0 and error == 0.0):
        return math.nan
    return 0.0 if error == 0.0 else two_sided(value / error)
