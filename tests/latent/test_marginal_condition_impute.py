"""Marginals, conditionals and missing cells of mixtures of all kinds, by Bayes' rule and enumeration."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.latent import BernoulliMixture, CategoricalMixture, MixedMixture, PoissonMixture

MAKES = {
    "bernoulli": lambda: BernoulliMixture(3, 4),
    "categorical": lambda: CategoricalMixture(3, [3, 2, 4, 2]),
    "poisson": lambda: PoissonMixture(3, 4),
    "mixed": lambda: MixedMixture(3, ["normal", 3, "normal", "poisson"]),
}


def random_mixture(kind):
    mixture = MAKES[kind]().double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_()
    return mixture


def hidden(x, columns):
    result = torch.full_like(x, torch.nan)
    result[:, columns] = x[:, columns]
    return result


@pytest.mark.parametrize("kind", list(MAKES))
def test_marginal(kind):
    mixture = random_mixture(kind)
    x = mixture.sample(10, seed=0).detach()
    for columns in ([2, 0], [1], [3, 1, 0, 2]):
        found = mixture.marginal(columns)
        assert type(found) is type(mixture)
        torch.testing.assert_close(found.log_prob(x[:, columns]), mixture.log_prob(hidden(x, columns)))


@pytest.mark.parametrize("kind", list(MAKES))
def test_condition_is_bayes_rule(kind):
    mixture = random_mixture(kind)
    x = mixture.sample(3, seed=0).detach()
    for columns in ([0], [3, 1], [2, 0, 3]):
        others = [column for column in range(4) if column not in columns]
        expected = mixture.log_prob(x) - mixture.log_prob(hidden(x, columns))
        for row in range(3):
            found = mixture.condition(columns, x[row, columns].tolist())
            assert found.event_shape == (len(others),)
            torch.testing.assert_close(found.log_prob(x[row : row + 1, others])[0], expected[row])


@pytest.mark.parametrize("kind", list(MAKES))
def test_unknown_values_condition_nothing(kind):
    mixture = random_mixture(kind)
    x = mixture.sample(1, seed=0).detach()
    found = mixture.condition([0, 2], [torch.nan, x[0, 2].item()])
    expected = mixture.log_prob(hidden(x, [1, 2, 3])) - mixture.log_prob(hidden(x, [2]))
    torch.testing.assert_close(found.log_prob(x[:, [1, 3]]), expected)
    nothing = mixture.condition([1], [torch.nan]).log_prob(x[:, [0, 2, 3]])
    torch.testing.assert_close(nothing, mixture.marginal([0, 2, 3]).log_prob(x[:, [0, 2, 3]]))


@pytest.mark.parametrize("kind", ["bernoulli", "categorical", "poisson"])
def test_best_guesses_by_enumeration(kind):
    mixture = random_mixture(kind)
    x = hidden(mixture.sample(5, seed=0).detach(), [1, 3])
    found = mixture.impute(x)
    assert torch.equal(found[:, [1, 3]], x[:, [1, 3]])
    most = {"bernoulli": 2, "categorical": 3, "poisson": 200}[kind]
    values = torch.arange(most, dtype=torch.float64)
    for row in range(5):
        rows = x[row].repeat(most, 1)
        rows[:, 0] = values
        shares = torch.softmax(mixture.log_prob(rows).detach(), 0)
        expected = shares @ values if kind == "poisson" else shares.argmax().double()
        torch.testing.assert_close(found[row, 0], expected)


def test_best_guesses_of_mixed_columns():
    mixture = random_mixture("mixed")
    x = hidden(mixture.sample(4, seed=0).detach(), [2, 3])
    found = mixture.impute(x)
    with torch.no_grad():
        for row in range(4):
            rest = mixture.condition([2, 3], x[row, [2, 3]].tolist())
            mean = rest.weights @ rest.parts.expectations()
            torch.testing.assert_close(found[row, 0], mean[0])
            levels = torch.tensor([[torch.nan, code] for code in range(3)], dtype=torch.float64)
            assert found[row, 1] == rest.log_prob(levels).argmax()


@pytest.mark.parametrize("kind", list(MAKES))
def test_draws_are_joint(kind):
    mixture = random_mixture(kind)
    x = hidden(mixture.sample(2, seed=0).detach(), [2])
    x[1] = mixture.sample(1, seed=1)[0].detach()
    draws = mixture.impute(x, draws=8000, seed=0)
    assert draws.shape == (8000, 2, 4)
    assert (draws[:, 1] == x[1]).all()
    assert (draws[:, 0, 2] == x[0, 2]).all()
    assert torch.equal(draws, mixture.impute(x, draws=8000, seed=0))
    assert not torch.equal(draws, mixture.impute(x, draws=8000, seed=1))
    # Compared with draws of the conditional distribution, whose density is tested above.
    others = [0, 1, 3]
    expected = mixture.condition([2], [x[0, 2].item()]).sample(8000, seed=5).detach()
    found = draws[:, 0, others]
    spread = expected.std(0)
    assert ((found.mean(0) - expected.mean(0)).abs() < 5.0 * spread * (2 / 8000) ** 0.5).all()
    torch.testing.assert_close(found.T.corrcoef(), expected.T.corrcoef(), rtol=0, atol=0.12)


@pytest.mark.parametrize("kind", list(MAKES))
def test_few_rows_to_impute(kind):
    mixture = random_mixture(kind)
    assert mixture.impute(torch.empty(0, 4)).shape == (0, 4)
    assert mixture.impute(torch.empty(0, 4), draws=2, seed=0).shape == (2, 0, 4)
    full = mixture.sample(3, seed=0).detach().float()
    assert torch.equal(mixture.impute(full), full)
    blank = torch.full((2, 4), torch.nan)
    assert mixture.impute(blank).isfinite().all()
    assert mixture.impute(blank, draws=3).isfinite().all()


def test_what_makes_no_sense():
    mixture = random_mixture("categorical")
    for columns, values in (([0], [1.0, 2.0]), ([0, 1, 2, 3], [0.0] * 4), ([0, 0], [1.0, 1.0]), ([4], [0.0])):
        with pytest.raises(UsageError):
            mixture.condition(columns, values)
    with pytest.raises(UsageError, match="give 1 values"):
        mixture.condition([0], [[0.0], [1.0]])
    with pytest.raises(UsageError, match="cannot occur"):
        mixture.condition([0], [3.0])
    with pytest.raises(UsageError):
        mixture.marginal([])
    with pytest.raises(UsageError, match="draws"):
        mixture.impute(torch.zeros(2, 4), draws=0)
    with pytest.raises(UsageError):
        mixture.impute(torch.zeros(4))
    with pytest.raises(UsageError, match="seed"):
        mixture.impute(torch.zeros(2, 4), draws=1, seed=0.5)
