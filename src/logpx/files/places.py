"""Folders of files on this machine and in object stores, with the few operations that both can do safely."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import platform
import re
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from logpx.errors import DataError, ResourceError, UsageError
from logpx.files.flushing import flush_file, flush_folder
from logpx.files.folders import translated_errors
from logpx.files.lock import process_lives

__all__ = ["FileFacts", "FilePlace", "LocalPlace", "StorePlace", "is_uri", "place_of"]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileFacts:
    """What tells whether a file has changed.

    Attributes
    ----------
    name : str
        Its path below the place, with slashes.
    size : int
        In bytes.
    modified : str
        When it was last written, as the file system says.
    """

    name: str
    size: int
    modified: str


class FilePlace(ABC):
    """A folder of files.

    Attributes
    ----------
    name : str
        The place for messages.
    """

    name: str

    def label(self, name: str) -> str:
        """Return a file of the place for messages."""
        return f"{self.name.rstrip('/')}/{name}"

    @abstractmethod
    def find(self, pattern: str) -> list[FileFacts]:
        """Return the files that match a pattern below the place, by name."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Return whether something has this name."""

    @abstractmethod
    def fetched(self, name: str) -> Any:
        """Return a context with the path of a file on this machine that has the content of a file."""

    @abstractmethod
    def source(self, name: str) -> Any:
        """Return what pyarrow reads parts of a file from: a path, or an open file."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, or None if there is none."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a small file, whole or not at all.

        Raises
        ------
        ResourceError
            If there is no room, or no permission.
        """

    @abstractmethod
    def draft(self, name: str) -> Any:
        """Return a context with the path of a file on this machine to write, for `put`."""

    @abstractmethod
    def put(self, draft: str, name: str) -> None:
        """Put a draft in the place of a file, whole or not at all.

        Raises
        ------
        ResourceError
            If there is no room, or no permission.
        """

    @abstractmethod
    def fingerprint(self, name: str) -> dict[str, Any] | None:
        """Return the size and the SHA-256 of a file, or None if there is none."""


