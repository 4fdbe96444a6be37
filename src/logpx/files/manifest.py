"""The manifest: size and SHA-256 of every file that a load depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED, parse_object, to_bytes
from logpx.files.handle import FolderHandle

__all__ = ["MANIFEST", "Manifest"]

MANIFEST = "manifest.json"


class Manifest:
    """Sizes and hashes of the files of one folder.

    Parameters
    ----------
    folder
        The folder.
    entries
        For each file name its ``bytes`` and ``sha256``.
    """

    def __init__(self, folder: FolderHandle, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder
        self._entries = entries

    @staticmethod
    def of(files: Mapping[str, bytes]) -> bytes:
        """Return the manifest of these contents as a file."""
        entries = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        }
        return to_bytes({"files": entries})

    @classmethod
    def read(cls, folder: FolderHandle) -> Manifest:
        """Read the manifest of a folder.

        Raises
        ------
        ModelFolderError
            If it is missing or not a manifest.
        """
        file = folder.path / MANIFEST
        entries = parse_object(folder.read_bytes(MANIFEST), file).get("files")
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise ModelFolderError("not a manifest", file=file, fix=DAMAGED)
        return cls(folder, entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read_document(self, name: str) -> dict[str, Any]:
        """Return a verified JSON file of the folder.

        Raises
        ------
        ModelFolderError
            If it is missing, differs from the manifest, or is not a JSON object.
        """
        content = self.folder.read_bytes(name)
        self.compare(name, len(content), hashlib.sha256(content).hexdigest())
        return parse_object(content, self.folder.path / name)

    def verify(self, name: str) -> int:
        """Return the size of a file after checking it and the hash, in constant memory.

        Raises
        ------
        ModelFolderError
            If the file is missing, truncated or altered.
        """
        with self.folder.open(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            self.compare_size(name, size)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.compare(name, size, digest)
        return size

    def compare_size(self, name: str, size: int) -> None:
        """Raise a `ModelFolderError` unless a file has the size that was saved."""
        said = self._entry(name).get("bytes")
        if said != size:
            message = f"the file has {size} bytes, but the manifest says {said}"
            raise ModelFolderError(message, file=self._path(name), fix=DAMAGED)

    def compare(self, name: str, size: int, sha256: str) -> None:
        """Raise a `ModelFolderError` unless what was read of a file is what was saved."""
        self.compare_size(name, size)
        if self._entry(name).get("sha256") != sha256:
            message = "the content differs from what was saved"
            raise ModelFolderError(message, file=self._path(name), fix=DAMAGED)

    def _entry(self, name: str) -> Mapping[str, Any]:
        entry = self._entries.get(name)
        if entry is None:
            message = "the manifest does not list this file"
            raise ModelFolderError(message, file=self._path(name), fix=DAMAGED)
        return entry

    def _path(self, name: str) -> Path:
        return self.folder.path / name
