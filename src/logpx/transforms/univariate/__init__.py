"""Monotone functions of one number, for coupling and autoregressive layers."""

from logpx.transforms.univariate.affine import AffineFunction, ShiftFunction
from logpx.transforms.univariate.base import Univariate
from logpx.transforms.univariate.rational_quadratic import RationalQuadraticFunction, rational_quadratic

__all__ = ["AffineFunction", "RationalQuadraticFunction", "ShiftFunction", "Univariate", "rational_quadratic"]
