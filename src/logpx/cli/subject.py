"""What a kind of data has to answer, so that one set of commands serves them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from logpx.cli.output import Output
from logpx.errors import UsageError

__all__ = ["FitRequest", "Fitted", "Request", "Subject"]


@dataclass(frozen=True)
class Request:
    """What every command that uses a model is asked.

    Attributes
    ----------
    source : str
        The data; empty for `sample`.
    output : str
        The file to write; ``-`` for stdout.
    seed : int
        Seed of everything random.
    draws : int
        Noises to average over.
    overwrite : bool
        Whether the output may be replaced.
    data : str or None
        The folder of data sets.
    exactness : int or None
        How many samples to spend on each row, for a tighter bound.
    """

    source: str = ""
    output: str = "-"
    seed: int = 0
    draws: int = 1
    overwrite: bool = False
    data: str | None = None
    exactness: int | None = None


@dataclass(frozen=True)
class FitRequest:
    """What ``logpx fit`` is asked.

    Attributes
    ----------
    source, model, columns, schema, components, latent, time, validation, seed, device, data, conditional,
    dequantisation, levels
        The arguments and options of the command.
    quiet : bool
        Whether no progress is shown.
    should_stop : callable
        Asked now and then; true ends the fit with the best model so far.
    """

    source: str
    model: str
    columns: str | None
    schema: str | None
    components: int | None
    latent: int | None
    time: float | None
    validation: str | None
    seed: int
    device: str
    quiet: bool
    data: str | None
    conditional: bool
    dequantisation: str | None
    levels: int | None
    should_stop: Callable[[], bool]


@dataclass(frozen=True)
class Fitted:
    """What a fit has made.

    Attributes
    ----------
    model : Module
        The model.
    metrics : dict
        What is known about the fit, for the model folder.
    document : dict
        What only the JSON answer says.
    notes : list of str
        What the user should know.
    summary : list of str
        The last lines for the reader, at least one.
    """

    model: Any
    metrics: dict[str, Any]
    document: dict[str, Any]
    notes: list[str]
    summary: list[str]


class Subject(ABC):
    """A kind of data."""

    @abstractmethod
    def recognises(self, source: str) -> bool:
        """Tell whether a source on the command line is of this kind."""

    @abstractmethod
    def knows(self, model: Any) -> bool:
        """Tell whether a model is one of such data."""

    @abstractmethod
    def check(self, request: FitRequest) -> None:
        """Raise a `UsageError` for options that do not go together, before anything is read."""

    @abstractmethod
    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Fit a model."""

    @abstractmethod
    def score(self, model: Any, request: Request, out: Output) -> None:
        """Write log p of every row."""

    @abstractmethod
    def sample(self, model: Any, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new rows."""

    def impute(self, model: Any, draws: int | None, request: Request, out: Output) -> None:
        """Fill in missing cells, where there can be any."""
        raise UsageError("logpx impute is for models of tables", fix="fit a model to a table")

    def cluster(self, model: Any, probabilities: bool, request: Request, out: Output) -> None:
        """Write the component of every row, where there are components."""
        raise UsageError("logpx cluster is for models of tables", fix="fit a model to a table")

    @abstractmethod
    def evaluate(self, model: Any, request: Request, out: Output) -> None:
        """Print the mean of log p beside baselines."""
