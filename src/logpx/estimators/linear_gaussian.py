"""Probabilistic PCA and factor analysis with the interface of scikit-learn."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from logpx import latent
from logpx.arguments import check_count, check_number
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
    _moments: Moments | None

    def __init__(
        self,
        n_components: int | float | str | None = None,
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
            If an argument is invalid, there is one feature or one row, or a column with missing
            cells never varies.
        """
        rows, weights = self._rows_to_fit(X, sample_weight)
        features = rows.shape[1]
        if features < 2:
            raise UsageError(
                f"n_features = {features}, where latent dimensions need at least 2", fix="give more columns"
            )
        size = self._size(rows, weights)
        least, most = self._limits(features)
        check_count("n_components", size, least=least, most=most)
        # As many dimensions as features are one more than can be told from noise: the last one is empty.
        model = self._blank(features, min(size, features - 1))
        result = fit(model, rows, weights=weights, progress=False, **self._options(rows))
        self._ended_after(max(1, result.history[-1].epoch))
        self._moments = None
        if not np.isnan(rows).any():
            given = None if weights is None else torch.tensor(weights)
            self._moments = Moments.of(torch.tensor(rows), given, full=True)
        self._take(model, int(size))
        self._describe(rows, weights)
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Fit the model to the rows of all earlier calls and to these: the maximum for all of them.

        Mean and covariance are kept, which are all that the likelihood depends on, so that the result is that
        of one `fit` to all rows, but for rounding. The first call is `fit`, which also settles the size.

        Parameters
        ----------
        X
            Without missing cells, shape ``(n_samples, n_features)``.
        y
            Ignored.
        sample_weight
            At least 0, shape ``(n_samples,)``.

        Returns
        -------
        object
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, or a cell is missing, here or in an earlier call.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, sample_weight)
        rows = self._rows_like_fitted(X)
        if self._moments is None or np.isnan(rows).any():
            raise UsageError(
                "rows with missing cells are not summed up by their mean and covariance",
                fix="give all rows to fit, or take GaussianMixture(1)",
            )
        weights = self._weights(sample_weight, rows)
        given = None if weights is None else torch.tensor(weights)
        self._moments = self._moments + Moments.of(torch.tensor(rows), given, full=True)
        model = self._blank(rows.shape[1], min(self.n_components_, rows.shape[1] - 1))
        model.update_from_moments(self._moments)
        self._take(model.eval(), self.n_components_)
        self._describe(rows, weights)
        return self

    def _take(self, model: latent.LinearGaussian, size: int) -> None:
        """Set the attributes of a fit."""
        features = model.event_shape[0]
        self.model_ = model
        self.n_components_ = size
        with torch.no_grad():
            self.mean_ = model.mean.numpy(force=True).copy()
            self.components_ = np.zeros((size, features))
            self.components_[: features - 1] = model.loadings.numpy(force=True).T
            self.noise_variance_ = self._noise(model)

    def _ended_after(self, iterations: int) -> None:
        """Remember how many iterations of EM a fit took; 1 where it took none."""

    def _options(self, rows: _Numbers) -> dict[str, Any]:
        """Return options of EM, which rows with missing cells are fitted by."""
        return {}

    def _size(self, rows: _Numbers, weights: _Numbers | None) -> Any:
        return self._size_by_bic(rows, weights) if self.n_components is None else self.n_components

    def _limits(self, features: int) -> tuple[int, int]:
        return 1, features - 1

    def _describe(self, rows: _Numbers, weights: _Numbers | None) -> None:
        """Set what a kind of model has besides."""

    def transform(self, X: ArrayLike) -> _Numbers:
        """Return the posterior mean of the latent vector, shape ``(n_samples, n_components)``."""
        rows = self._rows_like_fitted(X)
        if not self.n_components_:
            return np.zeros((len(rows), 0))
        found = self._by_blocks(rows, lambda x: self.model_.posterior(x).mean)
        return np.pad(found, ((0, 0), (0, self.n_components_ - found.shape[1])))

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

    def _blank(self, features: int, size: int) -> latent.LinearGaussian:
        model = self.kind(features, size).double()  # type: ignore[call-arg]
        # As in scikit-learn.
        model.allows_constants = True
        return model

    def _size_by_bic(self, rows: _Numbers, weights: _Numbers | None) -> int:
        # Only to choose the size, missing cells are replaced by their column's mean.
        means = np.nanmean(rows, axis=0) if np.isnan(rows).any() else 0.0
        filled = torch.tensor(np.where(np.isnan(rows), means, rows))
        given = None if weights is None else torch.tensor(weights)
        samples, features = rows.shape
        moments = Moments.of(filled, given, full=True) if samples > features else None
        count = float(samples if given is None else given.sum())
        best, best_value = 1, math.inf
        # So many rows leave no noise around more dimensions than these.
        for size in range(1, max(2, min(features, samples - 1))):
            model = self._blank(features, size)
            mean = -math.inf if moments is None else model.update_from_moments(moments)
            if moments is None or model.needs_root(moments):
                mean = model.update_from_rows(filled, given)
            if model.covariance.limited:
                # So many leave no noise, and the likelihood has no maximum.
                break
            value = model.free_parameters * math.log(count) - 2.0 * count * mean
            if value < best_value:
                best, best_value = size, value
            elif moments is None and size >= best + 3:
                break
        return best


