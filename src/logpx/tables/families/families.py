"""The model families that can be fitted to a table, each with its own way of choosing its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from logpx import flows
from logpx.distributions import Distribution
from logpx.distributions.seeding import seeded
from logpx.scoring import Families
from logpx.tables.families.autoencoder import TableAutoencoderFamily
from logpx.tables.families.autoregressive import AutoregressiveFamily
from logpx.tables.families.family import Budget, TableFamily, hidden_for, train
from logpx.tables.families.mixtures import GaussianFamily, MixtureFamily
from logpx.tables.families.subspaces import FactorFamily, MixtureOfPPCAFamily, PrincipalFamily

__all__ = ["FAMILIES", "TableFlowFamily"]


@dataclass(frozen=True)
class TableFlowFamily(TableFamily):
    """A named flow of a size that suits the table, trained by gradient descent."""

    name: str
    summary: str
    build: Callable[[int, int], Distribution]
    least_features: int = 2

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation likelihood stops rising or time is up."""
        rows, features = budget.rows, training.shape[1]
        with seeded(budget.seed):
            model = self.build(rows, features)
        return train(model, training, validation, budget)


def _nsf(rows: int, features: int) -> Distribution:
    return flows.NSF(features, autoregressive=True, layers=1 if features == 1 else 3, hidden=hidden_for(rows))


FAMILIES: Families[TableFamily] = Families(
    "a table",
    [
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
        AutoregressiveFamily(),
    ],
    automatic=["gaussian", "gmm", "maf", "nsf", "autoregressive"],
)
