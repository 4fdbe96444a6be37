"""A local page on a fitted model: conditions, samples, reasons of rows, latent space and temperature."""

from logpx.explore.explorer import Explorer
from logpx.explore.explorers import explorer_of
from logpx.explore.server import Server
from logpx.explore.serving import serve

__all__ = ["Explorer", "Server", "explorer_of", "serve"]
