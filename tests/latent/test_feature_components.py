"""What all components that are linear in features share: EM, priors, starts, bad values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from logpx.errors import DataError, DivergedError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import BernoulliMixture, CategoricalMixture, MixedMixture, PoissonMixture
from logpx.latent.priors import ConjugatePrior

LEVELS = [2, 3, 4]
MAKES = {
    "bernoulli": lambda rows: BernoulliMixture(3, 3, prior_rows=rows),
    "categorical": lambda rows: CategoricalMixture(3, LEVELS, prior_rows=rows),
    "poisson": lambda rows: PoissonMixture(3, 3, prior_rows=rows),
    "mixed": lambda rows: MixedMixture(
        3, ["poisson", "normal", 3], prior=ConjugatePrior(0.5, rows, rows) if rows else None
    ),
}


def rows_for(kind, seed, n=60, missing=0.0):
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    if kind == "bernoulli":
        x = (uniform < 0.4).double()
    elif kind == "categorical":
        x = (uniform * torch.tensor(LEVELS)).floor()
    else:
        x = torch.poisson(8.0 * uniform, generator=generator)
        if kind == "mixed":
            x[:, 1] = uniform[:, 1]
            x[:, 2] = (3.0 * uniform[:, 2]).floor()
    gone = torch.rand(n, 3, generator=generator) < missing
    # Every column keeps a value.
    gone[0] = False
    return x.masked_fill(gone, torch.nan)


@settings(max_examples=12)
@given(
    kind=st.sampled_from(list(MAKES)),
    seed=st.integers(0, 1000),
    rows=st.sampled_from([0.0, 0.3, 5.0]),
    missing=st.sampled_from([0.0, 0.4]),
    weighted=st.booleans(),
)
def test_em_is_monotone(kind, seed, rows, missing, weighted):
    mixture = MAKES[kind](rows).double()
    x = rows_for(kind, seed, missing=missing)
    weights = 3.0 * torch.rand(len(x), dtype=torch.float64) if weighted else None
    mixture.initialise_components(x, seed)
    result = expectation_maximisation(mixture, lambda: [(x, weights)], max_iterations=30, tolerance=-1.0)
    assert result.largest_fall == 0.0
    assert result.history[-1] > result.history[0]


@pytest.mark.parametrize("rows", [0.0, 2.0])
@pytest.mark.parametrize("kind", list(MAKES))
def test_the_gradient_is_zero_at_the_fixed_point(kind, rows):
    mixture = MAKES[kind](rows).double()
    x = rows_for(kind, 1, missing=0.2)
    mixture.initialise_components(x, 0)
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    before = largest_gradient(mixture, x)
    assert before > 1.0
    expectation_maximisation(mixture, lambda: [(x, None)], max_iterations=1000, tolerance=1e-12)
    # Zeros and ones of three columns leave directions in which the likelihood hardly changes.
    assert largest_gradient(mixture, x) < 1e-3 * before


def largest_gradient(mixture, x):
    objective = mixture.log_prob(x).sum() + mixture.log_prior()
    gradients = torch.autograd.grad(objective, list(mixture.parameters()))
    return max(gradient.abs().max().item() for gradient in gradients)


@pytest.mark.parametrize("kind", list(MAKES))
def test_statistics_add_up_and_scale(kind):
    mixture = MAKES[kind](0.0).double()
    x = rows_for(kind, 2, missing=0.3)
    weights = torch.rand(len(x), dtype=torch.float64)
    mixture.initialise_components(x, 0)
    whole = mixture.statistics(x, weights)
    merged = mixture.statistics(x[:20], weights[:20]) + mixture.statistics(x[20:], weights[20:])
    doubled = mixture.statistics(x, weights * 2.0)
    for one, other in ((whole, merged), (whole * 2.0, doubled)):
        torch.testing.assert_close(one.count, other.count)
        torch.testing.assert_close(one.log_likelihood, other.log_likelihood)
        assert equal_sums(one.parts, other.parts)
    torch.testing.assert_close(whole.log_likelihood, (weights @ mixture.log_prob(x)).detach())


def equal_sums(one, other):
    if hasattr(one, "parts"):
        return all(equal_sums(a, b) for a, b in zip(one.parts, other.parts, strict=True))
    fields = vars(one)
    return all(torch.allclose(value, getattr(other, name), rtol=1e-9) for name, value in fields.items())


@pytest.mark.parametrize("kind", list(MAKES))
def test_components_without_rows_stay(kind):
    mixture = MAKES[kind](0.0).double()
    x = rows_for(kind, 3)
    mixture.initialise_components(x, 0)
    before = {name: value.clone() for name, value in mixture.parts.state_dict().items()}
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.0, 0.0, -1e5]))
    mixture.update(mixture.statistics(x))
    after = mixture.parts.state_dict()
    for name, value in mixture.parts.named_parameters():
        torch.testing.assert_close(value[2], before[name][2], rtol=0, atol=0)
        assert torch.isfinite(after[name]).all()
    assert any(not torch.equal(after[name][0], before[name][0]) for name in before if after[name].dim() > 1)


@pytest.mark.parametrize("kind", list(MAKES))
def test_float32_keeps_its_dtype(kind):
    x = rows_for(kind, 4, missing=0.2)
    mixture = MAKES[kind](0.0).double()
    mixture.initialise_components(x, 0)
    mixture.float()
    with torch.no_grad():
        short = mixture.log_prob(x.float())
        assert short.dtype == torch.float32
        assert mixture.sample(5, seed=0).dtype == torch.float32
        torch.testing.assert_close(short.double(), mixture.log_prob(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", list(MAKES))
def test_samples_depend_on_seed_and_row_alone(kind):
    mixture = MAKES[kind](0.0).double()
    mixture.initialise_components(rows_for(kind, 5), 0)
    with torch.no_grad():
        assert torch.equal(mixture.sample(10, seed=1), mixture.sample(5000, seed=1)[:10])
        assert not torch.equal(mixture.sample(10, seed=1), mixture.sample(10, seed=2))


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "poisson"])
def test_impossible_values_have_no_probability_and_start_no_fit(kind):
    mixture = MAKES[kind](0.0).double()
    x = rows_for(kind, 6)
    x[7, 1] = 0.5
    found = mixture.log_prob(x)
    assert found[7] == -torch.inf
    assert torch.isfinite(found[torch.arange(60) != 7]).all()
    torch.testing.assert_close(mixture.responsibilities(x)[7].sum(), torch.ones((), dtype=torch.float64))
    with pytest.raises(DataError, match=r"row 8, column 1: the value is 0\.5") as caught:
        mixture.initialise_components(x, 0)
    assert caught.value.fix
    # Nor does it spoil the sums, where rows come after the start.
    with pytest.raises(DataError, match="row 8"):
        mixture.statistics(x)


@pytest.mark.parametrize("value", [-1.0, torch.inf, -torch.inf])
@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "poisson"])
def test_negative_and_infinite_values_are_impossible(kind, value):
    mixture = MAKES[kind](0.0)
    assert mixture.log_prob(torch.tensor([[1.0, value, torch.nan]])).item() == -torch.inf


@pytest.mark.parametrize("kind", list(MAKES))
def test_bad_starts(kind):
    mixture = MAKES[kind](0.0).double()
    x = rows_for(kind, 7)
    with pytest.raises(DataError, match="2 rows with a value"):
        mixture.initialise_components(x[:2], 0)
    x[:, 2] = torch.nan
    with pytest.raises(DataError, match="column 2: every cell is missing"):
        mixture.initialise_components(x, 0)


def test_a_hard_start_leaves_every_value_possible():
    # Each cluster lacks a level that belongs to it.
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]).double().repeat(10, 1)
    mixture = CategoricalMixture(2, [3, 2]).double()
    mixture.initialise_components(x, 0)
    assert all(part.min().item() > 1e-3 for part in mixture.probabilities)


@pytest.mark.parametrize("make", [BernoulliMixture, PoissonMixture])
def test_bad_arguments(make):
    for arguments in ((0, 2), (2, 0), (2, 2, -1.0), (2, 2, "many")):
        with pytest.raises(UsageError):
            make(*arguments)


def test_rows_without_any_value_say_nothing():
    mixture = BernoulliMixture(2, 2)
    x = torch.full((3, 2), torch.nan)
    assert torch.equal(mixture.log_prob(x), torch.zeros(3))
    with pytest.raises(DivergedError, match="no rows"):
        expectation_maximisation(mixture, lambda: [(x, None)])
