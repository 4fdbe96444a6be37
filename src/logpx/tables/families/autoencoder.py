"""Variational autoencoders of tables, for columns of any kind and with missing cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.distributions.likelihoods import (
    CategoricalLikelihood,
    Likelihood,
    NormalLikelihood,
    ProductLikelihood,
    ScalePerValue,
)
from logpx.distributions.seeding import seeded
from logpx.latent import VAE, EvidenceLowerBound
from logpx.nets import MLP
from logpx.tables.families.family import Budget, TableFamily, train, width_for
from logpx.tables.families.settings import LEARNING_RATE, Setting, Value
from logpx.training.plan import USUAL_LEARNING_RATE

__all__ = ["TableAutoencoderFamily", "likelihood_of"]

_MOST_LATENT = 8
_WARM_UP_STEPS = 500


def likelihood_of(kinds: Sequence[str | int]) -> Likelihood:
    """Return a likelihood of columns: labels, and numbers with normal noise of trained deviations.

    Parameters
    ----------
    kinds
        For each column, ``"normal"`` or the number of its labels.

    Examples
    --------
    >>> likelihood_of(["normal", 3, "normal"]).outputs
    5
    """
    numbers = [column for column, kind in enumerate(kinds) if kind == "normal"]
    parts: list[Likelihood] = []
    columns = []
    if numbers:
        parts.append(NormalLikelihood(len(numbers), ScalePerValue(len(numbers))))
        columns.append(numbers)
    for column, kind in enumerate(kinds):
        if isinstance(kind, int):
            parts.append(CategoricalLikelihood(1, kind))
            columns.append([column])
    return parts[0] if len(parts) == 1 else ProductLikelihood(parts, columns)


class TableAutoencoderFamily(TableFamily):
    """A variational autoencoder of a size that suits the table, trained by gradient descent.

    Its log p is a lower bound. Cells are independent given z; a missing one is integrated out.
    """

    name = "vae"
    summary = "variational autoencoder, whose log p is a lower bound"
    allows_missing = True
    allows_labels = True
    options = frozenset({"latent"})
    least_latent = 1
    needs_many_rows = False
    settings: Mapping[str, Setting] = {
        "latent": Setting(1, 32, logarithmic=True),
        "width": Setting(16, 256, logarithmic=True),
        "learning_rate": LEARNING_RATE,
    }

    def usual(self, rows: int, features: int) -> dict[str, Value]:
        """Return a latent dimension for each column, up to eight, and widths by the rows."""
        return {
            "latent": min(_MOST_LATENT, features),
            "width": width_for(rows),
            "learning_rate": USUAL_LEARNING_RATE,
        }

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation bound stops rising or time is up."""
        settings = self.usual(budget.rows, training.shape[1]) | dict(budget.settings)
        latent = int(settings["latent"]) if budget.latent is None else budget.latent
        with seeded(budget.seed):
            model = VAE(
                likelihood_of(budget.kinds),
                latent,
                (int(settings["width"]),) * 2,
                objective=EvidenceLowerBound(warm_up=_WARM_UP_STEPS),
                masked=bool(training.isnan().any()),
            )
        _begin_at_shares(model, training, budget.kinds, budget.weights)
        return train(model, training, validation, budget, learning_rate=settings["learning_rate"])


@torch.no_grad()
def _begin_at_shares(
    model: VAE, training: Tensor, kinds: Sequence[str | int], weights: Tensor | None
) -> None:
    """Let the decoder begin at the share of each label, as it begins at the mean of each number."""
    assert isinstance(model.decoder, MLP)
    bias = model.decoder.output.bias
    levels = [(column, kind) for column, kind in enumerate(kinds) if isinstance(kind, int)]
    start = len(bias) - sum(kind for _, kind in levels)
    for column, kind in levels:
        codes = training[:, column]
        there = ~codes.isnan()
        own = None if weights is None else weights[there]
        counts = torch.bincount(codes[there].long(), weights=own, minlength=kind) + 0.5
        bias[start : start + kind] = (counts / counts.sum()).log()
        start += kind
