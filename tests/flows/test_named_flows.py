"""Every named flow: densities that integrate to one, contexts that matter, and stability."""

import inspect
import math
import subprocess
import sys

import pytest
import torch

from logpx import flows
from logpx.errors import UsageError

KINDS = {
    "NICE": flows.NICE,
    "RealNVP": flows.RealNVP,
    "MAF": flows.MAF,
    "IAF": flows.IAF,
    "NSF": flows.NSF,
    "NSF, autoregressive": lambda *args, **options: flows.NSF(*args, autoregressive=True, **options),
}
AFFINE = [flows.RealNVP, flows.MAF, flows.IAF, flows.NICE]


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def randomised(flow, scale=0.3, dtype=torch.float64):
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, scale)
    return flow.to(dtype)


def test_density_integrates_to_one_in_two_dimensions(kind):
    flow = randomised(kind(2, layers=2, hidden=(16,)), 0.1)
    axis = torch.linspace(-12.0, 12.0, 301, dtype=torch.float64)
    with torch.no_grad():
        total = flow.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * 0.08**2
    assert total.item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("context", [0, 2])
def test_density_integrates_to_one_in_one_dimension(context):
    flow = randomised(flows.NSF(1, autoregressive=True, layers=3, hidden=(16,), context=context), 0.3)
    x = torch.linspace(-8.0, 8.0, 80_001, dtype=torch.float64)[:, None]
    c = torch.randn(context, dtype=torch.float64) if context else None
    with torch.no_grad():
        assert flow.log_prob(x, c).exp().sum().item() * 0.0002 == pytest.approx(1.0, abs=1e-4)


def test_density_of_samples_by_a_histogram(kind):
    # The share of samples in a box is the integral of the density over it.
    flow = randomised(kind(2, layers=2, hidden=(8,)), 0.2)
    axis = (torch.arange(200, dtype=torch.float64) + 0.5) / 100.0 - 1.0
    with torch.no_grad():
        x = flow.sample(20_000, seed=0)
        share = ((x.abs() < 1.0).all(1)).double().mean().item()
        mass = flow.log_prob(torch.cartesian_prod(axis, axis)).exp().sum().item() * 1e-4
    assert share == pytest.approx(mass, abs=4.0 * math.sqrt(mass * (1.0 - mass) / 20_000))


def test_every_output_feels_the_context(kind):
    flow = randomised(kind(3, layers=3, hidden=(8,), context=2))
    context = torch.randn(64, 2, dtype=torch.float64, requires_grad=True)
    x = flow.rsample(64, context, seed=0)
    for feature in range(3):
        gradient = torch.autograd.grad(x[:, feature].sum(), context, retain_graph=True)[0]
        assert (gradient.abs().amax(0) > 1e-9).all()


def test_layer_by_layer_the_context_is_felt(kind):
    flow = randomised(kind(3, layers=3, hidden=(8,), context=2))
    conditional = [part for part in flow.transform.transforms if part.context_features]
    assert len(conditional) == 3
    for layer in conditional:
        x = torch.randn(64, 3, dtype=torch.float64)
        context = torch.randn(64, 2, dtype=torch.float64, requires_grad=True)
        _, ladj = layer.forward(x, context)
        z, _ = layer.forward(x, context)
        felt = torch.autograd.grad((z.square().sum() + ladj.sum()), context)[0]
        assert (felt.abs().amax(0) > 1e-9).all()


def test_a_new_flow_is_a_standard_normal_of_the_standardised_rows(kind):
    flow = kind(3, layers=3, hidden=(8,))
    x = torch.randn(500, 3) * torch.tensor([0.01, 1.0, 50.0]) + torch.tensor([3.0, -100.0, 0.0])
    with torch.no_grad():
        flow.initialise(x)
        scale = x.double().std(0, correction=0)
        standard = (x.double() - x.double().mean(0)) / scale
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(standard).sum(1) - scale.log().sum()
        torch.testing.assert_close(flow.log_prob(x).double(), expected, rtol=1e-4, atol=1e-4)


