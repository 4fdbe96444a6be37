"""Functions that are one step of autograd mean what their composition of operators means."""

import pytest
import torch

from logpx.transforms import (
    AffineFunction,
    BoundedRationalQuadraticFunction,
    CircularRationalQuadraticFunction,
    RationalQuadraticFunction,
)
from logpx.transforms.univariate import affine, nodes
from logpx.transforms.univariate.spline_node import spline_node

FUNCTIONS = {
    "affine": AffineFunction(),
    "line": RationalQuadraticFunction(8, bound=3.0),
    "line of two bins": RationalQuadraticFunction(2, bound=3.0),
    "line of many bins": RationalQuadraticFunction(50, bound=3.0),
    "interval": BoundedRationalQuadraticFunction(5, -2.0, 3.0),
    "interval of one bin": BoundedRationalQuadraticFunction(1, -2.0, 3.0),
    "circle": CircularRationalQuadraticFunction(4, period=6.0),
    "circle of one bin": CircularRationalQuadraticFunction(1, period=6.0),
}
ROWS, FEATURES = 60, 7


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


@pytest.fixture(params=[False, True], ids=["in rows", "rows together"])
def together(request):
    return request.param


def as_node(function, x, params, inverse):
    if isinstance(function, AffineFunction):
        return affine._Affine.apply(x, params, function._composed, function.bound, inverse)
    return spline_node(function._shape, function._composed, x, params, inverse)


def inputs(function, together, dtype=torch.float64, sharp=1.0):
    """Draw parameters and elements, with the ends, their neighbours and far elements among them."""
    generator = torch.Generator().manual_seed(0)
    count = function.parameters - isinstance(function, CircularRationalQuadraticFunction)
    numbers = sharp * torch.randn(FEATURES * count, ROWS, generator=generator, dtype=torch.float64)
    params = numbers.t().reshape(ROWS, FEATURES, count).to(dtype)
    params = params if together else params.contiguous()
    assert nodes.is_transposed(params) == (together and count > 1)
    x = 2.0 * torch.randn(ROWS, FEATURES, generator=generator, dtype=torch.float64).to(dtype)
    ends = torch.tensor([-2.0, -3.0, 3.0, 0.0], dtype=dtype)
    x[:4] = ends.unsqueeze(1)
    x[4:8] = torch.nextafter(ends, torch.tensor(9.0, dtype=dtype)).unsqueeze(1)
    x[8:12] = torch.nextafter(ends, torch.tensor(-9.0, dtype=dtype)).unsqueeze(1)
    x[12], x[13] = 50.0, -50.0
    if isinstance(function, CircularRationalQuadraticFunction):
        x = x.clamp(-3.0, 3.0)
    return x.requires_grad_(), params.requires_grad_()


def outcome(call, x, params):
    """Return values and gradients, for gradients of the outputs that differ from element to element."""
    outputs = call(x, params)
    generator = torch.Generator().manual_seed(1)
    given = [torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype) for _ in outputs]
    return [*(each.detach() for each in outputs), *torch.autograd.grad(outputs, (x, params), given)]


@pytest.mark.parametrize("inverse", [False, True])
def test_double_precision(function, together, inverse):
    x, params = inputs(function, together)
    found = outcome(lambda *given: as_node(function, *given, inverse), x, params)
    expected = outcome(lambda *given: function._composed(*given, inverse), x, params)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("inverse", [False, True])
def test_single_precision_is_as_exact_as_the_composition(function, together, inverse):
    x, params = inputs(function, together, torch.float32)
    found = outcome(lambda *given: as_node(function, *given, inverse), x, params)
    composed = outcome(lambda *given: function._composed(*given, inverse), x, params)
    exact = outcome(
        lambda *given: function._composed(*given, inverse),
        *(each.detach().double().requires_grad_() for each in (x, params)),
    )
    for mine, other, true in zip(found, composed, exact, strict=True):
        scale = float(true.abs().max())
        error, peer = float((mine - true).abs().max()), float((other - true).abs().max())
        assert error <= 3.0 * peer + 1e-6 * scale


