"""Densities with several modes: all of them are found, or the result is not trusted."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from logpx.posteriors import Interval, Trust, densities, posterior
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.families import normal
from logpx.posteriors.diagnostics.account import Account, EvidenceFound
from logpx.posteriors.posterior import Posterior
from logpx.posteriors.target.target import Target

GRID = torch.cartesian_prod(*[10.0 * torch.arange(5).double()] * 2)


def log_normal(x: Tensor, mean: Tensor | float = 0.0, scale: float = 1.0) -> Tensor:
    return Normal(mean, scale).log_prob(x).sum(-1)


def far_apart(x: Tensor) -> Tensor:
    return torch.logaddexp(log_normal(x, 0.0, 0.3), log_normal(x, 12.0, 0.3)) - math.log(2.0)


def unit_normals(x: Tensor) -> Tensor:
    off = torch.zeros(x.shape[-1], dtype=x.dtype)
    off[0] = 10.0
    return torch.logaddexp(log_normal(x), log_normal(x, off)) - math.log(2.0)


def a_thousand_apart(x: Tensor) -> Tensor:
    off = torch.zeros(x.shape[-1], dtype=x.dtype)
    off[-1] = -1000.0
    return torch.logaddexp(math.log(0.3) + log_normal(x), math.log(0.7) + log_normal(x, off))


def spike_off_centre(x: Tensor) -> Tensor:
    slab, spike = log_normal(x, 0.0, 3.0), log_normal(x, 2.0, 0.1)
    return torch.logaddexp(math.log(0.1) + slab, math.log(0.9) + spike)


def many(x: Tensor) -> Tensor:
    return torch.logsumexp(log_normal(x[:, None], GRID, 0.5), -1) - math.log(25.0)


def narrow_in_wide(x: Tensor) -> Tensor:
    return torch.logaddexp(log_normal(x), log_normal(x, 4.0, 0.2)) - math.log(2.0)


@pytest.mark.parametrize(
    ("density", "dim"),
    [
        (far_apart, 1),
        (unit_normals, 2),
        (unit_normals, 20),
        (a_thousand_apart, 3),
        (many, 2),
        (narrow_in_wide, 5),
        (spike_off_centre, 20),
    ],
)
def test_the_evidence_of_all_modes_is_found(density, dim: int):
    # Each integrates to 1.
    found = posterior(density, dim)
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.log_evidence == pytest.approx(0.0, abs=0.02)


def scattered(dim: int, widths: list[float]):
    generator = torch.Generator().manual_seed(1)
    places = 20.0 * torch.randn(len(widths), dim, generator=generator).double()
    parts = list(zip(places, widths, strict=True))

    def density(x: Tensor) -> Tensor:
        each = [log_normal(x, place, width) for place, width in parts]
        return torch.logsumexp(torch.stack(each), 0) - math.log(len(parts))

    return density


def test_modes_of_unequal_widths_are_all_found_in_few_dimensions():
    found = posterior(scattered(3, [0.5, 0.7, 1.0, 1.5]), 3, method="laplace")
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.log_evidence == pytest.approx(0.0, abs=0.02)


def test_wide_modes_that_may_hide_narrow_ones_in_many_dimensions_are_not_trusted():
    # The basins of the narrowest three are too small to be met.
    found = posterior(scattered(20, [0.3, 0.4, 0.5, 1.2, 1.5]), 20, method="laplace")
    assert found.log_evidence < -0.2
    assert found.diagnosis.trust is Trust.DO_NOT
    assert "the search for modes is not over" in found.verdict


def test_both_signs_of_what_is_only_seen_in_size_have_half_of_the_mass():
    generator = torch.Generator().manual_seed(1)
    design = torch.randn(6, 4, generator=generator).double()
    seen = (design @ torch.randn(4, generator=generator).double()).abs()

    def density(x: Tensor) -> Tensor:
        return log_normal((x @ design.mT).abs(), seen, 0.2) + log_normal(x, 0.0, 2.0)

    found = posterior(density, 4)
    assert found.diagnosis.trust is not Trust.DO_NOT
    positive = (found.sample(4000, resampled=True) > 0.0).double().mean(0)
    assert positive.tolist() == pytest.approx([0.5] * 4, abs=0.08)


@pytest.mark.slow
def test_exchanged_labels_of_named_parameters_are_found():
    generator = torch.Generator().manual_seed(3)
    centres = torch.tensor([-3.0, 0.5, 3.0]).double().repeat_interleave(20)
    rows = centres + 0.5 * torch.randn(60, generator=generator).double()

    def density(theta: dict[str, Tensor]) -> Tensor:
        means, scales = theta["means"], theta["scales"]
        each = Normal(means[:, None], scales[:, None]).log_prob(rows[:, None])
        prior = log_normal(means, 0.0, 5.0) + log_normal(scales.log(), -0.5, 0.3)
        return torch.logsumexp(each - math.log(3.0), -1).sum(-1) + prior

    found = posterior(
        density, parameters={"means": Interval(-20.0, 20.0, 3), "scales": Interval(0.1, 3.0, 3)}
    )
    assert found.diagnosis.trust is not Trust.DO_NOT
    means = found.sample(3000, resampled=True)["means"]
    for order in means.argsort(-1).unique(dim=0, return_counts=True)[1].tolist():
        assert order == pytest.approx(500, abs=120)


def test_a_single_normal_distribution_says_that_it_misses_a_mode():
    found = posterior(**densities.separated_modes(2, 8.0).arguments, method="mean_field", max_time=2)
    assert found.diagnosis.trust is Trust.DO_NOT
    assert found.k_hat == math.inf
    assert "it misses a mode" in found.verdict


def test_evidence_that_was_found_before_is_not_forgotten():
    target = Target(lambda x: log_normal(x), 2)
    q = normal(torch.zeros(2).double(), torch.eye(2).double())
    account = Account()
    assert Posterior("own", Approximation(q), target, account=account).diagnosis.trust is Trust.TRUST
    account.add([EvidenceFound("another method", 0.5, 0.01)])
    doubted = Posterior("own", Approximation(q), target, account=account)
    assert doubted.diagnosis.trust is Trust.DO_NOT
    assert "another method found a log-evidence of 0.50 nats" in doubted.verdict
    assert doubted.k_hat == math.inf


@pytest.mark.slow
def test_more_modes_than_can_be_visited_are_not_trusted():
    def density(x: Tensor) -> Tensor:
        return log_normal(x.square(), 4.0, 0.3)

    found = posterior(density, 14, method="laplace")
    assert found.diagnosis.trust is Trust.DO_NOT
    assert found.k_hat == math.inf
