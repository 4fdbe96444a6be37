"""Fetching a file from public mirrors into the user's cache, checked before it gets its name."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from logpx.errors import ResourceError, UsageError

__all__ = ["RemoteFile", "cache_folder", "fetch"]

_TIMEOUT_SECONDS = 30.0
_PIECE = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file on public mirrors.

    Attributes
    ----------
    name : str
        What it is called.
    mirrors : sequence of str
        Addresses of folders, each ending in a slash; tried in this order.
    md5 : str
        The published checksum, which every mirror's copy has.
    """

    name: str
    mirrors: Sequence[str]
    md5: str


def cache_folder() -> Path:
    """Return the folder for downloads: ``logpx`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logpx"


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Return a file in a folder, downloaded if it is not there.

    The content goes to a temporary sibling, and gets its name once its checksum is right.

    Raises
    ------
    UsageError
        If no mirror can be reached, or the environment variable ``LOGPX_OFFLINE`` is set.
    ResourceError
        If the folder cannot be written.
    """
    target = folder / file.name
    if target.is_file():
        return target
    by_hand = f"download {file.mirrors[0]}{file.name} elsewhere, and name its folder with --data (data=...)"
    if os.environ.get("LOGPX_OFFLINE"):
        raise UsageError(f"{file.name} is not here, and LOGPX_OFFLINE is set", fix=by_hand)
    problems = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{file.name}.{uuid.uuid4().hex}.tmp"
        try:
            for mirror in file.mirrors:
                problem = _download(mirror + file.name, temporary, file.md5)
                if problem is None:
                    os.replace(temporary, target)
                    return target
                problems.append(f"{mirror}: {problem}")
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise ResourceError(
            f"cannot be written: {error.strerror}", file=folder, fix="set XDG_CACHE_HOME to another folder"
        ) from error
    raise UsageError(f"{file.name} cannot be downloaded ({'; '.join(problems)})", fix=by_hand)


def _download(address: str, temporary: Path, md5: str) -> str | None:
    """Write the content of an address to a file; return what went wrong, if anything did."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(temporary, "wb") as copy:
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            return str(getattr(error, "reason", error))
        copy.flush()
        os.fsync(copy.fileno())
    return None if digest.hexdigest() == md5 else "the checksum is another"
