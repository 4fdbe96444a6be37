"""Implicit gradients: against those through a closed-form inverse, by finite differences, and their cost."""

import pytest
import torch

from logpx.errors import NotConvergedError
from logpx.nets import MADE
from logpx.transforms import Autoregressive, MintLayer
from logpx.transforms.implicit import differentiable_inverse


def closed(z, scale, slope):
    """Invert z0 = a x0³, z1 = x1 + b x0 in closed form, with the ladj of the inverse."""
    x0 = (z[:, 0] / scale) ** (1.0 / 3.0)
    x = torch.stack([x0, z[:, 1] - slope * x0], 1)
    return x, -torch.log(3.0 * scale * x0**2)


def test_gradients_are_those_of_the_closed_form():
    z = torch.rand(6, 2, dtype=torch.float64).add(0.5).requires_grad_()
    scale, slope = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.7, 2.0))

    def evaluate(x):
        value = torch.stack([scale * x[:, 0] ** 3, x[:, 1] + slope * x[:, 0]], 1)
        return value, torch.stack([torch.log(3.0 * scale * x[:, 0] ** 2), torch.zeros_like(x[:, 1])], 1)

    x, ladj = differentiable_inverse(evaluate, closed(z, scale, slope)[0], z, [scale, slope], event_dims=1)
    weights = torch.randn(6, 2, dtype=torch.float64)
    for found, expected in zip((x, ladj), closed(z, scale, slope), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    def gradients(x, ladj):
        return torch.autograd.grad((weights * x.sin()).sum() + ladj.exp().sum(), (z, scale, slope))

    for found, expected in zip(gradients(x, ladj), gradients(*closed(z, scale, slope)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [4, (2, 2, 2)])
def test_finite_differences(shape):
    torch.manual_seed(0)
    layer = MintLayer(shape, hidden=3, context=2).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.4)
    z = torch.randn(3, *layer.event_shape, dtype=torch.float64, requires_grad=True)
    context = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer.inverse, (z, context), eps=1e-6, atol=1e-6)

    class Backwards(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self):
            return self.layer.inverse(z.detach(), context.detach())

    backwards = Backwards()
    names = [name for name, _ in backwards.named_parameters()]
    values = tuple(parameter.detach().clone().requires_grad_() for parameter in backwards.parameters())
    assert torch.autograd.gradcheck(
        lambda *values: torch.func.functional_call(backwards, dict(zip(names, values, strict=True)), ()),
        values,
        atol=1e-6,
        fast_mode=True,
    )


def bytes_kept(call):
    """Count the memory that autograd keeps for the backward pass, every storage once."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = call()
    assert all(output.requires_grad for output in outputs)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


class Own(torch.nn.Module):
    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, x, context):
        return self.made(x, context)


@pytest.mark.parametrize(
    "build",
    [
        lambda features: MintLayer(features, hidden=4),
        lambda features: MintLayer((1, 4, features // 4), hidden=4),
        lambda features: Autoregressive(features, net=Own(MADE(features, 2, (4 * features,) * 2))),
        lambda features: Autoregressive(features, hidden=(4 * features,) * 2),
    ],
    ids=["mint", "mint of images", "Jacobi", "MADE"],
)
@pytest.mark.parametrize("features", [16, 64])
def test_the_inverse_keeps_no_more_memory_for_its_gradient_than_forward_does(build, features):
    torch.manual_seed(0)
    layer = build(features)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.03)
    x = torch.randn(256, *layer.event_shape)
    assert bytes_kept(lambda: layer.inverse(x)) <= 1.3 * bytes_kept(lambda: layer.forward(x))


def test_without_anything_to_differentiate_there_is_no_graph():
    layer = MintLayer(3, hidden=2).requires_grad_(False)
    x, ladj = layer.inverse(torch.randn(4, 3))
    assert not x.requires_grad
    assert not ladj.requires_grad


def test_the_second_derivative_is_refused():
    z = torch.randn(4, 3, requires_grad=True)
    x, _ = MintLayer(3, hidden=2).inverse(z)
    (gradient,) = torch.autograd.grad(x.square().sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_gradient_that_is_not_finite_is_handed_on():
    z = torch.randn(2, 3, requires_grad=True)
    x, _ = MintLayer(3, hidden=2).inverse(z)
    x.backward(torch.tensor([[1.0, torch.nan, 1.0], [1.0, 1.0, 1.0]]))
    assert torch.isnan(z.grad[0, 1])
    assert torch.isfinite(z.grad[1]).all()


def test_a_jacobian_that_is_not_triangular_is_an_error():
    z = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    matrix = torch.tensor([[1.0, 3.0], [3.0, 1.0]], dtype=torch.float64)
    x, _ = differentiable_inverse(
        lambda x: (x @ matrix, torch.zeros_like(x)),
        torch.full((1, 2), 0.25, dtype=torch.float64),
        z,
        [],
        event_dims=1,
    )
    with pytest.raises(NotConvergedError, match="gradient of the inverse"):
        x.sum().backward()
