"""An MLflow flavour: models of tables as MLflow models, whose predict is `logpx.score_batches`.

``pip install 'logpx[mlflow]'``. A logged model holds the model folder as it is; nothing in it is pickled.

Examples
--------
With a tracking server or a folder for runs::

    import logpx.mlflow, mlflow

    with mlflow.start_run():
        info = logpx.mlflow.log_model("model/", name="density")
    scores = mlflow.pyfunc.load_model(info.model_uri).predict(frame)     # columns log_prob, ...
    model = logpx.mlflow.load_model(info.model_uri)                      # the model itself
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from logpx._version import __version__
from logpx.engines import ScoreBatches, score_batches
from logpx.errors import MissingExtraError, UsageError
from logpx.storage import load, model_digest, read_details

__all__ = ["FLAVOR_NAME", "load_model", "log_model", "save_model"]

#: What the flavour is called in an ``MLmodel`` file.
FLAVOR_NAME = "logpx"

_DATA = "model"
_TYPES = [
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "long"),
    (pa.types.is_floating, "double"),
    (pa.types.is_temporal, "datetime"),
]


def log_model(model_folder: str | os.PathLike[str], name: str = _DATA, **options: Any) -> Any:
    """Log a model folder as an MLflow model of the active run.

    Parameters
    ----------
    model_folder
        A model of a table, written by ``logpx fit`` or `logpx.save`.
    name
        The name of the MLflow model.
    **options
        Options of `save_model`, and of ``mlflow.models.Model.log`` (``registered_model_name``, ...).

    Returns
    -------
    mlflow.models.model.ModelInfo
        With ``model_uri``.

    Raises
    ------
    MissingExtraError
        If MLflow is not installed.
    ModelFolderError
        If the folder cannot be loaded, or holds no model of a table.
    """
    import logpx.mlflow as flavor

    models = _mlflow().models
    folder = os.fspath(model_folder)
    return models.Model.log(None, flavor, name=name, model_folder=folder, **options)


def save_model(
    model_folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    mlflow_model: Any = None,
    keep: Sequence[str] = (),
    id: Sequence[str] | str = (),
    draws: int = 8,
    exactness: int | None = None,
    seed: int = 0,
    signature: Any = None,
    pip_requirements: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder as an MLflow model on this machine.

    Parameters
    ----------
    model_folder
        A model of a table.
    path
        The folder to write, which must not exist.
    mlflow_model
        The ``mlflow.models.Model`` to add the flavour to; a new one by default.
    keep, id, draws, exactness, seed
        What predict does, as in `logpx.score_batches`.
    signature
        The signature; by default the model's columns and those of keep and id, and the columns of the scores.
    pip_requirements
        What the model needs; this release of logpx by default.
    metadata
        Passed on to MLflow.

    Raises
    ------
    MissingExtraError
        If MLflow is not installed.
    ModelFolderError
        If the folder cannot be loaded, or holds no model of a table.
    UsageError
        If the path exists.
    """
    mlflow = _mlflow()
    options: dict[str, Any] = {"keep": list(keep), "id": [id] if isinstance(id, str) else list(id)}
    options |= {"draws": draws, "exactness": exactness, "seed": seed}
    score = score_batches(model_folder, **options)
    target = Path(path)
    if target.exists() and any(target.iterdir()):
        raise UsageError("the folder exists", file=target, fix="choose another path")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(model_folder, target / _DATA)
    model = mlflow.models.Model() if mlflow_model is None else mlflow_model
    model.signature = _signature(mlflow, score) if signature is None else signature
    if metadata is not None:
        model.metadata = dict(metadata)
    needed = [f"logpx[mlflow]=={__version__}"] if pip_requirements is None else list(pip_requirements)
    (target / "requirements.txt").write_text("".join(f"{line}\n" for line in needed), encoding="utf-8")
    mlflow.pyfunc.add_to_model(model, loader_module="logpx.mlflow", data=_DATA, model_config=options)
    details = read_details(model_folder)
    model.add_flavor(
        FLAVOR_NAME,
        data=_DATA,
        logpx_version=__version__,
        model_class=details.config["model"]["class"],
        digest=model_digest(model_folder),
    )
    model.save(str(target / "MLmodel"))


def load_model(model_uri: str, device: str = "cpu") -> Any:
    """Return the model of an MLflow model of this flavour.

    Parameters
    ----------
    model_uri
        Such as ``runs:/…/model``, ``models:/name/1`` or a path.
    device
        Where the weights go.

    Raises
    ------
    MissingExtraError
        If MLflow is not installed.
    UsageError
        If the MLflow model is of another flavour.
    """
    mlflow = _mlflow()
    folder = mlflow.artifacts.download_artifacts(model_uri)
    flavours = mlflow.models.Model.load(folder).flavors
    if FLAVOR_NAME not in flavours:
        raise UsageError(
            f"an MLflow model of {', '.join(sorted(flavours))}, not of logpx",
            file=model_uri,
            fix="load it with mlflow.pyfunc.load_model",
        )
    return load(os.path.join(folder, flavours[FLAVOR_NAME]["data"]), device)


class _Scores:
    """What MLflow calls: a frame in, a frame of scores out."""

    def __init__(self, score: ScoreBatches) -> None:
        self._score = score

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the scores of the rows of a data frame, or of a pyarrow table."""
        if isinstance(model_input, pa.Table):
            return self._score(model_input)
        table = pa.Table.from_pandas(model_input, preserve_index=False)
        return self._score(table).to_pandas()


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> _Scores:
    """Return the object that ``mlflow.pyfunc`` calls."""
    return _Scores(score_batches(path, **dict(model_config or {})))


def _signature(mlflow: Any, score: ScoreBatches) -> Any:
    model = score.source.model()
    types = mlflow.types
    needed = not model.density.allows_missing
    inputs = [
        types.ColSpec(_type_name(field.type, missing=not needed), field.name, required=True)
        for field in model.arrow_schema
    ]
    # MLflow hands on what the signature names, and nothing else.
    anything = types.schema.AnyType()
    inputs += [types.ColSpec(anything, name, required=True) for name in score.columns_beside]
    outputs = [types.ColSpec(_type_name(field.type, missing=False), field.name) for field in score.schema]
    return mlflow.models.ModelSignature(inputs=types.Schema(inputs), outputs=types.Schema(outputs))


def _type_name(form: pa.DataType, *, missing: bool) -> Any:
    from mlflow.types.schema import AnyType

    for is_such, name in _TYPES:
        if is_such(form):
            # Whole numbers with missing cells are floating-point in data frames, and MLflow refuses those.
            return AnyType() if missing and name in ("long", "boolean") else name
    return "string"


def _mlflow() -> Any:
    try:
        import mlflow
        import mlflow.artifacts
        import mlflow.models
        import mlflow.pyfunc
        import mlflow.types
    except ImportError as error:
        raise MissingExtraError("mlflow", "mlflow") from error
    return mlflow
