"""What is no argument is refused by name, with a way out, before torch sees it."""

import math

import pytest

from logpx import flows, nets, transforms
from logpx.arguments import check_count, check_instance, check_number, check_places
from logpx.errors import UsageError
from logpx.nets import CircularEmbedding
from logpx.transforms import Affine, AffineFunction

NO_COUNT = (-1, 2.5, "3", True, [], (2.5, 3), math.nan)
NO_POSITIVE_COUNT = (0, *NO_COUNT)
NO_OBJECT = (0, -1, 2.5, "3", True, ())
NO_POSITIVE_NUMBER = (0, -1, "3", True, None, [], math.nan, math.inf)
NO_LIST = (0, 2.5, "3", True)

WRONG = [
    *(
        (kind, {"features": 3}, "context", NO_COUNT)
        for kind in (flows.RealNVP, flows.MAF, flows.NICE, flows.NSF)
    ),
    *((kind, {"features": 3}, "layers", NO_POSITIVE_COUNT) for kind in (flows.RealNVP, flows.IAF, flows.NSF)),
    *(
        (kind, {}, "features", (0, 2.5, (2, 3), (), None))
        for kind in (flows.MAF, flows.IAF, flows.NICE, flows.NSF)
    ),
    (flows.NSF, {"features": 3}, "bins", NO_POSITIVE_COUNT),
    (flows.NSF, {"features": 3}, "bound", NO_POSITIVE_NUMBER),
    (flows.NSF, {"features": 3}, "period", NO_POSITIVE_NUMBER),
    (flows.NSF, {"features": 3}, "circular", (*NO_LIST, None, (3,), (True,))),
    (flows.NSF, {"features": 3}, "bounded", (-1, 2.5, "3", True, (2, 3))),
    (flows.RealNVP, {"features": (1, 4, 4)}, "levels", NO_POSITIVE_COUNT),
    (flows.Glow, {"event_shape": (1, 4, 4)}, "context", NO_COUNT),
    (flows.Glow, {"event_shape": (1, 4, 4)}, "steps", NO_POSITIVE_COUNT),
    (flows.Glow, {}, "event_shape", (3, (), (1, 3, 4), (0, 4, 4), "3", None)),
    (flows.MintNet, {"event_shape": 3}, "context", NO_COUNT),
    (flows.MintNet, {"event_shape": 3}, "hidden", NO_POSITIVE_COUNT),
    (flows.MintNet, {"event_shape": 3}, "kernel", (*NO_POSITIVE_COUNT, None)),
    (transforms.Linear, {"features": 3}, "matrix", NO_OBJECT),
    (transforms.Convolution1x1, {"event_shape": (3, 2, 2)}, "matrix", NO_OBJECT),
    (transforms.Coupling, {"features": 3}, "univariate", NO_OBJECT),
    (transforms.Coupling, {"features": 3}, "net", NO_OBJECT),
    (transforms.Autoregressive, {"features": 3}, "univariate", NO_OBJECT),
    (transforms.Autoregressive, {"features": 3}, "net", NO_OBJECT),
    (transforms.Autoregressive, {"features": 3}, "activation", ([], "swish", None)),
    (transforms.MultiScale, {}, "transform", (*NO_OBJECT, None)),
    (transforms.MultiScale, {"transform": Affine((1, 2, 2))}, "prior", NO_OBJECT),
    (transforms.Squeezed, {}, "transform", (*NO_OBJECT, None)),
    (transforms.Inverse, {}, "transform", (*NO_OBJECT, None)),
    (transforms.Chain, {}, "transforms", (*NO_OBJECT, None, [3])),
    (transforms.Permutation, {"features": 3}, "order", (*NO_LIST, (0, 1))),
    (transforms.Permutation, {"features": 3}, "seed", (2.5, "3", True, [], None)),
    (transforms.Reverse, {}, "features", (0, (), (2, 3), None)),
    (transforms.Standardize, {"event_shape": 3}, "given", (-1, 2.5, "3", True)),
    (transforms.Wrap, {"features": 3}, "circular", (*NO_LIST, None, (3,))),
    (transforms.AffineFunction, {}, "bound", NO_POSITIVE_NUMBER),
    (transforms.RationalQuadraticFunction, {}, "bins", (*NO_POSITIVE_COUNT, None, 1000)),
    (transforms.BoundedRationalQuadraticFunction, {}, "lower", ("3", None, 1.0, math.nan)),
    (transforms.CircularRationalQuadraticFunction, {}, "period", NO_POSITIVE_NUMBER),
    (transforms.SumOfSquaresFunction, {}, "degree", (*NO_POSITIVE_COUNT, 9)),
    (transforms.PerFeatureFunction, {"choice": [0]}, "functions", (*NO_OBJECT, None, [3])),
    (transforms.PerFeatureFunction, {"functions": [AffineFunction()]}, "choice", (*NO_LIST, None, [], [1])),
    (nets.MLP, {"in_features": 3, "out_features": 2}, "in_features", (*NO_COUNT, None)),
    (nets.ResidualMLP, {"in_features": 3, "out_features": 2}, "blocks", (*NO_COUNT, None)),
    (nets.ConvolutionalResNet, {"in_channels": 3}, "out_channels", (*NO_POSITIVE_COUNT, None)),
    (nets.ConvolutionalResNet, {"in_channels": 3, "out_channels": 2}, "context", (*NO_COUNT, None)),
    (nets.MADE, {"features": 3}, "parameters", (*NO_POSITIVE_COUNT, None)),
    (nets.MADE, {"features": 3, "parameters": 2}, "embedding", NO_OBJECT),
    (CircularEmbedding, {"features": 3}, "circular", (*NO_LIST, None, (3,))),
    (nets.Embedded, {"embedding": CircularEmbedding(2, (0,))}, "net", (*NO_OBJECT, None)),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "name", "values"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_constructors_refuse_what_is_no_argument(kind, arguments, name, values):
    for value in values:
        with pytest.raises(UsageError) as error:
            kind(**{**arguments, name: value})
        assert error.value.fix


@pytest.mark.parametrize(
    "refused",
    [
        lambda: check_count("it", 5, most=4),
        lambda: check_count("it", True),
        lambda: check_number("it", math.nan),
        lambda: check_number("it", 0.0, above=0.0),
        lambda: check_instance("it", 3, str, "'a'"),
        lambda: check_places("it", [3], 3),
        lambda: check_places("it", "012", 3),
    ],
)
def test_the_argument_is_named(refused):
    with pytest.raises(UsageError, match=r"^it is .* expected\nfix: "):
        refused()


def test_what_is_meant_passes():
    check_count("it", 0, least=0)
    check_count("it", 4, most=4)
    check_count("it", -7, least=None)
    check_number("it", 1)
    check_number("it", -2.5)
    check_instance("it", "b", str, "'a'")
    check_places("it", (2, 0), 3)
