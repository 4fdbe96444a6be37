"""The model families that a table can be fitted with, each with its own way of choosing its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx import flows
from logpx.distributions import Distribution
from logpx.errors import UsageError
from logpx.suggestions import suggestion
from logpx.tables.fitting.autoencoder import TableAutoencoderFamily
from logpx.tables.fitting.family import Budget, Family, hidden_for, train
from logpx.tables.fitting.mixtures import GaussianFamily, MixtureFamily
from logpx.tables.fitting.subspaces import FactorFamily, MixtureOfPPCAFamily, PrincipalFamily

__all__ = ["AUTOMATIC", "FAMILIES", "TableFlowFamily", "family_named"]


@dataclass(frozen=True)
class TableFlowFamily(Family):
    """A named flow of a size that suits the table, trained by gradient descent."""

    name: str
    summary: str
    build: Callable[[int, int], Distribution]
    least_features: int = 2

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation likelihood stops rising or the time is over."""
        rows, features = budget.rows, training.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(budget.seed % 2**64)
            model = self.build(rows, features)
        return train(model, training, validation, budget)


def _nsf(rows: int, features: int) -> Distribution:
    return flows.NSF(features, autoregressive=True, layers=1 if features == 1 else 3, hidden=hidden_for(rows))


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        GaussianFamily(),
        MixtureFamily(),
        PrincipalFamily(),
        FactorFamily(),
        MixtureOfPPCAFamily(),
        TableFlowFamily("nice", "additive coupling flow", lambda n, d: flows.NICE(d, hidden=hidden_for(n))),
        TableFlowFamily("realnvp", "affine coupling flow", lambda n, d: flows.RealNVP(d, 8, hidden_for(n))),
        TableFlowFamily("maf", "masked autoregressive flow", lambda n, d: flows.MAF(d, hidden=hidden_for(n))),
        TableFlowFamily(
            "iaf", "inverse autoregressive flow", lambda n, d: flows.IAF(d, hidden=hidden_for(n))
        ),
        TableFlowFamily("nsf", "autoregressive neural spline flow", _nsf, least_features=1),
        TableAutoencoderFamily(),
    )
}

AUTOMATIC: tuple[Family, ...] = tuple(FAMILIES[name] for name in ("gaussian", "gmm", "maf", "nsf"))


def family_named(name: str) -> Family:
    """Return the family of a name.

    Raises
    ------
    UsageError
        Suggesting the nearest name.

    Examples
    --------
    >>> family_named("gmm").summary
    'Gaussian mixture; the number of components by validation likelihood or BIC'
    """
    if name not in FAMILIES:
        raise UsageError(f"there is no model {name!r}", fix=suggestion(name, ["auto", *FAMILIES]))
    return FAMILIES[name]
