"""The result of every fit of a model of a table or of images, and the time that a fit may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from logpx.configuration import shortened
from logpx.markup import card, facts, html_table
from logpx.scoring.limits import Ending
from logpx.scoring.verdict import ModelVerdict

__all__ = ["ModelFitResult", "Stopwatch"]


_NOTES, _LONGEST_NOTE = 3, 100


class _Model(Protocol):
    @property
    def kind(self) -> str: ...


M = TypeVar("M", bound=_Model)


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelFitResult(Generic[M]):
    """A fitted model, and how it came about.

    Attributes
    ----------
    model
        The model.
    rows, train_rows, validation_rows : int
        How many rows, or images, the source has, and how many were used to fit, and to choose or stop by.
    seconds : float
        Time taken, including reading.
    ended : Ending
        What ended the fit.
    seed : int
        The seed.
    notes : list of str
        What the user should know.
    verdict : ModelVerdict or None
        Whether the model is any good, on rows that it has not seen; None if all rows were fitted to.
    """

    model: M
    rows: int
    train_rows: int
    validation_rows: int
    seconds: float
    ended: Ending
    seed: int
    notes: list[str] = field(default_factory=list)
    verdict: ModelVerdict | None = None

    @property
    def headline(self) -> str:
        """What was fitted and how good it is, in one line."""
        return f"{type(self.model).__name__}, {self.model.kind}"

    def __repr__(self) -> str:
        """Return a summary of a few lines."""
        lines = [
            f"{type(self).__name__}: {self.headline}",
            f"  rows: {self._divided}; seed {self.seed}; {self.seconds:.1f} s",
        ]
        lines += [f"  note: {shortened(note, _LONGEST_NOTE)}" for note in self.notes[:_NOTES]]
        if len(self.notes) > _NOTES:
            lines.append(f"  and {len(self.notes) - _NOTES} more notes")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Show the same in a notebook, with all notes."""
        known = {"rows": self._divided, "seed": self.seed, "took": f"{self.seconds:.1f} s"}
        notes = html_table([{"notes": note} for note in self.notes])
        return card(type(self).__name__, self.headline, facts(known), notes)

    @property
    def _divided(self) -> str:
        return f"{self.rows:,} ({self.train_rows:,} to train, {self.validation_rows:,} to choose by)"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        values = {name: value for name, value in vars(self).items() if name != "model"}
        verdict = None if self.verdict is None else self.verdict.to_dict()
        return values | {"kind": self.model.kind, "ended": self.ended.value, "verdict": verdict}


class Stopwatch:
    """The time that a fit takes, and may take.

    Parameters
    ----------
    most
        About how many seconds it may take; may be infinite.

    Examples
    --------
    >>> import math
    >>> Stopwatch(math.inf).left, Stopwatch(60.0).left > 50.0
    (inf, True)
    """

    def __init__(self, most: float) -> None:
        self._start, self._most = time.monotonic(), most

    def count(self, seconds: float) -> None:
        """Count seconds that were spent before this process."""
        self._start -= seconds

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """The seconds left, 0 or less once time is up."""
        return self._most - self.seconds
