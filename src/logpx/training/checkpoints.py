"""Checkpoints of a training run: a folder of states, each written whole or not at all, verified when read."""

from __future__ import annotations

import hashlib
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as _deserialise
from safetensors.torch import save as _serialise
from torch import Tensor

from logpx._version import __version__
from logpx.errors import ModelFolderError, UsageError
from logpx.files.documents import DAMAGED, restore, spell_out, to_bytes
from logpx.files.folders import install_folder, remove_folder, translated_errors
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.lock import exclusive
from logpx.files.manifest import MANIFEST, Manifest

__all__ = ["CheckpointFolder", "TrainingState", "checkpoints_of"]

_FORMAT, _FORMAT_VERSION = "logpx checkpoint", 1
_STATE, _TENSORS = "state.json", "tensors.safetensors"
_GENERATIONS = 2
# A checkpoint may take this share of the time.
_SHARE = 0.02


@dataclass(frozen=True)
class TrainingState:
    """All that the rest of a run depends on.

    Parameters
    ----------
    step
        Completed steps.
    tensors
        By name.
    values
        JSON values by name; numbers may be infinite.
    """

    step: int
    tensors: dict[str, Tensor] = field(repr=False)
    values: dict[str, Any] = field(repr=False)


class CheckpointFolder:
    """The folder of the checkpoints of one run, of which the last two are kept.

    Parameters
    ----------
    path
        The folder.
    every
        Seconds between checkpoints; more where writing one takes longer than 2 % of that.
    resume
        Whether to begin with the last checkpoint that can be read.
    """

    def __init__(self, path: Path, every: float, *, resume: bool) -> None:
        self.path = path
        self._every, self._resume = every, resume
        self._due = 0.0
        self._saved: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for a run.

        Raises
        ------
        UsageError
            If another process holds it.
        ResourceError
            If it cannot be made.
        """
        with translated_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with exclusive(self.path):
            yield

    def last(self) -> TrainingState | None:
        """Return the state to go on from; None at the start of a run.

        Raises
        ------
        ModelFolderError
            If there are checkpoints, and none can be read.
        """
        if not self._resume:
            return None
        problem: ModelFolderError | None = None
        for folder in reversed(self._generations()):
            try:
                state = read_folder(folder, _read)
            except ModelFolderError as error:
                problem = problem or error
                warnings.warn(f"{error.file}: {error.message}; an older checkpoint is used", stacklevel=2)
                continue
            self._saved = state.step
            return state
        if problem is not None:
            raise problem
        return None

    def is_due(self) -> bool:
        """Return whether it is time for the next checkpoint."""
        return time.monotonic() >= self._due

    def has(self, step: int) -> bool:
        """Return whether the state after a step is kept already."""
        return self._saved == step

    def save(self, state: TrainingState) -> None:
        """Write a state beside the older ones, and then remove all but the last two.

        Raises
        ------
        ResourceError
            If the disk is full or not writable; older checkpoints are then as they were.
        """
        began = time.monotonic()
        content = {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "logpx_version": __version__,
            "torch_version": str(torch.__version__),
            "python_version": platform.python_version(),
            "step": state.step,
            "values": spell_out(state.values),
        }
        files = {
            _TENSORS: _serialise({name: t.contiguous().clone() for name, t in state.tensors.items()}),
            _STATE: to_bytes(content),
        }
        install_folder({**files, MANIFEST: Manifest.of(files)}, self.path / f"step-{state.step:09d}")
        self._saved = state.step
        with translated_errors(self.path):
            for folder in self._generations()[:-_GENERATIONS]:
                remove_folder(folder)
        now = time.monotonic()
        self._due = now + max(self._every, (now - began) / _SHARE)

    def _generations(self) -> list[Path]:
        return sorted(self.path.glob("step-*"))


def checkpoints_of(checkpoint: Any, resume: Any, every: float) -> CheckpointFolder | None:
    """Return the folder that the arguments of `fit` ask for, or None.

    Raises
    ------
    UsageError
        If they do not go together, there is nothing to resume, or a new run would replace another one.
    """
    if not every > 0.0:
        raise UsageError(f"every is {every}, where a positive number was expected", fix="raise every")
    if checkpoint is None and resume is None:
        return None
    if checkpoint is not None and resume is not None and Path(checkpoint) != Path(resume):
        raise UsageError(
            "checkpoint and resume are two folders", fix="give the same one: the run goes on where it was"
        )
    path = Path(checkpoint if resume is None else resume).absolute()
    begun = any(path.glob("step-*"))
    if resume is None and begun:
        raise UsageError(
            "the folder holds the checkpoints of another run",
            file=path,
            fix="go on with resume=, or choose another folder",
        )
    if checkpoint is None and not begun:
        raise UsageError(
            "there is no checkpoint to resume from",
            file=path,
            fix="correct the folder; checkpoint= and resume= together also start a new run",
        )
    return CheckpointFolder(path, every, resume=resume is not None)


def _read(folder: FolderHandle) -> TrainingState:
    manifest = Manifest.read(folder)
    content = restore(manifest.read_document(_STATE))
    file = folder.path / _STATE
    if content.get("format") != _FORMAT or content.get("format_version") != _FORMAT_VERSION:
        raise ModelFolderError(
            f"not a checkpoint of this version of logpx, but of {content.get('logpx_version')}",
            file=file,
            fix="resume with the logpx that wrote it",
        )
    step, values = content.get("step"), content.get("values")
    if not isinstance(step, int) or not isinstance(values, dict):
        raise ModelFolderError("not the state of a run", file=file, fix=DAMAGED)
    if content.get("torch_version") != str(torch.__version__):
        warnings.warn(
            f"the checkpoint was written with torch {content.get('torch_version')}, and this is "
            f"{torch.__version__}: the run goes on, but not to the same bits",
            stacklevel=2,
        )
    with folder.open(_TENSORS) as stream:
        data = stream.read()
    manifest.compare(_TENSORS, len(data), hashlib.sha256(data).hexdigest())
    try:
        tensors = _deserialise(data)
    except SafetensorError as error:
        raise ModelFolderError(
            f"not a safetensors file: {error}", file=folder.path / _TENSORS, fix=DAMAGED
        ) from error
    return TrainingState(step, tensors, values)
