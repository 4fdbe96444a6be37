"""The start of EM: an assignment of rows to clusters, reproducible and different for every seed."""

import torch

from logpx.latent.initialisation import initial_responsibilities


def start(x, components, seed):
    centred = x - x.mean(0)
    return initial_responsibilities(centred, torch.atleast_2d(x.T.cov(correction=0)), components, seed)


def test_every_row_belongs_to_one_cluster():
    x = torch.randn(200, 3, dtype=torch.float64)
    shares = start(x, 5, 0)
    assert shares.shape == (5, 200)
    assert torch.equal(shares.sum(0), torch.ones(200, dtype=torch.float64))
    assert (shares.sum(1) > 0).all()


def test_separate_groups_are_found_whatever_the_units():
    groups = torch.arange(300) % 3
    x = torch.randn(300, 2, dtype=torch.float64) + 20.0 * groups[:, None]
    shares = start(x * torch.tensor([1e-6, 1e6]), 3, 0)
    # Each cluster holds rows of one group only.
    counts = shares @ torch.nn.functional.one_hot(groups).double()
    assert (counts > 0).sum() == 3


def test_odd_seeds_whiten():
    # Two clusters that lie along a direction of high correlation: only whitened rows show them.
    side = torch.arange(400) % 2
    along = 30.0 * torch.randn(400, dtype=torch.float64)
    x = torch.stack([along + side, along - side], 1) + 0.05 * torch.randn(400, 2, dtype=torch.float64)
    counts = start(x, 2, 1) @ torch.nn.functional.one_hot(side).double()
    assert (counts > 0).sum() == 2


def test_fewer_distinct_rows_than_clusters():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(10, 1)
    assert ((start(x, 4, 0).sum(1) > 0).sum()) == 2


def test_many_rows_are_sampled():
    x = torch.cat([torch.randn(15_000, 1), torch.randn(15_000, 1) + 20.0]).double()
    assert torch.equal(start(x, 2, 0).sum(1), torch.tensor([15_000.0, 15_000.0]).double())
