"""The fits of a model folder that are under way or were interrupted, kept beside it until one has ended."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logpx.errors import ModelFolderError, UsageError
from logpx.files.documents import restore, spell_out, to_bytes
from logpx.files.folders import install_folder, translated_errors
from logpx.files.handle import FolderHandle, read_folder
from logpx.files.lock import exclusive
from logpx.files.manifest import MANIFEST, Manifest

__all__ = ["KeptFit", "KeptFits"]

_BEGUN, _SAVED = "fit.json", "saved.json"
_JOURNAL = "journal"
# Parts of a journal that every fit has.
_ALWAYS = {"begun", "plan"}


@dataclass(frozen=True)
class KeptFit:
    """A fit that is under way, or was interrupted.

    Attributes
    ----------
    path : Path
        Its folder.
    arguments : dict
        What it was begun with, as JSON values.
    place : str
        The working folder that relative paths refer to.
    since : str
        When it was begun.
    """

    path: Path
    arguments: dict[str, Any]
    place: str
    since: str

    @property
    def command(self) -> str:
        """Which command it is of."""
        return str(self.arguments.get("command", "fit"))

    @property
    def journal(self) -> Path:
        """Where its journal is."""
        return self.path / _JOURNAL

    @property
    def has_progress(self) -> bool:
        """Whether there is anything to go on from but the start."""
        parts = self.journal.iterdir() if self.journal.is_dir() else ()
        return any(part.name not in _ALWAYS and any(part.glob("step-*")) for part in parts)

    @property
    def saved(self) -> str | None:
        """What had ended the fit when it wrote, or was about to write, its model; None before that."""
        if not (self.path / _SAVED).is_dir():
            return None
        found: str = read_folder(self.path / _SAVED, _read)["ended"]
        return found

    def saves(self, ended: str) -> None:
        """Note that the model that will be in place is one of this fit.

        Parameters
        ----------
        ended
            What has ended the fit.
        """
        _write({"ended": ended}, self.path / _SAVED)


class KeptFits:
    """The fits of one model folder, in a folder beside it, ``.NAME.run``.

    Parameters
    ----------
    target
        The absolute path of the model folder.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.run")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, so that one fit at a time writes the model.

        Raises
        ------
        UsageError
            If another process holds it; names it.
        """
        with translated_errors(self.target):
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive(self.path):
                yield
        except UsageError as error:
            if error.file == str(self.path):
                error.file = str(self.target)
                error.message = f"another fit writes this model: {error.message}"
            raise
        finally:
            with suppress(OSError):  # There are fits left, or others.
                os.rmdir(self.path)

    def last(self) -> KeptFit | None:
        """Return the fit that was begun last, if it can be read."""
        for path in reversed(self._all()):
            try:
                content = read_folder(path, _read)
                return KeptFit(path, content["arguments"], content["place"], content["since"])
            except (ModelFolderError, KeyError):
                continue
        return None

    def begin(self, arguments: Mapping[str, Any]) -> KeptFit:
        """Begin a fit.

        Parameters
        ----------
        arguments
            JSON values.

        Raises
        ------
        ResourceError
            If the folder cannot be written.
        """
        number = max((int(path.name) for path in self._all()), default=0) + 1
        fit = KeptFit(
            path=self.path / f"{number:04d}",
            arguments=dict(arguments),
            place=os.getcwd(),
            since=time.strftime("%Y-%m-%d %H:%M:%S"),
        )
        content = {"arguments": fit.arguments, "place": fit.place, "since": fit.since}
        _write(content, fit.path)
        return fit

    def forget(self, fit: KeptFit) -> None:
        """Remove a fit that cannot be gone on with."""
        _remove(fit.path)

    def clear(self) -> None:
        """Remove all fits: one of them has ended."""
        for path in self._all():
            _remove(path)
        for path in self.path.glob(".*.tmp-*"):
            shutil.rmtree(path, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(path for path in self.path.glob("[0-9]*") if path.name.isdecimal())


def _remove(folder: Path) -> None:
    """Remove a folder, which is gone at once for those who look for it."""
    aside = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex[:12]}")
    with suppress(OSError):
        os.rename(folder, aside)
        folder = aside
    shutil.rmtree(folder, ignore_errors=True)


def _write(content: dict[str, Any], folder: Path) -> None:
    files = {_BEGUN: to_bytes(spell_out(content))}
    install_folder({**files, MANIFEST: Manifest.of(files)}, folder)


def _read(folder: FolderHandle) -> dict[str, Any]:
    found: dict[str, Any] = restore(Manifest.read(folder).read_document(_BEGUN))
    return found
