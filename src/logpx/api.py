"""The few functions that serve the whole package: fitting, evidence, posteriors, saving and loading."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack, overload

import torch
from torch import nn

from logpx.arguments import check_names
from logpx.detection.anomalies import anomalies
from logpx.detection.drift import drift
from logpx.distributions import Distribution
from logpx.engines import impute_batches, impute_schema, score_batches, score_schema
from logpx.errors import UsageError
from logpx.images import ImageFitResult, Images, fit_images, holds_images
from logpx.inference import evidence
from logpx.posteriors import evidence_from_draws, posterior
from logpx.processes.launch import launch
from logpx.scoring import Leaderboard, compare_models
from logpx.storage import load, save
from logpx.storage.together import all_fit
from logpx.tables import Schema, TableFitResult, fit_table
from logpx.training import FitResult
from logpx.training import fit as fit_model

__all__ = [
    "anomalies",
    "compare",
    "drift",
    "evidence",
    "evidence_from_draws",
    "fit",
    "impute_batches",
    "impute_schema",
    "load",
    "posterior",
    "save",
    "score_batches",
    "score_schema",
]


class ModelFitOptions(TypedDict, total=False):
    """Options of `fit` for a model; see `logpx.training.fit`."""

    context: Any
    weights: Any
    prior: Any
    validation_context: Any
    validation_weights: Any
    validation_fraction: float | None
    batch_size: int | None
    learning_rate: float | None
    weight_decay: float | None
    optimiser: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None
    schedule: Callable[[Any], Any] | None
    gradient_clip: float | None
    max_epochs: float | None
    max_steps: int | None
    max_time: float | None
    patience: int | None
    noise: float | None
    restarts: int | None
    start: str | None
    tolerance: float | None
    seed: int
    progress: Any
    device: torch.device | str | None
    compile: bool | str
    should_stop: Callable[[], bool]
    checkpoint: str | os.PathLike[str] | None
    resume: str | os.PathLike[str] | None
    every: float
    on_step: Callable[[Any], object] | None
    on_validation: Callable[[Any], object] | None


class _NamedFitOptions(TypedDict, total=False):
    """What fits of tables and of images both take."""

    latent: int | None
    conditional: bool
    max_time: float | None
    seed: int
    report: Callable[[str], object]
    progress: Any
    should_stop: Callable[[], bool]
    device: torch.device | str
    compile: bool | str


class TableFitOptions(_NamedFitOptions, total=False):
    """Options of `fit` for a table; see `logpx.tables.fit_table`."""

    columns: Mapping[str, Any] | None
    schema: Schema | None
    components: int | None
    missing: Any
    decimal: str | None
    target: Sequence[str]
    weights: Any
    all_rows: bool


class ImageFitOptions(_NamedFitOptions, total=False):
    """Options of `fit` for images; see `logpx.images.fit_images`."""

    labels: Any
    levels: int | None
    dequantisation: str | None
    alpha: float | None
    max_steps: int | None
    batch_size: int | None
    learning_rate: float | None


class _AnyFitOptions(TableFitOptions, ImageFitOptions, total=False):
    """Options of `fit` for a table or for images."""


@overload
def fit(
    model: Distribution, data: Any, validation: Any = None, **options: Unpack[ModelFitOptions]
) -> FitResult: ...


@overload
def fit(
    model: str, data: Images, validation: Any = None, **options: Unpack[ImageFitOptions]
) -> ImageFitResult: ...


@overload
def fit(
    model: str, data: Any, validation: Any = None, **options: Unpack[_AnyFitOptions]
) -> TableFitResult | ImageFitResult: ...


def fit(
    model: Distribution | str, data: Any, validation: Any = None, **options: Any
) -> FitResult | TableFitResult | ImageFitResult:
    """Fit a model to data by its own procedure, or choose and fit one for a table or for images.

    Parameters
    ----------
    model
        A model, which is fitted in place to the rows of an array; or the name of a kind of model (``"auto"``
        for the best), to be built for a table or for images.
    data
        For a model: an array, tensor, frame or stream of rows, see `logpx.training.fit`. For a name: a table
        (a path, frame or array), see `logpx.tables.fit_table`; or images (an array with three or four axes,
        or a file or folder), see `logpx.images.fit_images`.
    validation
        Rows for early stopping and for the choice. By default a part of the data is set aside.
    **options
        Options of `logpx.training.fit` (``max_epochs``, ``max_time``, ``context``, ``seed``, ...), of
        `logpx.tables.fit_table` (``columns``, ``schema``, ``max_time``, ``seed``, ...) or of
        `logpx.images.fit_images`.

    Returns
    -------
    FitResult, TableFitResult or ImageFitResult
        With the fitted model as ``result.model``.

    Raises
    ------
    DataError
        If the data cannot be read or modelled.
    DivergedError
        If no fit stays finite.
    UsageError
        If arguments do not go together.

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * 3.0
    >>> result = logpx.fit(logpx.distributions.FullNormal(2), x)
    >>> result.model.log_prob(x).shape
    torch.Size([500])
    >>> result = logpx.fit("gaussian", {"a": x[:, 0], "b": x[:, 1]})
    >>> result.model.kind
    'exact'
    """
    place = launch()
    if place is not None:
        own = model if isinstance(model, nn.Module) else None
        return all_fit(place, lambda: _fit(model, data, validation, options), own)
    return _fit(model, data, validation, options)


def _fit(
    model: Distribution | str, data: Any, validation: Any, options: dict[str, Any]
) -> FitResult | TableFitResult | ImageFitResult:
    if not isinstance(model, str):
        return fit_model(model, data, validation, **options)
    if holds_images(data):
        check_names("fit of images", inspect.signature(fit_images), options)
        return fit_images(data, model, validation=validation, **options)
    check_names("fit of a table", inspect.signature(fit_table), options)
    return fit_table(data, model, validation=validation, **options)


def _options_of_all() -> inspect.Signature:
    """Return the signature of `fit` with the options of models, tables and images by name."""
    own = list(inspect.signature(fit).parameters.values())[:3]
    named = {each.name: each for each in own}
    for part in (fit_model, fit_table, fit_images):
        for name, each in inspect.signature(part).parameters.items():
            if each.kind is inspect.Parameter.KEYWORD_ONLY and name not in named:
                named[name] = each
    return inspect.Signature(list(named.values()))


# For help texts and editors, which would show no option otherwise.
fit.__signature__ = _options_of_all()  # type: ignore[attr-defined]


def compare(
    models: Mapping[str, Any] | Sequence[Any],
    data: Any,
    *,
    seed: int = 0,
    draws: int = 1,
    exactness: int | None = None,
    device: str = "cpu",
) -> Leaderboard:
    """Compare models on the same rows and the same noise: which is better, by how much, beyond chance or not.

    Parameters
    ----------
    models
        Two or more models of one table, or of the same images, by name; or model folders and models in a
        list, which are called by their folders or ``model 1``, ``model 2``, ….
    data
        Rows or images that none of them has seen: anything that their ``evaluate`` takes.
    seed, draws, exactness
        As in the models' ``score``; all get the same noise.
    device
        Where models of folders are loaded to.

    Returns
    -------
    Leaderboard
        Means with standard errors, paired differences of every pair with p-values adjusted for their number,
        whether numbers are exact or bounds, sizes and speeds.

    Raises
    ------
    DataError
        If the data do not fit the models.
    UsageError
        If there are fewer than two models, or their log p does not refer to the same thing: other columns,
        grids, atoms, levels or shapes.

    References
    ----------
    Holm 1979, A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> import logpx, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> x[::3] += 8.0
    >>> models = {name: logpx.fit(name, x[:200]).model for name in ("gaussian", "gmm")}
    >>> board = logpx.compare(models, x[200:])
    >>> [entry.name for entry in board.entries], board.differences[0].real
    (['gmm', 'gaussian'], True)
    """
    if not isinstance(models, Mapping):
        models = _named(models)
    loaded = {
        name: load(model, device) if isinstance(model, str | os.PathLike) else model
        for name, model in models.items()
    }
    for name, model in loaded.items():
        if not hasattr(model, "measure"):
            raise UsageError(
                f"{name} is a {type(model).__name__}, not a model of a table or of images",
                fix="give model folders of logpx fit, or models of fit_table or fit_images",
            )
    return compare_models(loaded, data, seed=seed, draws=draws, exactness=exactness)


def _named(models: Sequence[Any]) -> dict[str, Any]:
    if isinstance(models, str | os.PathLike):
        raise UsageError("one model folder to compare", fix="give a list of two or more")
    named: dict[str, Any] = {}
    for number, model in enumerate(models, 1):
        name = os.fspath(model) if isinstance(model, str | os.PathLike) else f"model {number}"
        name = name.rstrip("/") or name
        if name in named:
            raise UsageError(f"the model {name} is named twice", fix="name every model once")
        named[name] = model
    return named
