"""The few functions that serve the whole package: fitting, evidence, posteriors, saving and loading."""

from __future__ import annotations

from typing import Any, overload

from logpx.distributions import Distribution
from logpx.engines import impute_batches, impute_schema, score_batches, score_schema
from logpx.images import ImageFitResult, Images, fit_images, holds_images
from logpx.inference import evidence
from logpx.posteriors import evidence_from_draws, posterior
from logpx.storage import load, save
from logpx.tables import TableFitResult, fit_table
from logpx.training import FitResult
from logpx.training import fit as fit_model

__all__ = [
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