def test_elements_on_knots_are_in_the_bin_that_begins_there(together):
    function = FUNCTIONS["line"]
    x, params = inputs(function, together)
    # All parameters 0: knots are evenly spaced, and the function is the identity.
    x = torch.linspace(-3.0, 3.0, 9, dtype=torch.float64).repeat(FEATURES, 1).t().contiguous()
    params = torch.zeros_like(params[:9]).requires_grad_()
    y, log_derivative = as_node(function, x, params, False)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(log_derivative, torch.zeros_like(x), rtol=0.0, atol=1e-14)
    found = outcome(lambda *given: as_node(function, *given, False), x.requires_grad_(), params)
    expected = outcome(lambda *given: function._composed(*given, False), x, params)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
def test_without_gradients_the_values_are_the_same(function, together, inverse):
    x, params = inputs(function, together)
    expected = as_node(function, x, params, inverse)
    with torch.no_grad():
        found = as_node(function, x, params, inverse)
    for mine, other in zip(found, expected, strict=True):
        assert torch.equal(mine, other)
        assert not mine.requires_grad


@pytest.mark.parametrize("inverse", [False, True])
def test_gradients_can_be_differentiated(function, together, inverse):
    x, params = (each.detach()[14:17].requires_grad_() for each in inputs(function, together))
    # Where elements are clamped to the ends of a circle, the gradient has no derivative.
    x = (0.4 * x).detach().requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x, params: as_node(function, x, params, inverse), (x, params), fast_mode=True, atol=1e-4
    )


def test_only_what_is_asked_for_gets_a_gradient(function):
    x, params = inputs(function, True)
    for wanted in (x, params):
        given = [each.detach().requires_grad_(each is wanted) for each in (x, params)]
        outputs = as_node(function, *given, False)
        (found,) = torch.autograd.grad(sum(each.sum() for each in outputs), [given[wanted is params]])
        composed = function._composed(x, params, False)
        (expected,) = torch.autograd.grad(sum(each.sum() for each in composed), [wanted])
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_outputs_changed_in_place_are_not_used_silently():
    x, params = inputs(FUNCTIONS["affine"], True)
    y, _ = as_node(FUNCTIONS["affine"], x, params, False)
    total = (y * 1.0).sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_missing_elements_stay_alone(together):
    function = FUNCTIONS["line"]
    x, params = inputs(function, together)
    broken = x.detach().clone()
    broken[20, 3] = torch.nan
    y, log_derivative = as_node(function, broken, params, False)
    expected, of_others = as_node(function, x, params, False)
    alone = torch.zeros(ROWS, FEATURES, dtype=torch.bool)
    alone[20, 3] = True
    assert torch.equal(y.isnan(), alone)
    assert torch.equal(y[~alone], expected[~alone])
    assert torch.equal(log_derivative[~alone], of_others[~alone])


# Forward-mode differentiation loads a part of torch that it has deprecated itself.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("name", ["affine", "line", "interval", "circle"])
def test_calls_use_the_node_where_it_is_allowed(name, monkeypatch):
    function = FUNCTIONS[name]
    used = []
    apply = affine._Affine.apply
    monkeypatch.setattr(affine._Affine, "apply", lambda *args: used.append(1) or apply(*args))
    monkeypatch.setattr(
        "logpx.transforms.univariate.splines.spline_node",
        lambda *args: used.append(1) or spline_node(*args),
    )
    params = torch.zeros(function.parameters * 4, 600).t().reshape(600, 4, function.parameters)
    x = torch.zeros(600, 4)
    params.requires_grad_()
    function(x, params)
    assert used == [1]
    function(x[:9], params[:9])
    function(x, params.detach().double())
    with torch.autocast("cpu", torch.bfloat16):
        function(x, params)
    torch.func.jvp(lambda x: function(x, params.detach()), (x,), (x,))
    torch.func.vmap(lambda x: function(x, params.detach()))(x.expand(2, 600, 4))
    assert used == [1]