class ProbabilisticPCA(_LinearGaussian):
    """Probabilistic PCA fitted by maximum likelihood; cells may be missing.

    Its `score` is never below that of scikit-learn's ``PCA``, whose noise variance is not the maximiser.

    Parameters
    ----------
    n_components
        The number of latent dimensions; None chooses by BIC, ``"mle"`` by Minka's evidence. A share between 0
        and 1 takes as many as explain more than that share of the variance. With as many as there are
        features the density is that of one fewer, and the last loading is 0; with 0 all is noise.
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
    explained_variance_ : ndarray of shape (n_components,)
        The variance along each dimension, noise included, largest first; of maximum likelihood, so n divides.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Its share of the whole variance.
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

    def _limits(self, features: int) -> tuple[int, int]:
        return 0, features

    def _size(self, rows: _Numbers, weights: _Numbers | None) -> Any:
        size = self.n_components
        if isinstance(size, str):
            if size != "mle" or weights is not None:
                raise UsageError(
                    f"n_components is {size!r}" + (" for weighted rows" if size == "mle" else ""),
                    fix="give a number, a share between 0 and 1, 'mle' for rows without weights, or None",
                )
            return int(PCA(n_components="mle").fit(_filled(rows)).n_components_) or 1
        if isinstance(size, float) and 0.0 < size < 1.0:
            filled = _filled(rows)
            centred = filled - np.average(filled, axis=0, weights=weights)
            shares = np.ones(len(rows)) if weights is None else weights
            variances = np.linalg.svd(centred * np.sqrt(shares)[:, None], compute_uv=False) ** 2
            reached = np.cumsum(variances) / variances.sum()
            return min(int(np.searchsorted(reached, size, side="right")) + 1, len(variances))
        return super()._size(rows, weights)

    def _describe(self, rows: _Numbers, weights: _Numbers | None) -> None:
        loadings = self.components_ if len(self.components_) else np.zeros((1, rows.shape[1]))
        along = np.linalg.svd(loadings, compute_uv=False) ** 2
        self.explained_variance_ = along[: self.n_components_] + self.noise_variance_
        self.explained_variance_ratio_ = self.explained_variance_ / np.trace(self.get_covariance())


def _filled(rows: _Numbers) -> _Numbers:
    """Return rows with missing cells at their column's mean, only to choose a size."""
    missing = np.isnan(rows)
    return np.where(missing, np.nanmean(rows, axis=0), rows) if missing.any() else rows


_ROTATIONS = {"quartimax": latent.quartimax, "varimax": latent.varimax}


class FactorAnalysis(_LinearGaussian):
    """Factor analysis fitted by maximum likelihood; cells may be missing.

    Parameters
    ----------
    n_components
        The number of factors; None chooses by BIC. With as many as there are features the density is that of
        one fewer, and the last loading is 0; with 0 all is noise.
    rotation
        None, ``"varimax"`` or ``"quartimax"``: factors are turned so that each column loads on few of them,
        which changes no density.
    tol, max_iter
        Of EM for rows with missing cells: the gain, relative to the log-likelihood, that is little, and the
        most iterations; None leaves both to `logpx.fit`. Complete rows are fitted to the maximum in any case.
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
    n_iter_ : int
        The number of iterations of EM; 1 of complete rows, which need none.
    loglike_ : list of float
        The log-likelihood in nats, at the end of the fit, of the rows that were given last.
    model_ : logpx.latent.FactorAnalysis
        The fitted model in float64.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 4)) * [3.0, 1.0, 1.0, 1.0]
    >>> FactorAnalysis(n_components=1).fit(X).noise_variance_.shape
    (4,)
    """

    kind = latent.FactorAnalysis

    def __init__(
        self,
        n_components: int | None = None,
        *,
        rotation: str | None = None,
        tol: float | None = None,
        max_iter: int | None = None,
        allow_nan: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(n_components, allow_nan=allow_nan, random_state=random_state)
        self.rotation = rotation
        self.tol = tol
        self.max_iter = max_iter

    def _limits(self, features: int) -> tuple[int, int]:
        return 0, features

    def _ended_after(self, iterations: int) -> None:
        self.n_iter_ = iterations

    def _options(self, rows: _Numbers) -> dict[str, Any]:
        if self.tol is not None:
            check_number("tol", self.tol, above=0.0)
        if self.max_iter is not None:
            check_count("max_iter", self.max_iter)
        if not np.isnan(rows).any():
            return {}
        given = {"tolerance": self.tol, "max_epochs": self.max_iter}
        return {name: value for name, value in given.items() if value is not None}

    def _describe(self, rows: _Numbers, weights: _Numbers | None) -> None:
        if self.rotation is not None:
            if self.rotation not in _ROTATIONS:
                raise UsageError(f"rotation is {self.rotation!r}", fix="give 'varimax', 'quartimax' or None")
            with torch.no_grad():
                turned = _ROTATIONS[self.rotation](self.model_.loadings, normalise=False).loadings
                self.model_.loadings.copy_(turned)
                self.components_[: len(turned.mT)] = turned.numpy(force=True).T
        each = self._log_prob(rows)
        self.loglike_ = [float((each if weights is None else each * weights).sum())]
