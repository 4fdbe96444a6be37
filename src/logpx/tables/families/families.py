"""The model families that can be fitted to a table, each with its own way of choosing its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from logpx import flows
from logpx.distributions import Distribution
from logpx.distributions.seeding import seeded
from logpx.scoring import Families
from logpx.tables.families.autoencoder import TableAutoencoderFamily
from logpx.tables.families.autoregressive import AutoregressiveFamily
from logpx.tables.families.family import Budget, TableFamily, train, width_for
from logpx.tables.families.mixtures import GaussianFamily, MixtureFamily
from logpx.tables.families.settings import LEARNING_RATE, Setting, Value
from logpx.tables.families.subspaces import FactorFamily, MixtureOfPPCAFamily, PrincipalFamily
from logpx.training.plan import USUAL_LEARNING_RATE

__all__ = ["FAMILIES", "TableFlowFamily"]


# Of every flow; two hidden layers in each net.
_SETTINGS = {
    "layers": Setting(2, 10),
    "width": Setting(16, 256, logarithmic=True),
    "learning_rate": LEARNING_RATE,
}


@dataclass(frozen=True, kw_only=True)
class TableFlowFamily(TableFamily):
    """A named flow of a size that suits the table, trained by gradient descent.

    Attributes
    ----------
    build : callable
        Returns a flow of so many features, given its settings.
    layers : int
        The usual number of layers.
    settings
        As in `TableFamily`.
    """

    name: str
    summary: str
    build: Callable[[int, Mapping[str, Value]], Distribution]
    layers: int
    least_features: int = 2
    settings: Mapping[str, Setting] = field(default_factory=lambda: _SETTINGS)

    def usual(self, rows: int, features: int) -> dict[str, Value]:
        """Return fewer layers for a single column, where they add little, and widths by the rows."""
        found: dict[str, Value] = {
            "layers": 1 if features == 1 else self.layers,
            "width": width_for(rows),
            "learning_rate": USUAL_LEARNING_RATE,
        }
        return found | ({"bins": 8} if "bins" in self.settings else {})

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation likelihood stops rising or time is up."""
        features = training.shape[1]
        settings = self.usual(budget.rows, features) | dict(budget.settings)
        with seeded(budget.seed):
            model = self.build(features, settings)
        return train(model, training, validation, budget, learning_rate=settings["learning_rate"])


def _flow_family(
    name: str, summary: str, flow: Callable[..., Distribution], **options: Any
) -> TableFlowFamily:
    """Return the family of a class of flows, built from its settings."""

    def build(features: int, settings: Mapping[str, Value]) -> Distribution:
        sizes = {size: settings[size] for size in ("layers", "bins") if size in settings}
        return flow(features, hidden=(settings["width"],) * 2, **sizes)

    return TableFlowFamily(name=name, summary=summary, build=build, **options)


FAMILIES: Families[TableFamily] = Families(
    "a table",
    [
        GaussianFamily(),
        MixtureFamily(),
        PrincipalFamily(),
        FactorFamily(),
        MixtureOfPPCAFamily(),
        _flow_family("nice", "additive coupling flow", flows.NICE, layers=6),
        _flow_family("realnvp", "affine coupling flow", flows.RealNVP, layers=8),
        _flow_family("maf", "masked autoregressive flow", flows.MAF, layers=5),
        _flow_family("iaf", "inverse autoregressive flow", flows.IAF, layers=5),
        _flow_family(
            "nsf",
            "autoregressive neural spline flow",
            partial(flows.NSF, autoregressive=True),
            layers=3,
            least_features=1,
            settings=_SETTINGS | {"bins": Setting(4, 24)},
        ),
        TableAutoencoderFamily(),
        AutoregressiveFamily(),
    ],
    automatic=["gaussian", "gmm", "maf", "nsf", "autoregressive"],
)
