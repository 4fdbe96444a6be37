"""Invertible matrices and the linear maps of vectors and of images that are made of them."""

from logpx.transforms.linear.convolution1x1 import Convolution1x1
from logpx.transforms.linear.dense import DenseMatrix
from logpx.transforms.linear.linear import Linear
from logpx.transforms.linear.matrix import Matrix
from logpx.transforms.linear.plu import PLUMatrix

__all__ = ["Convolution1x1", "DenseMatrix", "Linear", "Matrix", "PLUMatrix"]
