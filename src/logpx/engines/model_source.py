"""Where a process finds a model: a folder of known content, perhaps carried along; loaded once."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import torch

from logpx.errors import ModelFolderError
from logpx.files.folders import install_folder
from logpx.storage import load, model_digest, model_files
from logpx.tables import TableModel
from logpx.training.device import usable_device

__all__ = ["ModelSource"]

_LOADED: dict[tuple[str, torch.device], TableModel] = {}
_LOADING = threading.Lock()


class ModelSource:
    """A model of a table that every process loads once, and no other than the one that was there at first.

    Parameters
    ----------
    folder
        The model folder.
    device
        Where the model computes.
    carry
        Whether the files of the folder are kept along, and pickled, for machines that do not see the folder.

    Raises
    ------
    ModelFolderError
        If the folder cannot be loaded, or holds no model of a table.
    UsageError
        If the device does not exist on this machine.
    """

    def __init__(
        self, folder: str | os.PathLike[str], device: str | torch.device = "cpu", *, carry: bool = False
    ) -> None:
        self.folder = os.path.abspath(os.path.expanduser(os.fspath(folder)))
        self.device = torch.device(usable_device(device))
        self._files: Mapping[str, bytes] | None = model_files(self.folder) if carry else None
        self.digest = model_digest(self.folder)
        self.model()

    def model(self) -> TableModel:
        """Return the model, loaded by the first call in a process.

        Raises
        ------
        ModelFolderError
            If the folder is gone, or now holds another model.
        """
        key = (self.digest, self.device)
        with _LOADING:
            if key not in _LOADED:
                _LOADED[key] = self._loaded()
            return _LOADED[key]

    def _loaded(self) -> TableModel:
        if self._files is None:
            model = load(self.folder, self.device)
            found = model_digest(self.folder)
        else:
            with tempfile.TemporaryDirectory(prefix="logpx-") as place:
                install_folder(self._files, Path(place) / "model")
                model = load(Path(place) / "model", self.device)
                found = model_digest(Path(place) / "model")
        if found != self.digest:
            raise ModelFolderError(
                "the folder holds another model than when the function was made",
                file=self.folder,
                fix="make the function anew, or keep each model in a folder of its own",
            )
        if not isinstance(model, TableModel):
            raise ModelFolderError(
                f"holds a {type(model).__name__}, not a model of a table",
                file=self.folder,
                fix="fit a model to a table",
            )
        return model
