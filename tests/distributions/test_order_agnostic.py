"""Autoregression over columns in any order: exact sums, missing cells, conditionals, draws."""

import itertools
import math

import pytest
import torch

import logpx
from logpx.distributions import OrderAgnostic, order_agnostic
from logpx.distributions.columns import LabelColumn, NumberColumn, ValueColumn
from logpx.errors import DataError, UsageError

# All cells of two columns of labels and one of values.
SIZES = (2, 3, 4)
EVERY = torch.tensor(list(itertools.product(*map(range, SIZES))), dtype=torch.float64)


def rows(n: int, seed: int = 0) -> torch.Tensor:
    """Return rows whose second and third column depend on the first."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(2, (n,), generator=generator)
    b = (a + torch.randint(2, (n,), generator=generator)) % 3
    c = (b + a * torch.randint(2, (n,), generator=generator)).clamp(max=3)
    c[:4] = torch.arange(4)
    return torch.stack([a, b, c], 1).double()


def some_model(orders: int = 3, **settings: float) -> OrderAgnostic:
    torch.manual_seed(0)
    columns = [LabelColumn(2), LabelColumn(3), ValueColumn([0.0, 1, 2, 3], lower=-0.5, upper=3.5)]
    model = OrderAgnostic(columns, width=16, blocks=1, orders=orders, **settings)
    model.initialise(rows(200))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return model.double().eval()


@pytest.fixture(scope="module")
def model() -> OrderAgnostic:
    return some_model()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_all_probabilities_sum_to_one_in_every_order(model: OrderAgnostic, order: tuple[int, ...]):
    found = model.log_prob_in_order(EVERY, torch.tensor(order)).detach().exp().sum()
    assert abs(float(found) - 1.0) < 1e-12


def test_the_mixture_of_orders_is_a_distribution_and_no_worse_than_their_average(model: OrderAgnostic):
    mixed = model.log_prob(EVERY)
    assert abs(float(mixed.exp().sum()) - 1.0) < 1e-12
    each = torch.stack([model.log_prob_in_order(EVERY, order) for order in model.chains])
    assert each.std(0).max() > 0.01
    torch.testing.assert_close(mixed, each.exp().mean(0).log())
    assert bool((mixed >= each.mean(0)).all())


def test_a_few_columns_at_a_time_give_the_same_log_p(model: OrderAgnostic, monkeypatch: pytest.MonkeyPatch):
    target = torch.tensor([True, False, True])
    x = EVERY.clone()
    x[::3, 1] = math.nan
    known = model.log_prob(x), model.conditional_log_prob(x, target)
    for at_once, kept in ((1, 0), (2, 10**6)):
        monkeypatch.setattr(order_agnostic, "_COLUMNS_AT_ONCE", at_once)
        monkeypatch.setattr(order_agnostic, "_NUMBERS_KEPT", kept)
        torch.testing.assert_close(model.log_prob(x), known[0], rtol=0.0, atol=1e-12)
        torch.testing.assert_close(model.conditional_log_prob(x, target), known[1], rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("gone", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_cells_that_are_there_have_a_normalised_density(model: OrderAgnostic, gone: list[int]):
    x = EVERY.clone()
    x[:, gone] = math.nan
    kept = torch.unique(x.nan_to_num(nan=-1.0), dim=0)
    kept[kept < 0] = math.nan
    assert abs(float(model.log_prob(kept).exp().sum()) - 1.0) < 1e-12


def test_conditionals_are_distributions_and_follow_the_chain_rule(model: OrderAgnostic):
    target = torch.tensor([True, False, True])
    for b in range(3):
        found = model.conditional_log_prob(EVERY[EVERY[:, 1] == b], target).exp().sum()
        assert abs(float(found) - 1.0) < 1e-12
    # With all columns the target, it is log p itself; with the last of an order, what the order says of it.
    torch.testing.assert_close(
        model.conditional_log_prob(EVERY, torch.ones(3, dtype=torch.bool)), model.log_prob(EVERY)
    )
    order = torch.tensor([1, 0, 2])
    without = EVERY.clone()
    without[:, 2] = math.nan
    last = model.log_prob_in_order(EVERY, order) - model.log_prob_in_order(without, order)
    alone = torch.tensor([False, False, True])
    torch.testing.assert_close(model.conditional_log_prob(EVERY, alone), last)
    marginal = model.conditional_marginals(EVERY, 2)
    torch.testing.assert_close(marginal.log_prob(EVERY[:, 2]), last)
    # A given cell that is not there does not count.
    torch.testing.assert_close(
        model.conditional_marginals(without[:, [0, 1, 2]], 0).probabilities.sum(1), torch.ones(24).double()
    )


def test_draws_have_the_frequencies_of_log_prob(model: OrderAgnostic):
    drawn = model.sample(6000, seed=1)
    places = (drawn * torch.tensor([12.0, 4.0, 1.0])).sum(1).long()
    found = torch.bincount(places, minlength=24) / 6000
    expected = model.log_prob(EVERY).exp()
    error = (expected * (1 - expected) / 6000).sqrt()
    assert float(((found - expected) / error).abs().max()) < 4.5
    torch.testing.assert_close(model.sample(5, seed=1), drawn[:5])
    assert not torch.equal(model.sample(100, seed=2), drawn[:100])


def test_missing_cells_are_drawn_from_their_joint_conditional(model: OrderAgnostic):
    x = torch.full((4000, 3), math.nan, dtype=torch.float64)
    x[:, 1] = 2.0
    drawn = model.impute(x, draws=1, seed=5)[0]
    assert bool((drawn[:, 1] == 2.0).all())
    cases = EVERY[EVERY[:, 1] == 2.0]
    expected = model.conditional_log_prob(cases, torch.tensor([True, False, True])).exp()
    found = torch.stack([(drawn == case).all(1).double().mean() for case in cases])
    error = (expected * (1 - expected) / 4000).sqrt()
    assert float(((found - expected) / error).abs().max()) < 4.5
    again = model.impute(x[:7], draws=2, seed=5)
    torch.testing.assert_close(again[0], drawn[:7])
    assert again.shape == (2, 7, 3)
    guess = model.impute(x[:1])
    assert float(guess[0, 0]) == float(model.conditional_marginals(x[:1], 0).probabilities.argmax())


def test_the_training_estimate_is_unbiased_in_fixed_orders():
    # With one order alone, the estimate is log p itself.
    model = some_model(orders=1, share=1.0)
    exact = model.log_prob(EVERY)
    torch.testing.assert_close(model.train().log_prob(EVERY), exact)


def test_training_estimates_from_some_of_the_columns_are_unbiased(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(order_agnostic, "_MOST_ASKED", 2)
    model = some_model(orders=1, share=1.0)
    exact = model.log_prob(EVERY[:1])
    found = torch.cat([model.train().log_prob(EVERY[:1]).detach() for _ in range(300)])
    assert found.std() > 0.1
    assert abs(float(found.mean() - exact)) < 4.5 * float(found.std()) / math.sqrt(300)


def test_it_learns_what_depends_on_what_and_leaves_global_generators_alone():
    before = torch.get_rng_state()
    columns = [LabelColumn(2), LabelColumn(3), ValueColumn([0.0, 1, 2, 3], lower=-0.5, upper=3.5)]
    torch.manual_seed(0)
    model = OrderAgnostic(columns, width=16, blocks=1, orders=2)
    state = torch.get_rng_state()
    logpx.fit(model, rows(1500), max_steps=300, seed=0, progress=False)
    assert torch.equal(state, torch.get_rng_state())
    torch.set_rng_state(before)
    found = model.log_prob(rows(1500, seed=1))
    # The entropy of the rows: a coin, another, and a third where a is 1.
    assert float(found.mean()) > -math.log(2.0) * 2.5 - 0.1
    again = OrderAgnostic(columns, width=16, blocks=1, orders=2)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval().log_prob(rows(20)), model.log_prob(rows(20)))


def test_real_numbers_given_labels():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(2, (2000,), generator=generator).double()
    x = torch.stack([label, 6.0 * label + torch.randn(2000, generator=generator).double()], 1)
    x[::10, 0] = math.nan
    torch.manual_seed(0)
    model = OrderAgnostic([LabelColumn(2), NumberColumn(components=4)], width=16, blocks=1, orders=2)
    logpx.fit(model, x, max_steps=300, seed=0, progress=False)
    given = torch.tensor([[0.0, math.nan], [1.0, math.nan]], dtype=torch.float64)
    marginals = model.conditional_marginals(given, 1)
    torch.testing.assert_close(marginals.mean, torch.tensor([0.0, 6.0]).double(), rtol=0, atol=0.3)
    quantiles = marginals.quantiles(torch.tensor([0.5, 0.9]))
    expected = torch.tensor([[0.0, 1.28], [6.0, 7.28]]).double()
    torch.testing.assert_close(quantiles, expected, rtol=0, atol=0.4)
    torch.testing.assert_close(marginals.cdf(quantiles)[0], torch.tensor([0.5, 0.9]).double())
    probabilities = model.conditional_marginals(torch.tensor([[math.nan, 6.5]]).double(), 0).probabilities
    assert float(probabilities[0, 1]) > 0.95


def test_errors(model: OrderAgnostic):
    for target in (
        torch.tensor([1, 0, 0]),
        torch.zeros(3, dtype=torch.bool),
        torch.ones(2, dtype=torch.bool),
    ):
        with pytest.raises(UsageError, match="boolean"):
            model.conditional_log_prob(EVERY, target)
    with pytest.raises(UsageError, match="draws"):
        model.impute(EVERY, draws=0)
    with pytest.raises(DataError, match="missing"):
        some_model().initialise(torch.full((3, 3), math.nan))
    with pytest.raises(UsageError):
        OrderAgnostic([])
