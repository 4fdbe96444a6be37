"""What a verdict on a model of a table rests on: baselines, and rows beside samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from logpx.report.common import with_error
from logpx.report.parts import Verdict
from logpx.scoring import Comparison, Evaluation, NatsPerRow
from logpx.wording import counted

__all__ = ["TableChecks", "chance_distance", "distance", "integral_transforms"]

# The probability of a false alarm, and distances too small to matter.
_CHANCE, _WORTHWHILE = 0.05, 0.1
_FEW_ROWS = 100
_MOST_COLUMNS = 3
# Nats by which training rows may be likelier before it is worth a word.
_GAP = 0.2


def integral_transforms(
    values: npt.NDArray[np.float64], samples: npt.NDArray[np.float64], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return the ranks of values among samples, as numbers between 0 and 1; ties are broken at random.

    If values and samples have one distribution, ranks are uniform.

    Examples
    --------
    >>> integral_transforms(np.array([9.0]), np.arange(9.0)).round(1) >= 0.9
    array([ True])
    """
    ordered = np.sort(samples[np.isfinite(samples) | np.isneginf(samples)])
    present = values[~np.isnan(values)]
    low = np.searchsorted(ordered, present, side="left")
    high = np.searchsorted(ordered, present, side="right")
    chance = np.random.default_rng(seed).random(len(present))
    return np.asarray((low + chance * (high - low + 1)) / (len(ordered) + 1))


def distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], labels: bool = False) -> float:
    """Return the largest difference of the shares of values up to any; of labels, of those of any set.

    Examples
    --------
    >>> distance(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    0.5
    """
    a, b = (values[~np.isnan(values)] for values in (one, other))
    if not len(a) or not len(b):
        return 0.0
    points = np.unique(np.concatenate([a, b]))
    first, second = (
        np.searchsorted(np.sort(values), points, side="right") / len(values) for values in (a, b)
    )
    gap = first - second
    if labels:
        return float(0.5 * np.abs(np.diff(gap, prepend=0.0)).sum())
    return float(np.abs(gap).max())


def chance_distance(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], labels: bool = False, tests: int = 1
) -> float:
    """Return a distance that two samples of one distribution exceed with a probability of 5 percent at most.

    Parameters
    ----------
    one, other, labels
        As in `distance`.
    tests
        How many distances are looked at together: that is the probability for any of them.

    References
    ----------
    Massart 1990, The tight constant in the Dvoretzky–Kiefer–Wolfowitz inequality; for labels McDiarmid 1989,
    On the method of bounded differences.

    Examples
    --------
    >>> round(chance_distance(np.zeros(200), np.zeros(200)), 3)
    0.136
    """
    a, b = (values[~np.isnan(values)] for values in (one, other))
    if not len(a) or not len(b):
        return math.inf
    inverse = 1.0 / len(a) + 1.0 / len(b)
    if not labels:
        return math.sqrt(0.5 * math.log(2.0 * tests / _CHANCE) * inverse)
    counts = np.unique(np.concatenate([a, b]), return_counts=True)[1]
    shares = counts / counts.sum()
    # The mean of half the sum of absolute differences, nearly normal, and how far chance takes it above.
    return float(
        0.5 * math.sqrt(2.0 / math.pi) * np.sqrt(shares * (1.0 - shares) * inverse).sum()
        + math.sqrt(0.5 * math.log(tests / _CHANCE) * inverse)
    )


