"""Images: reading, dequantisation, bits per dimension, and the model of images."""

from logpx.images.baselines import FlatNormal, PixelHistogram, UniformLevels
from logpx.images.dequantisation import Dequantisation, NoDequantisation, UniformDequantisation
from logpx.images.fitting.families import IMAGE_FAMILIES
from logpx.images.fitting.family import ImageFamily, ImageFlowFamily
from logpx.images.fitting.fit import ImageFitResult, fit_images
from logpx.images.model import ImageModel
from logpx.images.preprocessing import IdentityPixels, LinearPixels, LogitPixels
from logpx.images.reading.data_sets import DATA_SETS, open_data_set
from logpx.images.reading.images import ImageBatch, Images
from logpx.images.reading.sources import holds_images, open_images
from logpx.images.variational import VariationalDequantisation
from logpx.images.writing import write_images
from logpx.scoring.units import bits_per_dimension

__all__ = [
    "DATA_SETS",
    "IMAGE_FAMILIES",
    "Dequantisation",
    "FlatNormal",
    "IdentityPixels",
    "ImageBatch",
    "ImageFamily",
    "ImageFitResult",
    "ImageFlowFamily",
    "ImageModel",
    "Images",
    "LinearPixels",
    "LogitPixels",
    "NoDequantisation",
    "PixelHistogram",
    "UniformDequantisation",
    "UniformLevels",
    "VariationalDequantisation",
    "bits_per_dimension",
    "fit_images",
    "holds_images",
    "open_data_set",
    "open_images",
    "write_images",
]
