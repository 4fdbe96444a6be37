"""The Gaussian mixture with the interface of scikit-learn."""

from __future__ import annotations

import math
import numbers
import time
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from logpx import latent
from logpx.arguments import check_count
from logpx.errors import DataError, DivergedError, UsageError
from logpx.estimators.base import DensityEstimator, checked_weights
from logpx.estimators.covariance_types import CovarianceType, covariance_type_named
from logpx.estimators.mixture_start import MixtureStart
from logpx.inference import expectation_maximisation

__all__ = ["GaussianMixture"]

_MOST_SEED = np.iinfo(np.int32).max
# A guard against rounding when reg_covar is smaller: no meaningful covariance comes near it.
_LEAST_RELATIVE_VARIANCE = 1e-14
_Numbers = NDArray[np.float64]


class GaussianMixture(DensityEstimator):
    r"""Gaussian mixture, a replacement for ``sklearn.mixture.GaussianMixture``.

    It has scikit-learn's parameters, attributes and methods, and adds sample weights, missing cells, priors,
    two more covariance types and more ways to start. The differences:

    - ``reg_covar`` is the least variance that a component may have in any direction. It is a constraint,
      under which EM never falls; scikit-learn instead adds it to every variance after each M-step.
    - ``lower_bound_`` is the mean log-likelihood of the returned parameters, not of the ones before.
    - Of several starts (``n_init``), one that ended with a component on a few rows is kept only if all did.
    - Samples come in random order.

    Parameters
    ----------
    n_components
        The number of components K.
    covariance_type
        ``full``, ``tied``, ``diag``, ``spherical``, or ``tied_diag`` and ``tied_spherical``: one covariance
        of this kind for all components.
    tol
        EM ends when the mean log-likelihood changes by less than this, in nats per row.
    reg_covar
        The least variance of a component in any direction, in the squared units of the data.
    max_iter
        The maximum number of iterations.
    n_init
        The number of starts; the best result is kept.
    init_params
        ``kmeans``, ``k-means++``, ``random`` (responsibilities) or ``random_from_data``, or one of
        `logpx.latent.STARTS`, which do not depend on the units of the columns.
    weights_init, means_init, precisions_init
        Where EM starts, in the shapes of the attributes; any that are None come from `init_params`.
    random_state
        For the starts and the samples.
    warm_start
        Whether ``fit`` continues from the last fit.
    verbose, verbose_interval
        Whether to print progress, and after how many iterations each time.
    allow_nan
        Whether cells may be missing (NaN): they are integrated out, which is exact if they are missing at
        random.
    prior
        A `logpx.latent.ConjugatePrior`; None means maximum likelihood.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        The weights of the components.
    means_ : ndarray of shape (n_components, n_features)
        Their means.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses, and the upper triangular factors U of these, U Uᵀ. Shape
        ``(n_components, n_features, n_features)`` if full, ``(n_features, n_features)`` if tied,
        ``(n_components, n_features)`` if diag, ``(n_components,)`` if spherical, ``(n_features,)`` if
        tied_diag, ``()`` if tied_spherical.
    converged_ : bool
        Whether the last iteration changed the objective by less than `tol`.
    n_iter_ : int
        The number of iterations.
    lower_bound_ : float
        The mean log-likelihood of the training rows that have a value, in nats; exact.
    lower_bounds_ : list of float
        The objective after each iteration: the mean log-likelihood, plus the log-prior, if any, divided by
        the number of rows.
    model_ : logpx.latent.GaussianMixture
        The fitted mixture in float64: save it, condition it, take its marginals.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they had any.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, np.nan]])
    >>> mixture = GaussianMixture(n_components=2, covariance_type="diag", random_state=0).fit(X)
    >>> mixture.predict([[0.0, 0.0], [12.0, np.nan]]) == mixture.predict([[1.0, 1.0], [10.0, 3.0]])
    array([ True,  True])
    >>> mixture.impute(X)[-1].round(3)
    array([10.,  3.])
    """

    model_: latent.GaussianMixture
    _statistics: Any

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        allow_nan: bool = True,
        prior: latent.ConjugatePrior | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.allow_nan = allow_nan
        self.prior = prior

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> GaussianMixture:
        """Fit the mixture by EM.

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
        GaussianMixture
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, there are too few rows, or a column has no value.
        DataError
            If `reg_covar` is 0 and the covariance of a component is singular.
        DivergedError
            If the log-likelihood is not finite from any start.
        """
        kind = self._checked_covariance_type()
        rows, weights = self._rows_to_fit(X, sample_weight)
        if len(rows) < self.n_components:
            raise UsageError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {len(rows)}",
                fix="give more rows, or fewer components",
            )
        start = MixtureStart(rows, weights, self.n_components, self.init_params)
        model = self._new_model(kind, start)
        going_on = self.warm_start and hasattr(self, "model_")
        if going_on:
            _copy_parameters(self.model_, model)
        random = check_random_state(self.random_state)
        batches = [(torch.tensor(rows), None if weights is None else torch.tensor(weights))]
        best: tuple[Any, ...] | None = None
        failure: DivergedError | None = None
        for number in range(1 if going_on or self.n_components == 1 else self.n_init):
            watch = _Watch(self.tol, self.verbose, self.verbose_interval)
            watch.begin(number)
            if not going_on:
                self._set_start(kind, model, start, random)
            try:
                # EM's own stopping rule looks further ahead than scikit-learn's.
                result = expectation_maximisation(
                    model,
                    lambda: batches,
                    max_iterations=self.max_iter,
                    tolerance=-math.inf,
                    callback=watch,
                )
            except DivergedError as error:
                failure = error
                continue
            watch.end()
            quality = not model.collapsed(result.statistics), result.penalised
            if best is None or quality > best[0]:
                state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
                best = quality, result, watch.converged, state
        if best is None:
            assert failure is not None
            raise failure
        _, result, self.converged_, state = best
        model.load_state_dict(state)
        self._statistics = result.statistics
        self.n_iter_, self.lower_bounds_ = len(result.history) - 1, result.history[1:]
        self.lower_bound_ = result.log_likelihood
        self._take(kind, model)
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, or increase "
                "max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> GaussianMixture:
        """Take one step of EM with new rows: their statistics are added to those kept of the earlier rows.

        The first call is `fit`. Each later one divides its rows among the components as they are, adds what
        this gives to the statistics of the earlier rows, divided as the components were then, and updates
        the components from the sum (incremental EM, Neal and Hinton 1998). Components are neither added nor
        removed; `lower_bound_` is the mean log-likelihood of the new rows before the step.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``; a missing cell is NaN.
        y
            Ignored.
        sample_weight
            At least 0, shape ``(n_samples,)``.

        Returns
        -------
        GaussianMixture
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, sample_weight)
        kind = self._checked_covariance_type()
        rows = self._rows_like_fitted(X)
        weights = checked_weights(sample_weight, rows)
        with torch.no_grad():
            new = self.model_.statistics(
                torch.tensor(rows), None if weights is None else torch.tensor(weights)
            )
            self._statistics = self._statistics + new
            self.model_.update(self._statistics)
        self.n_iter_, self.lower_bound_ = self.n_iter_ + 1, float(new.log_likelihood / new.weight)
        self.lower_bounds_ = [*self.lower_bounds_, self.lower_bound_]
        self._take(kind, self.model_)
        return self

    def _take(self, kind: CovarianceType, model: latent.GaussianMixture) -> None:
        """Set the attributes of a fit."""
        self.model_ = self._without_singular_covariances(model.eval())
        self.weights_ = model.weights.numpy(force=True)
        self.means_ = model.means.numpy(force=True).copy()
        self.covariances_ = kind.covariances(model)
        self.precisions_cholesky_ = kind.precision_factors(model)
        self.precisions_ = kind.precisions(self.precisions_cholesky_)

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit the mixture, and return the most probable component of every row, shape ``(n_samples,)``."""
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable component of every row, shape ``(n_samples,)``."""
        labels: NDArray[np.int64] = self.predict_proba(X).argmax(1)
        return labels

    def predict_proba(self, X: ArrayLike) -> _Numbers:
        """Return p(component given x), shape ``(n_samples, n_components)``."""
        return self._by_blocks(self._rows_like_fitted(X), self.model_.responsibilities)

    def sample(self, n_samples: int = 1) -> tuple[_Numbers, NDArray[np.int64]]:
        """Draw rows, in random order.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows.
        y : ndarray of shape (n_samples,)
            The component of each.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        random = check_random_state(self.random_state)
        chosen = random.choice(self.weights_.size, size=n_samples, p=self.weights_ / self.weights_.sum())
        generator = torch.Generator().manual_seed(int(random.randint(_MOST_SEED)))
        with torch.no_grad():
            drawn = self.model_.parts.draw(torch.tensor(chosen, dtype=torch.int64), generator)
        return drawn.numpy(force=True), chosen.astype(np.int64)

    def aic(self, X: ArrayLike) -> float:
        """Return Akaike's criterion on rows, -2 log L + 2 m with m free parameters: lower is better."""
        log_prob = self.score_samples(X)
        return float(-2.0 * log_prob.sum() + 2.0 * self.model_.free_parameters)

    def bic(self, X: ArrayLike) -> float:
        """Return the Bayesian information criterion on n rows, -2 log L + m log n: lower is better."""
        log_prob = self.score_samples(X)
        return float(-2.0 * log_prob.sum() + self.model_.free_parameters * math.log(log_prob.size))

    def icl(self, X: ArrayLike) -> float:
        r"""Return the integrated completed likelihood criterion on rows: lower is better.

        It is BIC plus twice the entropy of the responsibilities,
        :math:`\mathrm{BIC} - 2 \sum_{ik} \tau_{ik} \log \tau_{ik}`, so that overlapping components count
        against a mixture: it chooses a number of clusters, whereas BIC chooses a number of components.

        References
        ----------
        Biernacki, Celeux and Govaert 2000, Assessing a mixture model for clustering with the integrated
        completed likelihood.
        """
        shares = self.predict_proba(X)
        return self.bic(X) - 2.0 * float((shares * np.log(np.where(shares > 0.0, shares, 1.0))).sum())

    def impute(self, X: ArrayLike) -> _Numbers:
        """Fill in missing cells with their conditional means, shape ``(n_samples, n_features)``."""
        return self._by_blocks(self._rows_like_fitted(X), self.model_.impute)

    def _checked_covariance_type(self) -> CovarianceType:
        """Return the covariance type; refuse the first parameter that makes no sense."""
        kind = covariance_type_named(self.covariance_type)
        for name, least in (("n_components", 1), ("n_init", 1), ("max_iter", 0), ("verbose_interval", 1)):
            check_count(name, getattr(self, name), least)
        for name in ("tol", "reg_covar"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < math.inf:
                raise UsageError(f"{name} is {value!r}", fix="give a number, 0 or more")
        return kind

    def _without_singular_covariances(self, model: latent.GaussianMixture) -> latent.GaussianMixture:
        """Return the model, unless only a floor nobody asked for keeps covariances from being singular."""
        asked_for = bool(self.reg_covar) or self.prior is not None
        if not asked_for and bool((model.parts.covariance.smallest(model.parts.floors) < 2.0).any()):
            raise DataError(
                "Fitting the mixture model failed because some components have ill-defined empirical "
                "covariance: their rows lie on a point, a line or a plane, and the likelihood is unbounded",
                fix="decrease the number of components, or increase reg_covar, to 1e-6, say",
            )
        return model

    def _new_model(self, kind: CovarianceType, start: MixtureStart) -> latent.GaussianMixture:
        floor = float(self.reg_covar)
        model = latent.GaussianMixture(
            self.n_components, len(start.means), kind.covariance, prior=self.prior, floor=floor
        ).double()
        if self.prior is not None:
            weights = None if start.weights is None else torch.tensor(start.weights)
            model.parts.initialise(torch.tensor(start.rows), weights)
        least = torch.tensor(_LEAST_RELATIVE_VARIANCE * start.variances).clamp_min(floor)
        model.parts.set_floors(torch.tensor(start.means), least)
        return model

    @torch.no_grad()
    def _set_start(
        self,
        kind: CovarianceType,
        model: latent.GaussianMixture,
        start: MixtureStart,
        random: np.random.RandomState,
    ) -> None:
        if any(value is None for value in (self.weights_init, self.means_init, self.precisions_init)):
            start.give(model, random)
        if self.weights_init is not None:
            weights = _given("weights_init", self.weights_init, (model.components,))
            if bool((weights < 0.0).any()) or not math.isclose(weights.sum(), 1.0, abs_tol=1e-6):
                raise UsageError("weights_init are not probabilities", fix="let them sum to 1")
            model.logits.copy_(torch.tensor(weights).log().clamp_min(-700.0))
        if self.means_init is not None:
            means = _given("means_init", self.means_init, tuple(model.means.shape))
            model.means.copy_(torch.tensor(means))
        if self.precisions_init is not None:
            kind.set_precisions(model, self.precisions_init)


class _Watch:
    """Ends EM when the objective changes by less than a tolerance, and prints progress."""

    def __init__(self, tolerance: float, verbose: int, interval: int) -> None:
        self._tolerance, self._verbose, self._interval = tolerance, verbose, interval
        self.converged = False
        self._last = -math.inf
        self._began = time.monotonic()

    def begin(self, number: int) -> None:
        if self._verbose:
            print(f"Initialization {number}")

    def __call__(self, iteration: int, objective: float) -> bool:
        change, self._last = objective - self._last, objective
        self.converged = abs(change) < self._tolerance
        if self._verbose and iteration and iteration % self._interval == 0:
            print(f"  Iteration {iteration}{self._details(f'change {change:.5f}')}")
        return self.converged

    def end(self) -> None:
        if self._verbose:
            verb = "converged" if self.converged else "did not converge"
            print(f"Initialization {verb}.{self._details(f'lower bound {self._last:.5f}')}")

    def _details(self, text: str) -> str:
        if self._verbose < 2:
            return ""
        return f"\t time {time.monotonic() - self._began:.5f} s\t {text}"


@torch.no_grad()
def _copy_parameters(last: latent.GaussianMixture, model: latent.GaussianMixture) -> None:
    ours, theirs = dict(model.named_parameters()), dict(last.named_parameters())
    if {name: value.shape for name, value in ours.items()} != {n: value.shape for n, value in theirs.items()}:
        raise UsageError(
            "warm_start from a fit with other components, columns or covariances",
            fix="fit a new estimator, or set warm_start=False",
        )
    for name, value in ours.items():
        value.copy_(theirs[name])


def _given(name: str, values: Any, shape: tuple[int, ...]) -> _Numbers:
    given = np.asarray(values, dtype=np.float64)
    if given.shape != shape or not np.isfinite(given).all():
        raise UsageError(f"{name} of shape {given.shape}", fix=f"give finite numbers of shape {shape}")
    return given
