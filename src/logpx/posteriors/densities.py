"""Log-densities to try methods on, each a `Problem` with its log-evidence where that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from logpx.arguments import check_count
from logpx.errors import UsageError
from logpx.posteriors.target.constraints import Constraint, Interval, Positive, Real

__all__ = [
    "Problem",
    "banana",
    "eight_schools",
    "funnel",
    "garch",
    "gaussian_process_regression",
    "lattice_field",
    "logistic_regression",
    "separated_modes",
]

_LOG_TWO_PI = math.log(2.0 * math.pi)
_EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
_ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


@dataclass(frozen=True)
class Problem:
    """A log-density, ready for `posterior`: ``posterior(**problem.arguments)``.

    Attributes
    ----------
    log_density : callable
        The function, which takes many points.
    dim : int or None
        The number of dimensions, if it is a function of a vector.
    parameters : mapping or None
        Names and constraints, if it is a function of a dictionary.
    log_evidence : float or None
        The log of its integral in nats, where it is known.
    """

    log_density: Callable[[Any], Tensor]
    dim: int | None = None
    parameters: Mapping[str, Constraint] | None = None
    log_evidence: float | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `posterior`."""
        if self.parameters is None:
            return {"log_density": self.log_density, "dim": self.dim}
        return {"log_density": self.log_density, "parameters": self.parameters}


def funnel(dim: int = 10, scale: float = 3.0) -> Problem:
    """Return Neal's funnel: v ~ N(0, scale²), all others ~ N(0, exp(v)); it integrates to 1.

    References
    ----------
    Neal 2003, Slice sampling, section 8.
    https://arxiv.org/abs/physics/0009028

    Examples
    --------
    >>> problem = funnel(3)
    >>> problem.log_density(torch.zeros(1, 3)).shape, problem.log_evidence
    (torch.Size([1]), 0.0)
    """
    check_count("dim", dim, least=2)

    def log_density(x: Tensor) -> Tensor:
        v, rest = x[:, :1], x[:, 1:]
        return (_normal(v, scale) + (_normal(rest * (-0.5 * v).exp()) - 0.5 * v).sum(1, keepdim=True)).sum(1)

    return Problem(log_density, dim, log_evidence=0.0)


def banana(bend: float = 1.0, width: float = 0.5) -> Problem:
    """Return x₁ ~ N(0, 1), x₂ given x₁ ~ N(bend x₁², width²); it integrates to 1.

    Examples
    --------
    >>> banana().dim
    2
    """

    def log_density(x: Tensor) -> Tensor:
        return _normal(x[:, 0]) + _normal(x[:, 1] - bend * x[:, 0].square(), width)

    return Problem(log_density, 2, log_evidence=0.0)


def separated_modes(dim: int = 2, distance: float = 8.0, share: float = 0.3) -> Problem:
    """Return two standard normal distributions at a distance; `share` is the weight of the first.

    Examples
    --------
    >>> separated_modes().log_evidence
    0.0
    """
    check_count("dim", dim)

    def log_density(x: Tensor) -> Tensor:
        off = torch.zeros(dim, dtype=x.dtype)
        off[0] = 0.5 * distance
        first = _normal(x + off).sum(1) + math.log(share)
        return torch.logaddexp(first, _normal(x - off).sum(1) + math.log1p(-share))

    return Problem(log_density, dim, log_evidence=0.0)


def eight_schools(centred: bool = False) -> Problem:
    """Return the effects of coaching in eight schools, with a common mean and spread.

    Parameters
    ----------
    centred
        Whether the parameters are the effects themselves, with a funnel where the spread is small; otherwise
        the effects are mean + spread × raw.

    References
    ----------
    Rubin 1981, Estimation in parallel randomized experiments; Gelman et al. 2013, Bayesian data analysis,
    section 5.5.

    Examples
    --------
    >>> list(eight_schools().parameters)
    ['raw', 'mean', 'spread']
    """
    effects, errors = (torch.tensor(values, dtype=torch.float64) for values in (_EFFECTS, _ERRORS))

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        mean, spread = theta["mean"], theta["spread"]
        if centred:
            schools = theta["schools"]
            own = _normal((schools - mean[:, None]) / spread[:, None]).sum(1) - 8.0 * spread.log()
        else:
            schools = mean[:, None] + spread[:, None] * theta["raw"]
            own = _normal(theta["raw"]).sum(1)
        prior = _normal(mean, 5.0) + math.log(2.0 / (5.0 * math.pi)) - torch.log1p((spread / 5.0).square())
        return own + prior + _normal(effects - schools, errors).sum(1)

    name = "schools" if centred else "raw"
    return Problem(log_density, parameters={name: Real(8), "mean": Real(), "spread": Positive()})


