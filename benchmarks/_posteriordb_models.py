"""Log-densities of posteriors of posteriordb, vectorised over draws, in double precision: regressions.

Every function takes the data of a posterior and returns a `Case`. The densities are those of the models, with
their constants, but priors restricted to a support are not renormalised; an improper flat prior adds 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from logpx.posteriors import Constraint, Positive, Real

Values = Mapping[str, Tensor]
Data = Mapping[str, Any]
Prior = Callable[[Tensor], Tensor]

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Case:
    """A posterior in some parametrisation, and the map to the columns of its reference draws.

    Attributes
    ----------
    log_density : callable
        From a dictionary of parameters, each ``(n, *shape)``, to the log joint density ``(n,)`` in nats.
    constraints : dict of Constraint
        The parameters.
    columns : callable
        From the same dictionary to ``(n, d)``, in the order of the reference.
    """

    log_density: Callable[[Values], Tensor]
    constraints: dict[str, Constraint]
    columns: Callable[[Values], Tensor]


def joined(*names: str) -> Callable[[Values], Tensor]:
    """Return the columns of the named parameters, which the reference has as they are."""
    return lambda values: torch.cat([values[name].reshape(len(values[name]), -1) for name in names], 1)


def tensor(values: Any) -> Tensor:
    """Return numbers in double precision."""
    return torch.as_tensor(values, dtype=torch.float64)


def normal(x: Tensor, mean: Any, scale: Any) -> Tensor:
    """Return the log-density of a normal distribution, entry by entry."""
    scale = tensor(scale)
    return -0.5 * ((x - mean) / scale).square() - scale.log() - HALF_LOG_TWO_PI


def log_normal(x: Tensor, mean: Any, scale: Any) -> Tensor:
    """Return the log-density of exp of a normal variable, entry by entry."""
    return normal(x.log(), mean, scale) - x.log()


def cauchy(x: Tensor, scale: float) -> Tensor:
    """Return the log-density of a Cauchy distribution around 0, entry by entry."""
    return -math.log(math.pi * scale) - torch.log1p((x / scale).square())


def flat(x: Tensor) -> Tensor:
    """Return the logarithm of an improper constant density."""
    return x.new_zeros(())


def regression(x: Tensor, y: Tensor, beta_prior: Prior, sigma_prior: Prior) -> Case:
    """Return linear regression with normal noise; the design has a column of ones if it needs one."""
    # |y - X β|² = RSS + |R (β - least squares)|²: speed does not depend on the number of rows.
    q, r = torch.linalg.qr(x)
    best = torch.linalg.solve_triangular(r, (q.mT @ y)[:, None], upper=True)[:, 0]
    rss = (y - x @ best).square().sum()

    def log_density(values: Values) -> Tensor:
        beta, sigma = values["beta"], values["sigma"]
        squares = rss + ((beta - best) @ r.mT).square().sum(1)
        likelihood = -0.5 * squares / sigma.square() - len(y) * (sigma.log() + HALF_LOG_TWO_PI)
        return likelihood + beta_prior(beta) + sigma_prior(sigma)

    constraints = {"beta": Real(x.shape[1]), "sigma": Positive()}
    return Case(log_density, constraints, joined("beta", "sigma"))


def normal_prior(mean: Any, scale: Any) -> Prior:
    """Return independent normal densities of the entries of a vector."""
    return lambda x: normal(x, mean, scale).sum(-1)


def design(data: Data, *columns: Any) -> Tensor:
    """Return a column of ones and other columns, given as names in the data or as numbers."""
    given = [tensor(data[column] if isinstance(column, str) else column) for column in columns]
    return torch.stack([torch.ones_like(given[0]), *given], 1)


def autoregression(data: Data) -> Case:
    """Return the autoregressive model of order 5."""
    y = tensor(data["y"])
    lags = [y[5 - lag : len(y) - lag] for lag in range(1, 6)]
    return regression(design(data, *lags), y[5:], normal_prior(0.0, 10.0), lambda s: cauchy(s, 2.5))


def earnings(data: Data) -> Case:
    """Return earnings by height."""
    return regression(design(data, "height"), tensor(data["earn"]), flat, flat)


def log_earnings(data: Data) -> Case:
    """Return logarithms of earnings by height."""
    return regression(design(data, "height"), tensor(data["earn"]).log(), flat, flat)


def kidscore(data: Data, interaction: bool) -> Case:
    """Return test scores of children by their mothers' schooling and IQ, perhaps with the product of both."""
    columns = [tensor(data["mom_hs"]), tensor(data["mom_iq"])]
    columns += [columns[0] * columns[1]] if interaction else []
    return regression(design(data, *columns), tensor(data["kid_score"]), flat, lambda s: cauchy(s, 2.5))


def kilpisjarvi(data: Data) -> Case:
    """Return temperatures by year, which is not centred."""
    prior = normal_prior(
        tensor([data["pmualpha"], data["pmubeta"]]), tensor([data["psalpha"], data["psbeta"]])
    )
    return regression(design(data, "x"), tensor(data["y"]), prior, flat)


def mesquite(data: Data) -> Case:
    """Return log weight of bushes by the logarithms of their measurements."""
    measures = ("diam1", "diam2", "canopy_height", "total_height", "density")
    logs = [tensor(data[name]).log() for name in measures]
    return regression(design(data, *logs, "group"), tensor(data["weight"]).log(), flat, flat)


def election(data: Data) -> Case:
    """Return party identification by ideology, race, age, education, gender and income."""
    ages = [(tensor(data["age_discrete"]) == group).double() for group in (2, 3, 4)]
    x = design(data, "real_ideo", "race_adj", *ages, "educ1", "gender", "income")
    return regression(x, tensor(data["partyid7"]), flat, flat)


def vague_regression(data: Data) -> Case:
    """Return a regression without intercept."""
    return regression(
        tensor(data["X"]), tensor(data["y"]), normal_prior(0.0, 10.0), lambda s: normal(s, 0.0, 10.0)
    )
