"""Durable file operations: whole files and whole folders, or nothing."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from logpx.errors import ResourceError, UsageError
from logpx.files.claims import claimed
from logpx.files.flushing import flush_folder

__all__ = [
    "clean_up",
    "find_previous",
    "install_folder",
    "remove_folder",
    "require_space",
    "restore_interrupted",
    "translated_errors",
]

# Where no claim can be made on a folder, no save that is still running has left a temporary one this old.
_STALE_SECONDS = 3600.0

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY}


@contextmanager
def translated_errors(target: Path) -> Iterator[None]:
    """Turn an operating-system error while writing `target` into a `ResourceError` that says what to do."""
    try:
        yield
    except ResourceError:
        raise
    except OSError as error:
        if error.errno in _NO_SPACE:
            message, fix = "the disk is full", "free some space, or choose another place"
        elif error.errno in _NOT_PERMITTED:
            message, fix = "not permitted to write here", "choose another place, or change the permissions"
        else:
            message, fix = f"cannot be written: {error.strerror or error}", "choose another place"
            if error.errno == errno.EFBIG:
                fix = f"raise the limit on file sizes, or {fix}"
        raise ResourceError(message, file=target, fix=fix) from error


def install_folder(files: Mapping[str, bytes], target: Path, *, replace: bool = True) -> None:
    """Put a folder of files at `target`; a crash at any moment leaves the old one or the new one.

    The files are written to a temporary sibling and flushed to the disk before one rename puts them in place.
    A folder that is already there is renamed aside first and removed last: no portable rename exchanges two
    folders at once, and `find_previous` closes the gap between the two renames.

    Parameters
    ----------
    files
        Content by file name, in the order of writing.
    target
        Where the folder goes. Anything already there must be a folder that may be replaced.
    replace
        Whether a folder that is not empty may be replaced; if not, one that another process has just put
        there is kept.

    Raises
    ------
    UsageError
        If there is a folder that may not be replaced.
    ResourceError
        If the disk is full or not writable. What was at `target` is then still there.
    """
    with translated_errors(target):
        os.makedirs(target.parent, exist_ok=True)
        require_space(target, sum(map(len, files.values())))
        clean_up(target)
        with _new_sibling(target) as temporary:
            _write_folder(files, temporary)
            (_exchange if replace else _put_in_place)(temporary, target)


@contextmanager
def _new_sibling(target: Path) -> Iterator[Path]:
    """Make a temporary folder beside the target, which is removed if the context fails.

    For as long as it is claimed, no other process takes it for a leftover; one that does so before the claim
    is made leaves nothing to lose.
    """
    for last in (False, False, True):
        temporary = _sibling(target, "tmp")
        try:
            os.mkdir(temporary)
            with claimed(temporary) as ours:
                if last or (ours and temporary.exists()):
                    yield temporary
                    return
            with suppress(FileNotFoundError):
                os.rmdir(temporary)
        except BaseException:
            with suppress(OSError):
                remove_folder(temporary)
            raise


def find_previous(target: Path) -> Path | None:
    """Return the folder that an interrupted replacement of `target` moved aside, if any."""
    return max(_siblings(target, "old"), key=_age, default=None)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0


def restore_interrupted(target: Path) -> None:
    """Put back the folder that an interrupted replacement moved aside, if nothing is at `target`."""
    with translated_errors(target):
        previous = None if target.exists() else find_previous(target)
        if previous is not None:
            os.rename(previous, target)


def _sibling(target: Path, purpose: str) -> Path:
    return target.with_name(f".{target.name}.{purpose}-{uuid.uuid4().hex[:12]}")


def _siblings(target: Path, purpose: str) -> list[Path]:
    return list(target.parent.glob(f".{glob.escape(target.name)}.{purpose}-*"))


def _write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        _write_file(folder / name, content)
    flush_folder(folder)


def _write_file(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(temporary: Path, target: Path) -> None:
    try:
        with suppress(FileNotFoundError):
            os.rmdir(target)  # Not every system renames a folder onto an empty one.
        os.rename(temporary, target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        raise UsageError(
            "another process has written a folder here in the meantime",
            file=target,
            fix="choose another folder, or replace it with --overwrite",
        ) from error
    _make_permanent(target)


def _exchange(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.rename(temporary, target)
        _make_permanent(target)
        return
    aside = _sibling(target, "old")
    with claimed(target):
        os.rename(target, aside)
        try:
            os.rename(temporary, target)
        except OSError:
            if not target.exists():
                os.rename(aside, target)
            raise
        _make_permanent(target)
        # The new folder is in place: a failure to tidy up is not a failure to save.
        with suppress(OSError):
            remove_folder(aside)


def _make_permanent(target: Path) -> None:
    """Flush the renames. The new folder is in place already, so that a failure is not one of saving."""
    try:
        flush_folder(target.parent)
    except OSError as error:
        warnings.warn(
            f"{target} is saved and in place, but the disk did not confirm its name "
            f"({error.strerror or error}): until it does, a power loss may bring back what was there before",
            UserWarning,
            stacklevel=2,
        )


def remove_folder(folder: Path) -> None:
    """Remove a folder of files, if it is there."""
    if folder.exists():
        for path in folder.iterdir():
            os.unlink(path)
        os.rmdir(folder)


def clean_up(target: Path) -> None:
    """Remove the folders that saves of the same target left behind when their processes died.

    What was moved aside is only removed while something is at `target`.
    """
    for path in _siblings(target, "tmp") + _siblings(target, "old"):
        with suppress(OSError), claimed(path) as free:
            abandoned = free or time.time() - path.stat().st_mtime > _STALE_SECONDS
            moved_aside = path.name.startswith(f".{target.name}.old-")
            if abandoned and (target.exists() or not moved_aside):
                remove_folder(path)


def require_space(target: Path, size: int) -> None:
    """Raise a `ResourceError` unless so many bytes, and some more, fit on the disk of `target`."""
    free = shutil.disk_usage(next(path for path in target.parents if path.exists())).free
    needed = size + size // 10 + 65_536
    if free < needed:
        raise ResourceError(
            f"{needed / 1e6:.1f} MB of disk are needed, but only {free / 1e6:.1f} MB are free",
            file=target,
            fix="free some space, or choose another place",
        )
