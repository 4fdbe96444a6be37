"""The closed registry: the only classes that a model folder can name."""

from __future__ import annotations

from types import MappingProxyType, ModuleType
from typing import Any

from logpx import distributions, flows, images, latent, nets, transforms
from logpx.configuration import Configured, class_name
from logpx.distributions import columns, likelihoods
from logpx.latent.robust import MixtureEnsemble
from logpx.scoring import Calibration, RankReference
from logpx.tables import scales
from logpx.tables.coding import RowCoding
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.model import TableModel
from logpx.tables.reference import TableReference
from logpx.tables.unusualness import Unusualness

__all__ = ["REGISTRY"]

# Base classes that have no instances of their own.
_CONTRACTS = (transforms.Matrix, transforms.Partition, transforms.Transform, transforms.Univariate)


def _public(room: ModuleType) -> list[type[Any]]:
    """Return the public classes of a module whose objects can be described, without base classes."""
    named = (getattr(room, name) for name in room.__all__)
    classes = [value for value in named if isinstance(value, type) and issubclass(value, Configured)]
    return [kind for kind in classes if kind not in _CONTRACTS]


_CLASSES: tuple[type[Any], ...] = (
    *_public(transforms),
    nets.ConvolutionalDecoder,
    nets.ConvolutionalEncoder,
    nets.ConvolutionalResNet,
    nets.MADE,
    nets.MLP,
    nets.ResidualMLP,
    nets.SeriesEncoder,
    nets.VelocityMLP,
    nets.CircularEmbedding,
    nets.Embedded,
    nets.Forest,
    distributions.DiagonalNormal,
    distributions.Exponential,
    distributions.Flow,
    distributions.FromTorch,
    distributions.FullNormal,
    distributions.Mixture,
    distributions.OrderAgnostic,
    distributions.Product,
    distributions.TargetLast,
    distributions.StandardNormal,
    distributions.StudentT,
    distributions.TruncatedNormal,
    distributions.Uniform,
    likelihoods.BernoulliLikelihood,
    likelihoods.CategoricalLikelihood,
    likelihoods.ContinuousBernoulliLikelihood,
    likelihoods.DecodedScale,
    likelihoods.DiscretisedLogisticLikelihood,
    likelihoods.FixedScale,
    likelihoods.GlobalScale,
    likelihoods.NegativeBinomialLikelihood,
    likelihoods.NormalLikelihood,
    likelihoods.PoissonLikelihood,
    likelihoods.ProductLikelihood,
    likelihoods.ScalePerValue,
    likelihoods.StudentTLikelihood,
    columns.CentredColumn,
    columns.LabelColumn,
    columns.NumberColumn,
    columns.ValueColumn,
    flows.AdaptiveSolver,
    flows.FixedStepSolver,
    flows.FlowMatching,
    flows.Glow,
    flows.IAF,
    flows.MAF,
    flows.MintNet,
    flows.NICE,
    flows.NSF,
    flows.RealNVP,
    latent.BernoulliMixture,
    latent.VAE,
    latent.CombinedImportanceWeightedBound,
    latent.DiagonalPosterior,
    latent.DoublyReparameterised,
    latent.EvidenceLowerBound,
    latent.FlowPosterior,
    latent.FullPosterior,
    latent.HierarchicalPosterior,
    latent.HierarchicalPrior,
    latent.ImportanceWeightedBound,
    latent.MultipleImportanceWeightedBound,
    latent.LearnedPrior,
    latent.StandardPrior,
    latent.StickingTheLandingBound,
    latent.VampPrior,
    latent.CategoricalMixture,
    latent.ConjugatePrior,
    latent.FactorAnalysis,
    latent.GaussianMixture,
    latent.MixedMixture,
    latent.MixtureOfFactorAnalysers,
    latent.MixtureOfPPCA,
    latent.PoissonMixture,
    latent.ProbabilisticPCA,
    images.FlatNormal,
    images.IdentityPixels,
    images.ImageModel,
    images.LinearPixels,
    images.LogitPixels,
    images.NoDequantisation,
    images.PixelHistogram,
    images.UniformDequantisation,
    images.UniformLevels,
    images.VariationalDequantisation,
    Calibration,
    RankReference,
    CellDensity,
    ColumnScales,
    Labels,
    Support,
    TableDensity,
    TableModel,
    TableReference,
    MixtureEnsemble,
    RowCoding,
    Unusualness,
    scales.Asinh,
    scales.Atoms,
    scales.CellHistogram,
    scales.Codes,
    scales.Log,
    scales.LogOdds,
    scales.QuantileSpline,
    scales.SoftClip,
    scales.Standard,
)

# Classes by the name that `logpx.configuration.describe` gives them.
REGISTRY = MappingProxyType({class_name(kind): kind for kind in _CLASSES})
