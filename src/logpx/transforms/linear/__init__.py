"""Invertible matrices, and the linear maps of vectors and of images built from them."""

from logpx.transforms.linear.autoregressive_convolution import AutoregressiveConvolution, EmergingConvolution
from logpx.transforms.linear.convolution1x1 import Convolution1x1
from logpx.transforms.linear.householder import HouseholderMatrix
from logpx.transforms.linear.linear import Linear
from logpx.transforms.linear.matrix import DenseMatrix, Matrix
from logpx.transforms.linear.permutation import PermutationMatrix
from logpx.transforms.linear.plu import PLUMatrix
from logpx.transforms.linear.qr import QRMatrix
from logpx.transforms.linear.triangular_affine import TriangularAffine

__all__ = [
    "AutoregressiveConvolution",
    "Convolution1x1",
    "DenseMatrix",
    "EmergingConvolution",
    "HouseholderMatrix",
    "Linear",
    "Matrix",
    "PLUMatrix",
    "PermutationMatrix",
    "QRMatrix",
    "TriangularAffine",
]
