"""Masked nets as one step of autograd mean what the composition of operators means."""

import pytest
import torch

from logpx.nets import MADE, made
from logpx.nets.dense_node import blocks_of, dense_node

SIZES = {
    "wide": (43, 2, (256, 256)),
    "narrow": (5, 3, (7, 9)),
    "one feature": (1, 2, (8,)),
    "deep, uneven": (30, 4, (20, 150, 100)),
    "many features": (60, 1, (16, 200)),
}


@pytest.fixture(params=SIZES)
def net(request):
    torch.manual_seed(0)
    net = MADE(*SIZES[request.param]).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    return net


def as_node(net, x, *tensors):
    return dense_node(net._dense, x, tensors or net._tensors(), net._masks(), net._composed)


def rows(net, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, net.features, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def outcome(call, x, tensors):
    y = call(x, *tensors)
    generator = torch.Generator().manual_seed(2)
    given = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, (x, *tensors), given)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_values_and_gradients(net, dtype, tolerance):
    net, x = net.to(dtype), rows(net, dtype)
    found = outcome(lambda x, *tensors: as_node(net, x, *tensors), x, net._tensors())
    expected = outcome(net._composed, x, net._tensors())
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


def test_without_gradients_the_values_are_the_same(net):
    x = rows(net)
    with torch.no_grad():
        found = as_node(net, x)
    assert torch.equal(found, as_node(net, x))


def test_gradients_can_be_differentiated():
    net = MADE(4, 2, (6, 5)).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5, generator=torch.Generator().manual_seed(3))
    x = rows(net)[:3].detach().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda *given: as_node(net, *given), (x, *net._tensors()), atol=1e-5)


@pytest.mark.parametrize("wanted", [0, 1, 2, -1])
def test_only_what_is_asked_for_gets_a_gradient(net, wanted):
    given = [each.detach() for each in (rows(net), *net._tensors())]
    given[wanted].requires_grad_()
    (found,) = torch.autograd.grad(as_node(net, *given).sum(), [given[wanted]])
    (expected,) = torch.autograd.grad(net._composed(*given).sum(), [given[wanted]])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_blocks_cover_what_the_masks_permit(net):
    for layer, mask in zip(net._dense, net._masks(), strict=False):
        covered = torch.zeros_like(mask)
        for block in layer.blocks:
            covered[block.first : block.last, : block.inputs] = 1.0
        assert bool((covered >= mask).all())
        assert layer.blocks[0].first == 0
        assert layer.blocks[-1].last == len(mask)


def test_a_quarter_of_the_products_and_more_is_left_out():
    net = MADE(43, 2, (256, 256))
    hidden = net._dense[1]
    area = sum((block.last - block.first) * block.inputs for block in hidden.blocks)
    assert area <= 0.66 * 256 * 256


def test_few_units_are_one_block():
    assert len(blocks_of([1] * 20 + [2] * 20, [0, 5, 9])) == 1


def test_long_batches_use_the_node(monkeypatch):
    net = MADE(8, 2, (64, 64))
    used = []
    monkeypatch.setattr(made, "dense_node", lambda *args: used.append(1) or dense_node(*args))
    x = torch.randn(2000, 8)
    y = net(x)
    assert used == [1]
    torch.testing.assert_close(y, torch.cat([net(part) for part in x.split(100)]))
    assert used == [1]
    conditional = MADE(8, 2, (64, 64), context=1)
    conditional(x, torch.zeros(1))
    MADE(8, 2, (64, 64), activation="tanh")(x)
    with torch.autocast("cpu", torch.bfloat16):
        net(x)
    torch.func.vmap(net)(x.expand(2, -1, -1))
    assert used == [1]
