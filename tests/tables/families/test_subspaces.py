"""Probabilistic PCA, factor analysis and the mixture of PPCA as models of tables."""

import numpy as np
import pytest
import torch

import logpx
from logpx.latent import FactorAnalysis, MixtureOfPPCA, ProbabilisticPCA
from logpx.tables import fit_table
from logpx.tables.families.family import Budget
from logpx.tables.families.subspaces import FactorFamily, MixtureOfPPCAFamily, PrincipalFamily


def budget(x: torch.Tensor, rows: int) -> Budget:
    """Return a budget that sizes are chosen in, not time."""
    return Budget(seconds=600.0, rows=rows, kinds=["normal"] * x.shape[1])


def table(rows=1500, noises=(0.3, 0.3, 0.3, 0.3, 0.3, 0.3), seed=0):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(rows, 2))
    return z @ generator.normal(size=(2, 6)) + generator.normal(size=(rows, 6)) * np.array(noises)


@pytest.mark.parametrize("rows", [1500, 120])
@pytest.mark.parametrize(
    ("family", "kind"), [(PrincipalFamily, ProbabilisticPCA), (FactorFamily, FactorAnalysis)]
)
def test_the_number_of_latent_dimensions_is_found(family, kind, rows):
    x = torch.from_numpy(table(rows))
    model = family().fit(x[: -rows // 5], x[-rows // 5 :], budget(x, rows))
    assert isinstance(model, kind)
    assert model.latent == 2


@pytest.mark.slow
def test_two_planes_are_two_components():
    x = np.concatenate([table(), table(seed=1) + 15.0])
    x = torch.from_numpy(np.random.default_rng(0).permutation(x))
    model = MixtureOfPPCAFamily().fit(x[600:], x[:600], budget(x, 3000))
    assert isinstance(model, MixtureOfPPCA)
    assert model.components >= 2
    plane = PrincipalFamily().fit(x[600:], x[:600], budget(x, 3000))
    assert model.log_prob(x[:600]).mean() > plane.log_prob(x[:600]).mean() + 1.0


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("ppca", {}), pytest.param("fa", {}, marks=pytest.mark.slow), ("mppca", {"components": 2})],
)
def test_by_name_through_a_table_and_a_folder(name, sizes, tmp_path):
    x = table(noises=(0.1, 0.2, 0.4, 0.8, 0.4, 0.2))
    result = fit_table(x, name, **sizes)
    assert result.chosen.model == name
    # Better than the Gaussian that all of them approach from below in parameters, or as good.
    gaussian = fit_table(x, "gaussian")
    assert result.chosen.validation > gaussian.chosen.validation - 0.3
    logpx.save(result.model, tmp_path / "model")
    again = logpx.load(tmp_path / "model")
    assert torch.equal(again.log_prob(x[:50]), result.model.log_prob(x[:50]))
    assert again.sample(20, seed=0).num_rows == 20
