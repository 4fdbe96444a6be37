"""Claims on files and folders, which end with the process that makes them, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

fcntl: Any = None
with suppress(ImportError):  # Windows has no such locks.
    import fcntl

__all__ = ["claimed"]


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Claim a file or folder; yield whether the claim holds, which it does not if another process has one.

    Parameters
    ----------
    path
        The file or folder. Renaming it keeps the claim.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with claimed(Path(folder)) as first, claimed(Path(folder)) as second:
    ...         print(first, second)
    True False
    """
    if fcntl is None:
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # claimed by another, or a file system without locks
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
