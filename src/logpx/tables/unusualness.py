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

__all__ = ["FACTOR", "Unusualness", "combined_scores"]

# Of false alarms, those by log p are one in three.
FACTOR = 2.0


class Unusualness(Configured, nn.Module):
    r"""A score of rows that finds unusual ones even where log p does not.

    Log p rewards values that repeat, and rows in the middle of many columns, without limit; an ensemble of
    small robust mixtures does not, but hardly sees a single cell that does not fit the others. A row is
    unusual by either: its score is the lower of the two logarithms of its p-values, that of log p after a
    factor.

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
        What p-values of log p are multiplied by: the higher, the fewer false alarms are those of log p.
    """

    def __init__(
        self,
        coding: RowCoding,
        ensemble: MixtureEnsemble,
        scores: Calibration,
        calibration: Calibration,
        *,
        factor: float = FACTOR,
    ) -> None:
        super().__init__()
        if not is_number(factor) or not 0.0 < factor < math.inf:
            raise UsageError(f"factor is {factor!r}", fix=f"give a positive number, such as {FACTOR:g}")
        self.coding, self.ensemble, self.scores = coding, ensemble, scores
        self.calibration = calibration
        self.factor = float(factor)

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
        return combined_scores(
            self.ensemble.scores(self.coding(x)), self.scores, log_prob, aside, self.factor
        )


def combined_scores(
    by_ensemble: Tensor, scores: Calibration, log_prob: Tensor, aside: Calibration, factor: float = FACTOR
) -> Tensor:
    """Return the lower of two logarithms of p-values, that of log p raised: shape ``(n,)``, float64."""
    by_log_prob = math.log(factor) + aside.log_p(log_prob)
    return torch.minimum(scores.log_p(by_ensemble), by_log_prob.to(by_ensemble.device))
