"""The command line: ``logpx`` fit, score, sample, evaluate, impute, cluster and info."""

from logpx.cli.entry import main

__all__ = ["main"]
