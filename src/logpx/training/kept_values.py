"""What the values in a checkpoint have to be: a file may have been edited, and its hashes made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED

__all__ = [
    "BegunValues",
    "DescentValues",
    "EMValues",
    "PlanValues",
    "SumValues",
    "UpdateValues",
    "checked_values",
]

# Numbers of steps and rows: floating-point numbers are exact up to here.
_Count = Annotated[int, Field(ge=0, le=2**53)]
_CountOrNone = Annotated[int, Field(ge=-1, le=2**53)]
_Seconds = Annotated[float, Field(ge=0.0, le=1e12, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Values(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Guard(_Values):
    in_a_row: list[list[_Count]]
    blocked: list[_Count] | None
    skipped: _Count
    roll_backs: _Count
    layer: str | None


class _Score(_Values):
    mean: float
    error: float
    bad_row: _Count | None
    bad_layer: str | None


class _KeptBest(_Values):
    score: _Score | None
    epoch: _Count
    evaluations_since: _Count


class _Record(_Values):
    epoch: _Count
    step: _Count
    seconds: _Seconds
    train: float | None
    validation: float | None
    validation_error: float | None
    learning_rate: float | None
    gradient_norm: float | None


class _Event(_Values):
    step: _Count
    kind: str
    message: str


class DescentValues(_Values):
    """Those of a run of gradient descent."""

    identity: dict[str, Any]
    slow_down: Annotated[float, Field(gt=0.0, le=1.0)]
    step: _Count
    epoch: _Count
    position: _Count
    any_row: bool
    losses: list[float]
    largest_norm: float
    evaluated_at: _CountOrNone
    evaluation_seconds: _Seconds
    learning_rates: list[_Finite]
    seconds: _Seconds
    at_once: Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(min_length=2, max_length=2)]
    average_steps: _Count
    noise_epoch: _CountOrNone | None
    guard: _Guard
    best: _KeptBest
    records: list[_Record]
    events: list[_Event]


class _Extrapolation(_Values):
    longest: _Finite
    pending: bool
    resting: bool


class _KeptPart(_Values):
    number: _Count
    batches: _Count
    finished: bool
    sum: Any


class SumValues(_Values):
    """Those of a sum over rows."""

    done: _Count
    total: Any
    others: list[_KeptPart]


class _KeptCourse(_Values):
    history: list[float]
    log_likelihood: float
    largest_fall: float
    converged: bool
    gain: float
    plain: _Count
    late: bool
    extrapolation: _Extrapolation | None = None
    sum: SumValues | None = None


class EMValues(_Values):
    """Those of a run of EM."""

    iteration: _Count
    finished: bool
    values: _KeptCourse


class UpdateValues(_Values):
    """Those of passes over old and new rows."""

    passes: _Count
    part: _Count
    batches: _Count
    count: _Count


# What depends on time, by the last part of its name: seconds, rows, a number, rows and a size, or else yes
# or no.
_SECONDS = TypeAdapter(Annotated[float, Field(ge=0.0)], config=ConfigDict(strict=True))
_ROWS = TypeAdapter(_Count | None, config=ConfigDict(strict=True))
_COUNT = TypeAdapter(_Count, config=ConfigDict(strict=True))
_AtLeastOne = Annotated[int, Field(ge=1, le=2**53, strict=True)]
_PAIR = TypeAdapter(tuple[_AtLeastOne, _AtLeastOne])
_YES_OR_NO = TypeAdapter(bool, config=ConfigDict(strict=True))
_DECISIONS: dict[str, TypeAdapter[Any]] = {
    "begun": _SECONDS,
    "seconds": _SECONDS,
    "limit": _SECONDS,
    "rows": _ROWS,
    "rows placed": _ROWS,
    "plan": _ROWS,
    "folds": _ROWS,
    "planned steps": _COUNT,
    "members": _COUNT,
    "taken": _PAIR,
}


class PlanValues(_Values):
    """Those of a journal's decisions."""

    decisions: dict[str, Any]
    seconds: _Seconds

    @model_validator(mode="after")
    def _of_their_kinds(self) -> PlanValues:
        for name, value in self.decisions.items():
            _DECISIONS.get(name.rpartition("/")[2], _YES_OR_NO).validate_python(value)
        return self


class BegunValues(_Values):
    """What a fit was begun with."""

    arguments: dict[str, Any]
    data: dict[str, Any]
    columns: dict[str, Any] = Field(default_factory=dict)


def checked_values(kind: type[BaseModel], values: Mapping[str, Any], what: str) -> None:
    """Raise unless the values of a checkpoint are of their kind.

    Parameters
    ----------
    kind
        One of the classes of this module.
    values
        The values.
    what
        What they are, for the message.

    Raises
    ------
    ModelFolderError
        If one is missing, unknown or of another type; names it.
    """
    try:
        kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelFolderError(
            f"the checkpoint is not {what}: {place}: {first['msg']}", fix=DAMAGED
        ) from None
