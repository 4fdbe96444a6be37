"""Invertible maps, each with the log absolute determinant of its Jacobian in both directions."""

from logpx.transforms.act_norm import ActNorm
from logpx.transforms.autoregressive import Autoregressive
from logpx.transforms.base import Transform
from logpx.transforms.chain import Chain, Inverse
from logpx.transforms.coupling import Coupling
from logpx.transforms.elementwise import Affine, Exp, Logit, Sigmoid, Softplus, Standardize, Tanh
from logpx.transforms.fixed_point import Certificate
from logpx.transforms.linear import (
    AutoregressiveConvolution,
    Convolution1x1,
    DenseMatrix,
    EmergingConvolution,
    HouseholderMatrix,
    Linear,
    Matrix,
    PermutationMatrix,
    PLUMatrix,
    QRMatrix,
    TriangularAffine,
)
from logpx.transforms.mint import MintLayer
from logpx.transforms.multiscale import MultiScale
from logpx.transforms.partition import Channels, Checkerboard, Halves, Partition
from logpx.transforms.permutation import Permutation, Reverse
from logpx.transforms.reversible import ReversibleChain
from logpx.transforms.squeezed import Squeezed
from logpx.transforms.univariate import (
    AffineFunction,
    BoundedRationalQuadraticFunction,
    CircularRationalQuadraticFunction,
    ComposedFunction,
    PerFeatureFunction,
    RationalQuadraticFunction,
    ShiftFunction,
    SumOfSquaresFunction,
    Univariate,
    monotone_inverse,
)
from logpx.transforms.wrap import Wrap

__all__ = [
    "ActNorm",
    "Affine",
    "AffineFunction",
    "Autoregressive",
    "AutoregressiveConvolution",
    "BoundedRationalQuadraticFunction",
    "Certificate",
    "Chain",
    "Channels",
    "Checkerboard",
    "CircularRationalQuadraticFunction",
    "ComposedFunction",
    "Convolution1x1",
    "Coupling",
    "DenseMatrix",
    "EmergingConvolution",
    "Exp",
    "Halves",
    "HouseholderMatrix",
    "Inverse",
    "Linear",
    "Logit",
    "Matrix",
    "MintLayer",
    "MultiScale",
    "PLUMatrix",
    "Partition",
    "PerFeatureFunction",
    "Permutation",
    "PermutationMatrix",
    "QRMatrix",
    "RationalQuadraticFunction",
    "Reverse",
    "ReversibleChain",
    "ShiftFunction",
    "Sigmoid",
    "Softplus",
    "Squeezed",
    "Standardize",
    "SumOfSquaresFunction",
    "Tanh",
    "Transform",
    "TriangularAffine",
    "Univariate",
    "Wrap",
    "monotone_inverse",
]
