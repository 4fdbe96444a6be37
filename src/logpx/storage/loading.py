"""Loading a model: everything is checked before anything is allocated."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED, restore
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.layout import CONFIG, METRICS, SCHEMA, WEIGHTS, read_config
from logpx.files.manifest import Manifest
from logpx.storage.description import build_skeleton, check_sizes
from logpx.storage.weights import WeightsFile
from logpx.storage.work import allowed_work
from logpx.training.device import usable_device

__all__ = ["load"]


def load(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> Any:
    """Return the model of a folder that `save` wrote, with the same bits and the same precision.

    Nothing in the folder is executed: classes come from a closed registry, weights from safetensors.

    Parameters
    ----------
    folder
        The model folder.
    device
        Where the weights go, whatever device the model was fitted on.

    Raises
    ------
    ModelFolderError
        If the folder is missing, foreign, corrupt, incomplete or of another format version; names the file.
    UsageError
        If the device does not exist on this machine.
    """
    place = usable_device(device)
    return read_folder(folder, _read).to(place).eval()


def _read(folder: FolderHandle) -> nn.Module:
    config = read_config(folder)
    manifest = Manifest.read(folder)
    manifest.read_document(METRICS)
    description = _described(folder, manifest)
    with folder.open(WEIGHTS) as stream:
        manifest.compare_size(WEIGHTS, os.fstat(stream.fileno()).st_size)
        try:
            weights = WeightsFile(stream, folder.path / WEIGHTS)
            model = _built(description, weights, manifest, f"logpx {config.get('logpx_version')}")
            weights.check(model)
        except ModelFolderError:
            # A damaged file is better called damaged than strange.
            manifest.verify(WEIGHTS)
            raise
        size, sha256 = weights.fill(model)
    manifest.compare(WEIGHTS, size, sha256)
    weights.check_values(model)
    return model


def _built(description: dict[str, Any], weights: WeightsFile, manifest: Manifest, wrote: str) -> nn.Module:
    try:
        check_sizes(description, weights.tensors, weights.elements)
        description = restore(description)
        if SCHEMA in manifest:
            description["schema"] = manifest.read_document(SCHEMA)
        return build_skeleton(description, work=allowed_work(weights.tensors, weights.elements))
    except ModelFolderError as error:
        if error.file is not None:
            raise
        fix = error.fix or f"load it with {wrote}, which wrote it, or fit the model again"
        raise ModelFolderError(error.message, file=manifest.folder.path / CONFIG, fix=fix) from error


def _described(folder: FolderHandle, manifest: Manifest) -> dict[str, Any]:
    description = manifest.read_document(CONFIG).get("model")
    if not isinstance(description, dict):
        raise ModelFolderError("does not describe a model", file=folder.path / CONFIG, fix=DAMAGED)
    return description
