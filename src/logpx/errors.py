"""The error hierarchy: every message says where, what was expected, and how to fix it."""

from __future__ import annotations

__all__ = [
    "DataError",
    "DivergedError",
    "LogpxError",
    "MissingExtraError",
    "ModelFolderError",
    "NotConvergedError",
    "ResourceError",
    "UnknownArgumentError",
    "UsageError",
    "is_out_of_memory",
]

_ALLOCATOR = "DefaultCPUAllocator"


class LogpxError(Exception):
    """Base of every error that logpx raises on purpose.

    Parameters
    ----------
    message
        What was found and what was expected, in one sentence.
    file, row, column
        Where, if known. Rows are counted from 1, without the header line.
    fix
        What the user can do about it.

    Attributes
    ----------
    exit_code : int
        The exit status of the command line for this kind of error.

    Examples
    --------
    >>> print(DataError("text instead of a number", file="a.csv", row=3, column="age", fix="correct it"))
    a.csv, row 3, column 'age': text instead of a number
    fix: correct it
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        row: int | None = None,
        column: str | int | None = None,
        fix: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.row = row
        self.column = column
        self.fix = fix
        super().__init__(message)

    def __str__(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column is not None:
            where.append(f"column {self.column!r}")
        text = f"{', '.join(where)}: {self.message}" if where else self.message
        return text if self.fix is None else f"{text}\nfix: {self.fix}"


class UsageError(LogpxError, ValueError):
    """An invalid argument or option (exit code 2)."""

    exit_code = 2


class UnknownArgumentError(UsageError, TypeError):
    """An argument that a function or class does not have; the fix is the nearest one that it has."""


class MissingExtraError(UsageError, ImportError):
    """An optional dependency is not installed (exit code 2).

    Examples
    --------
    >>> print(MissingExtraError("matplotlib", "plots"))
    matplotlib is not installed
    fix: pip install 'logpx[plots]'
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{package} is not installed", fix=f"pip install 'logpx[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # By default an exception is copied, also to another process, by calling its class with the message.
        return type(self), (self.package, self.extra)


class DataError(LogpxError, ValueError):
    """Data that cannot be read or modelled as they are (exit code 3)."""

    exit_code = 3


class ModelFolderError(LogpxError, ValueError):
    """A model folder that is missing, foreign, corrupt or in another format version (exit code 4)."""

    exit_code = 4


class DivergedError(LogpxError, ArithmeticError):
    """Training did not stay finite within its recovery budget (exit code 5)."""

    exit_code = 5


class NotConvergedError(LogpxError, ArithmeticError):
    """An iteration did not reach its tolerance, so there is no answer (exit code 5)."""

    exit_code = 5


class ResourceError(LogpxError, OSError):
    """Out of disk or memory, or not permitted to write (exit code 6)."""

    exit_code = 6


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, of the processor or of a device.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("no"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    # Torch has a class of its own for devices, and none for the processor's memory.
    names = {kind.__name__ for kind in type(error).__mro__}
    return "OutOfMemoryError" in names or (isinstance(error, RuntimeError) and _ALLOCATOR in str(error))
