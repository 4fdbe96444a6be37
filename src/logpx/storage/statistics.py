"""Sufficient statistics of the rows that a model was fitted to, beside the model in its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.layout import STATISTICS, read_config
from logpx.files.manifest import Manifest

__all__ = ["read_statistics", "statistics_to_bytes"]

# More numbers than this are not kept: a folder should stay small.
_MOST = 5_000_000


def statistics_to_bytes(tensors: Mapping[str, Tensor]) -> bytes | None:
    """Return statistics as a safetensors file; None for none, or too many."""
    if not tensors or sum(tensor.numel() for tensor in tensors.values()) > _MOST:
        return None
    own = {name: tensor.detach().cpu().double().contiguous().clone() for name, tensor in tensors.items()}
    return safetensors.torch.save(own)


def read_statistics(folder: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the statistics that a model folder keeps, by name; none for a folder that keeps none.

    Raises
    ------
    ModelFolderError
        If the folder is missing, foreign, corrupt or of another format version.
    """
    return read_folder(folder, _read)


def _read(folder: FolderHandle) -> dict[str, Tensor]:
    read_config(folder)
    manifest = Manifest.read(folder)
    if STATISTICS not in manifest:
        return {}
    manifest.verify(STATISTICS)
    with folder.open(STATISTICS) as stream:
        content = stream.read()
    file = folder.path / STATISTICS
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ModelFolderError(f"not a safetensors file: {error}", file=file, fix=DAMAGED) from None
    if any(tensor.dtype != torch.float64 or not bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ModelFolderError("holds numbers that are no statistics", file=file, fix=DAMAGED)
    return tensors
