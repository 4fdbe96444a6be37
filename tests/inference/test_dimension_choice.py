"""The number of latent dimensions, against scikit-learn and data of a known number."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from logpx.errors import DataError, UsageError
from logpx.inference import DIMENSION_CRITERIA, choose_dimension
from logpx.latent import FactorAnalysis, GaussianMixture


def _rows(n: int = 600, noise: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    loadings = torch.randn(3, 8, generator=generator)
    return torch.randn(n, 3, generator=generator) @ loadings + noise * torch.randn(n, 8, generator=generator)


@pytest.mark.parametrize("criterion", DIMENSION_CRITERIA)
def test_every_criterion_finds_three_dimensions(criterion: str):
    choice = choose_dimension(_rows(), criterion=criterion)
    assert choice.row.latent == 3
    assert [row.latent for row in choice.table] == list(range(8))
    assert choice.model.latent == 3


@pytest.mark.parametrize("criterion", ["bic", "cross_validation"])
def test_factor_analysis_sees_through_uneven_noise(criterion: str):
    x = _rows(2000) + torch.randn(2000, 8, generator=torch.Generator().manual_seed(4)) * torch.linspace(
        0, 3, 8
    )
    assert choose_dimension(x, FactorAnalysis, criterion=criterion).row.latent == 3


def test_minkas_choice_is_scikit_learns():
    x = _rows(90, noise=1.5).numpy().astype(np.float64)
    assert choose_dimension(x, criterion="log_evidence").row.latent == PCA("mle").fit(x).n_components_


def test_cross_validation_is_the_mean_over_rows_left_out():
    x = _rows(100).double()
    row = choose_dimension(x, latent=[2], criterion="cross_validation", folds=100).row
    scores = []
    for train, test in KFold(100).split(x):
        covariance = np.cov(x[train].T.numpy(), bias=True)
        values, vectors = np.linalg.eigh(covariance)
        noise = values[:-2].mean()
        fitted = vectors[:, -2:] @ np.diag(values[-2:] - noise) @ vectors[:, -2:].T + noise * np.eye(8)
        difference = (x[test] - x[train].mean(0)).numpy()[0]
        scores.append(
            -0.5
            * (
                difference @ np.linalg.solve(fitted, difference)
                + np.linalg.slogdet(fitted)[1]
                + 8 * math.log(2 * math.pi)
            )
        )
    assert row.cross_validation == pytest.approx(np.mean(scores), abs=1e-9)
    assert row.cross_validation_error == pytest.approx(np.std(scores, ddof=1) / 10, abs=1e-9)


def test_missing_cells_are_integrated_out():
    x = _rows(800)
    holes = x.masked_fill(torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.1, torch.nan)
    choice = choose_dimension(holes, latent=[1, 3, 5], criterion="bic")
    assert choice.row.latent == 3
    assert all(math.isnan(row.log_evidence) for row in choice.table)


def test_bad_arguments_are_named():
    x = _rows(50)
    with pytest.raises(UsageError, match="criterion"):
        choose_dimension(x, criterion="best")
    with pytest.raises(UsageError, match="kind"):
        choose_dimension(x, GaussianMixture)
    with pytest.raises(UsageError, match="nothing to try"):
        choose_dimension(x, latent=[])
    with pytest.raises(UsageError, match="not defined"):
        choose_dimension(x, FactorAnalysis, criterion="log_evidence")
    with pytest.raises(DataError, match="folds"):
        choose_dimension(x[:3])
    with pytest.raises(DataError, match="finite"):
        choose_dimension(x[0])
