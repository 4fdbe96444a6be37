"""What the documents of a model folder say beside the model: entries whose form is known, and their forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, TypeAdapter, ValidationError

__all__ = ["problem_of_metrics", "problem_of_origin"]

_Whole = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
_Count = Annotated[StrictInt, Field(ge=0, lt=2**63)]
# Numbers that are not finite are stored as null.
_Number = StrictFloat | _Whole | None


class _Entries(BaseModel):
    """Entries of an object that others may stand beside."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Candidate(_Entries):
    model: str | None = None
    scales: str | None = None
    validation: _Number = None
    standard_error: _Number = None
    seconds: _Number = None
    chosen: bool = False
    ended: str | None = None
    note: str = ""


class _Gain(_Entries):
    gain: _Number
    standard_error: _Number


class _Verdict(_Entries):
    sentences: list[str] = []
    measured: str
    rows: _Count
    outside: _Count
    gains: dict[str, _Gain] = {}
    overfit: _Gain | None = None


class _Scale(_Entries):
    column: str
    scale: str


class _HistoryEntry(_Entries):
    step: _Number = None
    train: _Number = None
    validation: _Number = None
    validation_error: _Number = None


class _EventEntry(_Entries):
    step: _Number = None
    kind: str


class _TrainingEntry(_Entries):
    model: str | None = None
    stopped: str | None = None
    history: list[_HistoryEntry] = []
    events: list[_EventEntry] = []


class _Images(_Entries):
    height: _Count
    width: _Count
    channels: _Count
    levels: _Count


class _Update(_Entries):
    rows: _Count


class _Metrics(_Entries):
    source: str | None = None
    kind: str | None = None
    ended: str | None = None
    measured: str = ""
    rows: _Count | None = None
    train_rows: _Count | None = None
    validation_rows: _Count | None = None
    seed: _Whole | None = None
    seconds: _Number = None
    bits_per_dimension: _Number = None
    standard_error: _Number = None
    best_validation: _Number = None
    best_validation_error: _Number = None
    notes: list[str] = []
    verdict: _Verdict | None = None
    chosen: _Candidate | None = None
    candidates: list[_Candidate] | None = None
    scales: list[_Scale] = []
    training: list[_TrainingEntry] | None = None
    images: _Images | None = None
    lineage: list[_Update] | None = None


class _DescribedModel(_Entries):
    name: str = Field(alias="class")


class _Origin(_Entries):
    logpx_version: str
    torch_version: str
    python_version: str
    parameters: _Count
    saved: str | None = None
    model: _DescribedModel


_METRICS, _ORIGIN = TypeAdapter(_Metrics), TypeAdapter(_Origin)


def problem_of_metrics(metrics: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an entry of ``metrics.json``, or None; others may be anything.

    Examples
    --------
    >>> problem_of_metrics({"rows": 40, "mine": [1, 2]})
    >>> problem_of_metrics({"rows": "many"})
    "the entry 'rows' is not what it should be: input should be a valid integer"
    """
    return _problem(_METRICS, metrics)


def problem_of_origin(config: Mapping[str, Any]) -> str | None:
    """Return what is wrong with what ``config.json`` says about versions and size, or None.

    Examples
    --------
    >>> problem_of_origin({"logpx_version": "1.0", "torch_version": "2.0", "python_version": "3.11"})
    "the entry 'parameters' is missing"
    """
    return _problem(_ORIGIN, config)


def _problem(form: TypeAdapter[Any], document: Mapping[str, Any]) -> str | None:
    try:
        form.validate_python(dict(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(
            str(part) for part in first["loc"] if part not in ("float", "int", "constrained-int")
        )
        if first["type"] == "missing":
            return f"the entry {where!r} is missing"
        return f"the entry {where!r} is not what it should be: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return None
