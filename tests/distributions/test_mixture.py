"""Mixtures: weights, contexts, gradients."""

import pytest
import torch

from logpx import flows
from logpx.distributions import Flow, Mixture, StandardNormal, Uniform
from logpx.errors import UsageError
from logpx.transforms import Affine


def test_one_component_is_that_component():
    x = torch.randn(20, 2)
    torch.testing.assert_close(Mixture([StandardNormal(2)]).log_prob(x), StandardNormal(2).log_prob(x))


def test_weights_are_normalised_and_drawn_from():
    mixture = Mixture([Uniform(1, 0.0, 1.0), Uniform(1, 10.0, 11.0)], [1.0, 3.0])
    share = (mixture.sample(20_000, seed=0) > 5.0).float().mean().item()
    assert share == pytest.approx(0.75, abs=0.015)
    expected = torch.tensor([0.25, 0.75]).log()
    torch.testing.assert_close(mixture.log_prob(torch.tensor([[0.5], [10.5]])), expected)


def test_components_are_drawn_independently_of_each_other():
    mixture = Mixture([StandardNormal(1), StandardNormal(1)])
    x = mixture.sample(8192, seed=0)[:, 0]
    # Were the noise of a row shared, or tied to the choice, neighbouring draws of two seeds would correlate.
    assert abs(torch.corrcoef(torch.stack([x, mixture.sample(8192, seed=1)[:, 0]]))[0, 1]) < 0.05
    assert x.mean().abs() < 0.05
    assert x.var().item() == pytest.approx(1.0, abs=0.06)


def test_only_conditional_components_are_given_the_context():
    plain = Flow(StandardNormal(2), Affine(2))
    conditional = flows.RealNVP(2, layers=2, hidden=(8,), context=3)
    mixture = Mixture([plain, conditional])
    assert mixture.context_features == 3
    x, context = torch.randn(5, 2), torch.randn(5, 3)
    assert mixture.log_prob(x, context).shape == (5,)
    assert mixture.sample(5, context, seed=0).shape == (5, 2)
    with pytest.raises(UsageError, match="3 context features"):
        mixture.log_prob(x)
    with pytest.raises(UsageError, match="3 context features"):
        mixture.sample(5, context[:, :2])


def test_gradient_reaches_weights_and_components():
    mixture = Mixture([Flow(StandardNormal(1), Affine(1)), Uniform(1, -5.0, 5.0)])
    mixture.log_prob(torch.randn(20, 1)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in mixture.parameters())


@pytest.mark.parametrize(
    ("components", "weights"),
    [
        ([], None),
        ([StandardNormal(1), StandardNormal(2)], None),
        ([StandardNormal(1)], [1.0, 2.0]),
        ([StandardNormal(1), StandardNormal(1)], [1.0, 0.0]),
        ([StandardNormal(1), StandardNormal(1)], [1.0, float("nan")]),
    ],
)
def test_what_is_no_mixture_is_refused(components, weights):
    with pytest.raises(UsageError):
        Mixture(components, weights)
