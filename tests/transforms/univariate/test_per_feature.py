"""Functions chosen per feature: each feature gets what its function gives alone."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import (
    AffineFunction,
    Autoregressive,
    CircularRationalQuadraticFunction,
    PerFeatureFunction,
    RationalQuadraticFunction,
    ShiftFunction,
)

FUNCTIONS = [RationalQuadraticFunction(4), CircularRationalQuadraticFunction(4), AffineFunction()]
CHOICE = [1, 0, 2, 1, 0]


@pytest.mark.parametrize("inverse", [False, True])
def test_every_feature_gets_its_function(inverse):
    function = PerFeatureFunction(FUNCTIONS, CHOICE)
    assert function.parameters == 13
    x, params = torch.randn(7, 5).double(), torch.randn(7, 5, 13).double()
    y, log_derivative = function(x, params, inverse)
    for feature, chosen in enumerate(CHOICE):
        alone = function.at(feature)
        assert alone is FUNCTIONS[chosen]
        own = params[:, feature, : alone.parameters]
        expected = alone(x[:, feature], own, inverse)
        torch.testing.assert_close(y[:, feature], expected[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(log_derivative[:, feature], expected[1], rtol=1e-12, atol=1e-12)


def test_a_function_that_nobody_chose_is_left_out():
    function = PerFeatureFunction([ShiftFunction(), AffineFunction()], [0, 0])
    y, _ = function(torch.zeros(2), torch.ones(2, 2))
    assert y.tolist() == [-1.0, -1.0]


def test_in_an_autoregressive_layer_that_is_turned_around():
    torch.manual_seed(0)
    layer = Autoregressive(5, PerFeatureFunction(FUNCTIONS, CHOICE), hidden=(8,)).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0.0, 0.3)
    x = torch.randn(20, 5).double()
    torch.testing.assert_close(layer.inverse(layer.forward(x)[0])[0], x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("choice", [[], [0, 3], [-1]])
def test_a_choice_that_is_none(choice):
    with pytest.raises(UsageError, match="choice"):
        PerFeatureFunction(FUNCTIONS, choice)
