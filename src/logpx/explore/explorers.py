"""Which explorer answers for a model."""

from __future__ import annotations

from typing import Any

from logpx.errors import ModelFolderError
from logpx.explore.explorer import Explorer
from logpx.explore.image_explorer import ImageExplorer
from logpx.explore.table_explorer import TableExplorer
from logpx.images import ImageModel
from logpx.tables import TableModel

__all__ = ["explorer_of"]


def explorer_of(model: Any, seed: int = 0) -> Explorer:
    """Return what answers for a model of a table or of images.

    Parameters
    ----------
    model
        As `logpx.load` returns it.
    seed
        Seed of noise, and of the samples that show where columns lie.

    Raises
    ------
    ModelFolderError
        If it is neither.

    Examples
    --------
    >>> import logpx, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = explorer_of(logpx.fit("gaussian", {"a": x[:, 0], "b": x[:, 1]}).model)
    >>> found.answer("densities", {"given": {"a": "1.5"}, "columns": ["b"]})["columns"][0]["name"]
    'b'
    """
    if isinstance(model, TableModel):
        return TableExplorer(model, seed)
    if isinstance(model, ImageModel):
        return ImageExplorer(model, seed)
    raise ModelFolderError(
        f"a {type(model).__name__}, which is no model of a table or of images",
        fix="explore a model that logpx fit has written",
    )
