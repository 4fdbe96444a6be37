"""log p(x) of any model by any method, and the two bounds that check annealed importance sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.private_randomness import private_randomness, redirected_draws
from logpx.distributions.seeding import derived_seed
from logpx.errors import DataError, UsageError
from logpx.inference.marginal_likelihood.annealed import AnnealedImportanceSampling
from logpx.inference.marginal_likelihood.methods import (
    Elbo,
    EvidenceMethod,
    Exact,
    ImportanceWeighted,
    MonteCarlo,
)
from logpx.inference.marginal_likelihood.result import Evidence
from logpx.suggestions import suggestion

__all__ = ["METHODS", "evidence", "simulated_sandwich"]

METHODS: dict[str, Callable[[], EvidenceMethod]] = {
    method.name: method
    for method in (Exact, MonteCarlo, Elbo, ImportanceWeighted, AnnealedImportanceSampling)
}

_BLOCK_ROWS = 64


@torch.no_grad()
def evidence(
    model: Any, x: Any, method: str | EvidenceMethod = "iwae", samples: int = 64, seed: int = 0
) -> Evidence:
    """Return log p(x) of each row, exact, bounded or estimated, and say which.

    Parameters
    ----------
    model
        A model with ``log_prob``; for all methods but ``exact``, one with ``prior``, ``likelihood(z)`` and
        ``posterior(x)`` that are distributions like torch's.
    x
        Rows, shape ``(n, D)``.
    method
        ``exact``; ``monte_carlo``, the mean over draws from the prior, whose error grows exponentially with
        the latent dimensions; ``elbo`` and ``iwae``, bounds from draws of the model's posterior; ``ais``,
        annealed importance sampling; or an object: ``AnnealedImportanceSampling(temperatures=5000)``.
    samples
        Draws, or chains, per row.
    seed
        Of the draws. A row's result depends on its place in the table, but not on how many rows follow.

    Returns
    -------
    Evidence
        With ``value`` and ``kind``, standard errors, effective sample sizes and k-hat.

    Raises
    ------
    UsageError
        If the method is unknown, or not for this model.
    DataError
        If the rows are not finite or there are none.

    Examples
    --------
    >>> from logpx.latent import ProbabilisticPCA
    >>> model = ProbabilisticPCA(features=3, latent=1)
    >>> x = torch.zeros(2, 3)
    >>> exact, bound = (evidence(model, x, method) for method in ("exact", "iwae"))
    >>> exact.kind, bound.kind, torch.allclose(exact.value, bound.value)
    ('exact', 'lower bound', True)
    """
    chosen = _method(method)
    chosen.check(model)
    check_count("samples", samples)
    rows = _rows(model, x)
    parts = []
    for first in range(0, len(rows), _BLOCK_ROWS):
        with private_randomness(derived_seed(seed, first // _BLOCK_ROWS)):
            # Always a whole block: the draws of a row must not depend on how many rows follow it.
            block = rows[first : first + _BLOCK_ROWS]
            padded = torch.cat([block, block[-1:].expand(_BLOCK_ROWS - len(block), *block.shape[1:])])
            parts.append(_first(chosen.of_block(model, padded, samples), len(block)))
    return _joined(parts)


@torch.no_grad()
def simulated_sandwich(
    model: Any,
    rows: int = 16,
    samples: int = 16,
    seed: int = 0,
    method: AnnealedImportanceSampling | None = None,
) -> tuple[Tensor, Evidence, Evidence]:
    """Draw rows from a model, and return them with lower and upper bounds of their log p(x).

    For rows drawn from the model an exact posterior draw is known: the z they were generated from. The gap
    between the bounds shows how well annealed importance sampling does on this model; other rows have only
    the lower bound.

    Parameters
    ----------
    model
        With ``prior`` and ``likelihood(z)``.
    rows
        The number of rows to draw.
    samples
        Chains per row and direction.
    seed
        Of everything random.
    method
        The method, with its temperatures and transitions.

    Returns
    -------
    x : Tensor
        Shape ``(rows, D)``.
    lower, upper : Evidence
        Bounds in expectation.

    References
    ----------
    Grosse, Ghahramani and Adams 2015; Grosse, Ancha and Roy 2016, Measuring the reliability of MCMC inference
    with bidirectional Monte Carlo.
    https://arxiv.org/abs/1511.02543
    https://arxiv.org/abs/1606.02275

    Examples
    --------
    >>> from logpx.latent import ProbabilisticPCA
    >>> method = AnnealedImportanceSampling(temperatures=50)
    >>> x, lower, upper = simulated_sandwich(ProbabilisticPCA(3, 1), rows=4, method=method)
    >>> lower.kind, upper.kind, x.shape
    ('lower bound', 'upper bound', torch.Size([4, 3]))
    """
    chosen = AnnealedImportanceSampling() if method is None else method
    chosen.check(model)
    check_count("rows", rows)
    check_count("samples", samples)
    with private_randomness(derived_seed(seed, 0)):
        with redirected_draws():
            z = model.prior.sample((rows,))
            x = model.likelihood(z).sample()
        return x, chosen.of_block(model, x, samples), chosen.upper_bound(model, x, z, samples)


def _method(method: str | EvidenceMethod) -> EvidenceMethod:
    if isinstance(method, EvidenceMethod):
        return method
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", fix=suggestion(str(method), list(METHODS)))
    return METHODS[method]()


def _rows(model: Any, x: Any) -> Tensor:
    parameter = next(iter(model.parameters()), None) if hasattr(model, "parameters") else None
    rows = torch.as_tensor(x)
    if not rows.is_floating_point():
        rows = rows.to(torch.get_default_dtype())
    if parameter is not None:
        rows = rows.to(parameter)
    if rows.dim() < 2 or not len(rows):
        raise DataError(f"rows of shape {tuple(rows.shape)}", fix="give at least one row: shape (n, D)")
    bad = ~rows.reshape(len(rows), -1).isfinite()
    if bool(bad.any()):
        row, column = (int(place) for place in bad.nonzero()[0])
        raise DataError(
            "a value that is missing or not finite",
            row=row + 1,
            column=column,
            fix="correct the cell; for missing cells use log_prob of a model that integrates them out",
        )
    return rows


def _first(part: Evidence, rows: int) -> Evidence:
    return Evidence(
        value=part.value[:rows],
        kind=part.kind,
        method=part.method,
        samples=part.samples,
        standard_error=part.standard_error[:rows],
        effective_sample_size=part.effective_sample_size[:rows],
        k_hat=part.k_hat[:rows],
        corrected=None if part.corrected is None else part.corrected[:rows],
    )


def _joined(parts: list[Evidence]) -> Evidence:
    first = parts[0]
    corrected = [part.corrected for part in parts if part.corrected is not None]
    return Evidence(
        value=torch.cat([part.value for part in parts]),
        kind=first.kind,
        method=first.method,
        samples=first.samples,
        standard_error=torch.cat([part.standard_error for part in parts]),
        effective_sample_size=torch.cat([part.effective_sample_size for part in parts]),
        k_hat=torch.cat([part.k_hat for part in parts]),
        corrected=torch.cat(corrected) if corrected else None,
    )
