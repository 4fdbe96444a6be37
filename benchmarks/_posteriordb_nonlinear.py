"""Log-densities of posteriors of posteriordb, vectorised over draws, in double precision: the others."""

from __future__ import annotations

import math

import torch
from _posteriordb_models import (
    Case,
    Data,
    Values,
    cauchy,
    joined,
    log_normal,
    normal,
    tensor,
)
from torch import Tensor

from logpx.posteriors import Interval, Ordered, Positive, Real

JITTER = 1e-10
STEPS_PER_YEAR = 5
# Stages of positions and momenta in the composition of order 4 of Blanes and Moan 2002, Practical symplectic
# partitioned Runge-Kutta and Runge-Kutta-Nyström methods; it reads the same from both ends.
POSITIONS = (0.0792036964311957, 0.353172906049774, -0.0420650803577195)
POSITIONS = (*POSITIONS, 1.0 - 2.0 * sum(POSITIONS), *POSITIONS[::-1])
MOMENTA = (0.209515106613362, -0.143851773179818)
MOMENTA = (*MOMENTA, 0.5 - sum(MOMENTA))
MOMENTA = (*MOMENTA, *MOMENTA[::-1])


def eight_schools(data: Data, centred: bool) -> Case:
    """Return effects of coaching in eight schools, as they are (centred) or standardised (not centred)."""
    y, scale = tensor(data["y"]), tensor(data["sigma"])
    name = "theta" if centred else "eta"

    def effects(values: Values) -> Tensor:
        if centred:
            return values["theta"]
        return values["mu"][:, None] + values["tau"][:, None] * values["eta"]

    def log_density(values: Values) -> Tensor:
        mu, tau = values["mu"], values["tau"]
        own = (
            normal(values["theta"], mu[:, None], tau[:, None]) if centred else normal(values["eta"], 0.0, 1.0)
        )
        above = normal(mu, 0.0, 5.0) + cauchy(tau, 5.0)
        return (own + normal(y, effects(values), scale)).sum(1) + above

    return Case(
        log_density,
        {name: Real(len(y)), "mu": Real(), "tau": Positive()},
        lambda values: joined("theta", "mu", "tau")({**values, "theta": effects(values)}),
    )


def garch(data: Data) -> Case:
    """Return GARCH(1, 1), with β1 = r (1 − α1): r in (0, 1) covers the triangle."""
    y, first = tensor(data["y"]), float(data["sigma1"])

    def log_density(values: Values) -> Tensor:
        mu, alpha0, alpha1, r = (values[name][:, None] for name in ("mu", "alpha0", "alpha1", "r"))
        beta1 = r * (1.0 - alpha1)
        fresh = alpha0 + alpha1 * (y[:-1] - mu).square()
        variance = torch.cat([torch.full_like(mu, first**2), fresh], 1)
        # s²_t = c_t + β1 s²_{t−1} for all t at once: sums over 2, 4, 8 ... terms of the past.
        width = 1
        while width < len(y):
            past = torch.nn.functional.pad(variance[:, :-width], (width, 0))
            variance, width = variance + beta1**width * past, 2 * width
        # The map from r to β1 has the log abs(det) log(1 − α1).
        return normal(y, mu, variance.sqrt()).sum(1) + torch.log1p(-values["alpha1"])

    def columns(values: Values) -> Tensor:
        beta1 = values["r"] * (1.0 - values["alpha1"])
        return torch.stack([values["mu"], values["alpha0"], values["alpha1"], beta1], 1)

    unit = Interval(0.0, 1.0)
    return Case(log_density, {"mu": Real(), "alpha0": Positive(), "alpha1": unit, "r": unit}, columns)


