"""A model with one column last: normalised, consistent with its draws, and a function of the row alone."""

import pytest
import torch
from scipy import stats

from logpx.distributions import OrderAgnostic, TargetLast
from logpx.distributions.columns import CentredColumn, LabelColumn, NumberColumn, ValueColumn
from logpx.errors import UsageError
from logpx.nets import Forest

GENERATOR = torch.Generator().manual_seed(0)
X = torch.stack([torch.randn(300, generator=GENERATOR), torch.arange(300) % 2, torch.zeros(300)], 1).double()
X[:, 2] = X[:, 0] + 2 * X[:, 1] + 0.1 * torch.randn(300, generator=GENERATOR).double()
TARGET = torch.tensor([False, False, True])


@pytest.fixture(scope="module")
def model() -> TargetLast:
    """A model that was never trained, with some weights that are not zero."""
    joint = OrderAgnostic([NumberColumn(components=4), LabelColumn(2), NumberColumn(components=3)], 12, 1)
    joint.initialise(X)
    own = CentredColumn(components=3, near=3)
    own.initialise(X[:, 2])
    u = own.units(X[:, 2])
    standard = torch.stack([u.mean(), u.std()])
    y = (u - standard[0]) / standard[1]
    forest, unseen = Forest.grown(X[:, :2], torch.stack([y, 1e-3 * y.square()], 1), trees=40, seed=0)
    made = TargetLast(joint, 2, forest, own, networks=2, width=12, blocks=1)
    made.standard.copy_(standard)
    own.initialise_near(X[:, 2], made.in_units(unseen))
    with torch.no_grad():
        for net in (*made.nets, joint.net):
            net.exit.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(1))
    return made.eval()


@pytest.mark.parametrize("row", [[0.3, 1.0], [torch.nan, 0.0], [-2.0, torch.nan]])
def test_the_target_given_the_others_integrates_to_one(model: TargetLast, row: list[float]):
    u = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    y = model.own.units.inverse(u)
    x = torch.cat([torch.tensor(row).double().expand(len(y), 2), y[:, None]], 1)
    density = model.conditional_log_prob(x, TARGET).exp()
    assert float(torch.trapezoid(density, y)) == pytest.approx(1.0, abs=1e-4)


def test_log_p_is_the_sum_of_both_parts(model: TargetLast):
    x = X[:20]
    others = model.joint.log_prob(x.masked_fill(TARGET, torch.nan))
    torch.testing.assert_close(model.log_prob(x), others + model.conditional_log_prob(x, TARGET))
    torch.testing.assert_close(model.log_prob(x.masked_fill(TARGET, torch.nan)), others)
    both = torch.tensor([True, False, True])
    first = model.joint.conditional_log_prob(x.masked_fill(TARGET, torch.nan), both & ~TARGET)
    torch.testing.assert_close(
        model.conditional_log_prob(x, both), first + model.conditional_log_prob(x, TARGET)
    )


def test_predictions_made_beforehand_narrow_the_density(model: TargetLast):
    with torch.no_grad():
        found = float(model.conditional_log_prob(X, TARGET).mean())
    alone = -0.5 * float(torch.log(2 * torch.pi * torch.e * X[:, 2].var()))
    assert found > alone + 0.5


def test_draws_follow_the_distribution_of_the_target(model: TargetLast):
    x = torch.tensor([[0.3, 1.0, torch.nan]], dtype=torch.float64).expand(4000, 3)
    drawn = model.impute(x, draws=1, seed=0)[0, :, 2]
    marginals = model.conditional_marginals(x[:1], 2)
    levels = marginals.cdf(drawn[None])[0]
    assert stats.kstest(levels.numpy(), "uniform").pvalue > 1e-4
    quantiles = marginals.quantiles(torch.tensor([0.1, 0.9]).double())
    torch.testing.assert_close(marginals.cdf(quantiles)[0], torch.tensor([0.1, 0.9]).double())
    guess = model.impute(x[:1])[0, 2]
    assert float(guess) == pytest.approx(float(drawn.clamp(-9, 9).mean()), abs=0.1)


def test_draws_of_rows_follow_the_density(model: TargetLast):
    drawn = model.sample(2000, seed=3)
    torch.testing.assert_close(model.sample(10, seed=3), drawn[:10])
    assert set(drawn[:, 1].tolist()) <= {0.0, 1.0}
    marginals = model.conditional_marginals(drawn, 2)
    levels = marginals.cdf(drawn[:, 2:])[:, 0]
    assert stats.kstest(levels.numpy(), "uniform").pvalue > 1e-4


def test_a_row_is_answered_alike_beside_others(model: TargetLast):
    x = X[:6].clone()
    x[::2, 0] = torch.nan
    alone = torch.cat([model.conditional_log_prob(row[None], TARGET) for row in x])
    torch.testing.assert_close(model.conditional_log_prob(x, TARGET), alone)


def test_other_columns_are_given_the_target(model: TargetLast):
    x = X[:5]
    wanted = torch.tensor([False, True, False])
    torch.testing.assert_close(
        model.conditional_log_prob(x, wanted), model.joint.conditional_log_prob(x, wanted)
    )
    torch.testing.assert_close(
        model.conditional_marginals(x, 1).probabilities, model.joint.conditional_marginals(x, 1).probabilities
    )


def test_a_target_of_few_values_is_no_density():
    joint = OrderAgnostic([NumberColumn(components=3), ValueColumn([0.0, 1.0])], 8, 1)
    x = torch.stack([X[:, 0], X[:, 1]], 1)
    joint.initialise(x)
    own = ValueColumn([0.0, 1.0], lower=-0.5, upper=1.5)
    own.initialise(x[:, 1])
    forest, _ = Forest.grown(x[:, :1], x[:, [1, 1]], trees=20, seed=0)
    made = TargetLast(joint, 1, forest, own, width=8, blocks=1).eval()
    each = [x.index_fill(1, torch.tensor([1]), value) for value in (0.0, 1.0)]
    target = torch.tensor([False, True])
    total = sum(made.conditional_log_prob(rows, target).exp() for rows in each)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_forest_of_another_size():
    joint = OrderAgnostic([NumberColumn(), NumberColumn()], 8, 1)
    with pytest.raises(UsageError, match="a forest of 2 features"):
        TargetLast(joint, 1, Forest(2, 1, 1, 2), CentredColumn())
