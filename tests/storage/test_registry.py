"""Every public class that can be saved: it survives bit for bit, and its log_prob is what its kind says."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.configuration import Configured, class_name
from logpx.distributions import (
    DiagonalNormal,
    Distribution,
    Flow,
    FullNormal,
    LowerBound,
    Mixture,
    OrderAgnostic,
    Product,
    StandardNormal,
    StudentT,
    Uniform,
)
from logpx.distributions.columns import LabelColumn, NumberColumn, ValueColumn
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
from logpx.errors import UsageError
from logpx.flows import IAF, MAF, NICE, NSF, Glow, MintNet, RealNVP
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
from logpx.nets import (
    MADE,
    MLP,
    CircularEmbedding,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    ConvolutionalResNet,
    Embedded,
    ResidualMLP,
)
from logpx.storage import REGISTRY, load, save
from logpx.tables import CellDensity, Column, ColumnScales, Kind, Schema, TableDensity, TableModel, scales
from logpx.tables.columns.supports import Supports
from logpx.tables.scales import Asinh, CellHistogram, Log, QuantileSpline, Scale, Standard
from logpx.transforms import (
    ActNorm,
    Affine,
    AffineFunction,
    Autoregressive,
    AutoregressiveConvolution,
    BoundedRationalQuadraticFunction,
    Chain,
    Channels,
    Checkerboard,
    CircularRationalQuadraticFunction,
    ComposedFunction,
    Convolution1x1,
    Coupling,
    DenseMatrix,
    EmergingConvolution,
    Exp,
    Halves,
    HouseholderMatrix,
    Inverse,
    Linear,
    Logit,
    MintLayer,
    MultiScale,
    PerFeatureFunction,
    Permutation,
    PermutationMatrix,
    PLUMatrix,
    QRMatrix,
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

ROOMS = ["transforms", "nets", "distributions", "distributions.likelihoods", "flows", "latent", "tables"]
ROOMS += ["tables.scales", "images", "distributions.columns"]

# Contracts that no object is an instance of directly.
ABSTRACT = {"Distribution", "Matrix", "Partition", "Transform", "Univariate", "Scale", "Dequantisation"}
ABSTRACT |= {"LatentMixture", "LinearGaussian", "Likelihood", "NoiseScale"}
ABSTRACT |= {"Objective", "VariationalPosterior", "Prior", "ColumnDistribution"}


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


def public_configured_classes() -> dict[str, type]:
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"logpx.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, Configured) and name not in ABSTRACT:
                name = class_name(value)
                assert found.setdefault(name, value) is value, f"two classes are named {name}"
    return found


def test_registry_is_every_public_class():
    assert dict(REGISTRY) == public_configured_classes()


def test_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        REGISTRY["Thing"] = object


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
        schema, Mixture([density, density], [0.25, 0.75]), {"simple": TableDensity(columns, FullNormal(2))}
    )


MODELS["TableModel"] = table_model


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


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter another value than its constructor does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def numbers(model: torch.nn.Module) -> list[torch.Tensor]:
    if isinstance(model, TableModel):
        drawn = model.eval().sample(50, seed=3)
        evaluation = model.evaluate(drawn, seed=1)
        means = [evaluation.mean, evaluation.standard_error, evaluation.baselines["simple"].gain]
        return [
            model.log_prob(drawn, seed=2),
            torch.tensor(drawn.to_pandas().replace({"no": 0, "yes": 1, "?": 2}).to_numpy(float)),
            torch.tensor(means),
        ]
    if isinstance(model, ImageModel):
        model.eval()
        x = torch.randint(
            0, model.levels, (4, *model.event_shape), generator=torch.Generator().manual_seed(2)
        )
        context = model.context_of([0, 1, 1, 0]) if model.context_features else None
        bound = model.log_prob_lower(x, draws=2, seed=3, context=context)
        parts = [baseline.log_prob(x) for baseline in model.baselines.values()]
        return [bound.log_prob, model.sample(4, context, seed=5), *parts]
    if isinstance(model, (MADE, Scale)):
        dtype = next(iter(model.state_dict().values())).dtype
        output = model(torch.linspace(0.05, 0.95, 12, dtype=dtype).view(4, 3))
        return list(output) if isinstance(model, Scale) else [output]
    if isinstance(model, (VAE, OrderAgnostic)):
        # In training mode it draws anew each time.
        model.eval()
    context = torch.full((4, model.context_features), 0.3) if model.context_features else None
    dtype = next((t.dtype for t in model.state_dict().values() if t.is_floating_point()), torch.float32)
    context = None if context is None else context.to(dtype)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(4, *model.event_shape, generator=generator, dtype=dtype)
    return [model.log_prob(x, context), model.sample(4, context, seed=5)]


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_model_survives_bit_for_bit(name: str, double: bool, tmp_path: Path):
    model = randomised(MODELS[name]())
    model = model.double() if double else model
    save(model, tmp_path / "model")
    copy = load(tmp_path / "model")
    assert type(copy) is type(model)
    weights, copied = model.state_dict(), copy.state_dict()
    assert list(weights) == list(copied)
    for key, tensor in weights.items():
        assert copied[key].dtype == tensor.dtype
        assert torch.equal(copied[key], tensor)
    for value, same in zip(numbers(model), numbers(copy), strict=True):
        assert same.dtype == value.dtype
        assert torch.equal(value, same)


@pytest.mark.parametrize("name", MODELS)
def test_events_of_another_shape_are_refused(name: str):
    for part in MODELS[name]().modules():
        if not isinstance(part, (Distribution, Transform)) or not part.event_shape:
            continue
        doors = ["forward", "inverse"] if isinstance(part, Transform) else ["log_prob", "log_prob_lower"]
        *rest, last = part.event_shape
        for wrong in ((2, *rest, last + 1), (last + 1,)):
            both = f"{re.escape(str(wrong))}.* {re.escape(str(part.event_shape))}"
            for door in doors:
                with pytest.raises(UsageError, match=both):
                    getattr(part, door)(torch.zeros(wrong))
                with pytest.raises(UsageError, match="a list given"):
                    getattr(part, door)([0.0])


def test_every_class_is_saved_by_a_test():
    saved = set()
    for make in MODELS.values():
        pending = [make()]
        while pending:
            item = pending.pop()
            if isinstance(item, Configured):
                saved.add(class_name(type(item)))
                pending.extend(getattr(item, "_arguments", {}).values())
            elif isinstance(item, (list, tuple)):
                pending.extend(item)
            elif isinstance(item, dict):
                pending.extend(item.values())
    assert saved == set(REGISTRY)


def test_loading_draws_no_random_number(tmp_path: Path):
    save(MAF(3), tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model")
    assert torch.equal(before, torch.get_rng_state())


def test_loaded_model_can_be_trained_on(tmp_path: Path):
    save(RealNVP(3), tmp_path / "model")
    copy = load(tmp_path / "model")
    copy.train().log_prob(torch.ones(2, 3)).sum().backward()
    gradients = [parameter.grad for parameter in copy.parameters()]
    assert gradients
    assert all(gradient is not None for gradient in gradients)


WITH_LOG_PROB = {name: make for name, make in MODELS.items() if hasattr(make(), "log_prob")}


def both(model: torch.nn.Module, draws: int) -> tuple[torch.Tensor, LowerBound]:
    """Return log_prob and log_prob_lower of rows that the model can produce."""
    if isinstance(model, TableModel):
        rows = model.sample(50, seed=3)
        return model.log_prob(rows, draws=draws), model.log_prob_lower(rows, draws=draws)
    context = torch.full((5, model.context_features), 0.3) if model.context_features else None
    x = model.sample(5, context, seed=3)
    return model.log_prob(x, context), model.log_prob_lower(x, draws=draws, context=context)


@pytest.mark.parametrize("name", WITH_LOG_PROB)
def test_log_prob_is_what_kind_says(name: str):
    model = randomised(WITH_LOG_PROB[name]()).eval()
    log_prob, bound = both(model, draws=20)
    assert isinstance(bound, LowerBound)
    assert log_prob.shape == bound.log_prob.shape == bound.standard_error.shape
    if model.kind == "exact":
        torch.testing.assert_close(bound.log_prob, log_prob)
        assert not bound.standard_error.any()
    else:
        assert model.kind == "lower bound"
        assert bool((bound.standard_error > 0).all())
        # Of a single draw nothing is known about the error.
        assert bool(both(model, draws=1)[1].standard_error.isnan().all())


def linear_vae() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """Return a VAE that is probabilistic PCA, rows, and their log p(x) = log N(x; b, W W^T + s^2 I)."""
    # Where the columns of W are orthogonal, M = W^T W + s^2 I is diagonal, and so is the posterior
    # N(M^-1 W^T (x - b), s^2 M^-1).
    w = torch.tensor([[1.0, 0.0], [0.0, 0.8], [0.5, 0.0]], dtype=torch.float64)
    b, variance = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64), 0.49
    m = (w * w).sum(0) + variance
    decoder, encoder = torch.nn.Linear(2, 3), torch.nn.Linear(3, 4)
    model = VAE(NormalLikelihood(3, FixedScale(0.7)), 2, encoder=encoder, decoder=decoder).double().eval()
    with torch.no_grad():
        decoder.weight.copy_(w)
        decoder.bias.copy_(b)
        encoder.weight.copy_(torch.cat([w.T / m[:, None], torch.zeros(2, 3)]))
        # Somewhat wrong, so that the bound is loose.
        encoder.bias.copy_(torch.cat([0.1 - (w.T @ b) / m, 0.5 * (variance / m).log() + 0.2]))
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = (w @ w.T + variance * torch.eye(3)).numpy()
    return model, x, torch.from_numpy(stats.multivariate_normal(b.numpy(), covariance).logpdf(x))


def images_of_a_normal() -> tuple[ImageModel, torch.Tensor, torch.Tensor]:
    """Return a normal distribution of dequantised levels, images, and the logarithm of their probability."""
    shape, levels = (1, 2, 2), 8
    model = ImageModel(DiagonalNormal(shape), levels, preprocessing=LinearPixels(shape, levels)).eval()
    x = torch.randint(0, levels, (40, *shape), generator=torch.Generator().manual_seed(0))
    # Levels 0..8 are [-1, 1] to the flow.
    edges = [stats.norm.cdf((x.numpy() + end) / 4 - 1) for end in (0.0, 1.0)]
    return model, x, torch.from_numpy(np.log(edges[1] - edges[0]).sum((1, 2, 3)))


@pytest.mark.parametrize("case", [linear_vae, images_of_a_normal])
def test_a_bound_is_below_the_log_prob_that_is_known_otherwise(case):
    model, x, truth = case()
    assert model.kind == "lower bound"
    loose, tight = (model.log_prob_lower(x, draws=draws) for draws in (64, 2048))
    for bound in (loose, tight):
        assert bool((bound.log_prob < truth + 4 * bound.standard_error).all())
    assert bool(tight.standard_error.mean() < loose.standard_error.mean() / 4)
    assert tight.log_prob.mean() < truth.mean() + 0.01
    assert tight.log_prob.mean() > truth.mean() - 0.2
