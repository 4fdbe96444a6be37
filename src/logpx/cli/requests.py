"""What each command was asked for: its arguments and options, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from logpx.cli.clock import CLOCK
from logpx.cli.output import Output
from logpx.errors import UsageError

__all__ = [
    "FitRequest",
    "Fitted",
    "InspectRequest",
    "KeptRequest",
    "Parent",
    "Parts",
    "Request",
    "UpdateRequest",
    "request_of",
]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The options for tables in many files.

    Attributes
    ----------
    shard : tuple of (int, int)
        Which shard, of how many.
    resume : bool
        Whether parts that are finished are kept.
    """

    shard: tuple[int, int] = (1, 1)
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of every command that uses a model.

    Attributes
    ----------
    source : str
        The data; empty for `sample`.
    output : str
        The file to write; ``-`` for stdout.
    seed : int
        Seed of everything random.
    draws : int
        Draws of noise to average over.
    overwrite : bool
        Whether the output may be replaced.
    data : str or None
        The folder of data sets.
    exactness : int or None
        How many draws to spend on each row, for a tighter bound.
    keep : bool
        Whether the columns of the table are written, too.
    kept : sequence of str
        The columns to write; none for all.
    each_cell : bool
        Whether each cell is scored, given the others.
    target : sequence of str
        The options that name the columns asked for.
    given : sequence of str
        The options that say what is given.
    check : str or None
        The training rows that samples are compared with.
    model : str
        The model folder.
    parts : Parts or None
        Which parts of a table in many files are worked on, each into a part of the output.
    first_row : int
        The number of rows of the table before those of the source.
    columns, missing, decimal
        How a table is read where no model says it.
    """

    source: str = ""
    output: str = "-"
    seed: int = 0
    draws: int = 1
    overwrite: bool = False
    data: str | None = None
    exactness: int | None = None
    keep: bool = False
    kept: Sequence[str] = ()
    each_cell: bool = False
    target: Sequence[str] = ()
    given: Sequence[str] = ()
    check: str | None = None
    model: str = ""
    parts: Parts | None = None
    first_row: int = 0
    columns: Sequence[str] = ()
    missing: Sequence[str] | None = None
    decimal: str | None = None

    def check_kept(self) -> None:
        """Refuse names of columns that no option asks for."""
        if self.kept and not self.keep:
            raise UsageError(
                f"the argument {self.kept[0]!r} was not expected",
                fix="leave it out, or keep columns of that name with --keep",
            )


@dataclass(frozen=True, kw_only=True)
class InspectRequest:
    """The arguments of ``logpx inspect``: those of its options."""

    source: str
    output: str | None
    columns: Sequence[str]
    schema: str | None
    missing: Sequence[str] | None
    decimal: str | None
    overwrite: bool
    seed: int


_OF_ONE_PROCESS = frozenset({"quiet", "should_stop", "checkpoint", "resume"})


@dataclass(frozen=True, kw_only=True)
class KeptRequest:
    """The arguments of what is kept while it is under way, and can be gone on with.

    Attributes
    ----------
    source : str
        The data.
    time, steps, epochs
        How long to take.
    seed, device, quiet
        Options of the command.
    should_stop : callable
        Called now and then; true ends the work in an orderly way.
    checkpoint, resume : str or None
        Where the work is kept, and where it goes on from.
    every : float
        Seconds between checkpoints.
    """

    command: ClassVar[str]
    source: str
    time: float | None
    steps: int | None
    epochs: int | None
    seed: int
    device: str
    quiet: bool
    should_stop: Callable[[], bool]
    checkpoint: str | None = None
    resume: str | None = None
    every: float = 30.0

    def to_dict(self) -> dict[str, Any]:
        """Return what another process needs to go on with the work, as JSON values."""
        return {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}

    @property
    def repeatable(self) -> bool:
        """Whether the same arguments give the same files again: no limit depends on the machine's speed."""
        return self.time is None and self.is_counted

    @property
    def is_counted(self) -> bool:
        """Whether a number of steps or epochs is asked for."""
        return self.steps is not None or self.epochs is not None


@dataclass(frozen=True, kw_only=True)
class FitRequest(KeptRequest):
    """The arguments of ``logpx fit``.

    Attributes
    ----------
    model, columns, schema, missing, decimal, components, latent, trials, validation, data, conditional,
    dequantisation, levels, compile, weights, all_rows
        Options of the command.
    """

    command: ClassVar[str] = "fit"
    model: str
    columns: Sequence[str]
    schema: str | None
    missing: Sequence[str] | None
    decimal: str | None
    components: int | None
    latent: int | None
    trials: int
    validation: str | None
    data: str | None
    conditional: bool
    dequantisation: str | None
    levels: int | None
    compile: str
    weights: str | None = None
    all_rows: bool = False

    def arguments(self, out: Output, after: float = 0.0) -> dict[str, Any]:
        """Return the arguments that every kind of data passes on to its fit.

        Parameters
        ----------
        out
            Where progress is printed.
        after
            How many seconds will be taken after the fit, as far as that is known.
        """
        return {
            "latent": self.latent,
            "validation": self.validation,
            "max_time": None if self.time is None else CLOCK.left_of(self.time, after),
            "max_steps": self.steps,
            "max_epochs": self.epochs,
            "seed": self.seed,
            "report": out.note,
            "progress": False if self.quiet else None,
            "should_stop": self.should_stop,
            "device": self.device,
            "compile": self.compile,
            "checkpoint": self.checkpoint,
            "resume": self.resume,
            "every": self.every,
        }


@dataclass(frozen=True, kw_only=True)
class UpdateRequest(KeptRequest):
    """The arguments of ``logpx update``.

    Attributes
    ----------
    model : str
        The model folder that is updated.
    digest : str
        The SHA-256 of its manifest.
    source, old, passes, time, steps, epochs, seed, device, quiet
        Other arguments and options of the command.
    """

    command: ClassVar[str] = "update"
    model: str
    digest: str
    old: str | None
    passes: int

    def to_dict(self) -> dict[str, Any]:
        """Return what another process needs to go on with the update, as JSON values."""
        return {"command": self.command, **super().to_dict()}


@dataclass(frozen=True)
class Parent:
    """What is known of the model that is updated.

    Attributes
    ----------
    statistics : dict
        What its folder keeps of the rows so far.
    rows : int
        How many these are.
    """

    statistics: Mapping[str, Any]
    rows: int


def request_of(arguments: Mapping[str, Any], **options: Any) -> FitRequest | UpdateRequest:
    """Return the request that another process has described by `KeptRequest.to_dict`.

    Raises
    ------
    TypeError
        If it has other arguments than those of this version.
    """
    given = dict(arguments)
    kind = UpdateRequest if given.pop("command", FitRequest.command) == UpdateRequest.command else FitRequest
    return kind(**given, **options)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The result of a fit.

    Attributes
    ----------
    model : Module or None
        The model; None where an update was interrupted, which is no model yet.
    metrics : dict
        What is known about the fit, for the model folder.
    document : dict
        What the JSON answer says in addition.
    notes : list of str
        What the user should know.
    statistics : dict
        Sufficient statistics of the rows, by name, for later updates.
    summary : list of str
        The last lines for the reader, at least one.
    """

    model: Any
    metrics: dict[str, Any]
    document: dict[str, Any]
    notes: list[str]
    summary: list[str]
    statistics: dict[str, Any] = field(default_factory=dict)
