"""Sums of features: they add up, and can be scaled."""

import pytest
import torch

from logpx.latent.statistics import DiscreteStatistics, ProductStatistics


def test_sums():
    one, other = torch.rand(2, 3), torch.rand(2, 3)
    total = DiscreteStatistics(one) + DiscreteStatistics(other) * 2.0
    torch.testing.assert_close(total.sums, one + 2.0 * other)


def test_products_do_not_mix_parts():
    one = ProductStatistics((DiscreteStatistics(torch.ones(1, 1)), DiscreteStatistics(torch.zeros(1, 2))))
    total = one + one * 3.0
    assert total.parts[0].sums.item() == 4.0
    assert total.parts[1].sums.tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="zip"):
        one + ProductStatistics(one.parts[:1])
