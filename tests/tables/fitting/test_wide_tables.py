"""Tables with no more rows than columns: models that exist are fitted, the others are named."""

import numpy as np
import pytest
import torch
from sklearn.covariance import oas
from sklearn.decomposition import PCA

import logpx
from logpx.errors import DataError, UsageError
from logpx.latent import FactorAnalysis, ProbabilisticPCA
from logpx.tables import fit_table
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget
from logpx.tables.families.shrinkage import shrinkage, shrunk_normal


def factors(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(2, columns))
    return generator.normal(size=(rows, 2)) @ loadings + 0.5 * generator.normal(size=(rows, columns))


@pytest.mark.parametrize("rows", [6, 20])
def test_the_shrunk_covariance_is_that_of_scikit_learn(rows):
    x = factors(rows, 20)
    model = shrunk_normal(torch.from_numpy(x), shrinkage(torch.from_numpy(x), rows))
    covariance, share = oas(x)
    assert shrinkage(torch.from_numpy(x), rows) == pytest.approx(share)
    np.testing.assert_allclose(model.covariance.matrices()[0].detach(), covariance, atol=1e-12)


def test_probabilistic_pca_of_few_rows_is_that_of_their_covariance():
    x = torch.from_numpy(factors(15, 30))
    model = ProbabilisticPCA(30, 3).double()
    model.update_from_rows(x)
    values = np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True))
    assert model.noise_variance.item() == pytest.approx(values[:-3].mean())
    explained = PCA(3).fit(x.numpy()).explained_variance_ * 14 / 15
    np.testing.assert_allclose(
        np.linalg.eigvalsh(model.covariance.matrices()[0].detach())[-3:], np.sort(explained), rtol=1e-9
    )


def test_factor_analysis_of_few_rows_is_the_maximum_of_the_likelihood():
    x = torch.from_numpy(factors(25, 30))
    model = FactorAnalysis(30, 2).double()
    best = model.update_from_rows(x)
    assert best == pytest.approx(float(model.log_prob(x).mean().detach()))
    for parameter in (model.normal.means, model.covariance.loadings, model.covariance.log_noise_variances):
        (slope,) = torch.autograd.grad(model.log_prob(x).mean(), parameter)
        assert float(slope.abs().max()) < 1e-5


def test_estimators_and_fit_take_few_rows():
    x = factors(20, 60)
    model = FactorAnalysis(60, 2)
    assert logpx.fit(model, torch.from_numpy(x).float()).stopped == "closed form"
    assert torch.isfinite(model.log_prob(torch.from_numpy(x).float())).all()
    assert logpx.estimators.ProbabilisticPCA().fit(x).n_components_ < 10


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(20, 20), (60, 50)])
def test_auto_chooses_among_the_models_that_exist(rows, columns):
    result = fit_table(factors(rows, columns), max_time=20)
    assert {record.model for record in result.candidates} == {"gaussian", "ppca", "fa", "mppca"}
    assert any("not tried: gmm, maf, nsf" in note for note in result.notes)
    evaluation = result.model.evaluate(factors(500, columns, seed=1))
    assert evaluation.baselines["independent marginals"].gain > 5.0
    assert result.chosen.validation == pytest.approx(evaluation.mean, abs=12.0)
    assert list(evaluation.baselines) == ["independent marginals"]


def test_a_model_that_does_not_exist_is_refused_by_name_with_those_that_do(tmp_path):
    path = tmp_path / "wide.csv"
    np.savetxt(path, factors(9, 9), delimiter=",", header=",".join("abcdefghi"), comments="")
    with pytest.raises(DataError, match="9 rows for 9 columns") as caught:
        fit_table(path, "gmm")
    assert caught.value.file == str(path)
    assert "--model gaussian, ppca, fa, mppca, vae or autoregressive" in caught.value.fix


def test_few_rows_of_large_whole_numbers_are_no_linear_combinations():
    counts = {f"c{place}": np.random.default_rng(place).integers(0, 10**6, 20) for place in range(40)}
    assert torch.isfinite(fit_table(counts, "gaussian", max_time=2).model.log_prob(counts)).all()
    with pytest.raises(DataError, match="20 rows for 40 columns"):
        fit_table(counts, "gmm")


@pytest.mark.parametrize("model", ["gaussian", "ppca", "fa", "mppca"])
def test_missing_cells_and_few_rows(model):
    x = torch.from_numpy(factors(45, 50))
    x = torch.where(torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.1, torch.nan, x)
    budget = Budget(seconds=60, rows=40, kinds=["normal"] * 50)
    fitted = FAMILIES[model].fit(x[:40], x[40:], budget)
    assert fitted.log_prob(torch.from_numpy(factors(100, 50, seed=1))).mean() > -70.0


@pytest.mark.parametrize("model", ["ppca", "fa", "mppca"])
def test_more_latent_dimensions_than_there_can_be_are_a_usage_error(model):
    with pytest.raises(UsageError, match="latent dimensions for"):
        fit_table(factors(100, 4), model, latent=4)
    x = torch.from_numpy(factors(10, 20))
    with pytest.raises(UsageError, match="give --latent from 0 to 8"):
        FAMILIES[model].fit(x, x, Budget(seconds=60, rows=10, kinds=["normal"] * 20, latent=9))
    with pytest.raises(DataError, match="2 columns or more"):
        fit_table(factors(100, 2)[:, :1], model, latent=1)


@pytest.mark.slow
def test_thousands_of_columns_take_seconds():
    result = fit_table(factors(200, 5000), max_time=60)
    assert result.seconds < 75
    assert np.isfinite(result.model.evaluate(factors(20, 5000, seed=1)).mean)


def test_what_there_is_no_time_for_with_many_columns_is_left_out_and_said():
    x = factors(60, 520)
    table = {f"c{column}": x[:, column] for column in range(520)}
    found = fit_table(table, "gaussian", max_time=0.01)
    assert found.model.reference is None
    assert found.verdict.calibration is None
    said = [note for note in found.notes if "for lack of time with 520 columns" in note]
    assert len(said) == 4
    assert any("logpx drift" in note for note in said)
    assert any("anomalies are judged by log p alone" in note for note in said)
    with pytest.raises(UsageError, match="no time"):
        logpx.drift(found.model, table)
    few = fit_table({name: table[name] for name in ("c0", "c1")}, "gaussian", max_time=0.01)
    assert few.model.reference is not None
    assert few.verdict.calibration is not None
