"""A triangular affine map of standard normal noise, against torch's multivariate normal distribution."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.transforms import TriangularAffine

SHIFT = torch.tensor([3.0, -1.0, 0.5]).double()
FACTOR = torch.tensor([[2.0, 0.0, 0.0], [0.7, 0.5, 0.0], [-1.0, 0.3, 1e-3]]).double()


def test_normal_noise_has_the_mean_and_the_covariance():
    flow = Flow(StandardNormal(3), TriangularAffine.of(SHIFT, FACTOR)).double()
    truth = MultivariateNormal(SHIFT, scale_tril=FACTOR)
    x = truth.sample((4, 5))
    torch.testing.assert_close(flow.log_prob(x), truth.log_prob(x), rtol=1e-12, atol=1e-9)
    noise = torch.eye(3).double()
    torch.testing.assert_close(flow.transform.inverse(noise)[0], SHIFT + FACTOR.mT, rtol=1e-12, atol=1e-12)


def test_what_it_is_made_of_comes_back_in_its_precision():
    affine = TriangularAffine.of(SHIFT, FACTOR)
    torch.testing.assert_close(affine.factor, FACTOR, rtol=1e-14, atol=0.0)
    assert torch.equal(affine.shift, SHIFT)


def test_it_starts_as_the_identity():
    x = torch.randn(5, 3)
    z, ladj = TriangularAffine(3).forward(x)
    assert torch.equal(z, x)
    assert torch.equal(ladj, torch.zeros(5))


@pytest.mark.parametrize(
    ("shift", "factor", "message"),
    [
        (torch.zeros(2), torch.eye(3), "shape"),
        (torch.zeros(2, 1), torch.eye(2), "shape"),
        (torch.zeros(2), torch.tensor([[1.0, 0.0], [0.0, -2.0]]), "-2 on its diagonal"),
    ],
)
def test_what_is_no_triangular_matrix_is_refused(shift, factor, message: str):
    with pytest.raises(UsageError, match=message):
        TriangularAffine.of(shift, factor)
