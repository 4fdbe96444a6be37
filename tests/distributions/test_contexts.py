"""Contexts of any leading shape and of any event shape, beside rows that broadcast with them."""

import pytest
import torch
from torch import nn

import logpx
from logpx import flows, nets
from logpx.distributions import Flow, Mixture, StandardNormal
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Coupling

FLOWS = {
    "NICE": lambda **k: flows.NICE(3, layers=2, hidden=(8,), **k),
    "RealNVP": lambda **k: flows.RealNVP(3, layers=2, hidden=(8,), **k),
    "MAF": lambda **k: flows.MAF(3, layers=2, hidden=(8,), **k),
    "IAF": lambda **k: flows.IAF(3, layers=2, hidden=(8,), **k),
    "NSF": lambda **k: flows.NSF(3, layers=2, hidden=(8,), **k),
    "MintNet": lambda **k: flows.MintNet(3, layers=2, hidden=2, **k),
    "RealNVP of images": lambda **k: flows.RealNVP((1, 4, 4), layers=2, hidden=(4,), **k),
    "Glow": lambda **k: flows.Glow((1, 4, 4), steps=1, hidden=(4,), **k),
}


def randomised(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture(params=FLOWS)
def build(request):
    return FLOWS[request.param]


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_shape_of_draws_for_contexts_of_any_rows(build):
    flow = randomised(build(context=2))
    context = draws(2, 3, 2)
    x = flow.sample((4,), context, seed=1)
    assert x.shape == (4, 2, 3, *flow.event_shape)
    flat = flow.sample(24, context.expand(4, 2, 3, 2).reshape(24, 2), seed=1)
    torch.testing.assert_close(x.reshape(flat.shape), flat)
    drawn, log_prob = flow.sample_with_log_prob(torch.Size([4, 1]), context, seed=1)
    assert drawn.shape == (4, 1, 2, 3, *flow.event_shape)
    torch.testing.assert_close(log_prob, flow.log_prob(drawn, context), atol=1e-4, rtol=1e-4)
    assert flow.sample((), context).shape == (2, 3, *flow.event_shape)
    assert flow.sample((0,), context).shape == (0, 2, 3, *flow.event_shape)
    assert flow.rsample((2, 5), context[0, 0]).shape == (2, 5, *flow.event_shape)


def test_a_number_of_draws_means_what_it_did(build):
    flow = randomised(build(context=2))
    context = draws(5, 2)
    assert flow.sample(5, context, seed=0).shape == (5, *flow.event_shape)
    assert flow.sample(5, context[0], seed=0).shape == (5, *flow.event_shape)
    with pytest.raises(UsageError, match=r"shape \(5, 2\) for rows of shape \(4,\)"):
        flow.sample(4, context)
    with pytest.raises(UsageError, match=r"sample\(\(10,\), context\)"):
        flow.sample(1, context)


def test_rows_and_contexts_broadcast(build):
    flow = randomised(build(context=2))
    x, context = draws(4, *flow.event_shape), draws(3, 2, seed=1)
    every = torch.stack([flow.log_prob(x, each) for each in context], 1)
    torch.testing.assert_close(flow.log_prob(x[:, None], context), every)
    torch.testing.assert_close(flow.log_prob(x[0], context), every[0])
    torch.testing.assert_close(flow.log_prob(x[:1], context), every[0])
    torch.testing.assert_close(flow.log_prob(x, context[:1]), every[:, 0])
    bound = flow.log_prob_lower(x[:, None], context=context)
    torch.testing.assert_close(bound.log_prob, every)
    z, ladj = flow.transform.forward(x[:, None], context)
    assert z.shape == (4, 3, *flow.event_shape)
    assert ladj.shape == (4, 3)
    back = flow.transform.inverse(z, context)[0]
    torch.testing.assert_close(back, x[:, None].expand_as(back), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("rows", [(4,), (2, 4), (3, 1, 4)])
def test_shapes_that_do_not_broadcast_are_both_named(rows):
    flow = flows.MAF(2, layers=1, hidden=(4,), context=3)
    chain = Chain([Affine(2), Coupling(2, hidden=(4,), context=3)])
    for call in (flow.log_prob, chain.forward, chain.inverse):
        with pytest.raises(UsageError) as error:
            call(torch.zeros(*rows, 2), torch.zeros(5, 3))
        assert str((5, 3)) in str(error.value)
        assert str(rows) in str(error.value)


def test_unconditional_models_take_a_shape_too():
    for model in (StandardNormal(2), Mixture([StandardNormal(2)]), flows.NSF(2, layers=1, hidden=(4,))):
        x = model.sample((3, 4), seed=0)
        assert x.shape == (3, 4, 2)
        assert torch.equal(x.view(12, 2), model.sample(12, seed=0))
    with pytest.raises(UsageError, match="-1 rows"):
        StandardNormal(2).sample((3, -1))


class Mean(nn.Module):
    """The mean of a context, whatever its shape."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3))

    def forward(self, x):
        return x.flatten(1).mean(1, keepdim=True) * self.scale


@pytest.mark.parametrize("shape", [(4,), (7, 2), (1, 5, 4), (2, 2, 2, 3)])
def test_contexts_of_any_event_shape_are_embedded(build, shape):
    flow = randomised(build(context=shape, embedding=Mean()))
    assert flow.context_shape == shape
    context = draws(2, 3, *shape, seed=3)
    x = flow.sample((4,), context, seed=1)
    assert x.shape == (4, 2, 3, *flow.event_shape)
    log_prob = flow.log_prob(x, context)
    assert log_prob.shape == (4, 2, 3)
    one = flow.log_prob(x[:, 1, 2], context[1, 2])
    torch.testing.assert_close(log_prob[:, 1, 2], one)
    inner = Flow(flow.base, flow.transform).eval()
    torch.testing.assert_close(one, inner.log_prob(x[:, 1, 2], flow.embedding(context[1, 2][None])[0]))
    given = flow.distribution(context)
    assert given.batch_shape == (2, 3)
    torch.testing.assert_close(given.log_prob(x), log_prob)
    assert flow.sample(2, context[0, :2]).shape == (2, *flow.event_shape)


def test_each_context_is_embedded_once():
    seen = []

    class Counting(Mean):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    flow = flows.MAF(2, layers=1, hidden=(4,), context=(2, 2), embedding=Counting()).eval()
    seen.clear()
    flow.sample((1000,), torch.zeros(3, 2, 2))
    flow.log_prob(torch.zeros(100, 1, 2), torch.zeros(3, 2, 2))
    assert seen == [3, 3]


def test_an_embedding_is_trained_with_the_flow_and_saved_with_it(tmp_path):
    torch.manual_seed(0)
    steps = 9
    series = draws(300, steps, 1, seed=4)
    x = 3.0 * series.mean((1, 2))[:, None] + torch.tensor([[1.0, -1.0]]) + 0.1 * draws(300, 2, seed=5)
    embedding = nets.SeriesEncoder((steps, 1), 2, hidden=(4,))
    flow = flows.MAF(2, layers=1, hidden=(16,), context=(steps, 1), embedding=embedding)
    before = [parameter.clone() for parameter in embedding.parameters()]
    logpx.fit(flow, x, context=series, max_steps=60, learning_rate=2e-2, seed=0, progress=False)
    assert all((p != q).any() for p, q in zip(before, embedding.parameters(), strict=True))
    blind = flows.MAF(2, layers=1, hidden=(16,))
    logpx.fit(blind, x, max_steps=60, learning_rate=2e-2, seed=0, progress=False)
    assert flow.log_prob(x, series).mean() > blind.log_prob(x).mean() + 0.2
    logpx.save(flow, tmp_path / "model")
    again = logpx.load(tmp_path / "model")
    assert torch.equal(again.log_prob(x, series), flow.log_prob(x, series))
    assert torch.equal(again.sample((2,), series[:3], seed=1), flow.sample((2,), series[:3], seed=1))


def test_a_net_of_ones_own_is_trained_but_not_saved(tmp_path):
    flow = flows.MAF(2, layers=1, hidden=(4,), context=(2, 2), embedding=Mean())
    with pytest.raises(UsageError, match="Mean cannot be saved"):
        logpx.save(flow, tmp_path / "model")


def test_the_trial_of_an_embedding_leaves_no_trace():
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3))
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert flows.MAF(2, layers=1, hidden=(4,), context=(2, 2), embedding=net).training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert (net.training, net[1].training, net[2].training) == (True, False, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": (7, 2)}, "without an embedding"),
        ({"embedding": Mean()}, "without a context"),
        ({"context": (7, 2), "embedding": nn.Linear(3, 4)}, r"does not take contexts of shape \(7, 2\)"),
        ({"context": (7, 2), "embedding": nn.Identity()}, "return a vector"),
        ({"context": 2, "embedding": "net"}, "embedding is 'net'"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        flows.MAF(2, layers=1, hidden=(4,), **options)


def test_contexts_of_another_event_shape_are_named():
    flow = flows.MAF(2, layers=1, hidden=(4,), context=(7, 2), embedding=Mean())
    for context in (None, torch.zeros(7), torch.zeros(3, 2, 7)):
        with pytest.raises(UsageError, match=r"contexts of shape \(7, 2\)"):
            flow.log_prob(torch.zeros(3, 2), context)
    with pytest.raises(UsageError, match="take contexts of shape"):
        Flow(StandardNormal(2), Coupling(2, hidden=(4,), context=3), context=(7, 2))
    with pytest.raises(UsageError, match=r"contexts of shape \(7, 2\), and the data come without"):
        logpx.fit(flow, torch.randn(20, 2))
