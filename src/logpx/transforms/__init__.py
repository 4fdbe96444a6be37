"""Invertible maps, each with the log absolute determinant of its Jacobian in both directions."""

from logpx.transforms.act_norm import ActNorm
from logpx.transforms.autoregressive import Autoregressive
from logpx.transforms.base import Transform
from logpx.transforms.chain import Chain, Inverse
from logpx.transforms.coupling import Coupling
from logpx.transforms.elementwise import Affine, Exp, Logit, Sigmoid, Softplus, Standardize, Tanh
from logpx.transforms.linear import Convolution1x1, DenseMatrix, Linear, Matrix, PLUMatrix
from logpx.transforms.permutation import Permutation, Reverse
from logpx.transforms.univariate import AffineFunction, RationalQuadraticFunction, ShiftFunction, Univariate

__all__ = [
    "ActNorm",
    "Affine",
    "AffineFunction",
    "Autoregressive",
    "Chain",
    "Convolution1x1",
    "Coupling",
    "DenseMatrix",
    "Exp",
    "Inverse",
    "Linear",
    "Logit",
    "Matrix",
    "PLUMatrix",
    "Permutation",
    "RationalQuadraticFunction",
    "Reverse",
    "ShiftFunction",
    "Sigmoid",
    "Softplus",
    "Standardize",
    "Tanh",
    "Transform",
    "Univariate",
]
