"""The start of EM: an assignment of rows to clusters, reproducible and different for every seed."""

import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from logpx.errors import UsageError
from logpx.latent import STARTS
from logpx.latent.initialisation import initial_responsibilities


def test_every_row_belongs_to_one_cluster():
    x = torch.randn(200, 3, dtype=torch.float64)
    shares = initial_responsibilities(x, 5, 0)
    assert shares.shape == (5, 200)
    assert torch.equal(shares.sum(0), torch.ones(200, dtype=torch.float64))
    assert (shares.sum(1) > 0).all()


def test_separate_groups_are_found_whatever_the_units():
    groups = torch.arange(300) % 3
    x = torch.randn(300, 2, dtype=torch.float64) + 20.0 * groups[:, None]
    shares = initial_responsibilities(x * torch.tensor([1e-6, 1e6]), 3, 0)
    # Each cluster holds rows of one group only.
    counts = shares @ torch.nn.functional.one_hot(groups).double()
    assert (counts > 0).sum() == 3


def test_odd_seeds_whiten():
    # Two clusters that lie along a direction of high correlation: only whitened rows show them.
    side = torch.arange(400) % 2
    along = 30.0 * torch.randn(400, dtype=torch.float64)
    x = torch.stack([along + side, along - side], 1) + 0.05 * torch.randn(400, 2, dtype=torch.float64)
    counts = initial_responsibilities(x, 2, 1) @ torch.nn.functional.one_hot(side).double()
    assert (counts > 0).sum() == 2


def test_fewer_distinct_rows_than_clusters():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(10, 1)
    assert ((initial_responsibilities(x, 4, 0).sum(1) > 0).sum()) == 2


def test_many_rows_are_sampled():
    x = torch.cat([torch.randn(15_000, 1), torch.randn(15_000, 1) + 20.0]).double()
    assert torch.equal(initial_responsibilities(x, 2, 0).sum(1), torch.tensor([15_000.0, 15_000.0]).double())


@pytest.mark.parametrize("start", STARTS)
def test_every_start_assigns_every_row_and_repeats_with_its_seed(start):
    x = torch.randn(100, 3, dtype=torch.float64)
    x[::7, 1], x[5] = torch.nan, torch.nan
    for seed in (0, -3, 2**40):
        shares = initial_responsibilities(x, 4, seed, start)
        assert torch.equal(shares.sum(0), torch.ones(100, dtype=torch.float64))
        assert (shares.sum(1) > 0).all()
        assert torch.equal(shares, initial_responsibilities(x, 4, seed, start))
    if "hierarchical" not in start:
        assert not torch.equal(shares, initial_responsibilities(x, 4, 1, start))


@pytest.mark.parametrize("start", ["k_means", "hierarchical", "whitened_hierarchical", "whitened_k_means"])
def test_separate_groups_are_scikit_learns_groups(start):
    x, groups = make_blobs(240, 2, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    shares = initial_responsibilities(torch.from_numpy(x), 3, 0, start)
    assert adjusted_rand_score(groups, shares.argmax(0)) == 1.0


def test_whitening_makes_starts_independent_of_a_linear_map():
    x = torch.cat([torch.randn(60, 2), torch.randn(60, 2) + 4.0]).double()
    turned = x @ torch.tensor([[1.0, 30.0], [0.02, -1.0]]).double()
    labels = [initial_responsibilities(rows, 2, 0, "whitened_hierarchical").argmax(0) for rows in (x, turned)]
    assert adjusted_rand_score(*labels) == 1.0


def test_seeds_take_the_starts_in_turn():
    x = torch.randn(100, 3, dtype=torch.float64)
    for seed, start in enumerate(["k_means", "whitened_k_means", "hierarchical", "whitened_hierarchical"]):
        assert torch.equal(initial_responsibilities(x, 4, seed), initial_responsibilities(x, 4, seed, start))


def test_there_is_no_such_start():
    with pytest.raises(UsageError, match="kmeans") as error:
        initial_responsibilities(torch.zeros(3, 1).double(), 2, 0, "kmeans")
    assert "k_means" in error.value.fix