def test_deep_stacks_stay_finite():
    # 19 features and 32 layers explode where the scale of a layer has no bound.
    torch.manual_seed(0)
    flow = flows.RealNVP(19, layers=32, hidden=(32,))
    x = torch.distributions.StudentT(1.5).sample((256, 19)) * 100.0
    with torch.no_grad():
        flow.initialise(x)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = -flow.log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in flow.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < losses[0]


def test_training_lowers_the_loss(kind):
    torch.manual_seed(0)
    flow = kind(2, layers=2, hidden=(16,), context=1)
    context = torch.randn(256, 1)
    x = torch.cat([context + 0.1 * torch.randn(256, 1), torch.randn(256, 1)], 1)
    flow.initialise(x, context)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    before = -flow.log_prob(x, context).mean().item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = -flow.log_prob(x, context).mean()
        loss.backward()
        optimiser.step()
    # Knowing the context is worth up to log(sqrt(1.01) / 0.1) = 2.3 nats.
    assert loss.item() < before - 0.7


@pytest.mark.parametrize("kind", AFFINE)
def test_affine_flows_of_one_feature_say_that_they_are_normal(kind):
    with pytest.warns(UserWarning, match="features=1 is a normal") as record:
        kind(1, layers=2, hidden=(4,), context=1)
    assert record[0].filename == __file__


def test_a_spline_flow_of_one_feature_is_no_normal_and_does_not_warn():
    flow = randomised(flows.NSF(1, autoregressive=True, layers=2, hidden=(8,)), 1.0)
    z, _ = flow.transform.forward(torch.linspace(-3.0, 3.0, 50, dtype=torch.float64)[:, None])
    assert z.diff(dim=0).diff(dim=0).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [flows.NICE, flows.RealNVP, flows.NSF])
def test_one_feature_has_no_coupling(kind):
    with pytest.raises(UsageError, match="two features"):
        kind(1)


@pytest.mark.parametrize("options", [{"layers": 0}, {"hidden": 64}, {"hidden": (0,)}, {"context": -1}])
def test_arguments_that_cannot_be_meant(kind, options):
    with pytest.raises(UsageError) as error:
        kind(3, **options)
    assert error.value.fix


def test_public_signatures():
    for flow in (flows.NICE, flows.RealNVP, flows.MAF, flows.IAF):
        names = list(inspect.signature(flow).parameters)
        assert names[:4] == ["features", "layers", "hidden", "context"]


@pytest.mark.slow
def test_importing_changes_nothing_in_torch_distributions():
    # A fresh process: this one has imported logpx already.
    code = """
import torch.distributions as d
def look():
    classes = [c for c in vars(d).values() if isinstance(c, type)]
    return {(c.__qualname__, n): id(v) for c in classes for n, v in vars(c).items()}
before = look()
import logpx
logpx.flows, logpx.latent, logpx.inference
assert len(before) > 500
assert look() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("arguments", [{"features": 1.5}, {"features": None}, {"features": 2, "layers": 2.5}])
def test_sizes_that_are_not_whole_are_refused(kind, arguments):
    with pytest.raises(UsageError):
        kind(**arguments)


@pytest.mark.parametrize("kind", [flows.NICE, flows.RealNVP, flows.NSF])
def test_recomputed_couplings_keep_one_tensor_and_give_the_same_gradients(kind):
    def kept(flow):
        sizes = []
        x = torch.randn(8, 3, dtype=torch.float64)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            flow.transform.forward(x)
        return sum(sizes)

    flow = randomised(kind(3, layers=4, hidden=(8,), context=2))
    lean = kind(3, layers=4, hidden=(8,), context=2, recompute=True).double()
    lean.load_state_dict(flow.state_dict())
    x, context = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    values = [each.log_prob(x, context) for each in (flow, lean)]
    torch.testing.assert_close(values[1], values[0], rtol=1e-12, atol=1e-12)
    found, expected = (
        torch.autograd.grad(value.sum(), list(each.parameters()), materialize_grads=True)
        for value, each in zip(values[::-1], (lean, flow), strict=True)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    shallow, deep = (kept(kind(3, layers=count, hidden=(8,), recompute=True).double()) for count in (2, 8))
    assert shallow == deep


def test_activations_of_autoregressive_layers_are_kept():
    with pytest.raises(UsageError, match="autoregressive"):
        flows.NSF(3, autoregressive=True, recompute=True)