def gaussian_process(data: Data) -> Case:
    """Return Poisson regression on a Gaussian process, f = L η with a standard normal η."""
    x, k = tensor(data["x"]), tensor(data["k"])
    squares = (x[:, None] - x).square()
    constant = float(torch.lgamma(k + 1.0).sum())

    def field(values: Values) -> tuple[Tensor, Tensor]:
        rho, alpha = values["rho"][:, None, None], values["alpha"][:, None, None]
        kernel = alpha.square() * torch.exp(-0.5 * squares / rho.square())
        factor, failed = torch.linalg.cholesky_ex(kernel + JITTER * torch.eye(len(x), dtype=torch.float64))
        return (factor @ values["eta"][:, :, None])[:, :, 0], failed != 0

    def log_density(values: Values) -> Tensor:
        rho, alpha = values["rho"], values["alpha"]
        f, failed = field(values)
        likelihood = (k * f - f.exp()).sum(1) - constant
        gamma = 25.0 * math.log(4.0) - math.lgamma(25.0) + 24.0 * rho.log() - 4.0 * rho
        prior = gamma + normal(alpha, 0.0, 2.0) + normal(values["eta"], 0.0, 1.0).sum(1)
        # Only amplitudes of thousands drown the jitter in rounding errors; the prior gives them no weight.
        return (likelihood + prior).masked_fill(failed, -torch.inf)

    def columns(values: Values) -> Tensor:
        return torch.cat([values["rho"][:, None], values["alpha"][:, None], field(values)[0]], 1)

    return Case(log_density, {"rho": Positive(), "alpha": Positive(), "eta": Real(len(x))}, columns)


def normal_mixture(data: Data) -> Case:
    """Return a mixture of two normal distributions on the line."""
    y = tensor(data["y"])

    def log_density(values: Values) -> Tensor:
        mu, sigma, theta = values["mu"], values["sigma"], values["theta"][:, None]
        lower = theta.log() + normal(y, mu[:, :1], sigma[:, :1])
        upper = torch.log1p(-theta) + normal(y, mu[:, 1:], sigma[:, 1:])
        scales = normal(mu, 0.0, 2.0).sum(1) + normal(sigma, 0.0, 2.0).sum(1)
        beta = math.lgamma(10.0) - 2.0 * math.lgamma(5.0) + 4.0 * (theta.log() + torch.log1p(-theta))[:, 0]
        return torch.logaddexp(lower, upper).sum(1) + scales + beta

    constraints = {"mu": Ordered(2), "sigma": Positive(2), "theta": Interval(0.0, 1.0)}
    return Case(log_density, constraints, joined("mu", "sigma", "theta"))


def lotka_volterra(data: Data, steps_per_year: int = STEPS_PER_YEAR) -> Case:
    """Return hares and lynxes, with observations around the solution of a differential equation."""
    observed = torch.cat([tensor(data["y_init"])[None], tensor(data["y"])])
    if list(data["ts"]) != list(range(1, len(observed))):
        raise ValueError("observations must be a year apart")
    step = 1.0 / steps_per_year

    def populations(values: Values) -> Tensor:
        """Return logarithms of both populations in every year, shape ``(n, years, 2)``."""
        theta1, theta2, theta3, theta4 = values["theta"].unbind(1)
        offset = torch.stack([theta4.log(), theta2.log()], 1)
        # In a = log(θ4 u) and b = log(θ2 v): da/dt = θ1 − exp(b), db/dt = exp(a) − θ3, a Hamiltonian system.
        a, b = (values["z_init"].log() + offset).unbind(1)
        growth = [length * step * theta1 for length in POSITIONS]
        death = [length * step * theta3 for length in MOMENTA]
        years = [torch.stack([a, b], 1)]
        for _ in range(len(observed) - 1):
            for _ in range(steps_per_year):
                for stage, length in enumerate(POSITIONS):
                    a = torch.sub(a + growth[stage], b.exp(), alpha=length * step)
                    if stage < len(MOMENTA):
                        b = torch.add(b - death[stage], a.exp(), alpha=MOMENTA[stage] * step)
            years.append(torch.stack([a, b], 1))
        return torch.stack(years, 1) - offset[:, None]

    def log_density(values: Values) -> Tensor:
        sigma = values["sigma"]
        likelihood = log_normal(observed, populations(values), sigma[:, None]).sum((1, 2))
        rates = normal(values["theta"], tensor([1.0, 0.05, 1.0, 0.05]), tensor([0.5, 0.05, 0.5, 0.05])).sum(1)
        start = log_normal(values["z_init"], math.log(10.0), 1.0).sum(1)
        return likelihood + rates + start + log_normal(sigma, -1.0, 1.0).sum(1)

    constraints = {"theta": Positive(4), "z_init": Positive(2), "sigma": Positive(2)}
    return Case(log_density, constraints, joined("theta", "z_init", "sigma"))
