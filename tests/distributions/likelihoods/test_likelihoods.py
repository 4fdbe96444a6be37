"""Likelihoods against scipy, against their sums and integrals, and on values that they cannot produce."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DecodedScale,
    DiscretisedLogistic,
    DiscretisedLogisticLikelihood,
    FixedScale,
    GlobalScale,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ProductLikelihood,
    ScalePerValue,
    StudentTLikelihood,
)
from logpx.errors import DataError, UsageError

NAN = float("nan")
GRID = torch.linspace(-60.0, 60.0, 400_001, dtype=torch.float64)
COUNTS = torch.arange(3000.0, dtype=torch.float64)

REAL = {
    "normal, one scale": lambda: NormalLikelihood(2),
    "normal, known scale": lambda: NormalLikelihood(2, FixedScale(0.3)),
    "normal, scale per value": lambda: NormalLikelihood(2, ScalePerValue(2)),
    "normal, scale of the decoder": lambda: NormalLikelihood(2, DecodedScale()),
    "Student's t": lambda: StudentTLikelihood(2),
}
COUNTING = {
    "Poisson": lambda: PoissonLikelihood(2),
    "negative binomial": lambda: NegativeBinomialLikelihood(2),
}
LEVELS = {
    "Bernoulli": (lambda: BernoulliLikelihood(2), 2),
    "categorical": (lambda: CategoricalLikelihood(2, levels=5), 5),
    "logistic": (lambda: DiscretisedLogisticLikelihood(2, levels=256), 256),
    "mixture of logistics": (lambda: DiscretisedLogisticLikelihood(2, levels=7, components=3), 7),
}
UNIT = {"continuous Bernoulli": lambda: ContinuousBernoulliLikelihood(2)}
EVERY = {**REAL, **COUNTING, **UNIT, **{name: build for name, (build, _) in LEVELS.items()}}


def raw_numbers(likelihood, rows: int = 1, spread: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return spread * torch.randn(rows, likelihood.outputs, dtype=torch.float64, generator=generator)


def probabilities(likelihood, values: torch.Tensor) -> torch.Tensor:
    """Return p of each value in the first column, with the second missing."""
    cells = likelihood.double()(raw_numbers(likelihood).expand(len(values), -1))
    x = torch.stack([values, torch.full_like(values, NAN)], 1)
    return cells.log_prob(x).detach().exp()


@pytest.mark.parametrize("name", REAL)
def test_densities_integrate_to_one(name):
    density = probabilities(REAL[name](), GRID)
    tails = 1e-4 if name == "Student's t" else 1e-9
    assert torch.trapezoid(density, GRID).item() == pytest.approx(1.0, abs=tails)


def test_the_continuous_bernoulli_integrates_to_one():
    grid = torch.linspace(0.0, 1.0, 10_001, dtype=torch.float64)
    density = probabilities(ContinuousBernoulliLikelihood(2), grid)
    assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("name", COUNTING)
def test_counts_sum_to_one(name):
    assert probabilities(COUNTING[name](), COUNTS).sum().item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", LEVELS)
def test_levels_sum_to_one(name):
    build, levels = LEVELS[name]
    values = torch.arange(float(levels), dtype=torch.float64)
    assert probabilities(build(), values).sum().item() == pytest.approx(1.0, abs=1e-12)


def test_normal_and_student_are_scipys():
    x = torch.randn(6, 2, dtype=torch.float64)
    normal = NormalLikelihood(2, FixedScale(0.7))
    raw = raw_numbers(normal, 6)
    expected = stats.norm(raw.numpy(), 0.7).logpdf(x.numpy()).sum(1)
    np.testing.assert_allclose(normal(raw).log_prob(x), expected)
    student = StudentTLikelihood(2, FixedScale(0.7)).double()
    expected = stats.t(4.0, raw.numpy(), 0.7).logpdf(x.numpy()).sum(1)
    np.testing.assert_allclose(student(raw).log_prob(x).detach(), expected, rtol=1e-6)


def test_counts_are_scipys():
    x = torch.tensor([[0.0, 3.0], [7.0, 1.0]], dtype=torch.float64)
    poisson, binomial = PoissonLikelihood(2), NegativeBinomialLikelihood(2).double()
    raw = raw_numbers(poisson, 2)
    mean = raw.exp().numpy()
    np.testing.assert_allclose(poisson(raw).log_prob(x), stats.poisson(mean).logpmf(x).sum(1))
    with torch.no_grad():
        binomial.log_size.fill_(math.log(2.5))
    expected = stats.nbinom(2.5, 2.5 / (2.5 + mean)).logpmf(x).sum(1)
    np.testing.assert_allclose(binomial(raw).log_prob(x).detach(), expected)
    np.testing.assert_allclose(binomial(raw).mean.detach(), mean)


def test_a_level_far_in_the_tail_keeps_its_probability_and_gradient():
    location = torch.tensor(-1.0, requires_grad=True)
    level = DiscretisedLogistic(location, torch.tensor(-7.0), levels=256)
    log_prob = level.log_prob(torch.tensor([0.0, 1.0, 200.0, 255.0]))
    assert log_prob.isfinite().all()
    assert log_prob[2].item() == pytest.approx(-(199.5 * 2 / 255) * math.exp(7.0), rel=1e-3)
    (gradient,) = torch.autograd.grad(log_prob.sum(), location)
    assert gradient.isfinite()


def test_a_scale_learns_the_mean_squared_error():
    likelihood = NormalLikelihood(1, GlobalScale())
    x = 3.0 * torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        (-likelihood(torch.zeros(2000, 1)).log_prob(x).mean()).backward()
        optimiser.step()
    scale = likelihood(torch.zeros(1, 1)).base.scale.item()
    assert scale**2 == pytest.approx(x.square().mean().item(), rel=1e-2)


@pytest.mark.parametrize("name", EVERY)
def test_samples_have_the_mean_and_can_be_scored(name):
    likelihood = EVERY[name]().double()
    cells = likelihood(raw_numbers(likelihood, 3))
    torch.manual_seed(0)
    drawn = cells.sample((4000,))
    assert drawn.shape == (4000, 3, 2)
    likelihood.check(drawn.reshape(-1, 2))
    assert cells.log_prob(drawn).isfinite().all()
    assert cells.mean.shape == (3, 2)
    if name not in ("categorical", "logistic", "mixture of logistics"):
        error = drawn.std(0) / 4000**0.5
        assert ((drawn.mean(0) - cells.mean).abs() < 6 * error + 1e-9).all()


@pytest.mark.parametrize("name", EVERY)
def test_missing_cells_add_nothing_and_have_a_gradient_of_zero(name):
    likelihood = EVERY[name]().double()
    raw = raw_numbers(likelihood, 2).requires_grad_()
    x = torch.tensor([[NAN, 1.0], [NAN, NAN]], dtype=torch.float64)
    log_prob = likelihood(raw).log_prob(x)
    assert log_prob[1].item() == 0.0
    (gradient,) = torch.autograd.grad(log_prob.sum(), raw)
    assert gradient.isfinite().all()
    assert (gradient[1] == 0.0).all()


@pytest.mark.parametrize("name", EVERY)
def test_any_number_of_the_decoder_gives_a_finite_value_and_gradient(name):
    likelihood = EVERY[name]()
    for size in (0.0, 30.0, -30.0, 1e4, -1e4):
        raw = torch.full((1, likelihood.outputs), size, requires_grad=True)
        log_prob = likelihood(raw).log_prob(torch.ones(1, 2))
        assert log_prob.isfinite().all(), size
        (gradient,) = torch.autograd.grad(log_prob.sum(), raw)
        assert gradient.isfinite().all(), size


@pytest.mark.parametrize(
    ("build", "value", "expected"),
    [
        (BernoulliLikelihood, 2.0, "0 or 1"),
        (PoissonLikelihood, -1.0, "whole number from 0"),
        (NegativeBinomialLikelihood, 1.5, "whole number from 0"),
        (ContinuousBernoulliLikelihood, 1.5, "from 0 to 1"),
        (lambda n: DiscretisedLogisticLikelihood(n, levels=8), 8.0, "from 0 to 7"),
        (lambda n: CategoricalLikelihood(n, levels=3), 3.0, "from 0 to 2"),
        (NormalLikelihood, math.inf, "finite"),
    ],
)
def test_a_value_that_cannot_be_is_named(build, value, expected):
    x = torch.ones(3, 2)
    x[1, 0] = value
    with pytest.raises(DataError, match=expected) as error:
        build(2).check(x)
    assert (error.value.row, error.value.column) == (2, 0)


def test_gray_values_are_refused_with_the_reason():
    with pytest.raises(DataError, match="does not integrate to 1") as error:
        BernoulliLikelihood(2).check(torch.tensor([[0.0, 1.0], [0.5, 1.0]]))
    assert error.value.row == 2
    assert "ContinuousBernoulli" in str(error.value)


def test_a_decoder_of_the_wrong_width_is_named():
    with pytest.raises(UsageError, match="returns 3 numbers, where NormalLikelihood takes 4"):
        NormalLikelihood(2, DecodedScale())(torch.zeros(5, 3))
    with pytest.raises(UsageError, match="returns 3 numbers"):
        ProductLikelihood([PoissonLikelihood(1)], [[0]])(torch.zeros(5, 3))


def test_kinds_side_by_side():
    parts = [PoissonLikelihood(1), NormalLikelihood(2, FixedScale(1.0)), CategoricalLikelihood(1, levels=3)]
    likelihood = ProductLikelihood(parts, [[2], [0, 3], [1]])
    raw = torch.randn(5, likelihood.outputs, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[0.3, 2.0, 4.0, -1.0]]).expand(5, -1)
    own = torch.split(raw, [1, 2, 3], 1)
    expected = sum(
        part(numbers).log_prob(x[:, columns])
        for part, numbers, columns in zip(parts, own, [[2], [0, 3], [1]], strict=True)
    )
    torch.testing.assert_close(likelihood(raw).log_prob(x), expected)
    assert likelihood(raw).sample((2,)).shape == (2, 5, 4)
    assert likelihood(raw).mean.shape == (5, 4)
    with pytest.raises(DataError) as error:
        likelihood.check(torch.tensor([[0.0, 1.0, -2.0, 0.0]]))
    assert error.value.column == 2
    with pytest.raises(UsageError, match="each column once"):
        ProductLikelihood(parts, [[0], [1, 2], [2]])


def test_images_keep_their_shape():
    likelihood = DiscretisedLogisticLikelihood((3, 4, 5), components=2)
    cells = likelihood(torch.zeros(2, likelihood.outputs))
    x = torch.randint(0, 256, (2, 3, 4, 5)).float()
    assert cells.log_prob(x).shape == (2,)
    assert cells.sample().shape == (2, 3, 4, 5)
    assert cells.log_prob_of_cells(x).shape == (2, 3, 4, 5)
