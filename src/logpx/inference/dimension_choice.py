"""The choice of the number of latent dimensions, by BIC, AIC, Minka's evidence or cross-validation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions import Moments
from logpx.distributions.seeding import checked_seed
from logpx.errors import DataError, UsageError
from logpx.inference.em import expectation_maximisation
from logpx.latent import LinearGaussian, ProbabilisticPCA, principal_log_evidence
from logpx.representations import Shown

__all__ = ["DIMENSION_CRITERIA", "DimensionChoice", "DimensionRow", "choose_dimension"]

DIMENSION_CRITERIA = ("bic", "aic", "cross_validation", "log_evidence")
_SMALLER_IS_BETTER = ("bic", "aic")


@dataclass(frozen=True, kw_only=True, repr=False)
class DimensionRow(Shown):
    """The result for one number of latent dimensions.

    Attributes
    ----------
    latent : int
        The number of latent dimensions.
    log_likelihood : float
        Summed over the rows, in nats.
    free_parameters : int
        The number of free parameters.
    bic, aic : float
        Smaller is better.
    cross_validation, cross_validation_error : float
        Mean log-likelihood of each row under the model fitted without its fold, and its standard error, in
        nats per row; NaN without cross-validation.
    log_evidence : float
        Minka's approximation, in nats; NaN where it is not defined: for factor analysis, 0 dimensions, or
        rows with missing cells.
    """

    latent: int
    log_likelihood: float
    free_parameters: int
    bic: float
    aic: float
    cross_validation: float
    cross_validation_error: float
    log_evidence: float


@dataclass(frozen=True, repr=False)
class DimensionChoice(Shown):
    """All sizes tried, and the winner.

    Attributes
    ----------
    model : logpx.latent.LinearGaussian
        The winner, fitted to all rows.
    row : DimensionRow
        The winner's row in the table.
    table : list of DimensionRow
        All rows, in the order tried.
    criterion : str
        The criterion that decided.
    """

    model: LinearGaussian
    row: DimensionRow
    table: list[DimensionRow]
    criterion: str


def choose_dimension(
    x: Any,
    kind: type[LinearGaussian] = ProbabilisticPCA,
    latent: Iterable[int] | None = None,
    *,
    criterion: str = "bic",
    folds: int = 5,
    seed: int = 0,
) -> DimensionChoice:
    """Fit probabilistic PCA or factor analysis with several numbers of latent dimensions, and choose one.

    Parameters
    ----------
    x
        Rows, shape ``(n, D)``; NaN for missing cells.
    kind
        `ProbabilisticPCA` or `FactorAnalysis`.
    latent
        The numbers to try; all from 0 to D - 1 by default.
    criterion
        ``bic`` or ``aic``: the smallest wins; ``cross_validation`` or ``log_evidence``: the largest wins.
    folds
        The number of folds of the cross-validation, which is run only where it decides.
    seed
        Of the division into folds.

    Raises
    ------
    UsageError
        If the criterion or class is unknown, there is nothing to try, or a number is invalid.
    DataError
        If the rows are not a table of numbers, or fewer than the folds.

    References
    ----------
    Minka 2000, Automatic choice of dimensionality for PCA.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> z = torch.randn(400, 2, generator=generator)
    >>> x = torch.cat([z, z @ torch.ones(2, 3)], 1) + 0.1 * torch.randn(400, 5, generator=generator)
    >>> [choose_dimension(x, criterion=name).row.latent for name in DIMENSION_CRITERIA]
    [2, 2, 2, 2]
    """
    if criterion not in DIMENSION_CRITERIA:
        raise UsageError(
            f"there is no criterion {criterion!r}", fix=f"choose among: {', '.join(DIMENSION_CRITERIA)}"
        )
    if not (isinstance(kind, type) and issubclass(kind, LinearGaussian)):
        raise UsageError(f"the kind is {kind!r}", fix="give latent.ProbabilisticPCA or latent.FactorAnalysis")
    check_count("folds", folds, least=2)
    rows = torch.as_tensor(x, dtype=torch.float64)
    if rows.dim() != 2 or bool(torch.isinf(rows).any()):
        raise DataError("x is not a table of finite numbers", fix="give a matrix, with NaN for missing cells")
    rows = rows[~rows.isnan().all(1)]
    if len(rows) < folds:
        raise DataError(f"{len(rows)} rows with a value", fix=f"give at least one for each of {folds} folds")
    sizes = range(rows.shape[1]) if latent is None else list(latent)
    if not sizes:
        raise UsageError("nothing to try", fix="name at least one number of latent dimensions")
    generator = torch.Generator().manual_seed(checked_seed(seed) % 2**63)
    fold = torch.randperm(len(rows), generator=generator).to(rows.device) % folds
    tried = []
    for size in sizes:
        model = _fitted(kind, rows, size)
        scores = _held_out(kind, rows, size, fold, folds) if criterion == "cross_validation" else None
        tried.append((_row(model, rows, size, scores), model))

    def quality(row: DimensionRow) -> float:
        value: float = getattr(row, criterion)
        value = -value if criterion in _SMALLER_IS_BETTER else value
        return -math.inf if math.isnan(value) else value

    best, winner = max(tried, key=lambda pair: quality(pair[0]))
    if quality(best) == -math.inf:
        raise UsageError(
            f"{criterion} is not defined for any of the models",
            fix="it needs probabilistic PCA and complete rows; choose another criterion",
        )
    return DimensionChoice(winner, best, [row for row, _ in tried], criterion)


def _fitted(kind: type[LinearGaussian], rows: Tensor, latent: int) -> LinearGaussian:
    model: LinearGaussian = kind(rows.shape[1], latent).double()  # type: ignore[call-arg]
    if bool(rows.isnan().any()):
        model.initialise_components(rows)
        expectation_maximisation(model, lambda: [(rows, None)])
    else:
        model.update_from_rows(rows)
    return model


@torch.no_grad()
def _held_out(kind: type[LinearGaussian], rows: Tensor, latent: int, fold: Tensor, folds: int) -> Tensor:
    scores = rows.new_empty(len(rows))
    for own in range(folds):
        model = _fitted(kind, rows[fold != own], latent)
        scores[fold == own] = model.log_prob(rows[fold == own])
    return scores


@torch.no_grad()
def _row(model: LinearGaussian, rows: Tensor, latent: int, scores: Tensor | None) -> DimensionRow:
    total, free = float(model.log_prob(rows).sum()), model.free_parameters
    mean = error = evidence = math.nan
    if scores is not None:
        mean, error = float(scores.mean()), float(scores.std()) / math.sqrt(len(scores))
    if isinstance(model, ProbabilisticPCA) and latent and not bool(rows.isnan().any()):
        moments = Moments.of(rows, full=True)
        values = torch.linalg.eigvalsh(moments.scatter / moments.count).flip(0)
        tiny = torch.finfo(values.dtype).tiny
        evidence = principal_log_evidence(values.clamp_min(tiny).cpu(), latent, len(rows))
    return DimensionRow(
        latent=latent,
        log_likelihood=total,
        free_parameters=free,
        bic=free * math.log(len(rows)) - 2.0 * total,
        aic=2.0 * free - 2.0 * total,
        cross_validation=mean,
        cross_validation_error=error,
        log_evidence=evidence,
    )
