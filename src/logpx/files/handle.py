"""Reading the files of one folder, even while another process puts a new folder in its place."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED
from logpx.files.folders import find_previous

__all__ = ["FolderHandle", "read_folder"]

_LARGEST_DOCUMENT = 64_000_000
_HAS_HANDLES = os.open in os.supports_dir_fd
# A replacement takes two renames, which are microseconds apart, and then removes the old folder.
_ATTEMPTS = 50
_PAUSE_SECONDS = 0.001

Answer = TypeVar("Answer")


class FolderHandle:
    """A folder that is held open: all its files come from this folder, whatever its name leads to later.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    ModelFolderError
        If it is missing, unreadable or not a folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        try:
            if _HAS_HANDLES:
                self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self._identity = os.stat(path if self._descriptor is None else self._descriptor)
            if not stat.S_ISDIR(self._identity.st_mode):
                raise NotADirectoryError
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelFolderError(
                "no such model folder", file=path, fix="give a folder that logpx fit wrote"
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ModelFolderError(f"cannot be read: {reason}", file=path, fix="check the path") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def is_still_at(self, path: Path) -> bool:
        """Return whether a path leads to this folder and no other."""
        try:
            return os.path.samestat(os.stat(path), self._identity)
        except OSError:
            return False

    def has(self, name: str) -> bool:
        """Return whether the folder has a file of a name."""
        try:
            if self._descriptor is None:
                os.stat(self.path / name)
            else:
                os.stat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ModelFolderError(message, file=self.path, fix="check its permissions") from error
        return True

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file of the folder.

        Raises
        ------
        ModelFolderError
            If it is missing or cannot be read, also later while the context lasts, or is not a regular file.
        """
        file = self.path / name
        # A named pipe would otherwise be waited for.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            if self._descriptor is None:
                descriptor = os.open(file, flags)
            else:
                descriptor = os.open(name, flags, dir_fd=self._descriptor)
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise IsADirectoryError
                yield stream
        except FileNotFoundError as error:
            raise ModelFolderError("the file is missing", file=file, fix=DAMAGED) from error
        except IsADirectoryError as error:
            raise ModelFolderError("this is not a regular file", file=file, fix=DAMAGED) from error
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ModelFolderError(message, file=file, fix="check its permissions") from error

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a document of the folder.

        Raises
        ------
        ModelFolderError
            If the file is missing, unreadable or implausibly large.
        """
        with self.open(name) as stream:
            content = stream.read(_LARGEST_DOCUMENT + 1)
        if len(content) > _LARGEST_DOCUMENT:
            raise ModelFolderError(
                "too large to be part of a model folder", file=self.path / name, fix=DAMAGED
            )
        return content


def read_folder(folder: str | os.PathLike[str], read: Callable[[FolderHandle], Answer]) -> Answer:
    """Return what a function reads from a folder, read again if the folder was replaced meanwhile.

    Parameters
    ----------
    folder
        The folder. If an interrupted replacement has moved it aside, it is read from there.
    read
        Reads the files, all through the handle that it is given.

    Raises
    ------
    ModelFolderError
        What `read` raises on a folder that has stayed in place.
    """
    path = Path(folder)
    last: ModelFolderError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            handle = FolderHandle(_located(path))
        except ModelFolderError as error:
            if os.path.exists(path) and not os.path.isdir(path):
                raise
            last = error
            continue
        with handle:
            try:
                return read(handle)
            except ModelFolderError as error:
                if handle.is_still_at(path):
                    raise
                last = error
    assert last is not None
    raise last


def _located(path: Path) -> Path:
    """Return the folder, or the one that an interrupted replacement moved aside."""
    if os.path.exists(path):
        return path
    try:
        return find_previous(path.resolve()) or path
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a circle of links
        return path
