"""What a model folder consists of."""

from __future__ import annotations

from typing import Any

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED, parse_object
from logpx.files.handle import FolderHandle
from logpx.files.manifest import MANIFEST

__all__ = [
    "CARD",
    "CONFIG",
    "FILES",
    "FORMAT",
    "FORMAT_VERSION",
    "METRICS",
    "SCHEMA",
    "STATISTICS",
    "WEIGHTS",
    "read_config",
    "read_identity",
]

FORMAT = "logpx model"
FORMAT_VERSION = 2

CONFIG = "config.json"
SCHEMA = "schema.json"
METRICS = "metrics.json"
WEIGHTS = "model.safetensors"
STATISTICS = "statistics.safetensors"
CARD = "README.md"

#: Every file that a model folder may hold.
FILES = frozenset({CONFIG, SCHEMA, METRICS, WEIGHTS, STATISTICS, CARD, MANIFEST})


def read_identity(folder: FolderHandle) -> dict[str, Any]:
    """Return the configuration of a folder that says that it is a model, of whatever format version.

    Raises
    ------
    ModelFolderError
        If the folder is not a model.
    """
    file = folder.path / CONFIG
    if not folder.has(CONFIG):
        message = f"not a model folder: it has no {CONFIG}"
        raise ModelFolderError(message, file=folder.path, fix="give a folder that logpx fit wrote")
    config = parse_object(folder.read_bytes(CONFIG), file)
    if config.get("format") != FORMAT:
        message = "written by another program, not by logpx"
        raise ModelFolderError(message, file=file, fix="give a folder that logpx fit wrote")
    version = config.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelFolderError(f"the format version is {version!r}", file=file, fix=DAMAGED)
    return config


def read_config(folder: FolderHandle) -> dict[str, Any]:
    """Return the configuration of a folder that is a model in a known format.

    Raises
    ------
    ModelFolderError
        If the folder is not a model, or has another format version.
    """
    config, file = read_identity(folder), folder.path / CONFIG
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
