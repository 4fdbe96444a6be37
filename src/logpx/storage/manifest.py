"""The manifest: size and SHA-256 of every file that a load depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logpx.errors import ModelFolderError
from logpx.storage.documents import DAMAGED, parse_object, read_bytes, reading, to_bytes

__all__ = ["MANIFEST", "Manifest"]

MANIFEST = "manifest.json"

_CHUNK = 1 << 20


class Manifest:
    """Sizes and hashes of the files of one folder.

    Parameters
    ----------
    folder
        The folder.
    entries
        For each file name its ``bytes`` and ``sha256``.
    """

    def __init__(self, folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder = folder
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
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises
        ------
        ModelFolderError
            If it is missing or not a manifest.
        """
        file = folder / MANIFEST
        entries = parse_object(read_bytes(file), file).get("files")
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
        content = read_bytes(self._folder / name)
        self._compare(name, len(content), hashlib.sha256(content).hexdigest())
        return parse_object(content, self._folder / name)

    def verify(self, name: str) -> Path:
        """Return the path of a file after checking its size and hash, in constant memory.

        Raises
        ------
        ModelFolderError
            If the file is missing, truncated or altered.
        """
        path = self._folder / name
        digest = hashlib.sha256()
        with reading(path), path.open("rb") as stream:
            size = path.stat().st_size
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        self._compare(name, size, digest.hexdigest())
        return path

    def _compare(self, name: str, size: int, sha256: str) -> None:
        path = self._folder / name
        entry = self._entries.get(name)
        if entry is None:
            raise ModelFolderError("the manifest does not list this file", file=path, fix=DAMAGED)
        if entry.get("bytes") != size:
            message = f"the file has {size} bytes, but the manifest says {entry.get('bytes')}"
            raise ModelFolderError(message, file=path, fix=DAMAGED)
        if entry.get("sha256") != sha256:
            raise ModelFolderError("the content differs from what was saved", file=path, fix=DAMAGED)
