"""What the commands that use a model have in common."""

from __future__ import annotations

import os
from typing import Any

from logpx.cli.subject import Subject
from logpx.cli.subjects import SUBJECTS, refuse_missing_table
from logpx.errors import ModelFolderError, UsageError

__all__ = ["is_model_folder", "load_model", "to_stdout"]


def load_model(folder: str, device: str, source: str | None = None) -> tuple[Subject, Any]:
    """Load a model that the commands can use, with the kind of data that it is a model of.

    Parameters
    ----------
    folder
        Its folder.
    device
        Where to put it.
    source
        The data that it is to be used on, if any.

    Raises
    ------
    ModelFolderError
        If the folder cannot be loaded, or holds a model of arrays.
    UsageError
        If the data are a table in a file that is not there.
    """
    from logpx.files.handle import read_folder
    from logpx.files.layout import read_config

    # What is no model folder or not there is refused before PyTorch is loaded.
    read_folder(folder, read_config)
    if source is not None:
        refuse_missing_table(source)
    from logpx.storage import load

    model = load(folder, device)
    for subject in SUBJECTS:
        if subject.knows(model):
            return subject, model
    raise ModelFolderError(
        f"holds a {type(model).__name__}, not a model of a table or of images",
        file=folder,
        fix="use it from Python with logpx.load, or fit a table or images with logpx fit",
    )


def is_model_folder(path: str) -> bool:
    """Tell whether a path is meant as a model folder, rather than as a table."""
    return os.path.isdir(path) and os.path.exists(os.path.join(path, "config.json"))


def to_stdout(output: str, as_json: bool, what: str) -> None:
    """Refuse to print both JSON and data on stdout."""
    if as_json and output == "-":
        raise UsageError(f"--json and {what} cannot both go to stdout", fix="name a file with -o")
