"""Every method of every estimator, given unusual rows: numbers, or a clear ValueError as scikit-learn's."""

import numpy as np
import pytest
import torch

from logpx.estimators import (
    FactorAnalysis,
    FlowDensity,
    GaussianMixture,
    ProbabilisticPCA,
    VariationalAutoencoder,
)

X = np.random.default_rng(0).normal(size=(40, 3))
ESTIMATORS = [
    GaussianMixture(),
    ProbabilisticPCA(1),
    FactorAnalysis(1),
    FlowDensity(layers=1, hidden=(4,), max_epochs=1),
    VariationalAutoencoder(hidden=(4,), max_epochs=1),
]
METHODS = ["score_samples", "score", "predict", "predict_proba", "transform", "impute", "bic", "aic", "icl"]


def with_cell(value):
    rows = X[:3].copy()
    rows[1, 1] = value
    return rows


NUMBERS = {
    "whole numbers": (3 * X[:5]).astype(int),
    "truth values": X[:3] > 0.0,
    "one row": X[:1],
    "half precision": X[:3].astype(np.float16),
    "a tensor": torch.tensor(X[:3], requires_grad=True),
    "a tensor in half precision": torch.tensor(X[:3]).bfloat16(),
    "a list": X[:3].tolist(),
}
NONE = {
    "a single row": X[0],
    "no row": X[:0],
    "another width": np.zeros((3, 4)),
    "infinity": with_cell(np.inf),
    "minus infinity": with_cell(-np.inf),
    "text": np.array([["a", "b", "c"]]),
    "nothing": None,
}


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def fitted(request):
    return request.param.fit(X)


def test_numbers_are_scored_and_what_is_none_is_named(fitted):
    methods = [getattr(fitted, name) for name in METHODS if hasattr(fitted, name)]
    for method in methods:
        for name, rows in NUMBERS.items():
            assert np.isfinite(method(rows)).all(), (method, name)
        for name, rows in NONE.items():
            with pytest.raises(ValueError) as error:  # noqa: PT011
                method(rows)
            assert "torch" not in str(error.value), (method, name)
    assert fitted.score_samples(with_cell(1e200))[1] < -1e6
    missing = with_cell(np.nan)
    if getattr(fitted, "allow_nan", False):
        assert np.isfinite(fitted.score_samples(missing)).all()
    else:
        with pytest.raises(ValueError, match="NaN"):
            fitted.score_samples(missing)


@pytest.mark.parametrize("estimator", ESTIMATORS[3:], ids=lambda estimator: type(estimator).__name__)
def test_rows_too_large_to_be_squared_are_refused(estimator):
    with pytest.raises(ValueError, match="too large"):
        type(estimator)(**estimator.get_params()).fit(with_cell(1e200))
