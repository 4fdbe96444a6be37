import numpy as np
import pytest
import torch
from scipy import optimize, stats

from logpx.tables.scales import Asinh


@pytest.mark.parametrize(
    "x",
    [
        stats.johnsonsu(1.0, 1.5, 10.0, 2.0).rvs(3000, random_state=np.random.default_rng(0)),
        stats.t(3).rvs(3000, random_state=np.random.default_rng(1)),
        stats.gumbel_r().rvs(3000, random_state=np.random.default_rng(2)) * 1e-6 + 5,
    ],
    ids=["johnson", "t3", "gumbel, small and far from 0"],
)
def test_the_likelihood_is_the_maximum_over_johnsons_system(x):
    scale = Asinh.fit(x)
    y, log_derivative = scale(torch.from_numpy(x))
    mine = (log_derivative - y.square() / 2).mean().item() - 0.5 * np.log(2 * np.pi)
    standardised = (x - np.median(x)) / x.std()

    def loss(parameters):
        shift, log_shape, location, log_width = parameters
        density = stats.johnsonsu(shift, np.exp(log_shape), location, np.exp(log_width))
        return -density.logpdf(standardised).mean()

    best = -optimize.minimize(loss, [0.0, 0.5, 0.0, 0.0], method="Nelder-Mead", options={"maxiter": 4000}).fun
    assert mine == pytest.approx(best - np.log(x.std()), abs=0.005)


def test_linear_for_a_normal_column():
    x = np.random.default_rng(0).normal(5.0, 2.0, 5000)
    y, _ = Asinh.fit(x)(torch.from_numpy(x))
    assert np.corrcoef(y.numpy(), x)[0, 1] > 0.9999
