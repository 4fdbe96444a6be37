"""Model folders on the Hugging Face Hub, or on a server of its kind: `push` and `pull`.

``pip install 'logpx[hub]'``. What is pulled is verified by the folder's own manifest, and nothing of it is
executed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from logpx.errors import DataError, MissingExtraError, ModelFolderError, ResourceError, UsageError
from logpx.files.folders import install_folder
from logpx.storage import check_target, load, model_files, read_details

__all__ = ["pull", "push"]


def push(
    model_folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = True,
    revision: str | None = None,
    message: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload a model folder to a repository, which is made if it is not there.

    The folder is verified first, and its files go up in one commit.

    Parameters
    ----------
    model_folder
        The folder. The model card is its README.
    repo_id
        ``user/name``.
    private
        Whether a new repository is private.
    revision
        The branch; the main one by default.
    message
        That of the commit.
    token, endpoint
        As in huggingface_hub: by default the saved login and the usual server.

    Returns
    -------
    str
        The hash of the commit, for `pull`.

    Raises
    ------
    MissingExtraError
        If huggingface_hub is not installed.
    ModelFolderError
        If the folder is not a whole model.
    ResourceError
        If the server refuses, or cannot be reached.
    """
    hub = _hub()
    read_details(model_folder)
    files = model_files(model_folder)
    api = hub.HfApi(endpoint=endpoint, token=token)
    operations = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in files]
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.create_commit(
            repo_id,
            operations,
            revision=revision,
            commit_message=message or f"logpx model {Path(model_folder).resolve().name}",
        )
    except Exception as error:
        raise _refused(hub, error, repo_id, "written") from error
    oid: str = commit.oid
    return oid


def pull(
    repo_id: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    overwrite: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
) -> Any:
    """Download a model, verify it and load it.

    Parameters
    ----------
    repo_id
        ``user/name``.
    folder
        Where to put the model folder, which appears whole or not at all. None leaves it in the cache of
        huggingface_hub.
    revision
        A branch, a tag or the hash of a commit, which alone always means the same model.
    overwrite
        Whether a model that is already in the folder may be replaced.
    token, endpoint
        As in `push`.

    Returns
    -------
    model
        As `logpx.load` returns it, on the CPU.

    Raises
    ------
    MissingExtraError
        If huggingface_hub is not installed.
    DataError
        If the repository cannot be read.
    ModelFolderError
        If it holds no model, or not a whole one.
    UsageError
        If the folder exists and may not be replaced.
    """
    hub = _hub()
    target = None if folder is None else check_target(folder, overwrite=overwrite)
    try:
        api = hub.HfApi(endpoint=endpoint, token=token)
        commit = api.model_info(repo_id, revision=revision).sha
        place = hub.snapshot_download(
            repo_id,
            revision=commit,
            allow_patterns=["*.json", "*.safetensors", "README.md"],
            token=token,
            endpoint=endpoint,
        )
    except Exception as error:
        raise _refused(hub, error, repo_id, "read") from error
    try:
        model = load(place)
    except ModelFolderError as error:
        error.file = f"{repo_id} at {commit}: {error.file}"
        raise
    if target is not None:
        install_folder(model_files(place), target, replace=overwrite)
    return model


def _refused(hub: Any, error: Exception, repo_id: str, what: str) -> Exception:
    if isinstance(error, hub.errors.HFValidationError):
        return UsageError(str(error).splitlines()[0], file=repo_id, fix="name a repository: user/name")
    kind = ResourceError if what == "written" else DataError
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return kind(
        f"the repository cannot be {what}: {first}",
        file=repo_id,
        fix="check its name, the network and the login (hf auth login)",
    )


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub") from error
    return huggingface_hub
