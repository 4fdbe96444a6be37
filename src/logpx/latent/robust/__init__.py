"""What a few strange rows do not move: scales of columns, and an ensemble of small mixtures."""

from logpx.latent.robust.ensemble import FittedEnsemble, MixtureEnsemble
from logpx.latent.robust.scales import INTERQUARTILE, VARIANCE, RobustScales

__all__ = ["INTERQUARTILE", "VARIANCE", "FittedEnsemble", "MixtureEnsemble", "RobustScales"]
