"""One dictionary of all transforms: a new one is one more line, and every ``test_all_*`` runs on it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from logpx import flows, nets, transforms
from logpx.configuration import Configured
from logpx.nets import MADE, MLP, CircularEmbedding, ConvolutionalResNet, Embedded, ResidualMLP
from logpx.transforms import (
    ActNorm,
    Affine,
    AffineFunction,
    Autoregressive,
    AutoregressiveConvolution,
    BernsteinFunction,
    BoundedRationalQuadraticFunction,
    Chain,
    Channels,
    Checkerboard,
    CircularRationalQuadraticFunction,
    Concatenate,
    Convolution1x1,
    Coupling,
    DenseMatrix,
    EmergingConvolution,
    Exp,
    HouseholderMatrix,
    Indexed,
    Inverse,
    Linear,
    Logit,
    MintLayer,
    MonotoneNetworkFunction,
    MultiScale,
    PerFeatureFunction,
    Permutation,
    PermutationMatrix,
    Planar,
    PLUMatrix,
    QRMatrix,
    Radial,
    RationalQuadraticFunction,
    Reverse,
    ReversibleChain,
    ShiftFunction,
    Sigmoid,
    Softplus,
    Squeezed,
    Standardize,
    SumOfSquaresFunction,
    Tanh,
    Transform,
    TriangularAffine,
    Wrap,
)

REAL = (0.0, 1e3, -1e3, 1e30, -1e30)
POSITIVE = (0.0, 1e-30, 1e3, 1e30)
UNIT = (0.0, 1e-30, 0.5, 1.0 - 2.0**-24, 1.0)
SYMMETRIC = (-1.0, -1.0 + 2.0**-24, 0.0, 1.0 - 2.0**-24, 1.0)


@dataclass(frozen=True)
class Case:
    """A transform and what is true of it.

    ``into_domain`` takes normal noise to where the map is defined, ``forward_at`` and ``inverse_at`` are the
    extreme inputs at which it must be finite, ``forward_on`` and ``inverse_on`` the ends of the interval on
    which a direction is defined, if that is not the line, ``float32`` is its tolerance in single precision,
    ``onto_reals`` says that it maps the real line onto itself, so that nothing is lost far outside,
    ``iterated`` names the direction that is found by iteration: differentiable once, and no single graph, and
    ``twice_differentiable`` is False where autodiff gives first derivatives only, in both directions.
    """

    build: Callable[[], Transform]
    into_domain: Callable[[Tensor], Tensor] = lambda x: x
    forward_at: Sequence[float] = REAL
    inverse_at: Sequence[float] = REAL
    forward_on: tuple[float, float] | None = None
    inverse_on: tuple[float, float] | None = None
    float32: float = 1e-5
    onto_reals: bool = True
    iterated: str = ""
    twice_differentiable: bool = True

    def make(self, dtype: torch.dtype = torch.float64) -> Transform:
        """Build it, initialised on data, with parameters from N(0, 0.1²): outputs would start at zero."""
        torch.default_generator.manual_seed(1)
        transform = self.build()
        with torch.no_grad():
            for parameter in transform.parameters():
                parameter.normal_(0.0, 0.1)
            rows = self.rows(transform, 64, dtype=torch.float32)
            transform.initialise(rows, self.context(transform, 64, dtype=torch.float32))
        return transform.to(dtype)

    def rows(self, transform: Transform, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Draw rows inside the domain, with the leading shape given."""
        generator = torch.Generator().manual_seed(2)
        noise = torch.randn((*shape, *transform.event_shape), generator=generator, dtype=torch.float64)
        return self.into_domain(noise).to(dtype)

    def context(self, transform: Transform, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor | None:
        """Draw a context for every row, or give None where the transform takes none."""
        if not transform.context_features:
            return None
        generator = torch.Generator().manual_seed(3)
        return torch.randn(*shape, transform.context_features, generator=generator, dtype=torch.float64).to(
            dtype
        )

    def inputs(
        self, transform: Transform, direction: str, *shape: int, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Draw inputs of a direction: rows of data, or their noise."""
        x = self.rows(transform, *shape, dtype=dtype)
        if direction == "forward":
            return x
        with torch.no_grad():
            return transform.forward(x, self.context(transform, *shape, dtype=dtype))[0]

    @staticmethod
    def jacobian(outputs: Tensor, inputs: Tensor, differentiable: bool = False) -> Tensor:
        """Return every row's d outputs / d inputs by autodiff, shape (rows, outputs, inputs)."""
        columns = [
            torch.autograd.grad(output.sum(), inputs, None, True, differentiable, materialize_grads=True)[0]
            for output in outputs.reshape(len(outputs), -1).unbind(1)
        ]
        return torch.stack(columns, 1).reshape(len(outputs), len(columns), -1)


MATRICES = {
    "dense": DenseMatrix,
    "PLU": PLUMatrix,
    "QR": QRMatrix,
    "Householder": HouseholderMatrix,
    "permutation": PermutationMatrix,
}


def mint(*args, **kwargs) -> Case:
    """Return a Mint layer, whose inverse is an iteration."""
    return Case(lambda: MintLayer(*args, **kwargs), iterated="inverse")


class Causal(Configured, nn.Module):
    """A causal conditioner as a user may write it: a masked net, without the capability of MADE."""

    def __init__(self, features: int, parameters: int, context: int = 0) -> None:
        super().__init__()
        self.made = MADE(features, parameters, (8, 8), context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return all the parameters of a row in one vector."""
        return self.made(x, context).flatten(-2)


UNIVARIATES = {
    "shift": ShiftFunction,
    "affine": AffineFunction,
    "spline": lambda: RationalQuadraticFunction(bins=5, bound=3.0),
    "bounded spline": lambda: BoundedRationalQuadraticFunction(bins=5, lower=-2.0, upper=3.0),
    "Bernstein": lambda: BernsteinFunction(degree=5, bound=3.0),
    "monotone network": lambda: MonotoneNetworkFunction(units=3, layers=2, bound=3.0),
    "sum of squares": lambda: SumOfSquaresFunction(polynomials=2, degree=2, bound=3.0),
}

# On a circle: wide enough for the rows of the tests, so that a round trip gives them back as they were.
PERIOD = 12.0


def around(x: Tensor) -> Tensor:
    """Take whole periods off."""
    return torch.remainder(x + 0.5 * PERIOD, PERIOD) - 0.5 * PERIOD


def mixed_functions(choice: Sequence[int]) -> PerFeatureFunction:
    """Choose among a spline on the line and one on a circle."""
    circle = CircularRationalQuadraticFunction(bins=4, period=PERIOD)
    return PerFeatureFunction([RationalQuadraticFunction(bins=4, bound=3.0), circle], choice)


def mixed_coupling(context: int) -> Transform:
    """Keep a number and an angle, and map another number and another angle."""
    functions = mixed_functions([0, 1])
    net = MLP(3, 2 * functions.parameters, (8,), context)
    return Coupling(4, functions, context=context, net=Embedded(CircularEmbedding(2, (1,), PERIOD), net))


def mixed_autoregressive(context: int) -> Transform:
    """Map two numbers and two angles, each given those before it."""
    embedding = CircularEmbedding(4, (0, 2), PERIOD)
    functions = mixed_functions([1, 0, 1, 0])
    net = MADE(4, functions.parameters, (8, 8), context, embedding=embedding)
    return Autoregressive(4, functions, context=context, net=net)


CASES = {
    "affine": Case(lambda: Affine(3)),
    "affine of a matrix": Case(lambda: Affine((2, 2))),
    "affine of a number": Case(lambda: Affine(())),
    "ActNorm": Case(lambda: ActNorm(3)),
    "ActNorm of an image": Case(lambda: ActNorm((2, 3, 2))),
    "ActNorm of a number": Case(lambda: ActNorm(())),
    "standardize": Case(lambda: Standardize(3)),
    "standardize a matrix": Case(lambda: Standardize((2, 2))),
    "sigmoid": Case(lambda: Sigmoid(3), inverse_at=UNIT, inverse_on=(0.0, 1.0), onto_reals=False),
    "logit": Case(lambda: Logit(3), torch.sigmoid, forward_at=UNIT, forward_on=(0.0, 1.0), onto_reals=False),
    "triangular affine": Case(lambda: TriangularAffine(4), float32=1e-4),
    "tanh": Case(lambda: Tanh(3), inverse_at=SYMMETRIC, inverse_on=(-1.0, 1.0), onto_reals=False),
    "standardize, given for some": Case(lambda: Standardize(3, given={1: (0.5, 2.0)})),
    "standardize, on an interval for some": Case(
        lambda: Standardize(3, bounded={2: (-9.0, 0.1)}),
        lambda x: 0.1 - x.abs(),
        forward_at=(0.0, 0.1, -9.0),
        inverse_at=(0.0, math.sqrt(3.0), -math.sqrt(3.0)),
        forward_on=(-9.0, 0.1),
        inverse_on=(-math.sqrt(3.0), math.sqrt(3.0)),
        onto_reals=False,
    ),
    "side by side": Case(
        lambda: Concatenate([Affine(1), Coupling(2, hidden=(8,)), ActNorm(1)]),
    ),
    "side by side, context": Case(
        lambda: Concatenate([Affine(1), Coupling(2, hidden=(8,), context=2), Autoregressive(1, context=2)])
    ),
    "of some features": Case(lambda: Indexed(5, Coupling(3, hidden=(8,)), [4, 0, 2])),
    "of some features, context": Case(lambda: Indexed(4, Coupling(2, hidden=(8,), context=2), [3, 1])),
    "planar": Case(lambda: Planar(3)),
    "radial": Case(lambda: Radial(3)),
    "radial of one feature": Case(lambda: Radial(1)),
    "wrap": Case(lambda: Wrap(3, (0, 2), PERIOD), around, onto_reals=False),
    "softplus": Case(lambda: Softplus(3), inverse_at=POSITIVE, inverse_on=(0.0, math.inf), onto_reals=False),
    # The exponential is finite up to 88 in single precision.
    "exp": Case(
        lambda: Exp(3),
        forward_at=(0.0, 80.0, -1e3, -1e30),
        inverse_at=POSITIVE,
        forward_on=(-math.inf, 709.8),
        inverse_on=(0.0, math.inf),
        onto_reals=False,
    ),
    "inverse of tanh and more": Case(
        lambda: Chain([Inverse(Tanh(3)), Coupling(3, hidden=(8,))]),
        torch.tanh,
        forward_at=SYMMETRIC,
        forward_on=(-1.0, 1.0),
        onto_reals=False,
    ),
    "autoregressive convolution": Case(lambda: AutoregressiveConvolution((2, 3, 2))),
    "autoregressive convolution, reverse": Case(
        lambda: AutoregressiveConvolution((2, 2, 3), kernel=5, reverse=True)
    ),
    "emerging convolution": Case(lambda: EmergingConvolution((2, 3, 2))),
    "permutation drawn": Case(lambda: Permutation(4, seed=5)),
    "permutation given": Case(lambda: Permutation(4, [2, 0, 3, 1])),
    "reverse": Case(lambda: Reverse(3)),
    "coupling, residual net": Case(lambda: Coupling(5, net=ResidualMLP(2, 6, width=8, blocks=2))),
    "coupling, residual net, context": Case(
        lambda: Coupling(5, context=2, net=ResidualMLP(2, 6, width=8, blocks=2, context=2))
    ),
    "coupling of one feature, context": Case(lambda: Coupling(1, hidden=(8,), context=2)),
    "coupling of two features": Case(lambda: Coupling(2, hidden=(8,))),
    "coupling, no hidden layer": Case(lambda: Coupling(3, hidden=())),
    "autoregressive, one feature": Case(lambda: Autoregressive(1, hidden=(4,))),
    "autoregressive, one feature, context": Case(lambda: Autoregressive(1, hidden=(4,), context=2)),
    "autoregressive, narrow": Case(lambda: Autoregressive(5, hidden=(2, 1), activation="tanh")),
    "autoregressive, narrow, context": Case(
        lambda: Autoregressive(5, hidden=(1, 2), context=2, activation="silu")
    ),
    "autoregressive, deep": Case(lambda: Autoregressive(4, hidden=(8, 16, 8), activation="tanh")),
    "chain": Case(
        lambda: Chain([Affine(3), Reverse(3), Chain([Coupling(3, hidden=(8,)), Permutation(3)]), Affine(3)])
    ),
    "chain onto the unit cube": Case(
        lambda: Chain([Affine(3), Sigmoid(3)]), inverse_at=UNIT, inverse_on=(0.0, 1.0), onto_reals=False
    ),
    "inverse of sigmoid": Case(
        lambda: Inverse(Sigmoid(3)), torch.sigmoid, forward_at=UNIT, forward_on=(0.0, 1.0), onto_reals=False
    ),
    "inverse of a chain": Case(lambda: Inverse(Chain([Autoregressive(3, hidden=(8,)), Affine(3)]))),
    "mint, vector": mint(5, hidden=3),
    "mint, vector, reversed, context": mint(4, hidden=2, reverse=True, context=2),
    "mint, one feature, context": mint(1, hidden=3, context=2),
    "mint, one channel": mint((1, 3, 3), hidden=3),
    "mint, one channel, reversed": mint((1, 3, 3), hidden=2, reverse=True),
    "mint, two channels": mint((2, 2, 2), hidden=2),
    "mint, two channels, reversed, context": mint((2, 2, 2), hidden=2, reverse=True, context=2),
    "mint, wide kernel, context": mint((1, 3, 3), hidden=2, kernel=5, context=2),
    "inverse of mint, context": Case(
        lambda: Inverse(MintLayer((1, 2, 2), hidden=2, context=2)), iterated="forward"
    ),
    "MintNet, context": Case(
        lambda: flows.MintNet((1, 2, 3), layers=2, hidden=2, context=2).transform, iterated="inverse"
    ),
    "inverse autoregressive, context": Case(lambda: Inverse(Autoregressive(3, hidden=(8,), context=2))),
}

for name, matrix in MATRICES.items():
    CASES[f"linear, {name}"] = Case(lambda m=matrix: Linear(4, m(4)), float32=1e-4)
    CASES[f"convolution 1x1, {name}"] = Case(lambda m=matrix: Convolution1x1((3, 2, 2), m(3)), float32=1e-4)

for name, univariate in UNIVARIATES.items():
    for context in (0, 2):
        suffix = ", context" if context else ""
        for flip in (False, True):
            CASES[f"coupling, {name}{', flip' if flip else ''}{suffix}"] = Case(
                lambda u=univariate, c=context, f=flip: Coupling(5, u(), hidden=(8, 8), context=c, flip=f)
            )
        CASES[f"autoregressive, {name}, net of your own{suffix}"] = Case(
            lambda u=univariate, c=context: Autoregressive(
                4, u(), context=c, net=Causal(4, u().parameters, c)
            ),
            iterated="inverse",
        )
        CASES[f"autoregressive, {name}{suffix}"] = Case(
            lambda u=univariate, c=context: Autoregressive(4, u(), hidden=(8, 8), context=c)
        )

for context in (0, 2):
    suffix = ", context" if context else ""
    CASES |= {
        f"coupling, numbers and angles{suffix}": Case(
            lambda c=context: mixed_coupling(c), around, onto_reals=False
        ),
        f"autoregressive, numbers and angles{suffix}": Case(
            lambda c=context: mixed_autoregressive(c), around, onto_reals=False
        ),
    }
    small = {"features": 4, "hidden": (8, 8), "context": context}
    CASES |= {
        f"NICE{suffix}": Case(lambda k=small: flows.NICE(**k, layers=3).transform),
        f"RealNVP{suffix}": Case(lambda k=small: flows.RealNVP(**k, layers=3).transform),
        f"MAF{suffix}": Case(lambda k=small: flows.MAF(**k, layers=2).transform),
        f"IAF{suffix}": Case(lambda k=small: flows.IAF(**k, layers=2).transform),
        f"NSF{suffix}": Case(lambda k=small: flows.NSF(**k, layers=3).transform),
        f"NSF, recomputed{suffix}": Case(
            lambda k=small: flows.NSF(**k, layers=3, recompute=True).transform, twice_differentiable=False
        ),
        f"NSF, autoregressive{suffix}": Case(
            lambda k=small: flows.NSF(**k, layers=2, autoregressive=True).transform
        ),
        f"NSF, circular and bounded{suffix}": Case(
            lambda k=small: (
                flows.NSF(**k, layers=3, circular=(0, 3), period=PERIOD, bounded={1: (-9.0, 9.0)}).transform
            ),
            around,
            forward_at=(0.0, 9.0, -9.0),
            inverse_at=(0.0, math.sqrt(3.0), -math.sqrt(3.0)),
            onto_reals=False,
        ),
        f"NSF, circular, autoregressive{suffix}": Case(
            lambda k=small: (
                flows.NSF(**k, layers=2, autoregressive=True, circular=(0, 3), period=PERIOD).transform
            ),
            around,
            onto_reals=False,
        ),
    }


for context in (0, 2):
    suffix = ", context" if context else ""
    small = {"hidden": (4,), "context": context}
    CASES |= {
        f"coupling, channels{suffix}": Case(
            lambda k=small: Coupling(partition=Channels((2, 4, 4), flip=True), **k)
        ),
        f"coupling, checkerboard{suffix}": Case(
            lambda k=small: Coupling(partition=Checkerboard((1, 4, 4)), **k)
        ),
        f"coupling, checkerboard of splines{suffix}": Case(
            lambda k=small: Coupling(
                None,
                RationalQuadraticFunction(bins=3, bound=3.0),
                partition=Checkerboard((2, 2, 4), flip=True),
                **k,
            )
        ),
        f"coupling, convolutional net, silu{suffix}": Case(
            lambda c=context: Coupling(
                partition=Channels((2, 2, 2)),
                context=c,
                net=ConvolutionalResNet(1, 2, width=4, blocks=0, context=c, activation="silu"),
            )
        ),
        f"multi-scale{suffix}": Case(
            lambda k=small: MultiScale(Coupling(partition=Channels((2, 2, 2)), **k), **k)
        ),
        f"multi-scale of a vector{suffix}": Case(
            lambda k=small: MultiScale(Coupling(2, **k), prior=Coupling(5, **k))
        ),
        f"squeezed{suffix}": Case(lambda k=small: Squeezed(Coupling(partition=Channels((4, 2, 2)), **k))),
        f"reversible chain{suffix}": Case(
            lambda k=small: ReversibleChain([Affine(3), Coupling(3, **k), Reverse(3), Coupling(3, **k)]),
            twice_differentiable=False,
        ),
        f"Glow{suffix}": Case(
            lambda k=small: flows.Glow((1, 4, 4), steps=1, levels=2, **k).transform, float32=1e-4
        ),
        f"Glow, recomputed{suffix}": Case(
            lambda k=small: flows.Glow((1, 2, 2), steps=2, recompute=True, **k).transform,
            float32=1e-4,
            twice_differentiable=False,
        ),
        f"RealNVP of images{suffix}": Case(
            lambda k=small: flows.RealNVP((1, 4, 4), layers=2, levels=2, **k).transform
        ),
    }


@pytest.fixture(scope="session")
def registry() -> dict[str, type]:
    """Every class that a transform of the dictionary is built from, by its name."""
    public = (getattr(room, name) for room in (transforms, nets) for name in room.__all__)
    return {kind.__name__: kind for kind in (Causal, *public) if isinstance(kind, type)}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Run a test on every transform."""
    return CASES[request.param]


def seldom(name: str) -> list[pytest.MarkDecorator]:
    """Mark named flows, variants of another transform in the dictionary, and the longest graphs."""
    variants = (
        "context",
        "flip",
        "reversed",
        "narrow",
        "deep",
        "net of your own",
        "of a matrix",
        "of a number",
    )
    longest = ("sum of squares", "numbers and angles", "bounded")
    several = name.startswith(tuple(flows.__all__))
    return [pytest.mark.slow] if several or any(part in name for part in variants + longest) else []


@pytest.fixture(params=[pytest.param(name, marks=seldom(name)) for name in CASES])
def traced_case(request: pytest.FixtureRequest) -> Case:
    """Run a test on every transform; on those that consist of others only now and then."""
    return CASES[request.param]


# Inverses that iterate, or have a step for every feature: their graphs take longest.
LONG_INVERSES = ("monotone network", "Bernstein", "multi-scale", "planar")


def traced_inverse(name: str) -> list[pytest.MarkDecorator]:
    long = any(part in name for part in LONG_INVERSES)
    return seldom(name) or ([pytest.mark.slow] if long else [])


@pytest.fixture(
    params=[
        pytest.param((name, direction), id=f"{name}-{direction}", marks=marks(name))
        for name in CASES
        for direction, marks in (("forward", seldom), ("inverse", traced_inverse))
    ]
)
def traced_direction(request: pytest.FixtureRequest) -> tuple[Case, str]:
    """Run a test on transforms as `traced_case` does, in both directions."""
    name, direction = request.param
    return CASES[name], direction


@pytest.fixture(params=[name for name in CASES if name.endswith("context")])
def conditional_case(request: pytest.FixtureRequest) -> Case:
    """Run a test on every transform that takes a context."""
    return CASES[request.param]


@pytest.fixture(
    params=[
        "softplus",
        "linear, PLU",
        "emerging convolution",
        "RealNVP",
        "MAF, context",
        "IAF",
        "NSF",
        "NSF, autoregressive",
        "coupling, sum of squares",
    ]
)
def compiled_case(request: pytest.FixtureRequest) -> Case:
    """Run a test on a few transforms that have every kind of operation: native code takes long."""
    return CASES[request.param]


@pytest.fixture(params=[name for name, case in CASES.items() if case.onto_reals])
def case_onto_reals(request: pytest.FixtureRequest) -> Case:
    """Run a test on every transform that maps the real line onto itself."""
    return CASES[request.param]


@pytest.fixture(
    params=[
        (name, direction)
        for name, case in CASES.items()
        for direction in ("forward", "inverse")
        if getattr(case, f"{direction}_on")
    ],
    ids=" ".join,
)
def case_on_interval(request: pytest.FixtureRequest) -> tuple[Case, str]:
    """Run a test on every transform and direction whose domain is an interval."""
    name, direction = request.param
    return CASES[name], direction


@pytest.fixture(params=["forward", "inverse"])
def direction(request: pytest.FixtureRequest) -> str:
    """Run a test in both directions."""
    return request.param


@pytest.fixture
def directions(request: pytest.FixtureRequest) -> Callable[[], Iterator[str]]:
    """Go through both directions within one test, whose failure says which came last."""

    def each() -> Iterator[str]:
        for direction in ("forward", "inverse"):
            request.node.add_report_section("call", "direction", direction)
            yield direction

    return each
