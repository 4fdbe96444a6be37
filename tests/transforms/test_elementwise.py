"""Elementwise maps: their formulas, edges and data-dependent start."""

import math

import numpy as np
import pytest
import torch
from scipy import special

from logpx.errors import DataError, UsageError
from logpx.transforms import Affine, Exp, Logit, Sigmoid, Softplus, Standardize, Tanh

X = torch.tensor([-800.0, -90.0, -30.0, -3.0, 0.0, 0.5, 3.0, 30.0, 90.0], dtype=torch.float64)[:, None]


@pytest.mark.parametrize(
    ("transform", "function", "log_derivative"),
    [
        (Sigmoid(1), special.expit, lambda x: special.log_expit(x) + special.log_expit(-x)),
        (Softplus(1), lambda x: np.logaddexp(0.0, x), special.log_expit),
        (Tanh(1), np.tanh, lambda x: np.log(4.0) + special.log_expit(2 * x) + special.log_expit(-2 * x)),
        (Exp(1), np.exp, lambda x: x),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)
def test_formulas(transform, function, log_derivative):
    z, ladj = transform.forward(X)
    np.testing.assert_allclose(z[:, 0], function(X[:, 0].numpy()), rtol=1e-14)
    np.testing.assert_allclose(ladj, log_derivative(X[:, 0].numpy()), rtol=1e-14)


def test_logit_is_scipys():
    x = np.array([1e-300, 1e-9, 0.1, 0.5, 0.999])
    z, ladj = Logit(1).forward(torch.from_numpy(x)[:, None])
    np.testing.assert_allclose(z[:, 0], special.logit(x), rtol=1e-14)
    np.testing.assert_allclose(ladj, -np.log(x) - np.log1p(-x), rtol=1e-14)


def test_inverse_of_softplus_near_zero_and_far_out():
    z = np.array([1e-300, 1e-20, 1.0, 700.0, 1e5])
    x = Softplus(1).inverse(torch.from_numpy(z)[:, None])[0][:, 0]
    np.testing.assert_allclose(x, z + np.log(-np.expm1(-z)), rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_values_come_back_as_the_nearest_inside(dtype):
    x = torch.tensor([[200.0], [-2000.0]], dtype=dtype)
    for transform in (Sigmoid(1), Tanh(1)):
        z, _ = transform.forward(x)
        back, _ = transform.inverse(z)
        assert torch.isfinite(back).all()
        assert (back.sign() == x.sign()).all()


def test_affine_can_be_of_any_event_shape():
    for shape in ((), (2,), (2, 3)):
        affine = Affine(shape)
        with torch.no_grad():
            affine.log_scale.fill_(0.5)
        size = math.prod(shape)
        _, ladj = affine.forward(torch.zeros(4, *shape))
        torch.testing.assert_close(ladj, torch.full((4,), -0.5 * size))


@pytest.mark.parametrize("shape", [0, -1, (2, 0), (1.5,), (True,)])
def test_an_event_shape_that_is_none(shape):
    with pytest.raises(UsageError, match="event shape"):
        Affine(shape)


def test_standardize_starts_as_the_identity_and_is_set_once():
    standardize = Standardize(2)
    x = torch.randn(500, 2) * torch.tensor([3.0, 0.1]) + torch.tensor([-7.0, 100.0])
    assert torch.equal(standardize.forward(x)[0], x)
    standardize.initialise(x)
    z = standardize.forward(x)[0]
    np.testing.assert_allclose(z.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(z.std(0, correction=0), 1.0, rtol=1e-4)
    mean = standardize.mean.clone()
    standardize.initialise(x + 50.0)
    assert torch.equal(standardize.mean, mean)


def test_standardize_takes_any_scale():
    for scale in (1e-30, 1e-15, 1.0, 1e30):
        x = scale * torch.randn(100, 1, dtype=torch.float64)
        z = Standardize(1).double().initialise_and_map(x)
        assert z.std(correction=0).item() == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -1e-20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_standardize_names_a_constant_column(value, dtype):
    x = torch.randn(100, 3, dtype=dtype)
    x[:, 2] = value
    with pytest.raises(DataError, match="column 2") as error:
        Standardize(3).to(dtype).initialise(x)
    assert error.value.fix


def test_standardize_refuses_values_that_are_not_finite():
    x = torch.randn(100, 3)
    x[7, 1] = math.nan
    standardize = Standardize(3)
    with pytest.raises(DataError, match="column 1"):
        standardize.initialise(x)
    assert not standardize.initialised
    with pytest.raises(DataError, match="no rows"):
        standardize.initialise(x[:0])
