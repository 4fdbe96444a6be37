"""Inference: expectation maximisation."""

from logpx.inference.em import EMModel, EMResult, expectation_maximisation

__all__ = ["EMModel", "EMResult", "expectation_maximisation"]
