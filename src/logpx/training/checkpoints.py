"""Checkpoints of a training run: folders of states, each written whole or not at all, verified when read."""

from __future__ import annotations

import hashlib
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as _deserialise
from safetensors.torch import save as _serialise
from torch import Tensor

from logpx._version import __version__
from logpx.errors import ModelFolderError
from logpx.files.documents import DAMAGED, restore, spell_out, to_bytes
from logpx.files.folders import install_folder, remove_folder, translated_errors
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.manifest import MANIFEST, Manifest

__all__ = ["Moment", "Pace", "StateFolder", "TrainingState"]

_FORMAT, _FORMAT_VERSION = "logpx checkpoint", 1
_STATE, _TENSORS = "state.json", "tensors.safetensors"
_GENERATIONS = 2
# Checkpoints may take this share of the time.
_SHARE = 0.02
# What is written in a second, before it is known: hashes, copies and a slow disk.
_BYTES_A_SECOND = 200e6
# Seconds that nobody minds.
_SHORT = 0.1


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

    @property
    def bytes(self) -> int:
        """How many bytes the tensors have."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class Moment(Enum):
    """When a state may be kept."""

    START = auto()
    STEP = auto()
    STOPPED = auto()
    END = auto()


class Pace:
    """When it is time for the next checkpoint: every so many seconds, and never more than 2 % of the time.

    Parameters
    ----------
    every
        Seconds between checkpoints; more where all of them would take more than 2 % of the time so far.
    at_once
        Whether it is time for the first one now.

    Examples
    --------
    >>> Pace(30.0, at_once=False).is_due()
    False
    """

    def __init__(self, every: float, *, at_once: bool) -> None:
        self._every, self._began = every, time.monotonic()
        self._due = self._began + (0.0 if at_once else every)
        self._spent = 0.0
        self._last: float | None = None

    def is_due(self, size: Callable[[], int] = lambda: 0) -> bool:
        """Return whether it is time.

        Parameters
        ----------
        size
            Returns how many bytes there are to write: until one was written, the cost is guessed from them.
        """
        return time.monotonic() >= self._due and self.affords(size)

    def affords(self, size: Callable[[], int] = lambda: 0) -> bool:
        """Return whether one more, if it takes as long as the last, is within the share of the time."""
        if self._last is None:
            self._last = size() / _BYTES_A_SECOND
        return self._spent + self._last <= _SHARE * (time.monotonic() - self._began)

    @property
    def is_short(self) -> bool:
        """Whether one takes a tenth of a second at most."""
        return self._last is not None and self._last <= _SHORT

    def took(self, seconds: float) -> None:
        """Note how long writing took."""
        self._spent, self._last = self._spent + seconds, seconds
        self._due = time.monotonic() + self._every


class StateFolder:
    """A folder of states of one run, of which the last two are kept.

    Parameters
    ----------
    path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> TrainingState | None:
        """Return the last state that can be read; None if there are none.

        Raises
        ------
        ModelFolderError
            If there are states, and none can be read.
        """
        problem: ModelFolderError | None = None
        for folder in reversed(self._generations()):
            try:
                return read_folder(folder, _read)
            except ModelFolderError as error:
                problem = problem or error
                warnings.warn(f"{error.file}: {error.message}; an older checkpoint is used", stacklevel=2)
        if problem is not None:
            raise problem
        return None

    def write(self, state: TrainingState) -> None:
        """Write a state beside the older ones, and then remove all but the last two.

        Raises
        ------
        ResourceError
            If the disk is full or not writable; older states are then as they were.
        """
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
        with translated_errors(self.path):
            for folder in self._generations()[:-_GENERATIONS]:
                remove_folder(folder)

    def _generations(self) -> list[Path]:
        return sorted(self.path.glob("step-*"))


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
    if type(step) is not int or step < 0 or not isinstance(values, dict):
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
