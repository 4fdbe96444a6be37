"""What a model folder consists of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from logpx.errors import ModelFolderError
from logpx.storage.documents import DAMAGED, parse_object, read_bytes
from logpx.storage.filesystem import find_previous
from logpx.storage.manifest import MANIFEST

__all__ = [
    "CARD",
    "CONFIG",
    "FILES",
    "FORMAT",
    "FORMAT_VERSION",
    "METRICS",
    "SCHEMA",
    "WEIGHTS",
    "locate",
    "read_config",
    "read_identity",
]

FORMAT = "logpx model"
FORMAT_VERSION = 2

CONFIG = "config.json"
SCHEMA = "schema.json"
METRICS = "metrics.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"

#: Every file that a model folder may hold.
FILES = frozenset({CONFIG, SCHEMA, METRICS, WEIGHTS, CARD, MANIFEST})


def locate(folder: str | os.PathLike[str]) -> Path:
    """Return the folder, or the one that an interrupted replacement moved aside."""
    path = Path(folder)
    if os.path.exists(path):
        return path
    return find_previous(path.resolve()) or path


def read_identity(folder: Path) -> dict[str, Any]:
    """Return the configuration of a folder that says that it is a model, of whatever format version.

    Raises
    ------
    ModelFolderError
        If the folder is missing or is not a model.
    """
    try:
        is_folder, has_config = folder.is_dir(), (folder / CONFIG).exists()
    except OSError as error:
        raise ModelFolderError(
            f"cannot be read: {error.strerror}", file=folder, fix="check the path"
        ) from error
    if not is_folder:
        raise ModelFolderError("no such model folder", file=folder, fix="give a folder that logpx fit wrote")
    file = folder / CONFIG
    if not has_config:
        message = f"not a model folder: it has no {CONFIG}"
        raise ModelFolderError(message, file=folder, fix="give a folder that logpx fit wrote")
    config = parse_object(read_bytes(file), file)
    if config.get("format") != FORMAT:
        message = "written by another program, not by logpx"
        raise ModelFolderError(message, file=file, fix="give a folder that logpx fit wrote")
    version = config.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelFolderError(f"the format version is {version!r}", file=file, fix=DAMAGED)
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a folder that is a model in a known format.

    Raises
    ------
    ModelFolderError
        If the folder is missing, is not a model, or has another format version.
    """
    config, file = read_identity(folder), folder / CONFIG
    version = config["format_version"]
    if version != FORMAT_VERSION:
        newer, wrote = version > FORMAT_VERSION, config.get("logpx_version")
        older = f"fit the model again, or load it with logpx {wrote}, which wrote it"
        raise ModelFolderError(
            f"format version {version}, {'newer' if newer else 'older'} than the one that this logpx reads "
            f"({FORMAT_VERSION})",
            file=file,
            fix="pip install --upgrade logpx" if newer else older,
        )
    return config
