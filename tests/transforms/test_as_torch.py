"""Maps where torch's transforms are expected."""

import pickle

import pytest
import torch
from torch.distributions import (
    ComposeTransform,
    ExpTransform,
    Independent,
    Normal,
    TransformedDistribution,
    constraints,
    kl_divergence,
)

from logpx import flows
from logpx.errors import UsageError
from logpx.transforms import (
    Affine,
    Chain,
    Coupling,
    Exp,
    Inverse,
    Logit,
    Sigmoid,
    Softplus,
    Standardize,
    Tanh,
)


def randomised(module):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


@pytest.mark.parametrize("context", [0, 2])
def test_both_directions_are_those_of_the_map(context):
    transform = randomised(flows.NSF(3, layers=2, hidden=(8,), context=context)).transform
    given = torch.randn(5, context, generator=torch.Generator().manual_seed(1)) if context else None
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    view = transform.torch_transform(given)
    assert isinstance(view, torch.distributions.Transform)
    z, ladj = transform.forward(x, given)
    torch.testing.assert_close(view(x), z)
    torch.testing.assert_close(view.log_abs_det_jacobian(x, z), ladj)
    torch.testing.assert_close(view.inv(z), x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(view.inv.log_abs_det_jacobian(z, x), -ladj, atol=1e-4, rtol=1e-4)
    value, own = view.call_and_ladj(x)
    torch.testing.assert_close((value, own), (z, ladj))
    assert view.inv.inv is view
    assert view.event_dim == 1
    assert view.with_cache(0)(x).shape == x.shape


def test_a_density_of_draws_costs_one_evaluation():
    calls = []

    class Counted(Affine):
        def inverse(self, z, context=None):
            calls.append("inverse")
            return super().inverse(z, context)

        def forward(self, x, context=None):
            calls.append("forward")
            return super().forward(x, context)

    normal = Independent(Normal(torch.zeros(2), 1.0), 1)
    one = TransformedDistribution(normal, [Counted(2).torch_transform().inv])
    x = one.rsample((4,))
    one.log_prob(x)
    assert calls == ["inverse"]


def test_torchs_transformed_distribution_is_the_flow():
    flow = randomised(flows.MAF(2, layers=2, hidden=(8,)))
    normal = Independent(Normal(torch.zeros(2), 1.0), 1)
    same = TransformedDistribution(normal, [flow.transform.torch_transform().inv])
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(same.log_prob(x), flow.log_prob(x))
    assert same.rsample((3,)).requires_grad
    mixed = TransformedDistribution(normal, [flow.transform.torch_transform().inv, ExpTransform()])
    torch.testing.assert_close(mixed.log_prob(x.exp()), flow.log_prob(x) - x.sum(-1))
    both = ComposeTransform([flow.transform.torch_transform(), flow.transform.torch_transform().inv])
    torch.testing.assert_close(both(x), x, atol=1e-4, rtol=1e-4)
    view = flow.transform.torch_transform()
    wide = Independent(Normal(torch.zeros(2), 2.0), 1)
    p, q = TransformedDistribution(normal, [view.inv]), TransformedDistribution(wide, [view.inv])
    assert kl_divergence(p, q) == kl_divergence(normal, wide)


@pytest.mark.parametrize(
    ("transform", "domain", "codomain"),
    [
        (Sigmoid(2), constraints.real, constraints.unit_interval),
        (Logit(2), constraints.unit_interval, constraints.real),
        (Tanh(2), constraints.real, constraints.interval(-1.0, 1.0)),
        (Softplus(2), constraints.real, constraints.nonnegative),
        (Inverse(Exp(2)), constraints.nonnegative, constraints.real),
        (Chain([Affine(2), Sigmoid(2)]), constraints.real, constraints.unit_interval),
        (Chain([Logit(2), Coupling(2, hidden=(4,))]), constraints.unit_interval, constraints.real),
        (Chain([Sigmoid(2), Logit(2)]), constraints.real, constraints.real),
    ],
)
def test_domains_are_named(transform, domain, codomain):
    view = transform.torch_transform()
    values = torch.tensor([[-2.0, 0.5], [0.5, 0.2], [3.0, 3.0]])
    for found, expected in ((view.domain, domain), (view.codomain, codomain)):
        assert found.check(values).tolist() == constraints.independent(expected, 1).check(values).tolist()


def test_what_has_no_name_and_no_context_is_refused():
    with pytest.raises(UsageError, match="domain of Chain"):
        _ = Chain([Affine(2), Logit(2)]).torch_transform().domain
    with pytest.raises(UsageError, match="2 context features"):
        Coupling(2, hidden=(4,), context=2).torch_transform()
    bounded = Standardize(2, bounded={1: (0.0, 1.0)}).torch_transform()
    assert bounded.domain.check(torch.tensor([[9.0, 0.5], [0.0, 1.5]])).tolist() == [True, False]


def test_it_is_copied_and_compared():
    affine = Affine(2)
    view = affine.torch_transform()
    view(torch.zeros(3, 2))
    assert view == affine.torch_transform()
    assert view != Affine(2).torch_transform()
    again = pickle.loads(pickle.dumps(view))
    torch.testing.assert_close(again(torch.ones(1, 2)), view(torch.ones(1, 2)))
