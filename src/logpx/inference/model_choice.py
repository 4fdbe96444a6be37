"""Model choice: criteria, and one call that tries components, covariances and starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_seed
from logpx.errors import DataError, LogpxError, UsageError
from logpx.inference.restarts import expectation_maximisation_from
from logpx.latent import COVARIANCES, GaussianMixture, LatentMixture
from logpx.representations import Shown

__all__ = ["CRITERIA", "ChoiceRow", "MixtureChoice", "choose_mixture", "criteria_of"]

CRITERIA = ("bic", "aic", "icl", "held_out")
_BLOCK_ROWS = 65_536


@dataclass(frozen=True, kw_only=True, repr=False)
class ChoiceRow(Shown):
    """The result for one model.

    Attributes
    ----------
    components, covariance, start
        The model's choices.
    log_likelihood : float
        Summed over the rows, in nats.
    free_parameters : int
        The number of free parameters.
    bic, aic, icl : float
        As defined by `criteria_of`; smaller is better. NaN if the fit failed.
    held_out, held_out_error : float
        Mean log-likelihood of the held-out rows and its standard error, in nats per row; NaN without any.
    note : str
        Why the fit was refused, or empty.
    """

    components: int
    covariance: str
    start: str
    log_likelihood: float
    free_parameters: int
    bic: float
    aic: float
    icl: float
    held_out: float = math.nan
    held_out_error: float = math.nan
    note: str = ""


@dataclass(frozen=True, repr=False)
class MixtureChoice(Shown):
    """All models tried, and the winner.

    Attributes
    ----------
    model : logpx.latent.GaussianMixture
        The winner, fitted to the rows that are not held out.
    row : ChoiceRow
        The winner's row in the table.
    table : list of ChoiceRow
        All rows, the best first.
    criterion : str
        The criterion that decided.
    """

    model: GaussianMixture
    row: ChoiceRow
    table: list[ChoiceRow]
    criterion: str


def criteria_of(model: LatentMixture, x: Tensor, weights: Tensor | None = None) -> dict[str, float]:
    r"""Return BIC, AIC and ICL of a fitted mixture; smaller is better.

    With L the log-likelihood summed over the rows, p the number of free parameters and n the sum of the rows'
    weights: :math:`\mathrm{BIC} = p \log n - 2 L`, :math:`\mathrm{AIC} = 2 p - 2 L`, and
    :math:`\mathrm{ICL} = \mathrm{BIC} - 2 \sum_i \log \max_k p(k | x_i)`, the definition of the R package
    mclust with the opposite sign.

    Parameters
    ----------
    model
        The mixture.
    x
        Rows, shape ``(n, D)``.
    weights
        Shape ``(n,)``; 1 each by default.

    References
    ----------
    Schwarz 1978; Akaike 1974; Biernacki, Celeux and Govaert 2000.

    Examples
    --------
    >>> x = torch.randn(100, 2)
    >>> sorted(criteria_of(GaussianMixture(components=2, features=2), x))
    ['aic', 'bic', 'icl', 'log_likelihood']
    """
    with torch.no_grad():
        weight = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.double()
        total, entropy = 0.0, 0.0
        for start in range(0, len(x), _BLOCK_ROWS):
            rows, own = x[start : start + _BLOCK_ROWS], weight[start : start + _BLOCK_ROWS]
            total += float(own @ model.log_prob(rows).double())
            entropy += float(own @ model.posterior(rows).logits.amax(-1).double())
    count, free = float(weight.sum()), model.free_parameters
    bic = free * math.log(count) - 2.0 * total
    return {"log_likelihood": total, "bic": bic, "aic": 2.0 * free - 2.0 * total, "icl": bic - 2.0 * entropy}


def choose_mixture(
    x: Any,
    components: Iterable[int] = range(1, 10),
    covariances: Sequence[str] = ("full", "tied", "diagonal", "spherical"),
    starts: Sequence[str | None] = (None,),
    *,
    criterion: str = "bic",
    held_out: Any = None,
    rank: int | None = None,
    restarts: int = 6,
    seed: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> MixtureChoice:
    """Fit Gaussian mixtures of several sizes, kinds and starts, and choose one.

    Parameters
    ----------
    x
        Rows, shape ``(n, D)``; NaN for missing cells.
    components
        The numbers of components to try.
    covariances
        The kinds of covariance to try, from `logpx.latent.COVARIANCES`.
    starts
        The kinds of start to try, from `logpx.latent.STARTS`; None is a mix of all. BIC depends on the start:
        a good model loses from a poor one.
    criterion
        ``bic``, ``aic`` or ``icl``: the smallest wins; or ``held_out``: the largest wins.
    held_out
        Held-out rows for ``held_out``; by default every fifth row.
    rank
        The number of latent dimensions, for the kinds that have one.
    restarts, seed
        As in `expectation_maximisation_from`.
    should_stop
        Called between fits; returning true ends the search.
    **options
        Options of `expectation_maximisation`.

    Returns
    -------
    MixtureChoice

    Raises
    ------
    UsageError
        If the criterion is unknown, or there is nothing to try.
    DataError
        If no model can be fitted; the reason of the first is given.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.randn(300, 2, generator=generator)
    >>> x[:150] += 8.0
    >>> choice = choose_mixture(x, components=(1, 2, 3), covariances=("spherical",))
    >>> choice.row.components, len(choice.table)
    (2, 3)
    """
    if criterion not in CRITERIA:
        raise UsageError(f"there is no criterion {criterion!r}", fix=f"choose among: {', '.join(CRITERIA)}")
    rows = torch.as_tensor(x, dtype=torch.float64)
    if rows.dim() != 2 or bool(torch.isinf(rows).any()):
        raise DataError("x is not a table of finite numbers", fix="give a matrix, with NaN for missing cells")
    aside = None
    if held_out is not None:
        aside = torch.as_tensor(held_out, dtype=torch.float64)
    elif criterion == "held_out":
        fifth = torch.arange(len(rows)) % 5 == 4
        rows, aside = rows[~fifth], rows[fifth]
    sample = rows[
        torch.randperm(len(rows), generator=torch.Generator().manual_seed(checked_seed(seed) % 2**63))
    ]
    tried: list[tuple[ChoiceRow, GaussianMixture | None]] = []
    for size in components:
        for kind in covariances:
            for start in starts:
                if tried and should_stop():
                    break
                tried.append(_try(rows, sample, aside, size, kind, rank, start, restarts, seed, options))
    fitted = [(row, model) for row, model in tried if model is not None and not row.note]
    if not tried:
        raise UsageError("nothing to try", fix="name at least one number of components and one covariance")
    if not fitted:
        raise DataError(f"no mixture could be fitted: {tried[0][0].note}", fix="try fewer components")

    def quality(row: ChoiceRow) -> float:
        value: float = getattr(row, criterion)
        value = value if criterion == "held_out" else -value
        return -math.inf if math.isnan(value) else value

    best, winner = max(fitted, key=lambda pair: quality(pair[0]))
    table = sorted(
        (row for row, _ in tried), key=lambda row: -math.inf if row.note else quality(row), reverse=True
    )
    return MixtureChoice(winner, best, table, criterion)


def _try(
    rows: Tensor,
    sample: Tensor,
    aside: Tensor | None,
    size: int,
    kind: str,
    rank: int | None,
    start: str | None,
    restarts: int,
    seed: int,
    options: dict[str, Any],
) -> tuple[ChoiceRow, GaussianMixture | None]:
    ranked = COVARIANCES[kind.replace("-", "_")].ranked if kind.replace("-", "_") in COVARIANCES else False
    model = GaussianMixture(size, rows.shape[1], kind, rank if ranked else None).double()
    name = "all" if start is None else start
    try:
        outcome = expectation_maximisation_from(
            model, lambda: [(rows, None)], sample, seed=seed, restarts=restarts, start=start, **options
        )
    except LogpxError as error:
        nan = math.nan
        note = error.message
        return ChoiceRow(
            components=size,
            covariance=kind,
            start=name,
            log_likelihood=nan,
            free_parameters=model.free_parameters,
            bic=nan,
            aic=nan,
            icl=nan,
            note=note,
        ), None
    found = criteria_of(model, rows)
    mean = error_of_mean = math.nan
    if aside is not None:
        with torch.no_grad():
            values = model.log_prob(aside)
        mean, error_of_mean = float(values.mean()), float(values.std() / math.sqrt(len(values)))
    note = ", ".join(outcome.collapsed[:2])
    row = ChoiceRow(
        components=size,
        covariance=kind,
        start=name,
        log_likelihood=found["log_likelihood"],
        free_parameters=model.free_parameters,
        bic=found["bic"],
        aic=found["aic"],
        icl=found["icl"],
        held_out=mean,
        held_out_error=error_of_mean,
        note=note,
    )
    return row, model
