"""The distribution of y given X with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _num_samples,
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from logpx.arguments import check_count
from logpx.errors import DataError, UsageError
from logpx.estimators.base import checked_weights
from logpx.tables import Kind, Schema, TableModel, fit_table, infer_schema
from logpx.tables.conditioning.conditional_model import ConditionalModel
from logpx.tables.conditioning.predictions import quantile_name
from logpx.tables.reading.frame_part import frame_columns
from logpx.wording import counted

__all__ = ["ConditionalDensity"]

_MOST_SEED = 2**31 - 1
_CRPS_LEVELS = 200
# Rows whose quantiles for the CRPS are found at once.
_CRPS_ROWS = 1024
Columns = dict[str, Any]


def _has_labels(estimator: ConditionalDensity) -> bool:
    # Before a fit nobody knows what y holds, unless it was said.
    if not hasattr(estimator, "classes_") and (hasattr(estimator, "model_") or not estimator.labels):
        raise AttributeError("y is not one column of labels: take predict_quantiles, or labels=True")
    return True


class ConditionalDensity(BaseEstimator):  # type: ignore[misc]
    """p(y | X): a full predictive distribution of one or several targets, numbers or labels.

    A model of the rows of X and y together is fitted as by `logpx.fit`, but chosen and, if it is a network,
    trained for y given X; predictions condition it on X. A missing cell of X (NaN, None) is integrated out.

    Parameters
    ----------
    model
        ``auto``, or a model of tables that answers for some columns given others, such as ``gmm``.
    components
        The number of components of ``gmm`` or ``mppca``; chosen by default.
    max_time
        About how many seconds to take at most; None for a minute.
    labels
        Whether y holds labels; None for yes if it holds text or truth values.
    random_state
        For everything random.

    Attributes
    ----------
    model_ : logpx.tables.TableModel
        The fitted model of X and y.
    conditional_ : ConditionalModel
        The distribution of y given X.
    classes_ : ndarray
        The labels of y in ascending order, if it is one column of labels.
    kind_ : str
        What log p is: ``exact``, ``lower bound`` or ``estimate``.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they had any.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> X = generator.normal(size=(500, 1))
    >>> y = 2.0 * X[:, 0] + generator.normal(size=500)
    >>> density = ConditionalDensity("gaussian", random_state=0).fit(X, y)
    >>> density.predict([[1.0]]).round()
    array([2.])
    >>> low, high = density.predict_quantiles([[1.0]], [0.05, 0.95])[0]
    >>> bool(0.0 < low < 1.0), bool(3.0 < high < 4.0)
    (True, True)
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        components: int | None = None,
        max_time: float | None = None,
        labels: bool | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.components = components
        self.max_time = max_time
        self.labels = labels
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> ConditionalDensity:
        """Fit the model of X and y.

        Parameters
        ----------
        X
            An array of numbers of shape ``(n_samples, n_features)``, or a frame with columns of any kind.
        y
            Shape ``(n_samples,)`` or ``(n_samples, n_targets)``: numbers, or text for labels.
        sample_weight
            How much each row counts, shape ``(n_samples,)``, as the `weights` of a table's fit: one of weight
            0 is left out, and only ratios matter.

        Returns
        -------
        ConditionalDensity
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, y never varies, or the model cannot condition on columns.
        """
        given = self._features(X, reset=True)
        names, self._one_target = _target_names(y, list(given))
        target = _targets(y, _num_samples(X), names)
        self._target_names = names
        kinds = {name: "categorical" for name, cells in target.items() if self._holds_labels(cells)}
        table = _table(given, {n: cells.astype(str) if n in kinds else cells for n, cells in target.items()})
        if hasattr(self, "classes_"):
            delattr(self, "classes_")
        if kinds and len(target) == 1:
            self.classes_ = np.unique(next(iter(target.values())))
        schema = _schema(table, kinds, self._target_names)
        result = fit_table(
            table,
            self.model,
            schema=schema,
            components=self.components,
            max_time=self.max_time,
            seed=self._new_seed(),
            # Where nothing of X is left, y is all there is.
            target=self._target_names if set(schema.modelled_names) - set(target) else (),
            conditional=True,
            weights=checked_weights(sample_weight, np.empty((_num_samples(X), 1))),
        )
        assert isinstance(result.model, TableModel)
        self.model_: TableModel = result.model
        known = [name for name in self.model_.schema.modelled_names if name not in target]
        self.conditional_: ConditionalModel = self.model_.conditional(self._target_names, known)
        self.kind_ = self.conditional_.kind
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the means of numbers and the most probable labels.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        table = self._predicted(X, [0.5])
        found = [self._best(table, name) for name in self._target_names]
        return found[0] if self._one_target else np.column_stack(found)

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> NDArray[Any]:
        """Return quantiles of the predictive distribution of numbers.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles) or (n_samples, n_targets, n_quantiles)

        Raises
        ------
        UsageError
            If y holds labels, or a level is not above 0 and below 1.
        """
        self._require_numbers()
        table = self._predicted(X, quantiles)
        found = [
            np.stack([np.asarray(table[quantile_name(name, level)], np.float64) for level in quantiles], 1)
            for name in self._target_names
        ]
        return found[0] if self._one_target else np.stack(found, 1)

    @available_if(_has_labels)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each label of `classes_`; there only if y is one column of labels.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        table, name = self._predicted(X, [0.5]), self._target_names[0]
        labels = self.classes_.astype(str)
        return np.stack([np.asarray(table[f"{name}_probability_{label}"]) for label in labels], 1)

    def score_samples(self, X: Any, y: Any) -> NDArray[np.float64]:
        """Return log p(y | x) for every row in nats, of several targets jointly; `kind_` says what it is.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        rows = self._features(X, reset=False)
        target = _targets(y, _num_samples(X), self._target_names)
        own = {name: cells.astype(str) if self._is_label(name) else cells for name, cells in target.items()}
        table = _table(rows, own)
        found: NDArray[np.float64] = self.conditional_.log_prob(table).numpy()
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean of log p(y | x) in nats: the more, the better."""
        return float(np.average(self.score_samples(X, y), weights=sample_weight))

    def sample(
        self, X: Any, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[Any]:
        """Draw y for each row of X.

        Parameters
        ----------
        X
            The rows.
        n_samples
            How many draws for each.
        random_state
            None takes the estimator's own.

        Returns
        -------
        ndarray of shape (n_rows, n_samples) or (n_rows, n_samples, n_targets)
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        rows, seed = self._features(X, reset=False), self._new_seed(random_state)
        table = self.conditional_.sample(_table(rows), n_samples, seed)
        found = [self._values(table[name]).reshape(-1, n_samples) for name in self._target_names]
        return found[0] if self._one_target else np.stack(found, 2)

    def crps_samples(self, X: Any, y: Any) -> NDArray[np.float64]:
        r"""Return the continuous ranked probability score of every row, in the unit of y: lower is better.

        :math:`\int (F(z) - 1[z \ge y])^2 \, dz`, as the mean of the quantile losses at 200 levels.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)

        References
        ----------
        Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation.

        Raises
        ------
        UsageError
            If y holds labels.
        """
        self._require_numbers()
        rows = _table(self._features(X, reset=False))
        target = _targets(y, _num_samples(X), self._target_names)
        observed = np.column_stack(list(target.values())).astype(np.float64)
        levels = ((np.arange(_CRPS_LEVELS) + 0.5) / _CRPS_LEVELS).tolist()
        found = []
        for start in range(0, len(observed), _CRPS_ROWS):
            part = slice(start, start + _CRPS_ROWS)
            table = self.conditional_.predict(rows.slice(start, _CRPS_ROWS), levels)
            for_each = [
                np.stack([np.asarray(table[quantile_name(name, level)], np.float64) for level in levels], 1)
                for name in self._target_names
            ]
            errors = np.stack(for_each, 1) - observed[part, :, None]
            found.append(2.0 * np.mean(((errors > 0.0) - np.array(levels)) * errors, axis=2))
        scores = np.concatenate(found)
        return scores[:, 0] if self._one_target else scores

    def crps(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean of `crps_samples` over the rows, and over the targets."""
        found = self.crps_samples(X, y)
        return float(np.average(found.reshape(len(found), -1).mean(1), weights=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    def _new_seed(self, random_state: Any = None) -> int:
        own = self.random_state if random_state is None else random_state
        return int(check_random_state(own).randint(_MOST_SEED))

    def _features(self, X: Any, *, reset: bool) -> Columns:
        """Return the columns of X by name."""
        if not reset:
            check_is_fitted(self)
        if not hasattr(X, "columns") or not hasattr(X, "shape"):
            options: dict[str, Any] = {"ensure_all_finite": "allow-nan", "ensure_min_samples": 1 + reset}
            rows = validate_data(self, X, dtype=np.float64, reset=reset, **options)
            names = [f"x{index}" for index in range(rows.shape[1])]
            return dict(zip(names, rows.T.copy(), strict=True))
        _check_feature_names(self, X, reset=reset)
        _check_n_features(self, X, reset=reset)
        if _num_samples(X) < 1:
            raise DataError(f"Found array with 0 sample(s) (shape={X.shape})", fix="give rows")
        return frame_columns(X)[1]

    def _holds_labels(self, cells: NDArray[Any]) -> bool:
        return cells.dtype.kind not in "fiu" if self.labels is None else bool(self.labels)

    def _is_label(self, name: str) -> bool:
        schema = self.model_.schema
        return schema.columns[schema.names.index(name)].levels is not None

    def _require_numbers(self) -> None:
        check_is_fitted(self)
        for name in self._target_names:
            if self._is_label(name):
                raise UsageError("y holds labels, which have no order", fix="take predict_proba")

    def _predicted(self, X: Any, quantiles: Sequence[float]) -> Any:
        rows = self._features(X, reset=False)
        return self.conditional_.predict(_table(rows), quantiles)

    def _best(self, table: Any, name: str) -> NDArray[Any]:
        if not self._is_label(name):
            return np.asarray(table[f"{name}_mean"], dtype=np.float64)
        return self._values(table[f"{name}_predicted"])

    def _values(self, cells: Any) -> NDArray[Any]:
        """Return cells of a target as they were given to `fit`."""
        if not hasattr(self, "classes_"):
            return np.asarray(cells)
        labels = self.classes_.astype(str)
        order = labels.argsort()
        text = np.asarray(cells.to_pylist(), dtype=str)
        values: NDArray[Any] = self.classes_[order[np.searchsorted(labels, text, sorter=order)]]
        return values


def _table(rows: Columns, others: Columns | None = None) -> pa.Table:
    """Return columns as a table, which keeps their types."""
    columns = rows | (others or {})
    return pa.table(
        {n: own if isinstance(own, pa.ChunkedArray) else pa.array(own) for n, own in columns.items()}
    )


def _schema(table: pa.Table, kinds: dict[str, str], target: Sequence[str]) -> Schema:
    """Return the schema of a table, in which numbers that differ in every row are numbers all the same."""
    schema = infer_schema(table, kinds)
    numbers = [
        column.name
        for column in schema.columns
        if column.kind is Kind.IDENTIFIER and column.minimum is not None
    ]
    if numbers:
        schema = infer_schema(table, kinds | dict.fromkeys(numbers, "integer"))
    for name in target:
        column = schema.columns[schema.names.index(name)]
        if not column.modelled:
            raise DataError(
                f"the target cannot be modelled: {column.reason}", column=name, fix="give another"
            )
    return schema


def _target_names(y: Any, taken: Sequence[str]) -> tuple[list[str], bool]:
    """Return names of the columns of y apart from those of X, and whether y is a vector."""
    shape = y.shape if hasattr(y, "columns") else np.asarray(y).shape
    vector = len(shape) < 2 or (shape[1] == 1 and not hasattr(y, "columns"))
    names = [str(name) for name in y.columns] if hasattr(y, "columns") else []
    if not names:
        names = [str(getattr(y, "name", None) or "y")]
        names = names if vector else [f"y{index}" for index in range(shape[1])]
    while set(names) & set(taken):
        names = [f"{name}_" for name in names]
    return names, vector


def _targets(y: Any, rows: int, names: Sequence[str]) -> Columns:
    """Return the columns of y by name."""
    if y is None:
        raise UsageError("This estimator requires y to be passed, but the target y is None", fix="give y")
    if hasattr(y, "columns"):
        columns = [np.asarray(y[name]) for name in y.columns]
    else:
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        columns = list(values.reshape(len(values), -1).T.copy())
    for cells in columns:
        if cells.dtype.kind in "fiu":
            check_array(cells, dtype=None, ensure_2d=False, input_name="y")
    lengths = {len(cells) for cells in columns}
    if lengths != {rows}:
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: {[rows, *lengths]}",
            fix="give one y per row of X",
        )
    if len(columns) != len(names):
        raise DataError(
            f"{counted(len(columns), 'column')} of y, where {len(names)} were fitted",
            fix="give the same targets",
        )
    return dict(zip(names, columns, strict=True))