@dataclass(kw_only=True)
class TableChecks:
    """The findings that a verdict on a model of a table rests on.

    Attributes
    ----------
    rows : str
        What rows the model was compared with, in words; empty if there were none.
    count : int
        How many.
    evaluation : Evaluation or None
        Their mean log p beside baselines.
    apart : dict of str to float
        The distance of rows from samples, by column.
    by_chance : dict of str to float
        The distance that chance explains, by column.
    likelihood_apart, likelihood_by_chance : float
        The same of the log p of rows from the log p of samples.
    gap, gap_error : float
        How many nats likelier training rows are than rows set aside, and the standard error.
    notes : list of str
        Labels that are new to the model.
    """

    rows: str = ""
    count: int = 0
    evaluation: Evaluation | None = None
    apart: dict[str, float] = field(default_factory=dict)
    by_chance: dict[str, float] = field(default_factory=dict)
    likelihood_apart: float = 0.0
    likelihood_by_chance: float = math.inf
    gap: float = 0.0
    gap_error: float = math.inf
    notes: list[str] = field(default_factory=list)

    def keep_to_the_fit(self, metrics: Mapping[str, Any], kind: str, *, seen: bool) -> None:
        """Take likelihoods from the fit, for the rows at hand are those that the model was fitted to.

        Parameters
        ----------
        metrics
            What the fit measured on rows to choose by.
        kind
            What log p is.
        seen
            Whether the model was fitted to these as well, later.
        """
        chosen, found = metrics.get("chosen") or {}, metrics.get("verdict") or {}
        mean, error = chosen.get("validation"), chosen.get("standard_error")
        if mean is None or error is None or not found.get("gains"):
            self.notes.append("these rows are those that the model was fitted to: give others with --data")
            return
        when = "before the model was fitted to them as well" if seen else "at the fit"
        self.rows = f"{found['measured']}, {when}"
        self.evaluation = _measured(mean, error, found, kind)
        if found.get("overfit"):
            self.gap, self.gap_error = found["overfit"]["gain"], found["overfit"]["standard_error"]

    def verdict(self, metrics: Mapping[str, Any]) -> Verdict:
        """Return the verdict, with the numbers of the fit where no rows are at hand."""
        if self.evaluation is None:
            return _of_the_fit(metrics)
        level, sentence = _beside_baselines(self.evaluation, self.rows)
        worries = [*self._worries(), *self.notes]
        if worries and level == "good":
            level = "caution"
        return Verdict(level=level, sentence=sentence, reasons=worries)

    def _worries(self) -> list[str]:
        found = []
        assert self.evaluation is not None
        if self.evaluation.outside:
            found.append(
                f"{self.evaluation.outside:,} of {counted(self.count, 'row')} are impossible to the model: "
                "their log p is minus infinity"
            )
        if self.likelihood_apart > max(self.likelihood_by_chance, _WORTHWHILE):
            found.append(
                f"log p of these rows is distributed differently from that of the model's own samples "
                f"(distance {self.likelihood_apart:.2f}): the rows are of another kind, or the fit is coarse"
            )
        strange = [
            name for name, apart in self.apart.items() if apart > max(self.by_chance[name], _WORTHWHILE)
        ]
        strange.sort(key=lambda name: -self.apart[name])
        if strange:
            shown = ", ".join(f"{name!r} ({self.apart[name]:.2f})" for name in strange[:_MOST_COLUMNS])
            more = f" and {len(strange) - _MOST_COLUMNS} more" if len(strange) > _MOST_COLUMNS else ""
            found.append(f"samples differ from rows in the columns {shown}{more} (distance, at most 1)")
        if self.gap > max(2.0 * self.gap_error, _GAP):
            found.append(
                f"training rows are likelier than rows set aside by {with_error(self.gap, self.gap_error)} "
                "nats: the model has partly learnt them by heart"
            )
        if self.count < _FEW_ROWS:
            found.append(f"only {counted(self.count, 'row', 'were')} compared")
        return found


def _measured(mean: float, error: float, found: Mapping[str, Any], kind: str) -> Evaluation:
    unit = NatsPerRow()
    baselines = {
        name: Comparison(
            mean=mean - one["gain"],
            mean_standard_error=math.nan,
            unit=unit,
            gain=one["gain"],
            gain_standard_error=one["standard_error"],
        )
        for name, one in found["gains"].items()
        if None not in one.values()
    }
    return Evaluation(
        mean=mean,
        mean_standard_error=error,
        unit=unit,
        kind=kind,
        rows=found["rows"],
        outside=found["outside"],
        draws=None,
        exactness=None,
        baselines=baselines,
    )


def _beside_baselines(evaluation: Evaluation, rows: str) -> tuple[str, str]:
    """Return level and sentence by the paired differences from the baselines."""
    mean = f"mean log p of {rows}: {with_error(evaluation.value, evaluation.standard_error)} nats"
    if evaluation.kind != "exact":
        mean += f" ({evaluation.kind})"
    compared = evaluation if evaluation.possible is None else evaluation.possible
    gains = {name: one for name, one in compared.baselines.items() if math.isfinite(one.gain)}
    if not gains:
        return "unknown", f"There is no baseline to compare with; {mean}."
    name, least = min(gains.items(), key=lambda item: item[1].gain)
    if least.gain > 2.0 * least.gain_standard_error:
        return (
            "good",
            f"Better than {_baselines(len(gains))}, by {_shown(least)} nats per row over the nearest, "
            f"{name}; {mean}.",
        )
    if least.gain > -2.0 * least.gain_standard_error:
        return "caution", f"No better than {name} (difference {_shown(least)} nats per row); {mean}."
    return "poor", f"Worse than {name}, by {_shown(least, -1.0)} nats per row; {mean}."


def _baselines(count: int) -> str:
    return {1: "the baseline", 2: "both baselines"}.get(count, f"all {count} baselines")


def _shown(one: Comparison, sign: float = 1.0) -> str:
    return with_error(sign * one.gain, one.gain_standard_error)


def _of_the_fit(metrics: Mapping[str, Any]) -> Verdict:
    chosen = metrics.get("chosen") or {}
    reasons = ["the numbers are those of the fit, measured on rows that the model was chosen by"]
    if chosen.get("validation") is None:
        return Verdict(
            level="unknown",
            sentence="Nothing is known of how well it fits: no rows were at hand.",
            reasons=["give rows with --data"],
        )
    mean = with_error(chosen["validation"], chosen.get("standard_error"))
    others = _others(metrics.get("candidates") or [])
    sentence = f"No rows were at hand; at the fit, mean log p was {mean} nats{others}."
    return Verdict(level="unknown", sentence=sentence, reasons=[*reasons, "give rows with --data"])


def _others(candidates: Sequence[Mapping[str, Any]]) -> str:
    values = [
        one["validation"] for one in candidates if one.get("validation") is not None and not one.get("chosen")
    ]
    return f", that of the next best model {max(values):.3f}" if values else ""
