"""The inverse of an autoregressive layer without a graph means what it means with one."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.nets import MADE, CircularEmbedding
from logpx.nets.sweep import needs_no_graph
from logpx.transforms import Autoregressive, RationalQuadraticFunction, autoregressive

LAYERS = {
    "affine": lambda: Autoregressive(7, hidden=(20, 30)),
    "deep, narrow": lambda: Autoregressive(6, hidden=(2, 9, 1), activation="tanh"),
    "silu": lambda: Autoregressive(6, hidden=(16, 8), activation="silu"),
    "one feature": lambda: Autoregressive(1, hidden=(4,)),
    "context": lambda: Autoregressive(5, hidden=(12, 12), context=2),
    "narrow, context": lambda: Autoregressive(5, hidden=(1, 2), context=2),
    "blocks": lambda: Autoregressive(17, hidden=(40, 9)),
    "blocks, context": lambda: Autoregressive(16, hidden=(5, 40), context=2),
    "spline": lambda: Autoregressive(5, RationalQuadraticFunction(6, 3.0), hidden=(16, 16)),
    "angles": lambda: Autoregressive(
        10, hidden=(9, 9), net=MADE(10, 2, (9, 9), embedding=CircularEmbedding(10, (0, 7, 8), 6.0))
    ),
}


def built(name, dtype=torch.float64):
    torch.manual_seed(0)
    layer = LAYERS[name]().to(dtype)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.4)
    return layer


def rows(layer, n, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(n, *layer.event_shape, generator=generator, dtype=torch.float64).to(dtype)
    size = layer.context_features
    context = torch.randn(n, size, generator=generator, dtype=torch.float64).to(dtype) if size else None
    return z, context


def check(layer, z, context, tolerance=1e-12):
    expected = [each.detach() for each in layer.inverse(z, context)]
    with torch.no_grad():
        found = layer.inverse(z, context)
    for mine, other in zip(found, expected, strict=True):
        assert not mine.requires_grad
        scale = other.abs().max().item() if other.numel() else 1.0
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("n", [0, 1, 50])
@pytest.mark.parametrize("name", LAYERS)
def test_values_in_double_precision(name, n):
    layer = built(name)
    check(layer, *rows(layer, n))


@pytest.mark.parametrize("name", LAYERS)
def test_values_in_single_precision(name):
    layer = built(name, torch.float32)
    z, context = rows(layer, 50, torch.float32)
    with torch.no_grad():
        x, ladj = layer.inverse(z, context)
    exact = built(name)
    exact.load_state_dict(layer.state_dict())
    true = exact.inverse(z.double(), None if context is None else context.double())
    plain = layer.inverse(z, context)
    for mine, composed, right in zip((x, ladj), plain, true, strict=True):
        error, peer = ((each - right).abs().max().item() for each in (mine, composed))
        assert error <= 3.0 * peer + 1e-6 * right.abs().max().item()


def test_one_context_for_all_rows():
    layer = built("context")
    z, context = rows(layer, 20)
    check(layer, z, context[0])
    check(layer, z, context[:1])


def test_any_number_of_leading_dimensions():
    layer = built("affine")
    z, _ = rows(layer, 24)
    check(layer, z.view(2, 3, 4, 7), None)
    check(layer, z[0], None)


@pytest.mark.parametrize("name", ["affine", "context"])
def test_many_rows_in_parts(name, monkeypatch):
    monkeypatch.setattr(autoregressive, "_ROWS_AT_ONCE", 16)
    layer = built(name)
    z, context = rows(layer, 50)
    check(layer, z, context)
    if context is not None:
        check(layer, z, context[0])
        check(layer, z, context[:1])


def test_round_trip():
    layer = built("spline")
    z, _ = rows(layer, 100)
    with torch.no_grad():
        x, ladj = layer.inverse(z)
        again, forth = layer.forward(x)
    torch.testing.assert_close(again, z, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ladj, -forth, rtol=1e-9, atol=1e-9)


def test_the_graph_is_left_out_only_where_none_is_asked_for(monkeypatch):
    swept = []
    genuine = MADE._swept
    monkeypatch.setattr(MADE, "_swept", lambda self, *args: swept.append(1) or genuine(self, *args))
    layer = built("affine")
    z, _ = rows(layer, 5)
    x, _ = layer.inverse(z)
    assert x.requires_grad
    assert swept == []
    with torch.no_grad():
        layer.inverse(z)
    assert swept == [1]


def test_inputs_are_not_changed():
    layer = built("affine")
    z, _ = rows(layer, 5)
    kept = z.clone()
    with torch.no_grad():
        layer.inverse(z)
    assert torch.equal(z, kept)


def test_another_precision_is_refused():
    layer = built("affine", torch.float32)
    with torch.no_grad(), pytest.raises(UsageError, match="float64"):
        layer.inverse(torch.zeros(3, 7, dtype=torch.float64))


def test_dead_rows_stay_alone():
    layer = built("affine")
    z, _ = rows(layer, 5)
    with torch.no_grad():
        expected, _ = layer.inverse(z)
        z[2, 0] = torch.nan
        x, _ = layer.inverse(z)
    others = [0, 1, 3, 4]
    assert torch.equal(x[others], expected[others])
    assert x[2].isnan().any()


def test_needs_no_graph_says_no_within_transforms_of_functions():
    layer = built("affine")
    z, _ = rows(layer, 6)
    with torch.no_grad():
        found = torch.func.vmap(lambda part: layer.inverse(part)[0])(z.view(2, 3, 7))
        torch.testing.assert_close(found.view(6, 7), layer.inverse(z)[0])
    assert needs_no_graph(torch.Size([3]), layer.net.skip) is False
