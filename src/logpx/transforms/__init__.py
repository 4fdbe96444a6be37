"""Invertible maps, each with the log absolute determinant of its Jacobian in both directions."""

from logpx.transforms import univariate
from logpx.transforms.act_norm import ActNorm
from logpx.transforms.as_torch import TorchTransform
from logpx.transforms.autoregressive import Autoregressive
from logpx.transforms.base import Transform
from logpx.transforms.chain import Chain, Inverse
from logpx.transforms.checking import CheckReport, Finding, check
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
from logpx.transforms.univariate import *  # noqa: F403
from logpx.transforms.wrap import Wrap

__all__ = [
    "ActNorm",
    "Affine",
    "Autoregressive",
    "AutoregressiveConvolution",
    "Certificate",
    "Chain",
    "Channels",
    "CheckReport",
    "Checkerboard",
    "Convolution1x1",
    "Coupling",
    "DenseMatrix",
    "EmergingConvolution",
    "Exp",
    "Finding",
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
    "Permutation",
    "PermutationMatrix",
    "QRMatrix",
    "Reverse",
    "ReversibleChain",
    "Sigmoid",
    "Softplus",
    "Squeezed",
    "Standardize",
    "Tanh",
    "TorchTransform",
    "Transform",
    "TriangularAffine",
    "Wrap",
    "check",
]

__all__ += univariate.__all__
