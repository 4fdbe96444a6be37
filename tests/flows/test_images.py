"""Flows of images: levels, contexts, data-dependent start, and sizes that cannot be."""

import math

import pytest
import torch

from logpx import flows
from logpx.errors import UsageError
from logpx.transforms import ActNorm, Chain, Convolution1x1, Coupling, MultiScale, Squeezed

KINDS = {
    "RealNVP": lambda shape, **options: flows.RealNVP(shape, **{"layers": 2, "hidden": (4,), **options}),
    "Glow": lambda shape, **options: flows.Glow(shape, **{"steps": 2, "hidden": (4,), **options}),
}
DEEP = {"RealNVP": {"layers": 16}, "Glow": {"steps": 16}}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def randomised(flow, scale=0.1):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, scale)
    return flow.double()


def layers_of(transform, kind):
    return [part for part in transform.modules() if isinstance(part, kind)]


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((1, 28, 28), 2), ((3, 32, 32), 4), ((1, 4, 4), 1), ((1, 2, 2), 1), ((1, 28, 20), 2), ((3, 64, 64), 5)],
)
def test_real_nvp_halves_until_4_by_4_or_odd(shape, levels):
    flow = flows.RealNVP(shape, layers=2, hidden=(2,))
    assert len(layers_of(flow.transform, MultiScale)) == levels - 1
    assert flow.event_shape == shape


def test_real_nvp_has_the_arrangement_of_the_paper():
    def names(transform):
        match transform:
            case Chain():
                return [name for part in transform.transforms for name in names(part)]
            case Squeezed():
                return ["squeeze", *names(transform.transform)]
            case MultiScale():
                return ["split", *names(transform.transform)]
            case Coupling():
                return [type(transform.partition).__name__]
        return []

    flow = flows.RealNVP((3, 8, 8), hidden=(2,), levels=2)
    first = ["Checkerboard"] * 3 + ["squeeze"] + ["Channels"] * 3 + ["split"]
    assert names(flow.transform) == first + ["Checkerboard"] * 4


def test_round_trip_and_ladj_through_all_levels(kind):
    flow = randomised(kind((1, 8, 8), levels=2))
    x = torch.randn(10, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        z, ladj = flow.transform.forward(x)
        back, ladj_back = flow.transform.inverse(z)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ladj_back, -ladj, rtol=1e-9, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(lambda x: flow.transform.forward(x)[0].flatten(), x[0])
    expected = torch.linalg.slogdet(jacobian.reshape(64, 64))[1]
    torch.testing.assert_close(ladj[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_round_trip_in_single_precision_at_full_size(kind, shape):
    flow = randomised(kind(shape), 0.05).float()
    x = torch.randn(4, *shape)
    with torch.no_grad():
        flow.initialise(x)
        back = flow.transform.inverse(flow.transform.forward(x)[0])[0]
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-4)


def test_every_layer_feels_the_context(kind):
    flow = randomised(kind((1, 4, 4), levels=1, context=3))
    conditional = layers_of(flow.transform, Coupling)
    assert all(layer.context_features == 3 for layer in conditional)
    context = torch.randn(32, 3, dtype=torch.float64, requires_grad=True)
    for layer in conditional:
        z, _ = layer.forward(torch.randn(32, *layer.event_shape, dtype=torch.float64), context)
        _, moved = layer.partition.split(z)
        for element in moved.flatten(1).unbind(1):
            gradient = torch.autograd.grad(element.sum(), context, retain_graph=True)[0]
            assert (gradient.abs().amax(0) > 1e-9).all()


def test_one_hot_classes_are_learnt_and_sampled(kind):
    torch.manual_seed(0)
    labels = torch.arange(256) % 2
    context = torch.nn.functional.one_hot(labels, 2).float()
    x = (2.0 * labels - 1.0)[:, None, None, None] + 0.2 * torch.randn(256, 1, 4, 4)
    flow = kind((1, 4, 4), hidden=(8,), context=2)
    with torch.no_grad():
        flow.initialise(x, context)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        loss = -flow.log_prob(x, context).mean()
        loss.backward()
        optimiser.step()
    entropy = 16 * (0.5 * math.log(2 * math.pi * math.e) + math.log(0.2))
    assert loss.item() < entropy + 3.0
    with torch.no_grad():
        means = [flow.sample(100, row, seed=0).mean().item() for row in torch.eye(2)]
    assert means == pytest.approx([-1.0, 1.0], abs=0.3)


def coloured(rows):
    """Return images whose two channels differ in mean and scale."""
    colours = torch.tensor([[2.0, 0.1], [-30.0, 5.0]])[:, :, None, None]
    return colours[:, 0] + colours[:, 1] * torch.randn(rows, 2, 8, 8)


def test_initialisation_normalizes_the_channels_of_every_layer_once(kind):
    flow = kind((2, 8, 8))
    x = coloured(500)
    with torch.no_grad():
        flow.initialise(x)
        state = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
        flow.initialise(100.0 * x)
        assert all(torch.equal(tensor, state[name]) for name, tensor in flow.state_dict().items())
        seen = []
        for layer in layers_of(flow.transform, ActNorm):
            layer.forward = lambda x, context, own=layer.forward: seen.append(own(x, context)) or seen[-1]
        flow.log_prob(x)
    assert len(seen) == len(layers_of(flow.transform, ActNorm)) > 0
    for z, _ in seen:
        torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(z.shape[1]), rtol=0, atol=1e-3)
        torch.testing.assert_close(z.std((0, 2, 3)), torch.ones(z.shape[1]), rtol=1e-2, atol=0)


def test_a_new_real_nvp_is_a_normal_of_every_channel():
    x = coloured(500)
    flow = flows.RealNVP((2, 8, 8), layers=2, hidden=(4,), levels=1)
    with torch.no_grad():
        flow.initialise(x)
        found = flow.log_prob(x)
    mean, scale = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True, correction=0)
    expected = torch.distributions.Normal(mean, scale).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_recomputation_changes_no_value_and_no_gradient(kind):
    torch.manual_seed(0)
    plain, recomputed = (kind((1, 8, 8), levels=2, context=2, recompute=each) for each in (False, True))
    randomised(plain)
    recomputed.double().load_state_dict(plain.state_dict())
    x, context = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    gradients = []
    for flow in (plain, recomputed):
        wanted = [x.clone().requires_grad_(), context.clone().requires_grad_()]
        value = flow.log_prob(*wanted)
        gradients.append([value, *torch.autograd.grad(value.sum(), [*wanted, *flow.parameters()])])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "option"), [("RealNVP", "layers"), ("Glow", "steps")])
