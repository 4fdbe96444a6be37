"""A verdict on a fitted model, in one or two sentences with numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from logpx.representations import Shown
from logpx.scoring.column_calibration import SMALL_DISTANCE, ColumnCalibration
from logpx.scoring.evaluation import Comparison, Evaluation
from logpx.scoring.units import Unit
from logpx.wording import counted, with_standard_error

__all__ = ["ModelVerdict"]

_ERRORS = 2.0
# Smaller differences are those of sums in another order.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelVerdict(Shown):
    """What can be said of a model on rows that it has not seen.

    Attributes
    ----------
    rows : int
        The number of rows.
    measured : str
        What rows they are, in words.
    unit : Unit
        What gains are given in.
    gains : dict of str to Comparison
        How much better the model is than each baseline, on rows that all find possible.
    compared : int or None
        The number of rows that all find possible, on which gains are taken; None if that is all of them.
    kind : str
        What the number of the model is: ``exact`` or ``lower bound``.
    outside : int
        The number of rows that the model finds impossible.
    calibration : ColumnCalibration or None
        Whether columns are distributed as the model says; None for images.
    unfinished : bool or None
        Whether the likelihood was still rising when training ended; None where that is not known.
    overfit : tuple of (float, float) or None
        How much more probable training rows are, in the unit, and the standard error; None if not known.

    Examples
    --------
    >>> from logpx.scoring import NatsPerRow
    >>> common = {"mean": -3.0, "mean_standard_error": 0.1, "unit": NatsPerRow()}
    >>> gain = Comparison(gain=0.5, gain_standard_error=0.02, **common)
    >>> print(ModelVerdict(rows=400, measured="400 rows", unit=NatsPerRow(), gains={"a Gaussian": gain}))
    better than a Gaussian by 0.500 ± 0.020 nats per row (400 rows)
    """

    rows: int
    measured: str
    unit: Unit
    gains: Mapping[str, Comparison]
    compared: int | None = None
    kind: str = "exact"
    outside: int = 0
    calibration: ColumnCalibration | None = None
    unfinished: bool | None = None
    overfit: tuple[float, float] | None = None

    @classmethod
    def of(cls, evaluation: Evaluation, measured: str | None = None, **known: Any) -> Self:
        """Return the verdict by an evaluation; see the attributes for what else may be known."""
        base = evaluation if evaluation.possible is None else evaluation.possible
        gains = {name: other for name, other in base.baselines.items() if math.isfinite(other.gain)}
        return cls(
            rows=evaluation.rows,
            measured=f"{counted(evaluation.rows, 'row')}" if measured is None else measured,
            unit=evaluation.unit,
            gains=gains,
            compared=None if evaluation.possible is None else evaluation.possible.rows,
            kind=evaluation.kind,
            outside=evaluation.outside,
            calibration=evaluation.calibration,
            **known,
        )

    @property
    def worse_than(self) -> list[str]:
        """The baselines that are better than the model by more than two standard errors."""
        return [name for name, other in self.gains.items() if _sign(other) < 0]

    @property
    def advice(self) -> list[str]:
        """What would help."""
        found = []
        if self.unfinished:
            found.append("longer training")
        if self.overfit is not None and self.overfit[0] > max(_ERRORS * self.overfit[1], 0.0):
            found.append("more rows")
        if self.calibration is not None and self.calibration.wrong:
            wrong = self.calibration.wrong[0]
            if self.calibration.tests[wrong].distance >= SMALL_DISTANCE:
                found.append(f"a look at column {wrong!r}: another kind, or leaving it out")
        return found

    @property
    def sentences(self) -> list[str]:
        """The verdict in sentences: against baselines; what is wrong, and what would help."""
        found = []
        if self.gains:
            some = "" if self.compared is None else f"{self.compared:,} of "
            possible = "" if self.compared is None else ", those that every model finds possible"
            found.append(f"{self._against()} ({some}{self.measured}{possible}){self._gap()}")
        if self.outside:
            found.append(
                f"{self.outside:,} of {counted(self.rows, 'row')} {'has' if self.outside == 1 else 'have'} "
                "probability 0 under the model"
            )
        if self.calibration is not None:
            found.append(str(self.calibration))
        if self.unfinished is not None:
            found.append(
                "the likelihood was still rising when training ended"
                if self.unfinished
                else "the likelihood had stopped rising"
            )
        if self.overfit is not None and self.overfit[0] > _ERRORS * self.overfit[1]:
            found.append(f"training rows are more probable by {self._amount(*self.overfit)}")
        if self.advice:
            found.append(f"what would help: {'; '.join(self.advice)}")
        return found

    def __str__(self) -> str:
        """Return the sentences, one per line."""
        return "\n".join(self.sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "sentences": self.sentences,
            "rows": self.rows,
            "measured": self.measured,
            "compared": self.rows if self.compared is None else self.compared,
            "unit": self.unit.name,
            "gains": {
                name: {
                    "gain": other.gain,
                    "standard_error": other.gain_standard_error,
                    "bound": other.bound,
                }
                for name, other in self.gains.items()
            },
            "worse_than": self.worse_than,
            "outside": self.outside,
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "unfinished": self.unfinished,
            "overfit": None
            if self.overfit is None
            else {"gain": self.overfit[0], "standard_error": self.overfit[1]},
            "advice": self.advice,
        }

    def _against(self) -> str:
        """Say how the model compares with its baselines: what it is worse than first, and loudly."""
        worse = self.worse_than
        better = [name for name, other in self.gains.items() if _sign(other) > 0]
        even = [name for name in self.gains if name not in worse and name not in better]
        parts = [
            f"{words} {_listed([self._gain(name, sign) for name in names])}"
            for names, words, sign in (
                (worse, "WORSE than", -1.0),
                (better, "better than", 1.0),
                (even, "not clearly better than", 1.0),
            )
            if names
        ]
        return f"{', '.join(parts)} {self.unit.name}"

    def _gap(self) -> str:
        """Say so where baselines whose numbers are lower bounds stand beside an exact number."""
        bounds = [name for name, other in self.gains.items() if other.bound and _sign(other) >= 0]
        if self.kind != "exact" or not bounds:
            return ""
        are, gap = ("is a lower bound", "its gap") if len(bounds) == 1 else ("are lower bounds", "their gap")
        numbers = "number" if len(bounds) == 1 else "numbers"
        return f"; the {numbers} of {_listed(bounds)} {are}, and part of this may be {gap}"

    def _gain(self, name: str, sign: float) -> str:
        other = self.gains[name]
        by = with_standard_error(sign * other.gain, other.gain_standard_error)
        return f"{name} by {by}" if _sign(other) else f"{name}: {by}"

    def _amount(self, value: float, error: float) -> str:
        return f"{with_standard_error(value, error)} {self.unit.name}"


def _sign(other: Comparison) -> int:
    """Return 1 where the model is better than a baseline by more than two errors, -1 where it is worse."""
    beyond = abs(other.gain) > max(_ERRORS * other.gain_standard_error, _ROUNDING)
    return int(math.copysign(1, other.gain)) if beyond else 0


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
