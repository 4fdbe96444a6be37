"""One dictionary of models, which holds every class that can be saved."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.distributions import Independent
from torch.distributions import StudentT as StudentOfTorch

from logpx.distributions import (
    DiagonalNormal,
    Exponential,
    Flow,
    FullNormal,
    Mixture,
    OrderAgnostic,
    Product,
    StandardNormal,
    StudentT,
    TargetLast,
    TruncatedNormal,
    Uniform,
)
from logpx.distributions.columns import CentredColumn, LabelColumn, NumberColumn, ValueColumn
from logpx.distributions.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DecodedScale,
    DiscretisedLogisticLikelihood,
    FixedScale,
    GlobalScale,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ProductLikelihood,
    ScalePerValue,
    StudentTLikelihood,
)
from logpx.flows import (
    IAF,
    MAF,
    NICE,
    NSF,
    AdaptiveSolver,
    FixedStepSolver,
    FlowMatching,
    Glow,
    MintNet,
    RealNVP,
)
from logpx.images import (
    FlatNormal,
    IdentityPixels,
    ImageModel,
    LinearPixels,
    LogitPixels,
    NoDequantisation,
    PixelHistogram,
    UniformDequantisation,
    UniformLevels,
    VariationalDequantisation,
)
from logpx.latent import (
    VAE,
    BernoulliMixture,
    CategoricalMixture,
    CombinedImportanceWeightedBound,
    ConjugatePrior,
    DiagonalPosterior,
    DoublyReparameterised,
    EvidenceLowerBound,
    FactorAnalysis,
    FlowPosterior,
    FullPosterior,
    GaussianMixture,
    HierarchicalPosterior,
    HierarchicalPrior,
    ImportanceWeightedBound,
    LearnedPrior,
    MixedMixture,
    MixtureOfFactorAnalysers,
    MixtureOfPPCA,
    MultipleImportanceWeightedBound,
    PoissonMixture,
    ProbabilisticPCA,
    StandardPrior,
    StickingTheLandingBound,
    VampPrior,
)
from logpx.latent.robust import MixtureEnsemble
from logpx.nets import (
    MADE,
    MLP,
    CircularEmbedding,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    ConvolutionalResNet,
    Embedded,
    Forest,
    ResidualMLP,
    SeriesEncoder,
    VelocityMLP,
)
from logpx.scoring import Calibration, RankReference
from logpx.tables import (
    CellDensity,
    Column,
    ColumnScales,
    Kind,
    Schema,
    TableDensity,
    TableModel,
    TableReference,
    scales,
)
from logpx.tables.coding import RowCoding
from logpx.tables.columns.supports import Supports
from logpx.tables.scales import Asinh, CellHistogram, Log, QuantileSpline, Standard
from logpx.tables.unusualness import Unusualness
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
    ComposedFunction,
    Concatenate,
    Convolution1x1,
    Coupling,
    DenseMatrix,
    EmergingConvolution,
    Exp,
    Halves,
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
    TriangularAffine,
    Wrap,
)


def flow(transform):
    return Flow(StandardNormal(transform.event_shape), transform)


ROWS = torch.rand(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

MODELS = {
    "NICE": lambda: NICE(3),
    "RealNVP": lambda: RealNVP(3, layers=3, hidden=(8,), context=2),
    "MAF": lambda: MAF(3, layers=2, hidden=(8,)),
    "IAF": lambda: IAF(3, layers=2, hidden=(8,)),
    "NSF": lambda: NSF(3, layers=2, hidden=(8,)),
    "NSF autoregressive": lambda: NSF(3, layers=2, hidden=(8,), autoregressive=True),
    "RealNVP of images": lambda: RealNVP((1, 8, 8), layers=2, hidden=(4,), context=2),
    "Glow": lambda: Glow((1, 8, 8), steps=2, hidden=(4,), context=2, recompute=True),
    "ReversibleChain": lambda: flow(ReversibleChain([Affine(3), Reverse(3)])),
    "embedded series": lambda: MAF(
        3, layers=2, hidden=(8,), context=(9, 2), embedding=SeriesEncoder((9, 2), 3, hidden=(4,))
    ),
    "side by side": lambda: flow(Concatenate([Affine(1), Indexed(2, Coupling(1, context=2), [1])])),
    "planar and radial": lambda: flow(Chain([Planar(3), Radial(3)])),
    "Bernstein": lambda: flow(Autoregressive(3, BernsteinFunction(4), hidden=(8,))),
    "Exponential": lambda: Flow(Exponential(3), Softplus(3)),
    "TruncatedNormal": lambda: TruncatedNormal(3, -1.0, 2.0),
    "FlowMatching": lambda: FlowMatching(
        3, velocity=VelocityMLP(3, hidden=(4,), context=2), context=2, solver=FixedStepSolver(5)
    ),
    "FlowMatching, estimated": lambda: FlowMatching(
        3, hidden=(4,), trace="hutchinson", solver=FixedStepSolver(5)
    ),
    "FlowMatching, adaptive": lambda: FlowMatching(3, hidden=(4,), solver=AdaptiveSolver(1e-4)),
    "a base of torch's": lambda: Flow(
        Independent(StudentOfTorch(torch.full((3,), 4.0), torch.zeros(3), nn.Parameter(torch.ones(3))), 1),
        Affine(3),
    ),
    "Halves": lambda: flow(Coupling(hidden=(8,), partition=Halves(3))),
    "Channels": lambda: flow(Coupling(hidden=(4,), partition=Channels((2, 4, 4)))),
    "Checkerboard": lambda: flow(Coupling(hidden=(4,), partition=Checkerboard((1, 4, 4)))),
    "Squeezed": lambda: flow(Squeezed(Affine((4, 2, 2)))),
    "MultiScale": lambda: flow(MultiScale(Affine((2, 2, 2)), hidden=(4,))),
    "ConvolutionalResNet": lambda: flow(
        Coupling(net=ConvolutionalResNet(1, 2, width=4), partition=Channels((2, 4, 4)))
    ),
    "MintNet": lambda: MintNet((2, 3, 3), layers=2, hidden=2, context=2),
    "MintLayer": lambda: flow(MintLayer(4, hidden=3)),
    "NSF of angles": lambda: NSF(3, layers=3, hidden=(8,), circular=(0,), bounded={2: (0.0, 1.0)}),
    "Product": lambda: Product([StandardNormal(1), Uniform(2)]),
    "Wrap": lambda: flow(Chain([Wrap(3, (1,)), Standardize(3, given={1: (0.0, 1.0)})])),
    "splines per feature": lambda: flow(
        Autoregressive(
            3,
            PerFeatureFunction(
                [BoundedRationalQuadraticFunction(4), CircularRationalQuadraticFunction(4)], [1, 0, 1]
            ),
            net=MADE(3, 13, (8,), embedding=CircularEmbedding(3, (0, 2))),
        )
    ),
    "Embedded": lambda: flow(
        Coupling(3, AffineFunction(), net=Embedded(CircularEmbedding(1, (0,)), MLP(2, 4, (8,))))
    ),
    "MonotoneNetworkFunction": lambda: flow(Coupling(3, MonotoneNetworkFunction(3), hidden=(8,))),
    "SumOfSquaresFunction": lambda: flow(Coupling(3, SumOfSquaresFunction(2, 2), hidden=(8,))),
    "GaussianMixture": lambda: GaussianMixture(2, 3, prior=ConjugatePrior(covariance_rows=1.0)),
    "GaussianMixture, tied": lambda: GaussianMixture(2, 3, "tied_low_rank", rank=1),
    "MixtureOfPPCA": lambda: MixtureOfPPCA(2, 3, latent=1),
    "MixtureOfFactorAnalysers": lambda: MixtureOfFactorAnalysers(2, 3, latent=1),
    "ProbabilisticPCA": lambda: ProbabilisticPCA(3, latent=2),
    "FactorAnalysis": lambda: FactorAnalysis(3, latent=2),
    "BernoulliMixture": lambda: BernoulliMixture(2, 3),
    "CategoricalMixture": lambda: CategoricalMixture(2, [2, 3]),
    "PoissonMixture": lambda: PoissonMixture(2, 3),
    "MixedMixture": lambda: MixedMixture(2, ["normal", "bernoulli", 3, "poisson", "normal"]),
    "DiagonalNormal": lambda: DiagonalNormal(3),
    "FullNormal": lambda: FullNormal(3),
    "StandardNormal": lambda: StandardNormal((2, 3)),
    "StudentT": lambda: StudentT(3),
    "Uniform": lambda: Uniform(2, lower=-5.0, upper=5.0),
    "Mixture": lambda: Mixture([StandardNormal(2), DiagonalNormal(2)], [1, 2]),
    "ActNorm": lambda: flow(ActNorm((3, 2, 2))),
    "Convolution1x1": lambda: flow(Convolution1x1((3, 2, 2), PLUMatrix(3))),
    "AutoregressiveConvolution": lambda: flow(AutoregressiveConvolution((2, 3, 3), 3, reverse=True)),
    "EmergingConvolution": lambda: flow(EmergingConvolution((2, 3, 3))),
    "HouseholderMatrix": lambda: flow(Linear(3, HouseholderMatrix(3, reflections=2))),
    "PermutationMatrix": lambda: flow(Convolution1x1((3, 2, 2), PermutationMatrix(3))),
    "QRMatrix": lambda: flow(Linear(3, QRMatrix(3))),
    "Linear": lambda: flow(Linear(3, DenseMatrix(3))),
    "Affine": lambda: flow(Affine(3)),
    "Standardize": lambda: flow(Standardize(3)),
    "Permutation": lambda: flow(Chain([Permutation(5, seed=3), Affine(5)])),
    "Reverse": lambda: flow(Reverse(3)),
    "Exp": lambda: flow(Inverse(Exp(3))),
    "Logit": lambda: flow(Logit(3)),
    "Sigmoid": lambda: flow(Inverse(Sigmoid(3))),
    "Softplus": lambda: flow(Inverse(Softplus(3))),
    "TriangularAffine": lambda: flow(TriangularAffine(3)),
    "Tanh": lambda: flow(Inverse(Tanh(3))),
    "AffineFunction": lambda: flow(Coupling(3, AffineFunction(), hidden=(8,))),
    "ShiftFunction": lambda: flow(Coupling(3, ShiftFunction(), net=ResidualMLP(1, 2, width=8))),
    "MLP": lambda: flow(Coupling(3, ShiftFunction(), net=MLP(1, 2, hidden=(8,)))),
    "MADE": lambda: MADE(3, parameters=2, hidden=(8,)),
    "Standard": lambda: Standard.fit(ROWS),
    "Log": lambda: Log.fit(ROWS, bound=2.0, mirrored=True),
    "scales.LogOdds": lambda: scales.LogOdds.fit(ROWS, lower=-0.5, upper=1.5),
    "Asinh": lambda: Asinh.fit(ROWS),
    "QuantileSpline": lambda: QuantileSpline.fit(ROWS),
    "Codes": lambda: scales.Codes(),
    "SoftClip": lambda: scales.SoftClip.fit(ROWS, inner=scales.Standard.fit, lower=-0.5, upper=1.5),
    "Atoms": lambda: scales.Atoms.fit(ROWS, inner=scales.Standard.fit(ROWS), atoms=[-1.0, 0.5]),
    "CellHistogram": lambda: CellHistogram.fit(ROWS.round(decimals=1), step=0.1),
    "ComposedFunction": lambda: flow(
        Coupling(3, ComposedFunction([AffineFunction(), RationalQuadraticFunction(4)]), hidden=(8,))
    ),
    "RationalQuadraticFunction": lambda: flow(Autoregressive(3, RationalQuadraticFunction(), hidden=(8,))),
}


def table_model() -> TableModel:
    rows = torch.stack([ROWS, (3 * ROWS.flip(0)).round()], 1).numpy()
    schema = Schema(
        columns=[
            Column(name="a", kind=Kind.POSITIVE, lower=0.0),
            Column(name="n", kind=Kind.INTEGER, step=1.0, value=None),
            Column(name="id", kind=Kind.IDENTIFIER, reason="unique text"),
        ],
        rows=10**12,
    )
    columns = ColumnScales.fit(rows, Supports.of(schema.modelled).supports)
    density = TableDensity(columns, RealNVP(2, layers=2, hidden=(8,)))
    return TableModel(
        schema,
        Mixture([density, density], [0.25, 0.75]),
        {"simple": TableDensity(columns, FullNormal(2))},
        calibration=Calibration.of(torch.arange(20.0)),
        companions={"conditions": TableDensity(columns, GaussianMixture(2, 2).double())},
        reference=TableReference(
            Calibration.of(torch.arange(9.0)),
            [RankReference.of(torch.arange(9.0)) for _ in range(2)],
            [],
            TableDensity(columns, FullNormal(2)),
        ),
        unusualness=Unusualness(
            RowCoding([0, 0], [[], [1.0, 2.5]]),
            MixtureEnsemble.fitted(rows, members=3, seed=0).ensemble.shortened(),
            Calibration.of(torch.arange(9.0)),
            Calibration.of(torch.arange(9.0)),
        ),
    )


MODELS["TableModel"] = table_model


def order_agnostic() -> OrderAgnostic:
    columns = [
        LabelColumn(3, new=True),
        ValueColumn([0.0, 1.0, 4.0], knots=2, lower=-0.5),
        NumberColumn(atoms=[0.0], upper=9.0, components=3),
        NumberColumn(2.0, periods=[7.0], components=2),
    ]
    model = OrderAgnostic(columns, width=8, blocks=1, orders=2, dropout=0.1)
    x = torch.stack(
        [torch.arange(400) % 3, torch.arange(400) % 2, ROWS - (ROWS > 0.5) * ROWS, 2 * ROWS.round()]
    )
    model.initialise(x.T)
    return model


MODELS["OrderAgnostic"] = order_agnostic


def target_last() -> TargetLast:
    x = torch.stack([ROWS.sigmoid(), ROWS.sin()], 1).double()
    joint = OrderAgnostic([NumberColumn(components=2), NumberColumn(components=2)], width=8, blocks=1)
    joint.initialise(x)
    own = CentredColumn(components=2, near=2)
    own.initialise(x[:, 1])
    forest, _ = Forest.grown(x[:, :1], x[:, [1, 1]], trees=10, seed=0)
    return TargetLast(joint, 1, forest, own, networks=2, width=8, blocks=1)


MODELS["TargetLast"] = target_last


def table_of_cells() -> TableModel:
    schema = Schema(
        columns=[
            Column(name="b", kind=Kind.CATEGORICAL, levels=["no", "yes", "?"]),
            Column(name="n", kind=Kind.INTEGER, step=1.0, lower=0.0),
        ]
    )
    model = OrderAgnostic([LabelColumn(3), ValueColumn([0.0, 1.0], lower=-0.5)], width=8, blocks=1)
    density = CellDensity(Supports.of(schema.modelled).supports, model)
    return TableModel(schema, density, {"simple": density})


MODELS["CellDensity"] = table_of_cells


def table_of_labels() -> TableModel:
    schema = Schema(
        columns=[
            Column(name="a", kind=Kind.CONTINUOUS),
            Column(name="b", kind=Kind.CATEGORICAL, levels=["no", "yes", "?"]),
        ]
    )
    rows = torch.stack([ROWS, torch.arange(400) % 3], 1)
    columns = ColumnScales.fit(rows.numpy(), Supports.of(schema.modelled).supports)
    density = TableDensity(columns, MixedMixture(2, ["normal", 3]))
    return TableModel(schema, density, {"simple": TableDensity(columns, MixedMixture(1, ["normal", 3]))})


MODELS["Labels"] = table_of_labels


def image_model() -> ImageModel:
    shape, levels = (1, 4, 6), 32
    gaussian = ImageModel(FlatNormal(shape), levels, preprocessing=LinearPixels(shape, levels))
    return ImageModel(
        RealNVP(shape, layers=2, hidden=(4,), context=2),
        levels,
        VariationalDequantisation(shape, levels, layers=2, width=4),
        LogitPixels(shape, levels, alpha=0.01),
        classes=["cat", "dog"],
        baselines={
            "uniform": UniformLevels(shape, levels),
            "pixels": PixelHistogram(shape, levels),
            "gaussian": gaussian,
        },
    )


MODELS["ImageModel"] = image_model


def vae_of_all_kinds() -> VAE:
    parts = [
        NormalLikelihood(1, DecodedScale()),
        NormalLikelihood(1, ScalePerValue(1)),
        StudentTLikelihood(1, FixedScale(0.5)),
        BernoulliLikelihood(1),
        ContinuousBernoulliLikelihood(1),
        PoissonLikelihood(1),
        NegativeBinomialLikelihood(1),
        CategoricalLikelihood(1, levels=3),
        DiscretisedLogisticLikelihood(1, levels=9, components=2),
    ]
    likelihood = ProductLikelihood(parts, [[column] for column in range(9)])
    return VAE(likelihood, 2, hidden=(8,), posterior=FullPosterior(2), prior=VampPrior(9, 3))


MODELS["VAE"] = vae_of_all_kinds
MODELS["VAE, flows"] = lambda: VAE(
    NormalLikelihood(3, GlobalScale()),
    2,
    hidden=(8,),
    posterior=FlowPosterior(Inverse(Autoregressive(2, hidden=(8,), context=3))),
    prior=LearnedPrior(flow(Affine(2))),
    objective=StickingTheLandingBound(),
    context=2,
)
MODELS["VAE, defaults"] = lambda: VAE(
    NormalLikelihood(3),
    2,
    hidden=(8,),
    prior=StandardPrior(2),
    posterior=DiagonalPosterior(2),
    objective=EvidenceLowerBound(beta=0.5),
)
MODELS["VAE, weighted"] = lambda: VAE(
    NormalLikelihood(3), 2, hidden=(8,), objective=ImportanceWeightedBound(5)
)
MODELS["VAE, several groups"] = lambda: VAE(
    NormalLikelihood(3), 2, hidden=(8,), e_steps=2, objective=MultipleImportanceWeightedBound(2, 3)
)
MODELS["VAE, combined"] = lambda: VAE(
    NormalLikelihood(3), 2, hidden=(8,), masked=True, objective=CombinedImportanceWeightedBound(0.3, 4)
)
MODELS["VAE, hierarchical"] = lambda: VAE(
    NormalLikelihood(3),
    3,
    hidden=(8,),
    prior=HierarchicalPrior((2, 1), hidden=(4,)),
    posterior=HierarchicalPosterior((2, 1), features=6, hidden=(4,)),
)
MODELS["VAE, doubly"] = lambda: VAE(NormalLikelihood(3), 2, hidden=(8,), objective=DoublyReparameterised(5))


def vae_of_images() -> ImageModel:
    shape = (3, 5, 4)
    likelihood = DiscretisedLogisticLikelihood(shape, levels=9)
    vae = VAE(
        likelihood,
        2,
        encoder=ConvolutionalEncoder(shape, 4, hidden=(4,), context=2),
        decoder=ConvolutionalDecoder(2, shape, likelihood.numbers, hidden=(4,), context=2),
        context=2,
        flatten=False,
    )
    return ImageModel(vae, 9, NoDequantisation(), IdentityPixels(shape, 9), classes=["cat", "dog"])


MODELS["VAE of images"] = vae_of_images
MODELS["UniformDequantisation"] = lambda: ImageModel(
    DiagonalNormal((3, 2, 2)), dequantisation=UniformDequantisation()
)

WITH_LOG_PROB = {name: make for name, make in MODELS.items() if hasattr(make(), "log_prob")}


@pytest.fixture(scope="session")
def every_model() -> dict[str, Callable[[], torch.nn.Module]]:
    """Functions that build the models, by name."""
    return MODELS


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Callable[[], torch.nn.Module]:
    """Run a test on every model."""
    return MODELS[request.param]


@pytest.fixture(params=WITH_LOG_PROB)
def make_scored(request: pytest.FixtureRequest) -> Callable[[], torch.nn.Module]:
    """Run a test on every model that has a density, or parts that have."""
    return MODELS[request.param]