class LocalPlace(FilePlace):
    """A folder on this machine.

    Parameters
    ----------
    folder
        Its path; it is made when something is written.
    """

    def __init__(self, folder: str) -> None:
        self.name = folder

    def find(self, pattern: str) -> list[FileFacts]:
        """Return the files that match."""
        found = []
        for path in glob.glob(os.path.join(glob.escape(self.name), pattern), recursive=True):
            if os.path.isfile(path):
                facts = os.stat(path)
                name = os.path.relpath(path, self.name).replace(os.sep, "/")
                found.append(FileFacts(name, facts.st_size, str(facts.st_mtime_ns)))
        return sorted(found, key=lambda facts: facts.name)

    def exists(self, name: str) -> bool:
        """Return whether something has this name."""
        return os.path.lexists(self._path(name))

    @contextmanager
    def fetched(self, name: str) -> Iterator[str]:
        """Give the path of the file itself."""
        yield self._path(name)

    def source(self, name: str) -> str:
        """Return the path."""
        return self._path(name)

    def read(self, name: str) -> bytes | None:
        """Return the content."""
        try:
            return Path(self._path(name)).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a temporary sibling, flush it and rename it."""
        with self.draft(name) as draft:
            with translated_errors(Path(self._path(name))):
                Path(draft).write_bytes(content)
            self.put(draft, name)

    @contextmanager
    def draft(self, name: str) -> Iterator[str]:
        """Give the path of a hidden sibling, and remove those that processes which died have left."""
        path = Path(self._path(name))
        with translated_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        # The extension stays, for it names the format.
        draft = path.with_name(f".{_owner()}-{uuid.uuid4().hex[:8]}.{path.name}")
        try:
            yield str(draft)
        finally:
            with suppress(OSError):
                draft.unlink()

    def put(self, draft: str, name: str) -> None:
        """Flush the draft and rename it."""
        path = Path(self._path(name))
        with translated_errors(path):
            flush_file(draft)
            os.replace(draft, path)
            with suppress(OSError):  # Not every file system can flush a folder.
                flush_folder(path.parent)

    def fingerprint(self, name: str) -> dict[str, Any] | None:
        """Read the file in constant memory."""
        try:
            with open(self._path(name), "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                return {"bytes": os.fstat(stream.fileno()).st_size, "sha256": digest}
        except FileNotFoundError:
            return None

    def _path(self, name: str) -> str:
        return os.path.join(self.name, name)


class StorePlace(FilePlace):
    """A folder of an object store or a distributed file system.

    Parameters
    ----------
    store
        The file system, as of `pyarrow.fs`.
    folder
        The path of the folder in it.
    name
        The place for messages.
    """

    def __init__(self, store: Any, folder: str, name: str) -> None:
        self._store, self._folder, self.name = store, folder.rstrip("/"), name

    def find(self, pattern: str) -> list[FileFacts]:
        """Return the files that match."""
        selector = pa.fs.FileSelector(self._folder, recursive="/" in pattern or "**" in pattern)
        with self._reading(self.name):
            listed = self._store.get_file_info(selector)
        found = []
        for info in listed:
            name = info.path.removeprefix(self._folder).lstrip("/")
            if info.is_file and fnmatch.fnmatch(name, pattern.replace("**/", "*")):
                found.append(FileFacts(name, info.size, str(info.mtime_ns)))
        return sorted(found, key=lambda facts: facts.name)

    def exists(self, name: str) -> bool:
        """Return whether something has this name."""
        with self._reading(self.label(name)):
            return bool(self._store.get_file_info(self._path(name)).type != pa.fs.FileType.NotFound)

    @contextmanager
    def fetched(self, name: str) -> Iterator[str]:
        """Copy the file to this machine for as long as the context lasts."""
        with tempfile.TemporaryDirectory(prefix="logpx-") as folder:
            path = os.path.join(folder, os.path.basename(name))
            with (
                self._reading(self.label(name)),
                self._store.open_input_stream(self._path(name)) as source,
                translated_errors(Path(path)),
                open(path, "wb") as copy,
            ):
                shutil.copyfileobj(source, copy, _CHUNK)
            yield path

    def source(self, name: str) -> Any:
        """Open the file."""
        with self._reading(self.label(name)):
            return self._store.open_input_file(self._path(name))

    def read(self, name: str) -> bytes | None:
        """Return the content."""
        with self._reading(self.label(name)):
            if not self._store.get_file_info(self._path(name)).is_file:
                return None
            with self._store.open_input_stream(self._path(name)) as stream:
                content: bytes = stream.read()
                return content

    def write(self, name: str, content: bytes) -> None:
        """Upload the content."""
        with self.draft(name) as draft:
            Path(draft).write_bytes(content)
            self.put(draft, name)

    @contextmanager
    def draft(self, name: str) -> Iterator[str]:
        """Give a path in a temporary folder of this machine."""
        with tempfile.TemporaryDirectory(prefix="logpx-") as folder:
            yield os.path.join(folder, os.path.basename(name))

    def put(self, draft: str, name: str) -> None:
        """Upload the draft under another name and rename it, where names are cheap; else at once.

        In object stores a file appears when its upload is complete.
        """
        path = self._path(name)
        atomic = self._store.type_name in ("s3", "gcs", "abfs")
        folder, _, last = path.rpartition("/")
        target = path if atomic else f"{folder}/.{uuid.uuid4().hex[:12]}.{last}"
        with self._writing(self.label(name)), open(draft, "rb") as source:
            self._store.create_dir(folder, recursive=True)
            with self._store.open_output_stream(target) as stream:
                shutil.copyfileobj(source, stream, _CHUNK)
            if not atomic:
                self._store.move(target, path)

    def fingerprint(self, name: str) -> dict[str, Any] | None:
        """Read the file in constant memory."""
        digest, size = hashlib.sha256(), 0
        with self._reading(self.label(name)):
            if not self._store.get_file_info(self._path(name)).is_file:
                return None
            with self._store.open_input_stream(self._path(name)) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        return {"bytes": size, "sha256": digest.hexdigest()}

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextmanager
    def _reading(self, label: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise UsageError("no such file or folder", file=label, fix="check the address") from None
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, ResourceError):
                raise
            raise DataError(
                f"cannot be read: {_first_line(error)}",
                file=label,
                fix="check the address and the credentials",
            ) from error

    @contextmanager
    def _writing(self, label: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise ResourceError(
                f"cannot be written: {_first_line(error)}",
                file=label,
                fix="check the address and the credentials, or choose another place",
            ) from error


def is_uri(text: str) -> bool:
    """Tell whether a text is an address such as ``s3://bucket/folder``.

    Examples
    --------
    >>> is_uri("s3://bucket/folder"), is_uri("folder/a.csv"), is_uri("C:/folder")
    (True, False, False)
    """
    return bool(_SCHEME.match(text))


def place_of(address: str) -> FilePlace:
    """Return the place that a path or an address such as ``s3://bucket/folder`` names.

    Raises
    ------
    UsageError
        If it is an address of an unknown kind.
    """
    if not is_uri(address):
        return LocalPlace(os.path.expanduser(address) or ".")
    try:
        store, folder = pa.fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(
            f"not an address that files can be read from: {_first_line(error)}",
            file=address,
            fix="give s3://, gs://, abfs://, hdfs:// or file://, or a path",
        ) from None
    if isinstance(store, pa.fs.LocalFileSystem):
        return LocalPlace(folder)
    return StorePlace(store, folder, address.partition("?")[0])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _owner() -> str:
    return f"{re.sub(r'[^A-Za-z0-9]', '_', platform.node())}-{os.getpid()}"


def _remove_abandoned(path: Path) -> None:
    """Remove drafts of a file whose processes, on this machine, are no longer there."""
    host = _owner().rpartition("-")[0]
    for draft in path.parent.glob(f".*{glob.escape(path.name)}*"):
        found = re.match(rf"\.+{re.escape(host)}-(\d+)-[0-9a-f]{{8}}\.{re.escape(path.name)}", draft.name)
        if found and not process_lives(int(found.group(1))):
            with suppress(OSError):
                draft.unlink()
