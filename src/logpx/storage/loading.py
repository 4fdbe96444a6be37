"""Loading a model: everything is checked before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from logpx.errors import ModelFolderError
from logpx.storage.description import build_skeleton, check_sizes
from logpx.storage.documents import DAMAGED, restore
from logpx.storage.layout import CONFIG, METRICS, SCHEMA, WEIGHTS, locate, read_config
from logpx.storage.manifest import Manifest
from logpx.storage.weights import WeightsFile
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
    path = locate(folder)
    config = read_config(path)
    manifest = Manifest.read(path)
    manifest.verify(METRICS)
    description = _described(path, manifest)
    try:
        weights = WeightsFile(manifest.verify(WEIGHTS))
        check_sizes(description, weights.tensors, weights.elements)
        description = restore(description)
        if SCHEMA in manifest:
            description["schema"] = manifest.read_document(SCHEMA)
        model = build_skeleton(description)
    except ModelFolderError as error:
        if error.file is not None:
            raise
        written = config.get("logpx_version")
        fix = error.fix or f"load it with logpx {written}, which wrote it, or fit the model again"
        raise ModelFolderError(error.message, file=path / CONFIG, fix=fix) from error
    weights.check(model)
    weights.fill(model)
    return model.to(place).eval()


def _described(path: Path, manifest: Manifest) -> dict[str, Any]:
    description = manifest.read_document(CONFIG).get("model")
    if not isinstance(description, dict):
        raise ModelFolderError("does not describe a model", file=path / CONFIG, fix=DAMAGED)
    return description
