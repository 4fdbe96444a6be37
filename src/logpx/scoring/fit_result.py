"""What every fit of a model of a table or of images answers, and the time that it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from logpx.errors import UsageError

__all__ = ["ModelFitResult", "Stopwatch"]


class _Model(Protocol):
    @property
    def kind(self) -> str: ...


M = TypeVar("M", bound=_Model)


@dataclass(frozen=True, kw_only=True)
class ModelFitResult(Generic[M]):
    """A fitted model, and how it came about.

    Attributes
    ----------
    model
        The model.
    rows, train_rows, validation_rows : int
        Rows, or images, of the source, and those used to fit, and to choose or to stop by.
    seconds : float
        Time taken, the reading included.
    seed : int
        The seed.
    notes : list of str
        What the user should know.
    """

    model: M
    rows: int
    train_rows: int
    validation_rows: int
    seconds: float
    seed: int
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        values = {name: value for name, value in vars(self).items() if name != "model"}
        return values | {"kind": self.model.kind}


class Stopwatch:
    """The time that a fit takes, and may take.

    Parameters
    ----------
    most
        About how many seconds it may take; None for no end.

    Raises
    ------
    UsageError
        If that is not above 0.

    Examples
    --------
    >>> Stopwatch(None).left is None, Stopwatch(60.0).left > 50.0
    (True, True)
    """

    def __init__(self, most: float | None) -> None:
        if most is not None and not most > 0.0:
            raise UsageError(f"max_time is {most}", fix="give a number of seconds above 0")
        self._start, self._most = time.monotonic(), most

    @property
    def seconds(self) -> float:
        """The seconds since it was made."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float | None:
        """The seconds until it ends; none or fewer where it has."""
        return None if self._most is None else self._most - self.seconds