def test_memory_of_a_recomputed_flow_does_not_grow_with_its_layers(name, option):
    def kept(count):
        flow = KINDS[name]((1, 8, 8), levels=2, recompute=True, **{option: count})
        sizes = []
        x = torch.randn(4, 1, 8, 8)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            flow.log_prob(x)
        return len(sizes), sum(sizes)

    assert kept(16) == kept(4)


@pytest.mark.parametrize("name", KINDS)
def test_deep_stacks_stay_finite(name):
    torch.manual_seed(0)
    flow = KINDS[name]((1, 8, 8), **DEEP[name])
    x = torch.distributions.StudentT(1.5).sample((32, 1, 8, 8)) * 100.0
    with torch.no_grad():
        flow.initialise(x)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        loss = -flow.log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in flow.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((1, 27, 28), {}, "odd height 27"),
        ((3, 32, 33), {}, "odd width 33"),
        ((1, 28, 28), {"levels": 3}, "multiples of 8, not 28"),
        ((1, 28, 28), {"levels": 0}, "levels is 0"),
        ((28, 28), {}, "channels, height and width"),
        ((1, 8, 8), {"hidden": (4, 8)}, "one width"),
        ((1, 0, 8), {}, "positive whole number"),
    ],
)
def test_images_that_cannot_be(kind, shape, options, match):
    with pytest.raises(UsageError, match=match) as error:
        kind(shape, **options)
    assert error.value.fix


def test_levels_are_for_images():
    with pytest.raises(UsageError, match="images"):
        flows.RealNVP(4, levels=2)


def test_glow_of_vectors_points_to_real_nvp():
    with pytest.raises(UsageError, match="images") as error:
        flows.Glow(4)
    assert "RealNVP" in error.value.fix


@pytest.mark.parametrize(
    ("shape", "levels"), [((1, 28, 28), 2), ((3, 32, 32), 3), ((1, 2, 2), 1), ((3, 64, 48), 3)]
)
def test_glow_halves_until_4_by_4_or_odd(shape, levels):
    flow = flows.Glow(shape, steps=2, hidden=(2,))
    assert len(layers_of(flow.transform, Squeezed)) == levels
    assert len(layers_of(flow.transform, MultiScale)) == levels - 1
    assert len(layers_of(flow.transform, Convolution1x1)) == 2 * levels
