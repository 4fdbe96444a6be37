"""Recomputation: gradients of Chain, memory that does not grow with depth, and what it refuses."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Channels, Coupling, Permutation, ReversibleChain, Softplus


def layers(depth, context=0):
    torch.manual_seed(0)
    stack = [
        Coupling(hidden=(4,), context=context, partition=Channels((2, 4, 4), flip=index % 2 == 1))
        for index in range(depth)
    ]
    for layer in stack:
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_(0.0, 0.2)
    return [layer.double() for layer in stack]


def vector_layers(context):
    shared = Coupling(3, hidden=(8,), context=context)
    parts = [Affine(3), shared, Permutation(3), Coupling(3, hidden=(8,), flip=True), shared, Affine(3)]
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in Chain(parts).parameters():
            parameter.normal_(0.0, 0.3)
    return [part.double() for part in parts]


def gradients(chain, direction, x, context):
    wanted = [x.clone().requires_grad_()]
    if context is not None:
        wanted.append(context.clone().requires_grad_())
    y, ladj = getattr(chain, direction)(*wanted)
    loss = (y.sin() * torch.arange(y.numel()).view_as(y)).sum() + (ladj * ladj).sum()
    return [y, ladj, *torch.autograd.grad(loss, [*wanted, *chain.parameters()])]


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("context", [None, (5, 2), (2,)])
@pytest.mark.parametrize("build", [lambda c: layers(6, c), vector_layers], ids=["image", "vector"])
def test_gradients_are_those_of_chain(build, context, direction):
    parts = build(context[-1] if context else 0)
    c = torch.randn(context, dtype=torch.float64) if context else None
    x = torch.randn(5, *parts[0].event_shape, dtype=torch.float64)
    expected = gradients(Chain(parts), direction, x, c)
    for found, correct in zip(gradients(ReversibleChain(parts), direction, x, c), expected, strict=True):
        torch.testing.assert_close(found, correct, rtol=1e-9, atol=1e-9)


def saved_by(chain, direction):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        getattr(chain, direction)(torch.randn(8, 2, 4, 4, dtype=torch.float64))
    return len(sizes), sum(sizes)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_memory_does_not_grow_with_depth(direction):
    shallow, deep = (saved_by(ReversibleChain(layers(depth)), direction) for depth in (4, 16))
    assert shallow == deep == (1, 8 * 2 * 4 * 4)
    assert saved_by(Chain(layers(16)), direction)[1] > 3 * saved_by(Chain(layers(4)), direction)[1]


def test_only_trained_parameters_and_wanted_inputs_get_gradients():
    parts = vector_layers(2)
    parts[0].shift.requires_grad_(False)
    chain = ReversibleChain(parts)
    context = torch.randn(5, 2, dtype=torch.float64)
    _, ladj = chain.forward(torch.randn(5, 3, dtype=torch.float64), context)
    ladj.sum().backward()
    assert parts[0].shift.grad is None
    assert context.grad is None
    assert all(parameter.grad is not None for parameter in parts[1].parameters())


def test_a_chain_without_parameters_passes_gradients_through():
    chain = ReversibleChain([Permutation(3), Softplus(3)])
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    z, ladj = chain.forward(x)
    (found,) = torch.autograd.grad(z.sum() + ladj.sum(), x)
    z, ladj = Chain(chain.transforms).forward(x)
    torch.testing.assert_close(found, torch.autograd.grad(z.sum() + ladj.sum(), x)[0], rtol=1e-9, atol=1e-9)


def test_without_gradients_it_is_a_plain_chain():
    parts = layers(3)
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(ReversibleChain(parts).forward(x)[0], Chain(parts).forward(x)[0])
    assert ReversibleChain(parts).forward(x)[0].requires_grad


def test_a_step_between_forward_and_backward_is_an_error():
    chain = ReversibleChain(layers(2))
    _, ladj = chain.forward(torch.randn(5, 2, 4, 4, dtype=torch.float64))
    with torch.no_grad():
        next(chain.parameters()).add_(1.0)
    with pytest.raises(UsageError, match="changed between") as error:
        ladj.sum().backward()
    assert error.value.fix


def test_second_derivatives_are_refused():
    chain = ReversibleChain(layers(2))
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(UsageError, match="differentiable once") as error:
        torch.autograd.grad(chain.forward(x)[1].sum(), x, create_graph=True)
    assert error.value.fix
