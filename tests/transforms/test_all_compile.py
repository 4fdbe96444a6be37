"""Every transform compiles as one graph, in both directions, and means the same compiled."""

import shutil

import pytest
import torch

from logpx import flows


@pytest.fixture(autouse=True)
def fresh_compiler():
    """Forget earlier graphs: the compiler gives up on a function after a few of them."""
    torch.compiler.reset()


def check(transform, direction, inputs, context, fullgraph=True, **options):
    call = getattr(transform, direction)
    compiled = torch.compile(call, fullgraph=fullgraph, **options)
    with torch.no_grad():
        for found, expected in zip(compiled(inputs, context), call(inputs, context), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_one_graph(traced_direction):
    case, direction = traced_direction
    transform = case.make()
    inputs = case.inputs(transform, direction, 4)
    # An iteration leaves the graph to look at its residual.
    fullgraph = direction != case.iterated
    check(transform, direction, inputs, case.context(transform, 4), fullgraph, backend="eager")


# The compiler itself uses parts of torch that torch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check`:FutureWarning")
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_one_graph_in_native_code(compiled_case, direction):
    case, transform = compiled_case, compiled_case.make()
    check(transform, direction, case.inputs(transform, direction, 4), case.context(transform, 4))


def image_flow(features, layers, hidden):
    """Return a small flow of images, for which the sizes of the others would take minutes."""
    return flows.RealNVP((1, 4, 4), layers=1, hidden=(4,))


@pytest.mark.parametrize(
    "kind",
    [
        flows.MAF,
        image_flow,
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (flows.NICE, flows.RealNVP, flows.NSF, flows.IAF)
        ),
    ],
)
def test_training_step_is_one_graph(kind):
    flow = kind(features=3, layers=2, hidden=(8,))
    x = torch.randn(16, *flow.event_shape)
    loss = torch.compile(lambda x: -flow.log_prob(x).mean(), fullgraph=True, backend="aot_eager")(x)
    loss.backward()
    compiled = [parameter.grad.clone() for parameter in flow.parameters()]
    flow.zero_grad()
    (-flow.log_prob(x).mean()).backward()
    for found, parameter in zip(compiled, flow.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-5, atol=1e-6)


def test_scores_in_evaluation_mode_are_one_graph():
    flow = flows.RealNVP(3, layers=2, hidden=(8,)).eval()
    x = torch.randn(4, 3)
    found = torch.compile(flow.log_prob, fullgraph=True, backend="eager")(x)
    torch.testing.assert_close(found, flow.log_prob(x))
    assert not found.requires_grad
