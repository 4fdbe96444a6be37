"""Conditioner networks: tensors in, tensors out; they know nothing of probability."""

from logpx.nets.autoencoding import ConvolutionalDecoder, ConvolutionalEncoder
from logpx.nets.causal import IncrementalConditioner
from logpx.nets.convolutional import ConvolutionalResNet
from logpx.nets.embedding import CircularEmbedding, Embedded
from logpx.nets.forest import Forest
from logpx.nets.layers import ACTIVATIONS
from logpx.nets.made import MADE
from logpx.nets.mlp import MLP, ResidualMLP
from logpx.nets.series import SeriesEncoder
from logpx.nets.velocity import VelocityMLP
from logpx.nets.visible import VisibleColumns

__all__ = [
    "ACTIVATIONS",
    "MADE",
    "MLP",
    "CircularEmbedding",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "ConvolutionalResNet",
    "Embedded",
    "Forest",
    "IncrementalConditioner",
    "ResidualMLP",
    "SeriesEncoder",
    "VelocityMLP",
    "VisibleColumns",
]
