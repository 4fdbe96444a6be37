"""What is no argument is refused by name, with a way out, before torch sees it."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import logpx
from logpx import distributions, flows, images, latent, load, nets, save, transforms
from logpx.arguments import check_count, check_instance, check_number, check_places
from logpx.configuration import describe
from logpx.distributions import likelihoods
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.errors import UsageError
from logpx.nets import CircularEmbedding
from logpx.plots.columns import columns_of
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
    (transforms.MonotoneNetworkFunction, {}, "units", NO_POSITIVE_COUNT),
    (transforms.MonotoneNetworkFunction, {}, "layers", NO_POSITIVE_COUNT),
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


WHOLE = [
    *((kind, {}, "features", 3) for kind in (flows.RealNVP, flows.NICE, flows.MAF, flows.IAF, flows.NSF)),
    *((kind, {"features": 3}, "layers", 2) for kind in (flows.RealNVP, flows.NICE, flows.MAF, flows.NSF)),
    *((kind, {"features": 3}, "hidden", (4,)) for kind in (flows.RealNVP, flows.NICE, flows.MAF, flows.NSF)),
    *((kind, {"features": 3}, "context", 2) for kind in (flows.RealNVP, flows.NICE, flows.IAF, flows.NSF)),
    (flows.NSF, {"features": 3}, "bins", 4),
    (flows.NSF, {"features": 3}, "circular", (1,)),
    (flows.RealNVP, {"layers": 2, "hidden": (4,)}, "features", (1, 4, 4)),
    (flows.RealNVP, {"features": (1, 4, 4), "layers": 2, "hidden": (4,)}, "levels", 1),
    (flows.Glow, {"steps": 1, "hidden": (4,)}, "event_shape", (1, 4, 4)),
    (flows.Glow, {"event_shape": (1, 4, 4), "hidden": (4,)}, "steps", 1),
    (flows.MintNet, {"layers": 1}, "event_shape", 3),
    (flows.MintNet, {"event_shape": 3, "layers": 1}, "hidden", 2),
    (transforms.Permutation, {"features": 3}, "seed", 2),
    (transforms.Permutation, {"features": 3}, "order", (2, 0, 1)),
    (transforms.Wrap, {"features": 3}, "circular", (1,)),
    (transforms.PLUMatrix, {}, "n", 3),
    (transforms.Autoregressive, {"features": 3}, "hidden", (4,)),
    (transforms.PerFeatureFunction, {"functions": [AffineFunction()]}, "choice", (0, 0)),
    (nets.MLP, {"in_features": 2, "out_features": 2}, "hidden", (4,)),
    (nets.MADE, {"features": 3, "parameters": 2}, "hidden", (4,)),
    (latent.GaussianMixture, {"features": 3}, "components", 2),
    (latent.GaussianMixture, {"components": 2}, "features", 3),
    (latent.GaussianMixture, {"components": 2, "features": 3, "covariance": "low_rank"}, "rank", 1),
    (latent.CategoricalMixture, {"components": 2}, "levels", (2, 3)),
    (latent.PoissonMixture, {"components": 2}, "features", 3),
    (latent.BernoulliMixture, {"components": 2}, "features", 3),
    (latent.ProbabilisticPCA, {"features": 3}, "latent", 1),
    (latent.VAE, {"likelihood": NormalLikelihood(3)}, "latent", 2),
    (latent.VAE, {"likelihood": NormalLikelihood(3), "latent": 2}, "hidden", (4,)),
    (likelihoods.CategoricalLikelihood, {"event_shape": 1}, "levels", 3),
    (images.IdentityPixels, {"event_shape": (1, 4, 4)}, "levels", 8),
]
WHOLE_IDS = [f"{kind.__name__}, {name}" for kind, _, name, _ in WHOLE]


def each(value, convert):
    """Convert a number, or each of a tuple of them."""
    return tuple(map(convert, value)) if isinstance(value, tuple) else convert(value)


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(("kind", "others", "name", "value"), WHOLE, ids=WHOLE_IDS)
def test_whole_numbers_of_numpy_are_whole_numbers(kind, others, name, value, number, tmp_path):
    torch.manual_seed(0)
    plain = kind(**others, **{name: value})
    torch.manual_seed(0)
    given = kind(**others, **{name: each(value, number)})
    assert json.dumps(describe(given)) == json.dumps(describe(plain))
    if isinstance(plain, nn.Module):
        save(given, tmp_path / "model")
        state = load(tmp_path / "model").state_dict()
        assert state.keys() == plain.state_dict().keys()
        assert all(torch.equal(state[key], tensor) for key, tensor in plain.state_dict().items())


@pytest.mark.parametrize(
    "wrong", [lambda number: True, float, np.float64, str], ids=["bool", "float", "numpy float", "str"]
)
@pytest.mark.parametrize(("kind", "others", "name", "value"), WHOLE, ids=WHOLE_IDS)
def test_what_is_no_whole_number_is_refused(kind, others, name, value, wrong):
    with pytest.raises(UsageError):
        kind(**others, **{name: each(value, wrong)})


def bell(u):
    return -0.5 * u.square().sum(-1)


SMALL = torch.randn(160, 2, generator=torch.Generator().manual_seed(0)).double()
TABLE = {"a": SMALL[:, 0].numpy(), "b": SMALL[:, 1].numpy()}
MIXED = distributions.Mixture([distributions.StandardNormal(2), distributions.FullNormal(2)])
# Functions of whole numbers, each given all of them by one conversion.
CALLS = {
    "sample": lambda n: MIXED.sample(n(3), seed=n(200)),
    "sample of a shape": lambda n: MIXED.sample((n(2), n(3)), seed=n(200)),
    "log_prob_lower": lambda n: MIXED.log_prob_lower(SMALL, n(2), seed=n(200)).log_prob,
    "marginal": lambda n: latent.GaussianMixture(2, 3).marginal([n(2), n(0)]).log_prob(SMALL.float()),
    "condition": lambda n: latent.GaussianMixture(2, 2).condition([n(1)], [n(3)]).sample(2, seed=0),
    "fit": lambda n: (
        logpx.fit(distributions.FullNormal(2), SMALL.float(), seed=n(200), max_epochs=n(2)).model.covariance
    ),
    "fit of a mixture": lambda n: (
        logpx.fit(latent.GaussianMixture(2, 2), SMALL.float(), seed=n(200), restarts=n(2)).model.weights
    ),
    "fit of a table": lambda n: logpx.fit(
        "gmm", TABLE, components=n(2), max_steps=n(3), seed=n(200)
    ).model.log_prob(SMALL),
    "evidence": lambda n: (
        logpx.evidence(latent.ProbabilisticPCA(2, 1), SMALL.float(), "monte_carlo", n(8), n(200)).value
    ),
    "posterior": lambda n: logpx.posterior(bell, n(2), "laplace", seed=n(200)).sample(n(3), seed=n(7)),
    "mode": lambda n: logpx.posterior(bell, n(2), "map", seed=n(200)).point,
    "evidence_from_draws": lambda n: torch.tensor(
        logpx.evidence_from_draws(bell, SMALL, seed=n(200)).log_evidence
    ),
    "paths": lambda n: (
        flows.FlowMatching(2, hidden=(4,), trace="hutchinson", solver=flows.FixedStepSolver(n(2)))
        .log_prob_lower(SMALL[:3].float(), n(2), seed=n(200), first=n(5))
        .log_prob
    ),
    "prior": lambda n: torch.tensor(latent.ConjugatePrior(n(2), covariance=n(3)).covariance),
    "plotted columns": lambda n: torch.from_numpy(
        next(iter(columns_of(SMALL.numpy(), [n(1)]).values())).values
    ),
    "check": lambda n: torch.tensor(transforms.check(transforms.Reverse(n(3)), rows=n(5), seed=n(200)).ok),
}


@pytest.mark.parametrize("number", [np.int64, np.uint8])
@pytest.mark.parametrize("call", CALLS)
def test_functions_take_whole_numbers_of_numpy(call, number):
    torch.manual_seed(0)
    plain = CALLS[call](int)
    torch.manual_seed(0)
    assert torch.equal(CALLS[call](number), plain)


def test_a_tensor_without_dimensions_is_no_number_of_features():
    with pytest.raises(UsageError, match="whole number"):
        flows.MAF(features=torch.tensor(2))
