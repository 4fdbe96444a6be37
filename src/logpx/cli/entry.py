"""Running a command: what the process prints and returns when it fails."""

from __future__ import annotations

import errno
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from logpx.cli.app import ReaderGoneError, app
from logpx.cli.clock import CLOCK
from logpx.cli.interruption import Interrupted, raise_on_termination
from logpx.cli.streams import optional_stderr, print_json, require_streams, silence_stdout, tell
from logpx.errors import LogpxError, ResourceError, UsageError, is_out_of_memory

__all__ = ["main"]

# Typer bundles its own click or uses the installed one, so its errors are reached through Typer.
_COMMAND_ERROR: type[Any] = typer.BadParameter.__mro__[2]

# System errors of an output that takes no more data; those of the user's files are reported elsewhere.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments
        The words after ``logpx``; by default, those of the process.

    Returns
    -------
    int
        0, or one of the codes in ``docs/command-line.md``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    CLOCK.start()
    require_streams()
    try:
        with raise_on_termination(), warnings.catch_warnings():
            warnings.showwarning = _note
            status = app(args=words or ["--help"], prog_name="logpx", standalone_mode=False)
            sys.stdout.flush()
    except LogpxError as error:
        return _report(error, as_json)
    except _COMMAND_ERROR as error:
        return _report(_usage_error(error), as_json)
    except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
        tell("interrupted")
        return error.exit_code if isinstance(error, Interrupted) else 130
    except (BrokenPipeError, ReaderGoneError):
        # The reader of the output has seen enough.
        silence_stdout()
        return 0
    except Exception as error:
        if is_out_of_memory(error):
            fix = "use a machine or device with more memory, or fewer rows"
            return _report(ResourceError("out of memory", fix=fix), as_json)
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            return _report(_stdout_full(error), as_json)
        with optional_stderr():
            traceback.print_exc()
        return _report(_Bug(f"{type(error).__name__}: {error}"), as_json)
    if not words:
        return UsageError.exit_code
    return status if isinstance(status, int) else 0


class _Bug(LogpxError):
    def __init__(self, message: str) -> None:
        super().__init__(
            f"a bug in logpx: {message}", fix="report it with the lines above and the command that you ran"
        )


def _usage_error(error: Any) -> UsageError:
    context = getattr(error, "ctx", None)
    command = "logpx" if context is None else context.command_path
    return UsageError(error.format_message().rstrip("."), fix=f"see {command} --help")


def _stdout_full(error: OSError) -> ResourceError:
    message = f"standard output cannot be written: {error.strerror}"
    return ResourceError(message, fix="free some space, or send the output elsewhere")


def _report(error: LogpxError, as_json: bool) -> int:
    tell(f"error: {error}")
    try:
        if as_json:
            fields = {
                name: getattr(error, name)
                for name in ("message", "file", "row", "column", "fix", "exit_code")
            }
            kind = "Bug" if isinstance(error, _Bug) else type(error).__name__
            print_json({"error": {"type": kind, **fields}})
        sys.stdout.flush()
    except OSError:
        silence_stdout()
    return error.exit_code


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"note: {message}")
