"""Saving a model: all files are made in memory first, then the folder is put in place as a whole."""

from __future__ import annotations

import os
import platform
import shlex
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from logpx._version import __version__
from logpx.errors import LogpxError, ModelFolderError, ResourceError, UsageError
from logpx.files.documents import plain, spell_out, to_bytes
from logpx.files.facts import problem_of_metrics
from logpx.files.folders import install_folder, require_space, restore_interrupted, translated_errors
from logpx.files.handle import FolderHandle
from logpx.files.layout import (
    CARD,
    CONFIG,
    FILES,
    FORMAT,
    FORMAT_VERSION,
    METRICS,
    SCHEMA,
    STATISTICS,
    WEIGHTS,
    read_identity,
)
from logpx.files.manifest import MANIFEST, Manifest
from logpx.scoring.size import ModelSize
from logpx.storage.card import model_card
from logpx.storage.description import describe_model
from logpx.storage.statistics import statistics_to_bytes
from logpx.storage.weights import weights_to_bytes

__all__ = ["check_target", "save", "save_or_keep"]

# A disk with less is full before a fit has ended.
_LEAST_FREE_BYTES = 16_000_000


def save(
    model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    metrics: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model to a folder that `load` reads back bit for bit.

    The folder appears whole or not at all: a crash, a full disk or a kill at any moment leaves either what
    was there before or the new folder.

    Parameters
    ----------
    model
        A flow, distribution, mixture or table model made of logpx classes.
    folder
        Where to write. Parents are created.
    overwrite
        Whether to replace a model that is already there. A folder that is not a model, or that holds other
        files, is never replaced.
    metrics
        What is known about the fit, as JSON values; stored in ``metrics.json`` and shown in the model card.
        Numbers that are not finite are stored as null.
    statistics
        Sufficient statistics of the rows that the model was fitted to, by name, for later updates.

    Raises
    ------
    UsageError
        If the folder exists and may not be replaced, or the model has parts that cannot be saved.
    DivergedError
        If a weight is not finite.
    ResourceError
        If the disk is full or not writable.

    Examples
    --------
    >>> import logpx, tempfile, torch
    >>> flow = logpx.flows.MAF(features=2)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     logpx.save(flow, f"{place}/model")
    ...     copy = logpx.load(f"{place}/model")
    >>> bool((copy.log_prob(torch.zeros(1, 2)) == flow.log_prob(torch.zeros(1, 2))).all())
    True
    """
    _save(model, folder, overwrite, metrics or {}, statistics=statistics, dated=True)


def _save(
    model: nn.Module,
    folder: str | os.PathLike[str],
    overwrite: bool,
    metrics: Mapping[str, Any],
    *,
    statistics: Mapping[str, Tensor] | None,
    dated: bool,
) -> None:
    target = _checked_target(folder, overwrite)
    facts = plain(metrics if dated else _without_seconds(metrics))
    problem = problem_of_metrics(facts)
    if problem is not None:
        raise UsageError(f"metrics: {problem}", fix="correct it, or give it another name")
    files = _files(model, facts, target.name, statistics or {}, dated=dated)
    restore_interrupted(target)
    install_folder({**files, MANIFEST: Manifest.of(_verified(files))}, target, replace=overwrite)


def _without_seconds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_seconds(item) for name, item in value.items() if name != "seconds"}
    return [_without_seconds(item) for item in value] if isinstance(value, (list, tuple)) else value


def save_or_keep(
    model: nn.Module,
    target: Path,
    *,
    overwrite: bool,
    metrics: Mapping[str, Any],
    statistics: Mapping[str, Tensor] | None = None,
    dated: bool = True,
) -> LogpxError | None:
    """Save a model that took long to fit; where it cannot go to its target, keep it in another place.

    Parameters
    ----------
    model, overwrite, metrics, statistics
        As in `save`.
    target
        The absolute path of the folder.
    dated
        Whether the files say when and in how many seconds they came about; without it the same model gives
        the same files, byte for byte.

    Returns
    -------
    LogpxError or None
        The error that names the place where the model is instead.

    Raises
    ------
    ResourceError, UsageError
        If the model can be written nowhere.
    """
    try:
        _save(model, target, overwrite, metrics, statistics=statistics, dated=dated)
    except (ResourceError, UsageError) as error:
        for place in (Path.cwd(), Path.home(), Path(tempfile.gettempdir())):
            kept = place / f"{target.name}-{uuid.uuid4().hex[:8]}"
            try:
                _save(model, kept, False, metrics, statistics=statistics, dated=dated)
            except (LogpxError, OSError):
                continue
            return type(error)(
                f"{error.message}; the model is in {kept} instead",
                file=error.file,
                fix=f"load it from there, or move it: mv {shlex.quote(str(kept))} PLACE",
            )
        raise
    return None


def check_target(folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the absolute path of a folder that `save` may write, before the work of a fit is done.

    Raises
    ------
    UsageError
        If something is there that may not be replaced.
    ResourceError
        If the place is not writable, or its disk is all but full.
    """
    target = _checked_target(folder, overwrite)
    require_space(target, _LEAST_FREE_BYTES)
    return target


def _checked_target(folder: str | os.PathLike[str], overwrite: bool) -> Path:
    target = Path(folder).resolve()
    restore_interrupted(target)
    with translated_errors(target):
        if target.is_dir():
            _check_replaceable(target, overwrite)
        elif target.exists():
            raise UsageError(
                "a file is here, where a folder should go", file=target, fix="choose another folder"
            )
        place = next(path for path in target.parents if path.exists())
        if not place.is_dir():
            raise ResourceError("not a folder", file=place, fix="choose another place")
        if not os.access(place, os.W_OK | os.X_OK):
            raise ResourceError("not permitted to write here", file=place, fix="choose another place")
    return target


def _check_replaceable(target: Path, overwrite: bool) -> None:
    try:
        names = set(os.listdir(target))
    except OSError as error:
        raise ResourceError(
            f"cannot be read: {error.strerror}", file=target, fix="choose another place"
        ) from error
    if not names:
        return
    try:
        with FolderHandle(target) as handle:
            read_identity(handle)
    except ModelFolderError:
        raise UsageError(
            "the folder exists and is not a logpx model",
            file=target,
            fix="choose another folder, or empty this one",
        ) from None
    if not overwrite:
        raise UsageError(
            "the folder already holds a model",
            file=target,
            fix="choose another folder, or replace it with --overwrite",
        )
    others = sorted(names - FILES)
    if others:
        raise UsageError(
            f"the folder also holds {others[0]!r}, which would be lost",
            file=target,
            fix="move it elsewhere first",
        )


def _files(
    model: nn.Module, metrics: dict[str, Any], name: str, statistics: Mapping[str, Tensor], *, dated: bool
) -> dict[str, bytes]:
    description = spell_out(describe_model(model))
    schema = description.pop("schema", None)
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "logpx_version": __version__,
        "torch_version": str(torch.__version__),
        "python_version": platform.python_version(),
        **({"saved": datetime.now(UTC).isoformat(timespec="seconds")} if dated else {}),
        "parameters": ModelSize.of(model).parameters,
        "model": description,
    }
    files = {CONFIG: to_bytes(config)}
    if schema is not None:
        files[SCHEMA] = to_bytes(schema)
    files[METRICS] = to_bytes(metrics)
    files[WEIGHTS] = weights_to_bytes(model)
    kept = statistics_to_bytes(statistics)
    if kept is not None:
        files[STATISTICS] = kept
    files[CARD] = model_card(name, config, schema, metrics).encode()
    return files


def _verified(files: Mapping[str, bytes]) -> dict[str, bytes]:
    # The card is for people, who may add to it.
    return {name: content for name, content in files.items() if name != CARD}
