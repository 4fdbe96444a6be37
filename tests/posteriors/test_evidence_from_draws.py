"""The evidence from draws that somebody else made."""

import math

import numpy as np
import pytest
import torch
from scipy.special import betaln
from torch import Tensor
from torch.distributions import Normal

import logpx
from logpx.errors import UsageError
from logpx.posteriors import Interval, Trust, densities


def banana_draws(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(number, generator=generator).double()
    second = first.square() + 0.5 * torch.randn(number, generator=generator).double()
    return torch.stack([first, second], 1)


def test_it_is_that_of_a_density_that_integrates_to_one():
    density = densities.banana().log_density
    found = logpx.evidence_from_draws(lambda x: density(x) + 2.5, banana_draws(6000))
    assert found.trust is Trust.TRUST
    assert found.log_evidence == pytest.approx(2.5, abs=4.0 * found.error + 0.01)
    assert found.error < 0.05


@pytest.mark.slow
def test_chains_are_read_one_after_another():
    draws = banana_draws(4000)
    density = densities.banana().log_density
    whole = logpx.evidence_from_draws(density, draws)
    chains = logpx.evidence_from_draws(density, draws.view(4, 1000, 2))
    assert chains.log_evidence == whole.log_evidence


def test_named_parameters_give_the_beta_function():
    draws = {"share": torch.from_numpy(np.random.default_rng(0).beta(8.0, 3.0, 4000))}
    found = logpx.evidence_from_draws(
        lambda theta: 7.0 * theta["share"].log() + 2.0 * torch.log1p(-theta["share"]),
        draws,
        parameters={"share": Interval(0.0, 1.0)},
    )
    assert found.log_evidence == pytest.approx(betaln(8.0, 3.0), abs=4.0 * found.error + 0.01)


def test_draws_that_leave_out_a_mode_are_not_trusted():
    def density(x: Tensor) -> Tensor:
        both = [Normal(mean, 1.0).log_prob(x).sum(-1) for mean in (-6.0, 6.0)]
        return torch.logaddexp(*both) - math.log(2.0)

    draws = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) - 6.0
    found = logpx.evidence_from_draws(density, draws)
    assert found.log_evidence == pytest.approx(-math.log(2.0), abs=0.05)
    assert found.trust is Trust.DO_NOT
    assert "no draws near the mode" in found.verdict


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (torch.randn(10, 2), "10 draws of 2 dimensions"),
        (torch.randn(5), "draws of shape"),
        (torch.full((4000, 2), torch.nan), "draw 1 is not finite"),
    ],
)
def test_draws_that_will_not_do_are_refused(draws: Tensor, message: str):
    with pytest.raises(UsageError, match=message):
        logpx.evidence_from_draws(lambda x: -0.5 * x.square().sum(-1), draws)
