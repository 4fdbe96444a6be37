"""How unusual a row is: by an ensemble of small robust mixtures, and by its log p."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from logpx.arguments import is_number
from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.latent.robust import MixtureEnsemble
from logpx.scoring import Calibration
from logpx.tables.coding import RowCoding

__all__ = ["FACTOR", "FADING", "Unusualness", "combined_scores"]

# Of false alarms with low p-values, those by log p are two in five.
FACTOR = 1.5
# From about this p-value on, log p has no say.
FADING = 0.05


class Unusualness(Configured, nn.Module):
    r"""A score of rows that finds unusual ones even where log p does not.

    Log p rewards values that repeat, and rows in the middle of many columns, without limit; an ensemble of
    small robust mixtures does not, but hardly sees a single cell that does not fit the others. A row is
    unusual by either: its score is the lower of the two logarithms of its p-values, that of log p, q, as
    :math:`\log(a q) + q / b`. Where log p is not low, it then has no say.

    Parameters
    ----------
    coding
        How rows become numbers.
    ensemble
        The ensemble.
    scores
        Scores by the ensemble, of rows that its members have not seen.
    calibration
        The combined scores of rows that neither the ensemble nor the model has seen, for p-values.
    factor
        What p-values of log p are multiplied by, a: the higher, the fewer false alarms are those of log p.
    fading
        The p-value b of log p from which on it has no say; None, as in folders of earlier versions, if it
        always has.
    """

    def __init__(
        self,
        coding: RowCoding,
        ensemble: MixtureEnsemble,
        scores: Calibration,
        calibration: Calibration,
        *,
        factor: float = FACTOR,
        fading: float | None = None,
    ) -> None:
        super().__init__()
        for name, value, usual in (("factor", factor, FACTOR), ("fading", fading, FADING)):
            if value is not None and (not is_number(value) or not 0.0 < value < math.inf):
                raise UsageError(f"{name} is {value!r}", fix=f"give a positive number, such as {usual:g}")
        self.coding, self.ensemble, self.scores = coding, ensemble, scores
        self.calibration = calibration
        self.factor = float(factor)
        self.fading = None if fading is None else float(fading)

    @torch.no_grad()
    def of(self, x: Tensor, log_prob: Tensor, aside: Calibration) -> Tensor:
        """Return the scores of rows, shape ``(n,)``, float64: low is unusual.

        Parameters
        ----------
        x
            Rows as in the table, shape ``(n, d)``, float64.
        log_prob
            Their log p, shape ``(n,)``.
        aside
            The log p of rows that the model has not seen.
        """
        return combined_scores(self.by_ensemble(x), aside.log_p(log_prob), self.factor, self.fading)

    @torch.no_grad()
    def by_ensemble(self, x: Tensor) -> Tensor:
        """Return the logarithms of p-values of rows, shape ``(n, d)``, by the ensemble alone: ``(n,)``."""
        return self.scores.log_p(self.ensemble.scores(self.coding(x)))


def combined_scores(
    by_ensemble: Tensor, by_log_prob: Tensor, factor: float = FACTOR, fading: float | None = FADING
) -> Tensor:
    """Return the lower of two logarithms of p-values, that of log p raised: shape ``(n,)``, float64."""
    raised = math.log(factor) + by_log_prob
    if fading is not None:
        raised = raised + by_log_prob.exp() / fading
    return torch.minimum(by_ensemble, raised.to(by_ensemble.device))
