"""Which cell of a row came from elsewhere, by an ensemble of mixtures."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions.neighbours import neighbour_density
from logpx.latent.robust import VARIANCE, MixtureEnsemble

RANDOM = np.random.default_rng(0)
SHARED = RANDOM.normal(size=(600, 2))
# Two columns that are nearly copies, and two that follow others.
ROWS = np.column_stack(
    [
        SHARED[:, 0],
        SHARED[:, 0] + 0.1 * RANDOM.normal(size=600),
        SHARED.sum(1) + 0.1 * RANDOM.normal(size=600),
        SHARED[:, 1],
    ]
)


@pytest.fixture(scope="module")
def ensemble() -> MixtureEnsemble:
    return MixtureEnsemble.fitted(ROWS, members=10, seed=0).ensemble


def by_definition(ensemble: MixtureEnsemble, row: np.ndarray) -> np.ndarray:
    """Return the odds of each cell of a row in the units of the scales, by densities of scipy."""
    there = np.flatnonzero(~np.isnan(row))

    def log_prob(columns: np.ndarray) -> float:
        each, first = [], 0
        for size, usual in zip(ensemble.sizes, ensemble.usual.tolist(), strict=True):
            for k in range(first, first + size):
                root = torch.zeros(4, 4, dtype=torch.float64)
                root[torch.tril_indices(4, 4).unbind(0)] = ensemble.roots[k]
                covariance = (root @ root.T).numpy() - 0.9 * VARIANCE * np.eye(4)
                own = stats.multivariate_normal(
                    ensemble.means[k].numpy()[columns], covariance[np.ix_(columns, columns)]
                )
                each.append(float(ensemble.log_weights[k]) + own.logpdf(row[columns]) - usual)
            first += size
        return float(np.logaddexp.reduce(each))

    found = np.full(4, np.nan)
    for column in there:
        found[column] = log_prob(there[there != column]) - log_prob(there)
    return found


@pytest.mark.parametrize("missing", [[], [3]])
def test_odds_are_those_of_the_definition(ensemble: MixtureEnsemble, missing: list[int]) -> None:
    x = torch.from_numpy(ROWS[:5]).clone()
    x[:, 0] += 2.0
    x[:, missing] = torch.nan
    y = ensemble.scales(x)
    elsewhere = [
        neighbour_density(y[:, column], draws).log()
        for column, draws in enumerate(ensemble._columns_drawn(ensemble._sharp()))
    ]
    found = ensemble.surprisals(x) - torch.stack(elsewhere, 1)
    for place in range(5):
        np.testing.assert_allclose(found[place], by_definition(ensemble, y[place].numpy()), atol=1e-8)


def test_a_cell_is_not_blamed_for_its_near_copy(ensemble: MixtureEnsemble) -> None:
    # The first column is off; the second, which follows it, is as surprising given the first alone.
    order = np.argsort(ROWS[:, 0])
    rows = ROWS[np.concatenate([order[:60], order[-60:]])]
    swapped = rows.copy()
    swapped[:, 0] = rows[::-1, 0]
    found = ensemble.surprisals(torch.from_numpy(swapped)).argmax(1)
    assert (found == 0).double().mean() > 0.95


def test_a_column_that_no_member_has_is_not_to_blame() -> None:
    x = np.random.default_rng(1).normal(size=(60, 140))
    ensemble = MixtureEnsemble.fitted(x, members=1, seed=0).ensemble
    x[0, 3] = 40.0
    found = ensemble.surprisals(torch.from_numpy(x))
    without = ensemble.orders[0, ensemble.width :]
    assert len(without) == 12
    assert (found[:, without] == 0.0).all()
    assert bool(found.isfinite().all())


def test_the_order_of_rows_and_missing_cells_of_others_do_not_matter(ensemble: MixtureEnsemble) -> None:
    x = torch.from_numpy(ROWS[:40]).clone()
    x[::3, 1] = torch.nan
    found = ensemble.surprisals(x)
    assert (found.isnan() == x.isnan()).all()
    torch.testing.assert_close(ensemble.surprisals(x.flip(0)).flip(0), found, equal_nan=True)
