"""Covariances of every kind with random parameters, and scatters to update them from."""

import pytest
import torch

from logpx.latent import COVARIANCES
from logpx.latent.covariances import covariance_named


@pytest.fixture
def make_covariance():
    """Return a function that makes covariances of a kind with random parameters."""

    def make(kind, components=3, features=4, rank=2, dtype=torch.float64):
        ranks = {"rank": rank} if COVARIANCES[kind].ranked else {}
        covariance = covariance_named(kind, components, features, **ranks).to(dtype)
        with torch.no_grad():
            for parameter in covariance.parameters():
                parameter.normal_(0.0, 0.5)
        return covariance

    return make


@pytest.fixture
def scatters_for():
    """Return a function that draws an average scatter and its rows for every block of a covariance."""

    def scatters(covariance):
        rows = torch.randn(covariance.blocks, 20, covariance.features, dtype=torch.float64)
        rows = rows @ torch.randn(covariance.features, covariance.features, dtype=torch.float64)
        matrices = rows.mT @ rows / 20.0
        counts = torch.full((covariance.blocks, 1), 20.0, dtype=torch.float64)
        if covariance.diagonal:
            squares = matrices.diagonal(dim1=1, dim2=2)
            return matrices, squares, counts.expand_as(squares)
        return matrices, matrices, counts

    return scatters
