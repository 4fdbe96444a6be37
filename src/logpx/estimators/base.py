"""What all estimators share: checks of rows and weights, and scores under a fitted distribution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, validate_data

from logpx.arguments import check_count
from logpx.distributions import Distribution
from logpx.errors import DataError, UsageError

__all__ = [
    "DensityEstimator",
    "Draws",
    "Transformer",
    "checked_weights",
    "counted_rows",
    "is_single",
    "rounded",
]

_BLOCK_ROWS = 65_536
_MOST_SEED = 2**31 - 1
Rows = NDArray[np.float64]


# Methods that give numbers for rows, in the precision of the rows.
_OF_ROWS = ("impute", "inverse_transform", "predict_proba", "score_samples", "transform")


def is_single(X: Any) -> bool:
    """Return whether rows are in single precision, whatever holds them."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is not None and not isinstance(X, torch.Tensor) and hasattr(dtypes, "__iter__"):
        return bool(len(list(dtypes))) and all(str(dtype).lower() == "float32" for dtype in dtypes)
    return str(getattr(X, "dtype", "")).removeprefix("torch.").lower() == "float32"


def rounded(value: Any) -> Any:
    """Return an array of double precision in single precision, and anything else as it is."""
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


def checked_weights(sample_weight: ArrayLike | None, rows: Any) -> NDArray[np.float64] | None:
    """Return how much each row counts, in double precision; None if all count alike.

    Raises
    ------
    ValueError
        If there is not one weight for each row, or one is negative or no number.
    DataError
        If all are zero.
    """
    if sample_weight is None:
        return None
    weights: NDArray[np.float64] = _check_sample_weight(
        sample_weight, rows, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise DataError("every sample weight is zero", fix="give a weight above 0 to two rows or more")
    return weights


def counted_rows(rows: Rows, sample_weight: ArrayLike | None) -> tuple[Rows, NDArray[np.float64] | None]:
    """Return the rows of a weight above 0, and their weights."""
    weights = checked_weights(sample_weight, rows)
    if weights is None or bool((weights > 0.0).all()):
        return rows, weights
    return rows[weights > 0.0], weights[weights > 0.0]


def _in_given_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method give single precision for rows in single precision; it computes in double."""

    @functools.wraps(method)
    def given(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        found = method(self, X, *args, **kwargs)
        return rounded(found) if is_single(X) else found

    return given


def _in_fitted_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that takes no rows give single precision after a fit to rows in single precision."""

    @functools.wraps(method)
    def given(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = method(self, *args, **kwargs)
        if not getattr(self, "_fitted_to_single", False):
            return found
        return tuple(map(rounded, found)) if isinstance(found, tuple) else rounded(found)

    return given


def _fitted_in_given_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let `fit` round what it found for rows in single precision; the model stays in its own."""

    @functools.wraps(method)
    def given(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        self._fitted_to_single = False
        found = method(self, X, *args, **kwargs)
        self._fitted_to_single = is_single(X)
        if self._fitted_to_single:
            for name, value in vars(self).items():
                if name.endswith("_") and not name.startswith("_"):
                    setattr(self, name, rounded(value))
        return found

    return given


class DensityEstimator(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn density estimator around a distribution of logpx.

    A subclass has a ``fit`` that stores the distribution, in float64 and in the units of the data, as
    ``model_``. Its parameter ``allow_nan``, if it has one, says whether cells may be missing (NaN).

    Attributes
    ----------
    model_ : logpx.distributions.Distribution
        The fitted distribution.
    n_features_in_ : int
        The number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the columns, if they had any.

    Examples
    --------
    >>> from logpx.estimators import GaussianMixture
    >>> isinstance(GaussianMixture(), DensityEstimator)
    True
    """

    model_: Distribution
    n_features_in_: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _OF_ROWS:
            if name in cls.__dict__:
                setattr(cls, name, _in_given_precision(cls.__dict__[name]))
        for name in ("get_covariance", "get_precision", "sample"):
            if name in cls.__dict__:
                setattr(cls, name, _in_fitted_precision(cls.__dict__[name]))
        for name in ("fit", "partial_fit"):
            if name in cls.__dict__:
                setattr(cls, name, _fitted_in_given_precision(cls.__dict__[name]))

    def score_samples(self, X: ArrayLike) -> Rows:
        """Return log p(x) for every row.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats; exact.
        """
        found = self._log_prob(self._rows_like_fitted(X))
        return rounded(found) if is_single(X) else found

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean of log p(x) over the rows, in nats.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``.
        y
            Ignored.
        sample_weight
            Weights of the rows in the mean, shape ``(n_samples,)``.
        """
        rows = self._rows_like_fitted(X)
        return float(np.average(self._log_prob(rows), weights=checked_weights(sample_weight, rows)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(getattr(self, "allow_nan", False))
        return tags

    def _rows_to_fit(
        self, X: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Rows, NDArray[np.float64] | None]:
        """Return the rows and weights to fit, without rows of weight 0."""
        return counted_rows(self._checked(X, reset=True, ensure_min_samples=2), sample_weight)

    def _rows_like_fitted(self, X: ArrayLike) -> Rows:
        check_is_fitted(self)
        return self._checked(X, reset=False)

    def _checked(self, X: ArrayLike, **options: Any) -> Rows:
        if isinstance(X, torch.Tensor):
            # NumPy knows neither gradients nor every dtype.
            X = X.detach().double().numpy(force=True)
        finite = "allow-nan" if getattr(self, "allow_nan", False) else True
        rows: Rows = validate_data(self, X, dtype=np.float64, ensure_all_finite=finite, **options)
        return rows

    def _log_prob(self, rows: Rows) -> Rows:
        return self._by_blocks(rows, self.model_.log_prob)

    def _by_blocks(self, rows: Rows, function: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
        """Return what a function of the model gives for rows, block by block."""
        with torch.no_grad():
            return np.concatenate([function(block).numpy(force=True) for block in self._blocks(rows)])

    def _blocks(self, rows: Rows) -> list[torch.Tensor]:
        """Return rows as tensors on the model's device, in blocks that bound the memory."""
        device = next(self.model_.parameters()).device
        # A copy: torch cannot wrap memory that is read-only or has negative strides.
        return [
            torch.tensor(rows[start : start + _BLOCK_ROWS].copy(), device=device)
            for start in range(0, len(rows), _BLOCK_ROWS)
        ]


class Draws(DensityEstimator):
    """An estimator that draws rows, with its own ``random_state``."""

    random_state: Any

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Rows:
        """Draw rows, shape ``(n_samples, n_features)``.

        Parameters
        ----------
        n_samples
            The number of rows.
        random_state
            None takes the estimator's own.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        random = check_random_state(self.random_state if random_state is None else random_state)
        with torch.no_grad():
            drawn = self.model_.sample(n_samples, seed=int(random.randint(_MOST_SEED)))
        return np.asarray(drawn.numpy(force=True))


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Draws):  # type: ignore[misc]
    """An estimator whose `transform` gives vectors that `inverse_transform` takes back."""

    vectors: ClassVar[str] = "latent vectors"

    def _vectors(self, X: ArrayLike) -> Rows:
        """Return vectors to be taken back, refusing those of another length than `transform` gives."""
        check_is_fitted(self)
        if isinstance(X, torch.Tensor):
            X = X.detach().double().numpy(force=True)
        rows: Rows = check_array(X, dtype=np.float64, ensure_min_features=0)
        if rows.shape[1] != self._n_features_out:
            raise UsageError(
                f"{self.vectors} of {rows.shape[1]} columns",
                fix=f"give {self._n_features_out}, as transform does",
            )
        return rows
