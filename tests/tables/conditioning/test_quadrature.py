"""One column of a flow is integrated out by quadrature: beside mixtures, whose marginals are known."""

import math

import pytest
import torch

import logpx
from logpx.latent import GaussianMixture
from logpx.tables import ColumnScales, Support
from logpx.tables.conditioning.quadrature import QuadratureDensity


@pytest.mark.parametrize(("apart", "narrow"), [(0.0, 1.0), (0.0, 0.3), (0.0, 0.05), (3.0, 0.3), (3.0, 0.05)])
def test_narrow_and_two_humped_conditionals_are_integrated_out(apart: float, narrow: float):
    draw = torch.Generator().manual_seed(0)
    b, noise = torch.randn(2, 1000, generator=draw, dtype=torch.float64)
    side = torch.where(torch.arange(1000) % 2 == 0, -apart, apart)
    mixture = GaussianMixture(components=2 if apart else 1, features=2).double()
    logpx.fit(mixture, torch.stack([b + narrow * noise + side, b], 1), seed=0)
    columns = ColumnScales.standard([[-1.0, -1.0], [1.0, 1.0]], [Support(), Support()])
    without = torch.tensor([[math.nan, 0.0], [math.nan, 1.0], [math.nan, -1.7]], dtype=torch.float64)
    found = QuadratureDensity(columns, mixture).log_prob(without)
    torch.testing.assert_close(found, mixture.log_prob(without), atol=0.003, rtol=0.0)
