"""The closed registry: the only classes that a model folder can name."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from logpx import distributions, flows, images, latent, nets, transforms
from logpx.configuration import class_name
from logpx.tables import scales
from logpx.tables.columns.columns import Columns
from logpx.tables.columns.support import Support
from logpx.tables.density import TableDensity
from logpx.tables.model import TableModel

__all__ = ["REGISTRY"]

_CLASSES: tuple[type[Any], ...] = (
    transforms.ActNorm,
    transforms.Affine,
    transforms.AffineFunction,
    transforms.Autoregressive,
    transforms.AutoregressiveConvolution,
    transforms.Chain,
    transforms.Channels,
    transforms.Checkerboard,
    transforms.Convolution1x1,
    transforms.BoundedRationalQuadraticFunction,
    transforms.CircularRationalQuadraticFunction,
    transforms.ComposedFunction,
    transforms.Coupling,
    transforms.DenseMatrix,
    transforms.EmergingConvolution,
    transforms.Exp,
    transforms.Halves,
    transforms.HouseholderMatrix,
    transforms.Inverse,
    transforms.Linear,
    transforms.Logit,
    transforms.MultiScale,
    transforms.PLUMatrix,
    transforms.MintLayer,
    transforms.PerFeatureFunction,
    transforms.Permutation,
    transforms.PermutationMatrix,
    transforms.QRMatrix,
    transforms.RationalQuadraticFunction,
    transforms.Reverse,
    transforms.ReversibleChain,
    transforms.ShiftFunction,
    transforms.Sigmoid,
    transforms.Softplus,
    transforms.Squeezed,
    transforms.Standardize,
    transforms.SumOfSquaresFunction,
    transforms.Tanh,
    nets.ConvolutionalResNet,
    transforms.Wrap,
    nets.MADE,
    nets.MLP,
    nets.ResidualMLP,
    nets.CircularEmbedding,
    nets.Embedded,
    distributions.DiagonalNormal,
    distributions.Flow,
    distributions.FullNormal,
    distributions.Mixture,
    distributions.Product,
    distributions.StandardNormal,
    distributions.StudentT,
    distributions.Uniform,
    flows.Glow,
    flows.IAF,
    flows.MAF,
    flows.MintNet,
    flows.NICE,
    flows.NSF,
    flows.RealNVP,
    latent.BernoulliMixture,
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
    images.ImageModel,
    images.LinearPixels,
    images.LogitPixels,
    images.PixelHistogram,
    images.UniformDequantisation,
    images.UniformLevels,
    images.VariationalDequantisation,
    Columns,
    Support,
    TableDensity,
    TableModel,
    scales.Asinh,
    scales.Cells,
    scales.Log,
    scales.Logit,
    scales.QuantileSpline,
    scales.Standard,
)

# By the name that `logpx.configuration.describe` gives the class.
REGISTRY = MappingProxyType({class_name(kind): kind for kind in _CLASSES})
