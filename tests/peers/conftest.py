"""What zuko, nflows, normflows and FlowJAX test, as a table: their name of a thing, and ours.

The kinds of assertion that their test suites make are made of counterparts in the files of this folder.
Where the map is the same, ``test_beside_*.py`` runs theirs beside ours with the same numbers, if it is
installed. What has no counterpart is skipped by name, with the reason.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch import distributions as torchs
from torch.distributions import Independent

from logpx import distributions, flows
from logpx.distributions import Distribution, Flow, FromTorch
from logpx.flows import FixedStepSolver, FlowMatching
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
    Exp,
    HouseholderMatrix,
    Indexed,
    Inverse,
    Linear,
    Logit,
    MonotoneNetworkFunction,
    MultiScale,
    Permutation,
    Planar,
    PLUMatrix,
    QRMatrix,
    Radial,
    RationalQuadraticFunction,
    Reverse,
    ShiftFunction,
    Sigmoid,
    Softplus,
    Squeezed,
    Standardize,
    SumOfSquaresFunction,
    Tanh,
    Transform,
    TriangularAffine,
    Univariate,
    Wrap,
)


@pytest.fixture
def double():
    """Run a test in double precision, with a generator of its own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def drawn(seed: int, *shape: int) -> Tensor:
    """Return normal numbers in double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Counterpart:
    """A transform of ours for one of theirs, and where it takes normal noise for input."""

    build: Callable[[], Transform]
    into_domain: Callable[[Tensor], Tensor] = lambda x: x

    def make(self) -> Transform:
        """Return it in double precision, with parameters from N(0, 0.3²)."""
        torch.default_generator.manual_seed(0)
        transform = self.build()
        with torch.no_grad():
            for parameter in transform.parameters():
                parameter.normal_(0.0, 0.3)
        transform = transform.double()
        transform.initialise(self.rows(transform, 32), self.context(transform, 32))
        return transform.eval()

    def rows(self, transform: Transform, *shape: int) -> Tensor:
        """Return rows in the domain."""
        return self.into_domain(drawn(1, *shape, *transform.event_shape))

    @staticmethod
    def context(transform: Transform, *shape: int) -> Tensor | None:
        """Return a context for each row, if it takes one."""
        if not transform.context_features:
            return None
        return drawn(2, *shape, transform.context_features)


# Functions of one number, each with parameters of its own.
UNIVARIATES: dict[str, Callable[[], Univariate]] = {
    "zuko AdditiveTransform": ShiftFunction,
    "zuko MonotonicAffineTransform": AffineFunction,
    "zuko MonotonicRQSTransform": RationalQuadraticFunction,
    "zuko MonotonicTransform": MonotoneNetworkFunction,
    "zuko UnconstrainedMonotonicTransform": lambda: MonotoneNetworkFunction(units=4, layers=1),
    "zuko BernsteinTransform": BernsteinFunction,
    "zuko SOSPolynomialTransform": SumOfSquaresFunction,
    "nflows PiecewiseRationalQuadraticCDF": lambda: BoundedRationalQuadraticFunction(10, 0.0, 1.0),
    "nflows PiecewiseRationalQuadraticCDF, linear tails": lambda: RationalQuadraticFunction(10, 1.0),
    "normflows AutoregressiveRationalQuadraticSpline": lambda: RationalQuadraticFunction(8, 3.0),
    "normflows CircularRationalQuadraticSpline": lambda: CircularRationalQuadraticFunction(8, 12.0),
    "FlowJAX RationalQuadraticSpline": lambda: RationalQuadraticFunction(4, 1.0),
    "FlowJAX Affine": AffineFunction,
    "FlowJAX Loc": ShiftFunction,
}

SPLINE = RationalQuadraticFunction(bins=5, bound=3.0)
BOUNDED = BoundedRationalQuadraticFunction(bins=5)


def unit(x: Tensor) -> Tensor:
    """Bring noise into (0, 1)."""
    return torch.sigmoid(x)


TRANSFORMS: dict[str, Counterpart] = {
    "zuko IdentityTransform": Counterpart(lambda: Permutation(3, [0, 1, 2])),
    "zuko CircularShiftTransform": Counterpart(lambda: Wrap(3, (0, 1, 2), 20.0)),
    "zuko ComposedTransform": Counterpart(lambda: Chain([Affine(3), Reverse(3), Tanh(3)])),
    "zuko DependentTransform": Counterpart(lambda: Affine((2, 3))),
    "zuko PermutationTransform": Counterpart(lambda: Permutation(5, seed=3)),
    "zuko RotationTransform": Counterpart(lambda: Linear(5, HouseholderMatrix(5))),
    "zuko LULinearTransform": Counterpart(lambda: Linear(5, PLUMatrix(5))),
    "zuko FreeFormJacobianTransform": Counterpart(
        lambda: FlowMatching(3, hidden=(8,), solver=FixedStepSolver(20)).transform
    ),
    "zuko ElementWiseTransform": Counterpart(lambda: Concatenate([Autoregressive(1, context=2)] * 3)),
    "zuko GeneralCouplingTransform": Counterpart(lambda: Coupling(5, hidden=(8,))),
    "zuko GeneralCouplingTransform, context": Counterpart(lambda: Coupling(5, hidden=(8,), context=7)),
    "zuko GeneralCouplingTransform, mask": Counterpart(
        lambda: Chain([Permutation(5, [0, 2, 4, 1, 3]), Coupling(5, hidden=(8,))])
    ),
    "zuko MaskedAutoregressiveTransform": Counterpart(lambda: Autoregressive(5, hidden=(8,))),
    "zuko MaskedAutoregressiveTransform, context": Counterpart(
        lambda: Autoregressive(5, hidden=(8,), context=7)
    ),
    "zuko MaskedAutoregressiveTransform, order": Counterpart(
        lambda: Chain([Permutation(5, [3, 1, 4, 0, 2]), Autoregressive(5, hidden=(8,))])
    ),
    "nflows AffineCouplingTransform": Counterpart(lambda: Coupling(20, hidden=(30,))),
    "nflows AffineCouplingTransform, image": Counterpart(
        lambda: Coupling(partition=Channels((2, 4, 4)), hidden=(4,))
    ),
    "nflows AdditiveCouplingTransform": Counterpart(lambda: Coupling(20, ShiftFunction(), hidden=(30,))),
    "nflows AdditiveCouplingTransform, image": Counterpart(
        lambda: Coupling(None, ShiftFunction(), partition=Channels((2, 4, 4)), hidden=(4,))
    ),
    "nflows PiecewiseRationalQuadraticCouplingTransform": Counterpart(
        lambda: Coupling(20, BOUNDED, hidden=(30,)), unit
    ),
    "nflows PiecewiseRationalQuadraticCouplingTransform, image": Counterpart(
        lambda: Coupling(None, BOUNDED, partition=Channels((2, 4, 4)), hidden=(4,)), unit
    ),
    "nflows PiecewiseRationalQuadraticCouplingTransform, linear tails": Counterpart(
        lambda: Coupling(20, SPLINE, hidden=(30,)), lambda x: 3.0 * x
    ),
    "nflows MaskedAffineAutoregressiveTransform": Counterpart(lambda: Autoregressive(20, hidden=(30,))),
    "nflows MaskedPiecewiseRationalQuadraticAutoregressiveTransform": Counterpart(
        lambda: Autoregressive(20, BOUNDED, hidden=(30,)), unit
    ),
    "nflows MaskedPiecewiseRationalQuadraticAutoregressiveTransform, linear tails": Counterpart(
        lambda: Autoregressive(20, SPLINE, hidden=(30,)), lambda x: 3.0 * x
    ),
    "nflows MaskedUMNNAutoregressiveTransform": Counterpart(
        lambda: Autoregressive(4, MonotoneNetworkFunction(), hidden=(8,))
    ),
    "nflows CompositeTransform": Counterpart(lambda: Chain([Tanh(3), Inverse(Tanh(3)), Affine(3)])),
    "nflows InverseTransform": Counterpart(lambda: Inverse(Affine(3))),
    "nflows MultiscaleCompositeTransform": Counterpart(
        lambda: MultiScale(Coupling(partition=Channels((4, 2, 2)), hidden=(4,)), hidden=(4,))
    ),
    "nflows OneByOneConvolution": Counterpart(lambda: Convolution1x1((3, 2, 4), PLUMatrix(3))),
    "nflows NaiveLinear": Counterpart(lambda: Linear(5, DenseMatrix(5))),
    "nflows LULinear": Counterpart(lambda: Linear(5, PLUMatrix(5))),
    "nflows QRLinear": Counterpart(lambda: Linear(5, QRMatrix(5))),
    "nflows HouseholderSequence": Counterpart(lambda: Linear(5, HouseholderMatrix(5, 4))),
    "nflows RandomPermutation": Counterpart(lambda: Permutation(8, seed=1)),
    "nflows ReversePermutation": Counterpart(lambda: Reverse(8)),
    "nflows SqueezeTransform": Counterpart(lambda: Squeezed(Affine((8, 2, 2)))),
    "nflows AffineTransform": Counterpart(lambda: Affine((2, 3, 4))),
    "nflows PointwiseAffineTransform": Counterpart(lambda: Standardize((2, 3, 4))),
    "nflows ActNorm": Counterpart(lambda: ActNorm(5)),
    "nflows ActNorm, image": Counterpart(lambda: ActNorm((3, 2, 2))),
    "nflows Tanh": Counterpart(lambda: Tanh((2, 3))),
    "nflows Sigmoid": Counterpart(lambda: Sigmoid((2, 3))),
    "nflows Logit": Counterpart(lambda: Logit((2, 3)), unit),
    "nflows CompositeCDFTransform": Counterpart(lambda: Chain([Sigmoid(3), Inverse(Sigmoid(3))])),
    "normflows Planar": Counterpart(lambda: Planar(3)),
    "normflows Radial": Counterpart(lambda: Radial(3)),
    "normflows AffineConstFlow": Counterpart(lambda: Affine((1, 2, 2))),
    "normflows MaskedAffineAutoregressive": Counterpart(lambda: Autoregressive(3, hidden=(4,), context=3)),
    "normflows AffineCoupling": Counterpart(lambda: Coupling(4, hidden=(8,))),
    "normflows AffineCouplingBlock, checkerboard": Counterpart(
        lambda: Coupling(partition=Checkerboard((2, 4, 4)), hidden=(4,))
    ),
    "normflows GlowBlock": Counterpart(
        lambda: Chain(
            [ActNorm((4, 2, 2)), Convolution1x1((4, 2, 2)), Coupling(partition=Channels((4, 2, 2)))]
        )
    ),
    "normflows CoupledRationalQuadraticSpline": Counterpart(lambda: Coupling(4, SPLINE, hidden=(8,))),
    "normflows AutoregressiveRationalQuadraticSpline": Counterpart(
        lambda: Autoregressive(4, SPLINE, hidden=(8,))
    ),
    "normflows CircularCoupledRationalQuadraticSpline": Counterpart(
        lambda: Coupling(4, CircularRationalQuadraticFunction(4, 20.0), hidden=(8,))
    ),
    "normflows Permute": Counterpart(lambda: Permutation(4, seed=2)),
    "normflows Invertible1x1Conv": Counterpart(lambda: Convolution1x1((4, 3, 3), DenseMatrix(4))),
    "normflows LULinearPermute": Counterpart(lambda: Chain([Permutation(4), Linear(4, PLUMatrix(4))])),
    "normflows PeriodicWrap": Counterpart(lambda: Wrap(4, (0, 3), 20.0)),
    "normflows Squeeze": Counterpart(lambda: Squeezed(Affine((4, 2, 2)))),
    "normflows Split and Merge": Counterpart(
        lambda: MultiScale(Coupling(partition=Channels((2, 2, 2)), hidden=(4,)), hidden=(4,))
    ),
    "normflows Logit": Counterpart(lambda: Logit((2, 3)), unit),
    "FlowJAX Identity": Counterpart(lambda: Permutation(3, [0, 1, 2])),
    "FlowJAX Flip": Counterpart(lambda: Reverse(3)),
    "FlowJAX Permute": Counterpart(lambda: Permutation(3, [2, 1, 0])),
    "FlowJAX Indexed": Counterpart(lambda: Indexed(3, Reverse(2), [0, 2])),
    "FlowJAX Indexed, one": Counterpart(lambda: Indexed(3, Affine(1), [0])),
    "FlowJAX Affine": Counterpart(lambda: Affine(3)),
    "FlowJAX Affine of a number": Counterpart(lambda: Affine(())),
    "FlowJAX Tanh": Counterpart(lambda: Tanh(3)),
    "FlowJAX Exp": Counterpart(lambda: Exp(3)),
    "FlowJAX SoftPlus": Counterpart(lambda: Softplus(3)),
    "FlowJAX Sigmoid": Counterpart(lambda: Sigmoid(3)),
    "FlowJAX TriangularAffine, lower": Counterpart(lambda: TriangularAffine(3)),
    "FlowJAX TriangularAffine, upper": Counterpart(
        lambda: Chain([Reverse(3), TriangularAffine(3), Reverse(3)])
    ),
    "FlowJAX Coupling": Counterpart(lambda: Coupling(3, hidden=(5, 5))),
    "FlowJAX Coupling, conditional": Counterpart(lambda: Coupling(3, hidden=(5, 5), context=2)),
    "FlowJAX MaskedAutoregressive, affine": Counterpart(lambda: Autoregressive(3, hidden=(5, 5))),
    "FlowJAX MaskedAutoregressive, affine, conditional": Counterpart(
        lambda: Autoregressive(3, hidden=(5, 5), context=2)
    ),
    "FlowJAX MaskedAutoregressive, spline": Counterpart(lambda: Autoregressive(3, SPLINE, hidden=(10, 10))),
    # A neural autoregressive map too, of the other kind: a net of one number for each feature.
    "FlowJAX BlockAutoregressiveNetwork": Counterpart(
        lambda: Autoregressive(3, MonotoneNetworkFunction(), hidden=(9,))
    ),
    "FlowJAX BlockAutoregressiveNetwork, conditional": Counterpart(
        lambda: Autoregressive(3, MonotoneNetworkFunction(), hidden=(9,), context=2)
    ),
    "FlowJAX AdditiveCondition": Counterpart(
        lambda: Concatenate([Autoregressive(1, ShiftFunction(), context=2) for _ in range(3)])
    ),
    "FlowJAX Chain": Counterpart(lambda: Chain([Reverse(3), Affine(3)])),
    "FlowJAX Scan": Counterpart(lambda: Chain([Affine(3), Affine(3)])),
    "FlowJAX Invert": Counterpart(lambda: Inverse(Exp(3)), torch.exp),
    "FlowJAX Concatenate": Counterpart(lambda: Concatenate([Affine(3), Tanh(3)])),
    "FlowJAX Stack": Counterpart(lambda: Concatenate([Tanh(1), Affine(1), Tanh(1)])),
    "FlowJAX Householder": Counterpart(lambda: Linear(3, HouseholderMatrix(3, 1))),
    "FlowJAX Planar": Counterpart(lambda: Planar(3)),
    "emerging convolution of normflows' Glow": Counterpart(lambda: AutoregressiveConvolution((2, 3, 3))),
}

DISTRIBUTIONS: dict[str, Callable[[], Distribution]] = {
    "zuko NormalizingFlow": lambda: Flow(
        FromTorch(Independent(torchs.Gamma(torch.tensor([2.0]), torch.tensor([1.0])), 1)), Exp(1)
    ),
    "zuko Joint": lambda: distributions.Product([distributions.Uniform(1), distributions.StandardNormal(1)]),
    "zuko Mixture": lambda: distributions.Mixture([distributions.DiagonalNormal(1) for _ in range(2)]),
    "zuko DiagNormal": lambda: distributions.DiagonalNormal(2),
    "zuko BoxUniform": lambda: distributions.Uniform(2, -1.0, 1.0),
    "zuko TransformedUniform": lambda: Flow(distributions.Uniform(1, 0.4, 2.7), Exp(1)),
    "zuko Truncated": lambda: distributions.TruncatedNormal(1, 1.0, 2.0),
    "nflows StandardNormal": lambda: distributions.StandardNormal((2, 1)),
    "nflows BoxUniform": lambda: distributions.Uniform(2, 0.0, 3.0),
    "normflows DiagGaussian": lambda: distributions.DiagonalNormal(2),
    "normflows Uniform": lambda: distributions.Uniform(2, -1.0, 2.0),
    "normflows GaussianMixture": lambda: distributions.Mixture(
        [distributions.DiagonalNormal(2) for _ in range(3)]
    ),
    "FlowJAX StandardNormal": lambda: distributions.StandardNormal(()),
    "FlowJAX StandardNormal of a matrix": lambda: distributions.StandardNormal((2, 1)),
    "FlowJAX MultivariateNormal": lambda: distributions.FullNormal(2),
    "FlowJAX Uniform": lambda: distributions.Uniform((1, 2)),
    "FlowJAX Gumbel": lambda: FromTorch(torchs.Gumbel(torch.tensor(0.0), torch.tensor(1.0))),
    "FlowJAX LogNormal": lambda: FromTorch(torchs.LogNormal(torch.tensor(0.0), torch.tensor(0.3))),
    "FlowJAX Laplace": lambda: FromTorch(torchs.Laplace(torch.tensor(1.0), torch.tensor(1.0))),
    "FlowJAX Exponential": lambda: distributions.Exponential(1),
    "FlowJAX StudentT": lambda: distributions.StudentT(1, degrees=9.0),
    "FlowJAX Beta": lambda: FromTorch(torchs.Beta(torch.tensor(2.0), torch.tensor(3.0))),
    "FlowJAX Gamma": lambda: FromTorch(torchs.Gamma(torch.tensor(2.0), torch.tensor(1.0))),
    "FlowJAX VmapMixture": lambda: distributions.Mixture([distributions.DiagonalNormal(1) for _ in range(3)]),
}

FLOWS: dict[str, Callable[[int], Flow]] = {
    "zuko NICE": lambda c: flows.NICE(3, context=c),
    "zuko MAF": lambda c: flows.MAF(3, context=c),
    "zuko NSF": lambda c: flows.NSF(3, autoregressive=True, context=c),
    "zuko SOSPF": lambda c: _autoregressive(SumOfSquaresFunction(), c),
    "zuko NAF": lambda c: _autoregressive(MonotoneNetworkFunction(), c),
    "zuko UNAF": lambda c: _autoregressive(MonotoneNetworkFunction(units=4, layers=1), c),
    "zuko BPF": lambda c: _autoregressive(BernsteinFunction(), c),
    "zuko CNF": lambda c: FlowMatching(3, hidden=(8,), context=c, solver=FixedStepSolver(20)),
    "nflows SimpleRealNVP": lambda c: flows.RealNVP(3, context=c),
    "nflows MaskedAutoregressiveFlow": lambda c: flows.MAF(3, context=c),
    "normflows NormalizingFlow": lambda c: flows.NSF(3, context=c),
    "normflows MultiscaleFlow": lambda c: flows.Glow((1, 4, 4), steps=1, levels=2, context=c),
    "FlowJAX block_neural_autoregressive_flow": lambda c: _autoregressive(MonotoneNetworkFunction(), c),
    "FlowJAX triangular_spline_flow": lambda c: Flow(
        distributions.StandardNormal(3),
        Chain([TriangularAffine(3), Coupling(3, SPLINE, hidden=(8,), context=c)]),
    ),
    "FlowJAX coupling_flow, affine": lambda c: flows.RealNVP(3, layers=2, context=c),
    "FlowJAX coupling_flow, spline": lambda c: flows.NSF(3, layers=2, context=c),
    "FlowJAX masked_autoregressive_flow": lambda c: flows.MAF(3, layers=2, context=c),
}


def _autoregressive(function: Univariate, context: int) -> Flow:
    layers = [Autoregressive(3, function, hidden=(8,), context=context) for _ in range(2)]
    return Flow(distributions.StandardNormal(3), Chain([layers[0], Reverse(3), layers[1]]))


# What they have and logpx does not, and why nothing is asserted of it.
WITHOUT: dict[str, str] = {
    "zuko CosTransform, SinTransform": "sigmoid, tanh, logit and splines serve intervals",
    "zuko SoftclipTransform": "Tanh and Sigmoid map the line onto an interval",
    "zuko SignedPowerTransform": "its slope is 0 or infinite at 0, so that ladj is not finite there",
    "zuko GaussianizationTransform, GF": "splines are as general, with an inverse in closed form",
    "zuko BoundedBernsteinTransform": "BoundedRationalQuadraticFunction maps an interval onto itself",
    "zuko MaskedAutoregressiveTransform, adjacency": "a graph is a net of your own",
    "zuko GMM, context": "mixtures take no context; NSF and ConditionalDensity do",
    "zuko GeneralizedNormal, Sort, TopK, Minimum, Maximum": "none of them is a base of a flow of free rows",
    "zuko BayesianModel": "distributions of weights are out of scope",
    "zuko LayerNorm, broadcast, unpack, gauss_legendre": "helpers without a public counterpart",
    "nflows PiecewiseLinear, PiecewiseQuadratic, PiecewiseCubic": "rational-quadratic splines serve instead",
    "nflows LogTanh, LeakyReLU": "no smooth inverse or density",
    "nflows BatchNorm": "log p of a row would depend on the other rows; ActNorm has no such dependence",
    "nflows SVDLinear": "QR, PLU and Householder matrices span the same maps",
    "nflows Linear, use_cache": "weights are not cached",
    "nflows MixtureOfGaussiansMADE": "autoregressive models of tables have their own mixtures",
    "normflows Residual": "MintNet is the flow whose inverse is an iteration",
    "normflows MetropolisHastings, HMC, PeriodicShift": "they have no density of their own",
    "normflows BatchNorm, CCAffineConst": "ActNorm, and the context of any layer",
    "FlowJAX LeakyTanh, Power, DiscreteCosine, Sandwich": "no counterpart",
    "FlowJAX NumericalInverse": "monotone_inverse is used inside, and tested by itself",
    "FlowJAX Vmap, Reshape, jax transforms": "rows of any shape are part of every contract",
    "FlowJAX Cauchy, Logistic": "StudentT(1) and Flow(Uniform, Sigmoid)",
    "FlowJAX Planar, conditional": "Planar takes no context",
    "FlowJAX wrappers, ufunc signatures": "JAX's own",
}


@pytest.fixture(params=TRANSFORMS)
def counterpart(request: pytest.FixtureRequest) -> Counterpart:
    """Run a test on every transform."""
    return TRANSFORMS[request.param]


@pytest.fixture(params=UNIVARIATES)
def univariate(request: pytest.FixtureRequest) -> Univariate:
    """Run a test on every function of one number."""
    return UNIVARIATES[request.param]()


@pytest.fixture(params=DISTRIBUTIONS)
def distribution(request: pytest.FixtureRequest) -> Distribution:
    """Run a test on every distribution."""
    return DISTRIBUTIONS[request.param]()


@pytest.fixture(params=FLOWS)
def build(request: pytest.FixtureRequest) -> Callable[[int], Flow]:
    """Run a test on every flow, built for a number of context features."""
    return FLOWS[request.param]


@pytest.fixture(params=WITHOUT)
def missing(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Name everything without a counterpart."""
    return request.param, WITHOUT[request.param]


