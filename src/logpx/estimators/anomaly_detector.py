"""Detection of anomalies among rows of numbers, with the interface of scikit-learn's outlier detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from logpx.arguments import check_count, is_number
from logpx.errors import UsageError
from logpx.estimators.base import counted_rows, is_single, rounded
from logpx.latent.robust import MixtureEnsemble
from logpx.scoring import Calibration
from logpx.wording import counted

__all__ = ["AnomalyDetector"]

_MOST_SEED = 2**31 - 1
_Rows = NDArray[np.float64]


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    r"""How usual a row of numbers is, by an ensemble of small robust Gaussian mixtures.

    No labels are needed, and the rows of the fit may hold anomalies. Scores are high for usual rows, as in
    scikit-learn. `p_values` are conformal, from scores of each row of the fit by those members of the
    ensemble that have not seen it: among rows of the same kind as those of the fit, about 5 % have a p-value
    of 0.05 or less.

    Parameters
    ----------
    contamination
        The share of the rows of the fit that `predict` calls anomalies, above 0 and at most 0.5.
    members
        How many mixtures; more make scores steadier and cost time.
    allow_nan
        Whether cells may be missing (NaN): they are integrated out.
    random_state
        For the rows and the starts of the mixtures.

    Attributes
    ----------
    offset_ : float
        `predict` calls rows with a lower score anomalies.
    calibration_ : logpx.scoring.Calibration
        The scores that p-values are found by.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they had any.

    Notes
    -----
    Scores were chosen on the ten sets of PyOD's table, beside joint log p, ranks of columns and others; see
    ``benchmarks/results/anomalies.md``. `p_values` say how unusual a row is among rows like those of the fit.
    If these hold many anomalies of one kind, more of that kind are not unusual among them.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> detector = AnomalyDetector(random_state=0).fit(X)
    >>> detector.predict([[0.0, 0.0], [8.0, 8.0]])
    array([ 1, -1])
    >>> detector.p_values([[8.0, 8.0]]).round(3)
    array([0.003])
    """

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        members: int = 40,
        allow_nan: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.contamination = contamination
        self.members = members
        self.allow_nan = allow_nan
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> AnomalyDetector:
        """Fit the mixtures.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``; a missing cell is NaN.
        y
            Ignored.
        sample_weight
            How much each row counts, shape ``(n_samples,)``: mixtures see rows in proportion to it. One of
            weight 0 is left out. P-values and `contamination` refer to rows as they are, and count those
            that are left alike.

        Returns
        -------
        AnomalyDetector
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, or there are fewer than two rows of a weight above 0.
        """
        if not is_number(self.contamination) or not 0.0 < self.contamination <= 0.5:
            raise UsageError(
                f"contamination is {self.contamination!r}",
                fix="give the share of anomalies, above 0 and at most 0.5",
            )
        check_count("members", self.members)
        rows, weights = counted_rows(self._checked(X, reset=True, ensure_min_samples=2), sample_weight)
        seed = int(check_random_state(self.random_state).randint(_MOST_SEED))
        fitted = MixtureEnsemble.fitted(rows, members=self.members, seed=seed, weights=weights)
        self.ensemble_ = fitted.ensemble
        seen, unseen = fitted.scores(torch.from_numpy(rows))
        source = f"{counted(len(rows), 'row')}, each by members that have not seen it"
        self.calibration_ = Calibration.of(unseen, source)
        self.offset_ = float(np.percentile(seen.numpy(), 100.0 * self.contamination))
        return self

    def score_samples(self, X: ArrayLike) -> _Rows:
        """Return how usual rows are, shape ``(n_samples,)``: a mean of log-densities less what is usual."""
        rows = self._rows_like_fitted(X)
        found = self.ensemble_.scores(torch.from_numpy(rows)).numpy()
        return rounded(found) if is_single(X) else found

    def decision_function(self, X: ArrayLike) -> _Rows:
        """Return the scores less `offset_`, shape ``(n_samples,)``: below 0 for anomalies."""
        found: _Rows = self.score_samples(X) - self.offset_
        return found

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return -1 for anomalies and 1 for other rows, shape ``(n_samples,)``."""
        return np.where(self.decision_function(X) < 0.0, -1, 1).astype(np.int64)

    def p_values(self, X: ArrayLike) -> _Rows:
        """Return the conformal p-values of rows, shape ``(n_samples,)``: low for unusual rows.

        `logpx.scoring.benjamini_hochberg` selects rows by them so that the share of false alarms is bounded.
        """
        # In the precision of the calibration: a score that is rounded may change places with one of the fit.
        rows = self._rows_like_fitted(X)
        scores = self.ensemble_.scores(torch.from_numpy(rows))
        found = self.calibration_.p_values(scores).numpy()
        return rounded(found) if is_single(X) else found

    def predict_proba(self, X: ArrayLike) -> _Rows:
        """Return p-values and 1 less them, shape ``(n_samples, 2)``: usual rows first, as in PyOD.

        As in PyOD, they are no probabilities that a row is an anomaly, which nothing is known about without
        labels. 0.99 says that of 100 rows like those of the fit one is as unusual.
        """
        usual = self.p_values(X)
        return np.stack([usual, 1.0 - usual], 1)

    def surprisals(self, X: ArrayLike) -> _Rows:
        """Return how strange each cell is given the others of its row, shape ``(n_samples, n_features)``.

        The logarithm of the odds that the cell came from elsewhere: -log p(cell given the rest) under all
        mixtures as one, plus that of its probability in the column by itself, with wide tails. In nats: high
        is strange, and the highest of a row is the cell to blame; NaN where a cell is missing.
        """
        rows = self._rows_like_fitted(X)
        found: _Rows = self.ensemble_.surprisals(torch.from_numpy(rows)).numpy()
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = bool(self.allow_nan)
        return tags

    def _rows_like_fitted(self, X: ArrayLike) -> _Rows:
        check_is_fitted(self)
        return self._checked(X, reset=False)

    def _checked(self, X: ArrayLike, **options: Any) -> _Rows:
        if isinstance(X, torch.Tensor):
            X = X.detach().double().numpy(force=True)
        finite = "allow-nan" if self.allow_nan else True
        # Tensors share the memory of arrays, which must then be writeable.
        options |= {"dtype": np.float64, "ensure_all_finite": finite, "force_writeable": True}
        rows: _Rows = validate_data(self, X, **options)
        return rows
