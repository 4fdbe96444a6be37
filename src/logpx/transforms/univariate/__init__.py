"""Monotone functions of one number, for coupling and autoregressive layers."""

from logpx.transforms.univariate.affine import AffineFunction, ShiftFunction
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.bernstein import BernsteinFunction
from logpx.transforms.univariate.combined import ComposedFunction, PerFeatureFunction
from logpx.transforms.univariate.monotone_inverse import monotone_inverse
from logpx.transforms.univariate.monotone_network import MonotoneNetworkFunction
from logpx.transforms.univariate.splines import (
    BoundedRationalQuadraticFunction,
    CircularRationalQuadraticFunction,
    RationalQuadraticFunction,
)
from logpx.transforms.univariate.sum_of_squares import SumOfSquaresFunction

__all__ = [
    "AffineFunction",
    "BernsteinFunction",
    "BoundedRationalQuadraticFunction",
    "CircularRationalQuadraticFunction",
    "ComposedFunction",
    "MonotoneNetworkFunction",
    "PerFeatureFunction",
    "RationalQuadraticFunction",
    "ShiftFunction",
    "SumOfSquaresFunction",
    "Univariate",
    "monotone_inverse",
]