def logistic_regression(x: Tensor, y: Tensor, scale: float = 2.5) -> Problem:
    """Return the coefficients of a logistic regression with normal priors; x contains any column of ones.

    Parameters
    ----------
    x, y
        Features, shape ``(n, d)``, and labels 0 or 1, shape ``(n,)``.
    scale
        The standard deviation of the prior.

    Raises
    ------
    UsageError
        If the shapes do not fit.

    Examples
    --------
    >>> logistic_regression(torch.ones(4, 1), torch.tensor([0.0, 1.0, 1.0, 1.0])).dim
    1
    """
    rows, truth = x.double(), y.double()
    if rows.dim() != 2 or truth.shape != rows.shape[:1]:
        raise UsageError(f"x of shape {tuple(x.shape)} and y of {tuple(y.shape)}", fix="give (n, d) and (n,)")
    sign = 2.0 * truth - 1.0

    def log_density(beta: Tensor) -> Tensor:
        return functional.logsigmoid((beta @ rows.mT) * sign).sum(1) + _normal(beta, scale).sum(1)

    return Problem(log_density, rows.shape[1])


def garch(y: Tensor, first: float = 1.0) -> Problem:
    """Return GARCH(1, 1): s²ₜ = level + shock (yₜ₋₁ − mean)² + persistence s²ₜ₋₁; the last two sum to < 1.

    Parameters
    ----------
    y
        Returns, shape ``(T,)``.
    first
        The initial standard deviation s₁.

    References
    ----------
    Bollerslev 1986, Generalized autoregressive conditional heteroskedasticity.

    Examples
    --------
    >>> list(garch(torch.zeros(5)).parameters)
    ['mean', 'level', 'shock', 'remaining']
    """
    series = y.double()

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        mean, level, shock = theta["mean"], theta["level"], theta["shock"]
        # `remaining` is a share of 1 − shock: uniform on the triangle.
        persistence = theta["remaining"] * (1.0 - shock)
        off = series - mean[:, None]
        variances = [torch.full_like(mean, first * first)]
        for t in range(1, len(series)):
            variances.append(level + shock * off[:, t - 1].square() + persistence * variances[-1])
        return _normal(off, torch.stack(variances, 1).sqrt()).sum(1) + torch.log1p(-shock)

    unit = Interval(0.0, 1.0)
    return Problem(
        log_density, parameters={"mean": Real(), "level": Positive(), "shock": unit, "remaining": unit}
    )


def gaussian_process_regression(x: Tensor, y: Tensor) -> Problem:
    """Return length, amplitude and noise of a Gaussian process, with the function integrated out.

    Parameters
    ----------
    x, y
        Shape ``(n,)``, in units in which both vary by about 1.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian processes for machine learning, section 5.4.
    https://gaussianprocess.org/gpml/

    Examples
    --------
    >>> list(gaussian_process_regression(torch.zeros(3), torch.zeros(3)).parameters)
    ['length', 'amplitude', 'noise']
    """
    squares = (x.double()[:, None] - x.double()).square()
    values = y.double()

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        length, amplitude, noise = (theta[name][:, None, None] for name in ("length", "amplitude", "noise"))
        kernel = amplitude.square() * torch.exp(-0.5 * squares / length.square())
        covariance = kernel + (noise.square() + 1e-10) * torch.eye(len(values), dtype=torch.float64)
        factor, _ = torch.linalg.cholesky_ex(covariance)
        white = torch.linalg.solve_triangular(factor, values[:, None], upper=False)[..., 0]
        fit = -0.5 * white.square().sum(1) - factor.diagonal(dim1=1, dim2=2).log().sum(1)
        # Log-normal priors around 1.
        prior = sum(_normal(theta[name].log()) - theta[name].log() for name in theta)
        found: Tensor = fit - 0.5 * len(values) * _LOG_TWO_PI + prior
        return found

    return Problem(log_density, parameters={name: Positive() for name in ("length", "amplitude", "noise")})


def lattice_field(side: int = 4, mass: float = -4.0, coupling: float = 8.0) -> Problem:
    r"""Return a scalar field with the action :math:`\sum (\nabla \phi)^2 + m \phi^2 + \lambda \phi^4`.

    It lives on a square lattice with periodic boundaries.

    Parameters
    ----------
    side
        Sites along an edge.
    mass, coupling
        m and λ, in lattice units; with m below 0 the field takes two signs.

    References
    ----------
    Albergo, Kanwar and Shanahan 2019, Flow-based generative models for Markov chain Monte Carlo in lattice
    field theory.
    https://arxiv.org/abs/1904.12072

    Examples
    --------
    >>> lattice_field(3).dim
    9
    """
    check_count("side", side, least=2)

    def log_density(x: Tensor) -> Tensor:
        field = x.reshape(-1, side, side)
        slopes = sum((field - field.roll(1, axis)).square() for axis in (1, 2))
        action: Tensor = (slopes + mass * field.square() + coupling * field**4).sum((1, 2))
        return -action

    return Problem(log_density, side * side)


def _normal(off: Tensor, scale: float | Tensor = 1.0) -> Tensor:
    """Return the log-density of a normal distribution with mean 0."""
    log_scale = scale.log() if isinstance(scale, Tensor) else math.log(scale)
    return -0.5 * (off / scale).square() - log_scale - 0.5 * _LOG_TWO_PI
