"""What the peers assert of every flow, of its counterpart here."""

import copy
import pickle

import pytest
import torch

import logpx
from logpx import flows, latent
from logpx.errors import UsageError

pytestmark = pytest.mark.slow

# Rows, contexts, and the rows that they broadcast to.
SHAPES = [
    ((256,), (), (256,)),
    ((), (), ()),
    ((4,), (4,), (4,)),
    ((5, 1, 1), (2, 3), (5, 2, 3)),
]


@pytest.fixture
def flow(build):
    torch.default_generator.manual_seed(0)
    found = build(5)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return found


def test_gradients_of_log_p_reach_every_parameter(flow):
    # zuko test_flows, first part; normflows core tests of forward_kld.
    x, context = torch.randn(64, *flow.event_shape), torch.randn(5)
    log_prob = flow.log_prob(x, context)
    assert log_prob.shape == (64,)
    assert log_prob.requires_grad
    (-log_prob.mean()).backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name


def test_gradients_of_draws_reach_every_parameter(flow):
    # zuko test_flows: the reparameterization trick; normflows: reverse_kld.
    given = flow.distribution(torch.randn(5))
    assert given.has_rsample
    given.rsample().square().sum().sqrt().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize(("rows", "contexts", "expected"), SHAPES)
def test_rows_and_contexts_broadcast(flow, rows, contexts, expected):
    # zuko: flow(c).log_prob(x); FlowJAX test_broadcasting_conditional, test_flow_log_prob.
    context = torch.randn(*contexts, 5)
    assert flow.log_prob(torch.randn(*rows, *flow.event_shape), context).shape == expected


@pytest.mark.parametrize("leading", [(), (3, 4)])
@pytest.mark.parametrize("shape", [(), (32,), (3, 4)])
def test_draws_for_each_context(flow, shape, leading):
    # FlowJAX test_broadcasting_conditional, test_flow_sample; nflows test_sample_and_log_prob_with_context.
    flow, context = flow.double(), torch.randn(*leading, 5, dtype=torch.float64)
    expected = (*shape, *leading)
    assert flow.sample(shape, context).shape == (*expected, *flow.event_shape)
    x, log_prob = flow.sample_with_log_prob(shape, context, seed=0)
    assert x.shape == (*expected, *flow.event_shape)
    torch.testing.assert_close(log_prob, flow.log_prob(x, context), atol=1e-5, rtol=1e-5)


def test_without_a_context(build):
    # nflows and FlowJAX: every flow without a condition.
    flow = build(0)
    x = flow.sample(10, seed=0)
    assert x.shape == (10, *flow.event_shape)
    assert flow.log_prob(x).shape == (10,)
    assert flow.log_prob(x[0]).shape == ()


def test_the_map_of_a_flow_is_inverted(flow):
    # zuko test_flows: t.inv(t(x)); nflows test_transform_to_noise.
    x, context = torch.randn(64, *flow.event_shape), torch.randn(64, 5)
    z, _ = flow.transform.forward(x, context)
    torch.testing.assert_close(flow.transform.inverse(z, context)[0], x, atol=1e-4, rtol=1e-4)
    rows, _ = flow.transform.forward(x, context)
    assert rows.shape == x.shape


def test_saved_flows_are_the_same(flow, tmp_path):
    # zuko: torch.save and torch.load; normflows: save and load; printing.
    x, context = torch.randn(3, *flow.event_shape), torch.randn(5)
    found = flow.log_prob(x, context)
    torch.save(flow, tmp_path / "flow.pth")
    for other in (
        torch.load(tmp_path / "flow.pth", weights_only=False),
        pickle.loads(pickle.dumps(flow)),
        copy.deepcopy(flow),
    ):
        assert torch.equal(other.log_prob(x, context), found)
    logpx.save(flow, tmp_path / "folder")
    assert torch.equal(logpx.load(tmp_path / "folder").log_prob(x, context), found)
    assert repr(flow)


def test_conditions_that_do_not_fit_are_refused(flow):
    # FlowJAX test_method_errors; both shapes in the message.
    with pytest.raises(UsageError, match="5 context features"):
        flow.sample(3)
    with pytest.raises(UsageError, match="5 context features, but got 2"):
        flow.log_prob(torch.zeros(3, *flow.event_shape), torch.zeros(3, 2))
    with pytest.raises(UsageError, match=r"\(4, 5\) for rows of shape \(3,\)"):
        flow.log_prob(torch.zeros(3, *flow.event_shape), torch.zeros(4, 5))


@pytest.mark.parametrize("covariance", ["full", "diagonal", "spherical", "tied"])
def test_mixtures_of_normals(covariance, tmp_path):
    # zuko test_mixtures and test_gmm_*, without a context.
    mixture = latent.GaussianMixture(2, 3, covariance=covariance)
    x = torch.randn(256, 3)
    log_prob = mixture.log_prob(x)
    assert log_prob.shape == (256,)
    assert mixture.sample((32,)).shape == (32, 3)
    given = mixture.distribution()
    assert given.batch_shape == ()
    assert given.event_shape == (3,)
    assert mixture.means.shape == (2, 3)
    assert mixture.covariances.shape == (2, 3, 3)
    if covariance == "tied":
        torch.testing.assert_close(mixture.covariances[0], mixture.covariances[1])
    torch.save(mixture, tmp_path / "mixture.pth")
    again = torch.load(tmp_path / "mixture.pth", weights_only=False)
    assert torch.equal(again.log_prob(x), log_prob)
    with pytest.raises(UsageError, match="invalid"):
        latent.GaussianMixture(2, 3, covariance="invalid")


def test_a_flow_fits_data_and_stops():
    # FlowJAX test_data_fit, normflows core tests: the loss falls.
    x = 3.0 + 0.5 * torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    flow = flows.MAF(2, layers=1, hidden=(8,))
    before = flow.log_prob(x).mean()
    result = logpx.fit(flow, x, max_epochs=5, seed=0, progress=False)
    assert flow.log_prob(x).mean() > before
    assert result.history