def imported(package: str, *modules: str) -> ModuleType:
    """Import a peer, or skip; what it changes for the whole process when it is imported is undone."""
    kind = torchs.Distribution
    before = kind._validate_args, vars(kind)["arg_constraints"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for module in modules:
                pytest.importorskip(
                    module, reason=f"not installed: pip install {package}", exc_type=ImportError
                )
            return pytest.importorskip(modules[0])
    finally:
        kind._validate_args, kind.arg_constraints = before


@pytest.fixture(scope="session")
def zuko() -> ModuleType:
    """Give zuko."""
    return imported("zuko", "zuko")


@pytest.fixture(scope="session")
def nflows() -> ModuleType:
    """Give nflows."""
    names = ("transforms", "transforms.splines.rational_quadratic", "flows.base", "distributions.normal")
    return imported("nflows", "nflows", *(f"nflows.{name}" for name in names))


@pytest.fixture(scope="session")
def normflows() -> ModuleType:
    """Give normflows."""
    return imported("normflows", "normflows", "normflows.utils.splines")


@pytest.fixture(scope="session")
def flowjax() -> SimpleNamespace:
    """Give FlowJAX and JAX, in double precision."""
    names = ("flowjax", "flowjax.bijections", "flowjax.distributions", "jax", "equinox", "paramax")
    imported("flowjax", *names)
    _, bijections, densities, jax, equinox, paramax = (pytest.importorskip(name) for name in names)
    jax.config.update("jax_enable_x64", True)
    return SimpleNamespace(
        bijections=bijections, distributions=densities, jax=jax, equinox=equinox, paramax=paramax
    )
