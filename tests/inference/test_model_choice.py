"""Model choice: criteria as published, and the right number of clusters."""

import math

import pytest
import torch
from sklearn.datasets import load_iris

from logpx.errors import DataError, UsageError
from logpx.inference import choose_mixture, criteria_of
from logpx.latent import GaussianMixture

IRIS = torch.from_numpy(load_iris().data).double()


def test_criteria_of_iris_are_mclusts():
    # mclust turns the sign: BIC -829.97815 for one full component, -574.01783 for two.
    choice = choose_mixture(IRIS, components=(1, 2), covariances=("full",))
    bic = {row.components: row.bic for row in choice.table}
    assert bic[1] == pytest.approx(829.97815, abs=1e-3)
    assert bic[2] == pytest.approx(574.01783, abs=1e-3)
    assert choice.row.components == 2
    found = criteria_of(choice.model, IRIS)
    assert found["bic"] == pytest.approx(choice.row.bic)
    shares = choice.model.responsibilities(IRIS).amax(1)
    assert found["icl"] == pytest.approx(found["bic"] - 2.0 * shares.log().sum().item())
    assert found["aic"] == pytest.approx(2.0 * choice.model.free_parameters - 2.0 * found["log_likelihood"])


def test_weights_count_as_rows():
    mixture = GaussianMixture(2, 4).double()
    times = torch.randint(0, 3, (150,))
    found, expected = (
        criteria_of(mixture, IRIS, times),
        criteria_of(mixture, IRIS.repeat_interleave(times, 0)),
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "held_out"])
def test_two_distant_groups_are_two_components(criterion):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    x[:200] += 9.0
    x = x[torch.randperm(400, generator=generator)]
    choice = choose_mixture(x, (1, 2), ("spherical", "tied"), criterion=criterion, restarts=3)
    assert choice.row.components == 2
    assert len(choice.table) == 4
    assert choice.table[0] == choice.row
    assert math.isfinite(choice.row.held_out) == (criterion == "held_out")


def test_fits_that_fail_or_collapse_are_in_the_table_and_never_win():
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    choice = choose_mixture(x, components=(1, 2, 7), covariances=("full",))
    notes = {row.components: row.note for row in choice.table}
    assert choice.row.components == 1
    assert "component" in notes[2]
    assert "rows" in notes[7]


def test_missing_cells_and_every_start():
    x = IRIS.clone()
    x[::7, 1] = torch.nan
    choice = choose_mixture(x, (2,), ("full", "diagonal"), ("k_means", "hierarchical"), restarts=1)
    assert {row.start for row in choice.table} == {"k_means", "hierarchical"}
    assert choice.row.covariance == "full"


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="criterion"):
        choose_mixture(IRIS, criterion="best")
    with pytest.raises(UsageError, match="nothing"):
        choose_mixture(IRIS, components=())
    with pytest.raises(DataError):
        choose_mixture([[1.0, math.inf]])
