"""Multi-scale: the half that leaves is normal given the other, and both halves count."""

import pytest
import torch

from logpx.distributions import Flow, StandardNormal
from logpx.errors import UsageError
from logpx.transforms import Affine, Coupling, MultiScale


def randomised(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.2)
    return module.double()


def test_density_is_that_of_the_inner_flow_times_the_learned_prior():
    multi_scale = randomised(MultiScale(Affine((2, 4, 4)), hidden=(8,)))
    x = torch.randn(10, 4, 4, 4, dtype=torch.float64)
    kept, moved = x.chunk(2, 1)
    prior = multi_scale.prior
    mean, raw = prior.net(kept).chunk(2, 1)
    log_scale = raw / (1 + raw.abs() / prior.univariate.bound)
    learned = torch.distributions.Normal(mean, log_scale.exp()).log_prob(moved).sum((1, 2, 3))
    inner = Flow(StandardNormal((2, 4, 4)), multi_scale.transform).log_prob(kept)
    whole = Flow(StandardNormal((4, 4, 4)), multi_scale).log_prob(x)
    torch.testing.assert_close(whole, inner + learned, rtol=1e-12, atol=1e-12)
    assert log_scale.abs().max() > 0.01


def test_a_new_prior_is_standard_normal():
    x = torch.randn(3, 4, 4, 4)
    z, ladj = MultiScale(Affine((2, 4, 4)), hidden=(8,)).forward(x)
    assert torch.equal(z, x)
    assert not ladj.any()


def test_halves_come_back_as_they_were():
    # The half that leaves is kept, not drawn anew: the whole of x returns, not only its coarse half.
    nested = MultiScale(MultiScale(Affine((1, 4, 4)), hidden=(4,)), hidden=(4,))
    multi_scale = randomised(nested)
    x = 3.0 * torch.randn(20, 4, 4, 4, dtype=torch.float64)
    z, ladj = multi_scale.forward(x)
    back, ladj_back = multi_scale.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ladj_back, -ladj, rtol=1e-10, atol=1e-10)
    assert (z[:, 2:] != x[:, 2:]).all()


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: MultiScale(Affine((2, 4, 4)), prior=Coupling(6)), "prior keeps a part"),
        (lambda: MultiScale(Affine(4)), "channels, height and width"),
        (lambda: MultiScale(Coupling(2, context=1), prior=Coupling(4, context=2)), "different sizes"),
    ],
)
def test_parts_that_do_not_fit(build, match):
    with pytest.raises(UsageError, match=match) as error:
        build()
    assert error.value.fix
