"""What estimators trained by gradient descent share."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from logpx.distributions import Distribution
from logpx.errors import DataError, UsageError
from logpx.estimators.base import Rows, Transformer
from logpx.suggestions import suggestion
from logpx.training import FitResult, fit

__all__ = ["TrainedDensity"]

_MOST_SEED = np.iinfo(np.int32).max
_DTYPES = MappingProxyType({"float32": torch.float32, "float64": torch.float64})


class TrainedDensity(Transformer):
    """A density estimator and transformer whose model `logpx.training.fit` trains.

    Examples
    --------
    >>> from logpx.estimators import FlowDensity
    >>> issubclass(FlowDensity, TrainedDensity)
    True
    """

    max_epochs: float | None
    max_time: float | None
    batch_size: int | None
    learning_rate: float | None
    validation_fraction: float | None
    dtype: str
    device: str | None
    verbose: bool

    def _torch_dtype(self) -> torch.dtype:
        if self.dtype not in _DTYPES:
            raise UsageError(
                f"there is no dtype {self.dtype!r}", fix=suggestion(str(self.dtype), list(_DTYPES))
            )
        return _DTYPES[self.dtype]

    def _new_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(_MOST_SEED))

    def _train(self, model: Distribution, rows: Rows, seed: int, **options: Any) -> FitResult:
        """Train a model in place, and remember how it ended."""
        result = fit(
            model,
            rows,
            validation_fraction=self.validation_fraction,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            max_epochs=self.max_epochs,
            max_time=self.max_time,
            seed=seed,
            device=self.device,
            # What the clock decides would make fits with the same random_state differ.
            compile="off" if self.max_time is None else "auto",
            progress=bool(self.verbose),
            **options,
        )
        self.n_epochs_, self.stopped_ = result.best_epoch, result.stopped.value
        return result

    def _refuse_constants(self, centre: Rows, spread: Rows) -> None:
        """Refuse a column that never varies, or too much, given the means and deviations of all columns."""
        names = getattr(self, "feature_names_in_", None)
        lost = ~np.isfinite(spread)
        if lost.any():
            place = int(lost.argmax())
            raise DataError(
                "a value is too large to be squared",
                column=place if names is None else str(names[place]),
                fix="leave such rows out, or change the column's unit",
            )
        # Rounding the mean is enough to give a constant column a spread of a few ulp.
        constant = spread <= 1e-14 * np.abs(centre)
        if constant.any():
            place = int(constant.argmax())
            raise DataError(
                "every row has the same value, or none, so that no density exists on it",
                column=place if names is None else str(names[place]),
                fix="leave the column out",
            )
