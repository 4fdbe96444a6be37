"""The standard streams: a failure to print on stderr must not end the work."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

__all__ = ["optional_stderr", "print_json", "require_streams", "silence_stdout", "tell"]


def require_streams() -> None:
    """Replace a stdout or stderr that the caller has closed, and print what their encoding lacks as escapes.

    Python sets a closed stream to None. Notes are then lost, but data are not lost silently: the replacement
    of stdout refuses to be written to. Encodings that lack characters are those of pipes on Windows, for one.
    """
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", opener=_reading)  # noqa: SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Print a line on stderr, if possible."""
    with optional_stderr():
        print(text, file=sys.stderr, flush=True)


@contextmanager
def optional_stderr() -> Iterator[None]:
    """Ignore failures to print on stderr, such as a full disk or a pipe without a reader."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        # What is left in the buffer would fail again, at the latest when Python exits.
        _redirect_to_nowhere(sys.stderr)


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document on one line of stdout, as UTF-8 or, where stdout has another encoding, as ASCII."""
    as_ascii = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    print(json.dumps(document, ensure_ascii=as_ascii, allow_nan=False))


def silence_stdout() -> None:
    """Discard what is still to be printed on stdout: Python would fail once more when it flushes."""
    _redirect_to_nowhere(sys.stdout)


def _redirect_to_nowhere(stream: IO[str]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _reading(path: str, _: int) -> int:
    return os.open(path, os.O_RDONLY)
