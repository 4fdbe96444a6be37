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

__all__ = ["RemoteFile", "cache_folder", "fetch", "sha256_of"]

_TIMEOUT_SECONDS = 30.0
_PIECE = 1 << 20
_SCHEMES = ("https:", "file:")


@dataclass(frozen=True)
class RemoteFile:
    """A file on public mirrors.

    Attributes
    ----------
    name : str
        What it is called.
    mirrors : sequence of str
        Addresses of folders over https, each ending in a slash; tried in this order.
    sha256 : str
        The checksum, which every mirror's copy has.
    """

    name: str
    mirrors: Sequence[str]
    sha256: str


def cache_folder() -> Path:
    """Return the folder for downloads: ``logpx`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logpx"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Return a file in a folder, downloaded if it is not there or has been damaged.

    The content goes to a temporary sibling, and gets its name once its checksum is right.

    Raises
    ------
    UsageError
        If no mirror can be reached, or the environment variable ``LOGPX_OFFLINE`` is set.
    ResourceError
        If the folder cannot be written.
    """
    target = folder / file.name
    if target.is_file() and _intact(target, file.sha256):
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
                problem = _download(mirror + file.name, temporary, file.sha256)
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


def _intact(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError as error:
        raise ResourceError(
            f"cannot be read: {error.strerror}", file=path, fix="check its permissions"
        ) from error


def _download(address: str, temporary: Path, sha256: str) -> str | None:
    """Write the content of an address to a file; return what went wrong, if anything did."""
    digest = hashlib.sha256()
    with open(temporary, "wb") as copy:
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as stream:
                # A mirror may redirect, but not to where anyone on the way can read along.
                if not stream.url.startswith(_SCHEMES):
                    return "the address is not https"
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            return str(getattr(error, "reason", error))
        copy.flush()
        os.fsync(copy.fileno())
    return None if digest.hexdigest() == sha256 else "the checksum is another"
