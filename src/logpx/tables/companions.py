"""Densities beside the model of a table, which answer what it cannot."""

from __future__ import annotations

from logpx.distributions import Distribution, Mixture
from logpx.latent import LatentMixture
from logpx.tables.density import CellDensity, TableDensity

__all__ = ["CLUSTERS", "CONDITIONS", "answers_conditions", "has_clusters"]

#: What a companion is kept for: some columns given others, and the components of a mixture.
CONDITIONS = "conditions"
CLUSTERS = "clusters"


def answers_conditions(density: Distribution) -> bool:
    """Return whether a density in table units can give any columns given any others."""
    members = density.components if isinstance(density, Mixture) else [density]
    return all(isinstance(one, TableDensity | CellDensity) and one.allows_missing for one in members)


def has_clusters(density: Distribution, least: int = 1) -> bool:
    """Return whether a density in table units is a mixture of so many components, which are clusters."""
    if not isinstance(density, TableDensity) or not isinstance(density.model, LatentMixture):
        return False
    return density.model.components >= least
