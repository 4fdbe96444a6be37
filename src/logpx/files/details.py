"""What a model folder says about its model, without loading it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED
from logpx.files.facts import problem_of_metrics, problem_of_origin
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.layout import CONFIG, FILES, METRICS, SCHEMA, WEIGHTS, read_config
from logpx.files.manifest import MANIFEST, Manifest
from logpx.representations import Shown

__all__ = ["Details", "model_digest", "model_files", "read_details"]


@dataclass(frozen=True, repr=False)
class Details(Shown):
    """The verified documents of a model folder.

    Attributes
    ----------
    config : dict
        Versions and the description of the model.
    schema : dict or None
        The columns of the table; None for a model that is not of a table.
    metrics : dict
        What is known about the fit.
    weights_bytes : int
        The size of the weights file.
    """

    config: dict[str, Any]
    schema: dict[str, Any] | None
    metrics: dict[str, Any]
    weights_bytes: int


def read_details(folder: str | os.PathLike[str]) -> Details:
    """Return what a folder says about its model. Every file is verified, but no weights are loaded.

    Raises
    ------
    ModelFolderError
        If the folder is missing, foreign, corrupt, incomplete or of another format version; names the file.
    """
    return read_folder(folder, _details)


def model_digest(folder: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a folder's manifest, which tells a model, to the bit, from every other.

    Raises
    ------
    ModelFolderError
        If the folder is missing, foreign or of another format version.
    """

    def read(handle: FolderHandle) -> str:
        read_config(handle)
        return hashlib.sha256(handle.read_bytes(MANIFEST)).hexdigest()

    return read_folder(folder, read)


def model_files(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the content of the files of a model folder, by name.

    Raises
    ------
    ModelFolderError
        If the folder is missing, foreign or of another format version.
    """

    def read(handle: FolderHandle) -> dict[str, bytes]:
        read_config(handle)
        files = {}
        for name in sorted(FILES):
            if handle.has(name):
                with handle.open(name) as stream:
                    files[name] = stream.read()
        return files

    return read_folder(folder, read)


def _details(folder: FolderHandle) -> Details:
    read_config(folder)
    manifest = Manifest.read(folder)
    config, metrics = manifest.read_document(CONFIG), manifest.read_document(METRICS)
    for name, problem in ((CONFIG, problem_of_origin(config)), (METRICS, problem_of_metrics(metrics))):
        if problem is not None:
            raise ModelFolderError(problem, file=folder.path / name, fix=DAMAGED)
    return Details(
        config=config,
        schema=manifest.read_document(SCHEMA) if SCHEMA in manifest else None,
        metrics=metrics,
        weights_bytes=manifest.verify(WEIGHTS),
    )
