"""The few functions that serve the whole package: fitting, evidence, posteriors, saving and loading."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, overload

from logpx.distributions import Distribution
from logpx.engines import impute_batches, impute_schema, score_batches, score_schema
from logpx.errors import UsageError
from logpx.images import ImageFitResult, Images, fit_images, holds_images
from logpx.inference import evidence
from logpx.posteriors import evidence_from_draws, posterior
from logpx.scoring import Leaderboard, compare_models
from logpx.storage import load, save
from logpx.tables import TableFitResult, fit_table
from logpx.training import FitResult
from logpx.training import fit as fit_model

__all__ = [
    "compare",
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


@overload
def fit(model: Distribution, data: Any, validation: Any = None, **options: Any) -> FitResult: ...


@overload
def fit(model: str, data: Images, validation: Any = None, **options: Any) -> ImageFitResult: ...


@overload
def fit(model: str, data: Any, validation: Any = None, **options: Any) -> TableFitResult | ImageFitResult: ...


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
    if isinstance(model, str):
        if holds_images(data):
            return fit_images(data, model, validation=validation, **options)
        return fit_table(data, model, validation=validation, **options)
    return fit_model(model, data, validation, **options)


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
    >>> x = np.random.default_rng(0).lognormal(size=(600, 2))
    >>> x[:, 1] += x[:, 0]
    >>> models = {name: logpx.fit(name, x[:400]).model for name in ("gaussian", "ppca")}
    >>> board = logpx.compare(models, x[400:])
    >>> [entry.name for entry in board.entries], board.differences[0].real
    (['gaussian', 'ppca'], True)
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
