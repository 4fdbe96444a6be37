"""One file, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress

from logpx.errors import ResourceError, UsageError

__all__ = ["check_file_target", "install_file"]


def check_file_target(path: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Return the path of a file that `install_file` may write, before the work for it is done.

    Raises
    ------
    ResourceError
        If its folder does not exist.
    UsageError
        If it is a folder, or exists and may not be replaced.
    """
    target = os.fspath(path)
    if os.path.isdir(target):
        raise UsageError("the output is a folder", file=target, fix="give the name of a file")
    if os.path.lexists(target) and not overwrite:
        raise UsageError(
            "the output file exists already", file=target, fix="choose another name, or use --overwrite"
        )
    if not os.path.isdir(os.path.dirname(target) or "."):
        raise ResourceError(
            "there is no such folder",
            file=os.path.dirname(target),
            fix="create it first, or correct the path",
        )
    return target


def install_file(content: bytes, target: str) -> None:
    """Put a file at a path; a crash at any moment leaves the old one or the new one.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written.
    """
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise ResourceError(
            f"cannot be written: {error.strerror or error}",
            file=target,
            fix="free some space, or choose another place",
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)
