"""What the peers assert of every transform, of its counterpart here."""

import copy
import pickle

import pytest
import torch
from torch.autograd.functional import jacobian

from logpx import transforms
from logpx.errors import UsageError
from logpx.transforms import Affine, AffineFunction, Coupling, Logit, Tanh, Transform

pytestmark = pytest.mark.slow

LEADING = [(), (1,), (4,), (2, 3)]


@pytest.mark.parametrize("batched", [False, True])
def test_a_function_of_one_number(univariate, batched):
    # zuko test_univariate_transforms; nflows TestPiecewiseCDF; FlowJAX test_bijections of scalars.
    generator = torch.Generator().manual_seed(0)
    lower, upper = getattr(univariate, "lower", -5.0) + 1e-2, getattr(univariate, "upper", 5.0) - 1e-2
    x = torch.linspace(lower, upper, 64, dtype=torch.float64)
    shape = (64, univariate.parameters) if batched else (univariate.parameters,)
    params = torch.randn(shape, generator=generator, dtype=torch.float64)
    params = params.expand(64, univariate.parameters)
    y, ladj = univariate(x, params)
    assert y.shape == ladj.shape == x.shape
    back, ladj_back = univariate(y, params, inverse=True)
    torch.testing.assert_close(back, x, atol=1e-6, rtol=0.0)
    for inputs, inverse, found in ((x, False, ladj), (y, True, ladj_back)):
        slopes = jacobian(lambda u, inverse=inverse: univariate(u, params, inverse=inverse)[0], inputs)
        assert torch.equal(slopes, slopes.diagonal().diag())
        torch.testing.assert_close(found, slopes.diagonal().abs().log(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("leading", LEADING)
def test_shapes_and_the_round_trip(counterpart, leading):
    # zuko test_multivariate_transforms, test_triangular_transforms; nflows assert_tensor_is_good and
    # assert_forward_inverse_are_consistent; normflows checkForwardInverse; FlowJAX test_transform_inverse.
    transform = counterpart.make()
    x, context = counterpart.rows(transform, *leading), counterpart.context(transform, *leading)
    z, ladj = transform.forward(x, context)
    back, ladj_back = transform.inverse(z, context)
    assert z.shape == back.shape == x.shape
    assert ladj.shape == ladj_back.shape == leading
    assert z.dtype == ladj.dtype == torch.float64
    assert z.isfinite().all()
    assert ladj.isfinite().all()
    torch.testing.assert_close(back, x, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_ladj_is_that_of_automatic_differentiation(counterpart, direction):
    # zuko: jacobian and slogdet of t and of t.inv; FlowJAX test_transform_inverse_and_log_dets.
    transform = counterpart.make()
    x, context = counterpart.rows(transform, 2), counterpart.context(transform, 2)
    inputs = x if direction == "forward" else transform.forward(x, context)[0].detach()
    call = getattr(transform, direction)
    _, ladj = call(inputs, context)
    for row in range(2):
        own = None if context is None else context[row]
        found = jacobian(lambda u, own=own: call(u, own)[0], inputs[row])
        size = inputs[row].numel()
        expected = torch.linalg.slogdet(found.reshape(size, size)).logabsdet
        torch.testing.assert_close(ladj[row], expected, atol=1e-5, rtol=1e-5)


def test_one_context_serves_all_rows_and_rows_may_be_many(counterpart):
    # zuko: t(c)(x) for c of shape (c,); FlowJAX test_broadcasting_conditional.
    transform = counterpart.make()
    x = counterpart.rows(transform, 4)
    one = counterpart.context(transform)
    if one is None:
        torch.testing.assert_close(transform.forward(x)[0][2], transform.forward(x[2])[0])
        return
    torch.testing.assert_close(transform.forward(x, one), transform.forward(x, one.expand(4, -1)))
    several = counterpart.context(transform, 3, 1)
    assert transform.forward(x, several)[0].shape == (3, *x.shape)


def test_gradients_reach_every_parameter(counterpart):
    # zuko: requires_grad, and p.grad is not None for all parameters, of log p and of samples.
    transform = counterpart.make()
    x, context = counterpart.rows(transform, 4), counterpart.context(transform, 4)
    with torch.no_grad():
        noise = transform.forward(x, context)[0]
    for call, inputs in ((transform.forward, x), (transform.inverse, noise)):
        value, ladj = call(inputs, context)
        if list(transform.parameters()):
            (value.square().sum() + ladj.sum()).backward()
    for name, parameter in transform.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_copies_and_states_are_the_same_map(counterpart):
    # zuko: torch.save and torch.load; normflows: save and load; repr.
    transform = counterpart.make()
    x, context = counterpart.rows(transform, 3), counterpart.context(transform, 3)
    found = transform.forward(x, context)
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):
        assert all(map(torch.equal, other.forward(x, context), found))
    fresh = counterpart.build().double().eval()
    fresh.load_state_dict(transform.state_dict())
    assert all(map(torch.equal, fresh.forward(x, context), found))
    assert type(transform).__name__ in repr(transform)


def test_it_is_a_transform_of_torch(counterpart):
    # zuko: call_and_ladj, inv and log_abs_det_jacobian.
    transform = counterpart.make()
    x, context = counterpart.rows(transform, 3), counterpart.context(transform, 3)
    given = transform.torch_transform(context)
    z, ladj = transform.forward(x, context)
    torch.testing.assert_close(given(x), z)
    torch.testing.assert_close(given.log_abs_det_jacobian(x, z), ladj)
    torch.testing.assert_close(given.inv(z), x, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(given.inv.log_abs_det_jacobian(z, x), -ladj, atol=1e-5, rtol=1e-6)


def test_a_coupling_keeps_its_first_half():
    # nflows: outputs[:, mask <= 0] == inputs[:, mask <= 0]; additive ones have a ladj of 0.
    x = torch.randn(10, 20)
    layer = Coupling(20, AffineFunction(), hidden=(30,))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    assert torch.equal(layer.forward(x)[0][:, :10], x[:, :10])
    assert not torch.equal(layer.forward(x)[0][:, 10:], x[:, 10:])


def test_a_spline_keeps_the_ends_of_its_interval():
    # nflows test_zeros_to_zeros, test_ones_to_ones.
    spline = transforms.BoundedRationalQuadraticFunction(10)
    ends = torch.tensor([0.0, 1.0])
    torch.testing.assert_close(spline(ends, torch.randn(2, spline.parameters))[0], ends)


@pytest.mark.parametrize("value", [-2.0, 2.0])
def test_outside_the_domain_there_is_no_density(value):
    # nflows raises InputOutsideDomain for the whole batch; here the row has the density 0.
    assert Logit(3).forward(torch.full((2, 3), value))[1].tolist() == [-torch.inf] * 2
    assert Tanh(3).inverse(torch.full((2, 3), value))[1].tolist() == [-torch.inf] * 2


def test_logit_is_finite_at_its_ends():
    # nflows LogitTest.
    z, ladj = Logit((5, 2)).forward(torch.stack([torch.zeros(5, 2), torch.ones(5, 2)]))
    assert z.isfinite().all()
    assert ladj.isfinite().all()


@pytest.mark.parametrize("call", ["forward", "inverse"])
@pytest.mark.parametrize(
    ("transform", "inputs", "message"),
    [
        (Affine(3), (torch.ones(2),), "event shape"),
        (Coupling(3, context=2), (torch.ones(3), torch.ones(3)), "2 context features"),
        (Coupling(3, context=2), (torch.ones(3), None), "2 context features"),
    ],
)
def test_wrong_shapes_are_named(transform: Transform, call, inputs, message):
    # FlowJAX test_argcheck.
    with pytest.raises(UsageError, match=message):
        getattr(transform, call)(*inputs)


def test_what_has_no_counterpart(missing):
    name, reason = missing
    pytest.skip(f"{name}: {reason}")
