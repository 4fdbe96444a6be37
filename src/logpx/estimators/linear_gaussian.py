"""Probabilistic PCA and factor analysis with the interface of scikit-learn."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from logpx import latent
from logpx.arguments import check_count
from logpx.distributions import Moments
from logpx.errors import UsageError
from logpx.estimators.base import Transformer
from logpx.training import fit

__all__ = ["FactorAnalysis", "ProbabilisticPCA"]

_Numbers = NDArray[np.float64]


class _LinearGaussian(Transformer):
    """A linear-Gaussian model as an estimator: `transform` gives the posterior mean of the latent vector."""

    kind: ClassVar[type[latent.LinearGaussian]]
    model_: latent.LinearGaussian

    def __init__(
        self,
        n_components: int | None = None,
        *,
        allow_nan: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.allow_nan = allow_nan
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Fit the model by maximum likelihood.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``; a missing cell is NaN.
        y
            Ignored.
        sample_weight
            At least 0, shape ``(n_samples,)``: a row of weight 2 counts like two rows.

        Returns
        -------
        object
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, there is one feature or one row, or a column never varies.
        """
        rows, weights = self._rows_to_fit(X, sample_weight)
        features = rows.shape[1]
        if features < 2:
            raise UsageError(
                f"n_features = {features}, where latent dimensions need at least 2", fix="give more columns"
            )
        size = self.n_components
        if size is None:
            size = self._size_by_bic(rows, weights)
        check_count("n_components", size, least=1, most=features - 1)
        model = self.kind(features, size).double()  # type: ignore[call-arg]
        fit(model, rows, weights=weights, progress=False)
        self.model_ = model
        self.n_components_ = int(size)
        with torch.no_grad():
            self.mean_ = model.mean.numpy(force=True).copy()
            self.components_ = model.loadings.numpy(force=True).T.copy()
            self.noise_variance_ = self._noise(model)
        return self

    def transform(self, X: ArrayLike) -> _Numbers:
        """Return the posterior mean of the latent vector, shape ``(n_samples, n_components)``."""
        return self._by_blocks(self._rows_like_fitted(X), lambda x: self.model_.posterior(x).mean)

    def inverse_transform(self, X: ArrayLike) -> _Numbers:
        """Return the mean of p(x given z) for latent vectors, shape ``(n_samples, n_features)``."""
        return np.asarray(self._vectors(X) @ self.components_ + self.mean_)

    def impute(self, X: ArrayLike) -> _Numbers:
        """Return rows with missing cells replaced by their conditional means."""
        return self._by_blocks(self._rows_like_fitted(X), self.model_.impute)

    def get_covariance(self) -> _Numbers:
        """Return the covariance of x, shape ``(n_features, n_features)``."""
        check_is_fitted(self)
        with torch.no_grad():
            return np.asarray(self.model_.covariance.matrices()[0].numpy(force=True))

    def get_precision(self) -> _Numbers:
        """Return the inverse of the covariance, shape ``(n_features, n_features)``."""
        check_is_fitted(self)
        with torch.no_grad():
            return np.asarray(self.model_.covariance.precisions()[0][0].numpy(force=True))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _noise(self, model: latent.LinearGaussian) -> Any:
        return model.noise_variances.numpy(force=True).copy()

    def _size_by_bic(self, rows: _Numbers, weights: _Numbers | None) -> int:
        # Only to choose the size, missing cells are replaced by their column's mean.
        means = np.nanmean(rows, axis=0) if np.isnan(rows).any() else 0.0
        filled = torch.tensor(np.where(np.isnan(rows), means, rows))
        moments = Moments.of(filled, None if weights is None else torch.tensor(weights), full=True)
        count = float(moments.count)
        best, best_value = 1, math.inf
        for size in range(1, rows.shape[1]):
            model = self.kind(rows.shape[1], size).double()  # type: ignore[call-arg]
            value = model.free_parameters * math.log(count) - 2.0 * count * model.update_from_moments(moments)
            if value < best_value:
                best, best_value = size, value
        return best


class ProbabilisticPCA(_LinearGaussian):
    """Probabilistic PCA fitted by maximum likelihood; cells may be missing.

    Its `score` is never below that of scikit-learn's ``PCA``, whose noise variance is not the maximiser.

    Parameters
    ----------
    n_components
        The number of latent dimensions, at least 1 and below the number of features; None chooses by BIC.
    allow_nan
        Whether cells may be missing.
    random_state
        Of `sample`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The loadings, transposed; unlike those of ``PCA``, not of unit length.
    mean_ : ndarray of shape (n_features,)
        The mean.
    noise_variance_ : float
        The variance of the noise.
    n_components_ : int
        The number of latent dimensions.
    model_ : logpx.latent.ProbabilisticPCA
        The fitted model in float64.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 4)) * [3.0, 1.0, 1.0, 1.0]
    >>> ProbabilisticPCA(n_components=1).fit_transform(X).shape
    (100, 1)
    """

    kind = latent.ProbabilisticPCA

    def _noise(self, model: latent.LinearGaussian) -> Any:
        return float(model.noise_variances[0])


class FactorAnalysis(_LinearGaussian):
    """Factor analysis fitted by maximum likelihood; cells may be missing.

    Parameters
    ----------
    n_components
        The number of factors, at least 1 and below the number of features; None chooses by BIC.
    allow_nan
        Whether cells may be missing.
    random_state
        Of `sample`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The loadings, transposed; known only up to a rotation.
    mean_ : ndarray of shape (n_features,)
        The mean.
    noise_variance_ : ndarray of shape (n_features,)
        The variances of the noise.
    n_components_ : int
        The number of factors.
    model_ : logpx.latent.FactorAnalysis
        The fitted model in float64.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 4)) * [3.0, 1.0, 1.0, 1.0]
    >>> FactorAnalysis(n_components=1).fit(X).noise_variance_.shape
    (4,)
    """

    kind = latent.FactorAnalysis
