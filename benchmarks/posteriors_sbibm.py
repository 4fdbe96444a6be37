"""Tasks of sbibm whose likelihood can be written: posteriors and evidence beside exact draws.

The tasks are those of Lueckmann et al. 2021, Benchmarking simulation-based inference, with observations drawn
from their simulators. Exact draws come from inversion (two moons), closed forms (Gaussian mixture), a grid of
three dimensions and conjugacy in two (SLCP), and a Gibbs sampler with Pólya-Gamma variables (Bernoulli GLM).
C2ST is the accuracy of a network that tells 4,000 draws from as many exact ones, by cross-validation as
there: 0.5 if it cannot.

Run: python benchmarks/posteriors_sbibm.py [--tasks NAME ...] [--seeds N]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from torch import Tensor
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from logpx.posteriors import Interval, Real, Trust, posterior
from logpx.posteriors.target.constraints import Constraint

DRAWS = 4000
# Draws that are weighted, many enough for few repeats among those that are resampled.
WEIGHTED = 100_000
TERMS = 200
CHAINS = 100

Draw = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Task:
    """A log-density of ``theta["theta"]``, exact draws of it, and its log-evidence with the error of that."""

    log_density: Callable[[Mapping[str, Tensor]], Tensor]
    parameters: dict[str, Constraint]
    draw: Draw
    log_evidence: float
    error: float = 0.0


def generator_of(seed: int) -> torch.Generator:
    """Return a generator."""
    return torch.Generator().manual_seed(seed)


def uniform(size: int, count: int, generator: torch.Generator) -> Tensor:
    """Return numbers between 0 and 1."""
    return torch.rand(count, size, generator=generator, dtype=torch.float64)


def normal(size: int, count: int, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


def two_moons() -> Task:
    """Return the two moons of an observation at the origin."""

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        first, second = theta["theta"].unbind(-1)
        along = (first + second).abs() / math.sqrt(2.0) - 0.25
        across = (first - second) / math.sqrt(2.0)
        radius = torch.hypot(along, across)
        # A half circle of angles, and from polar coordinates to those of the plane.
        inside = Normal(0.1, 0.01).log_prob(radius) - radius.log() - math.log(math.pi)
        return torch.where(along > 0.0, inside, -math.inf) - math.log(4.0)

    def draw(count: int, generator: torch.Generator) -> Tensor:
        angle = math.pi * (uniform(1, count, generator)[:, 0] - 0.5)
        radius = 0.1 + 0.01 * normal(1, count, generator)[:, 0]
        total = math.sqrt(2.0) * (0.25 + radius * angle.cos())
        total = torch.where(uniform(1, count, generator)[:, 0] < 0.5, total, -total)
        difference = math.sqrt(2.0) * radius * angle.sin()
        return torch.stack([total + difference, total - difference], 1) / 2.0

    # Two moons of mass 1, in a prior of density 1 / 4.
    return Task(log_density, {"theta": Interval(-1.0, 1.0, 2)}, draw, math.log(0.5))


def gaussian_mixture() -> Task:
    """Return a wide and a narrow normal distribution around one observation."""
    seen = torch.tensor([1.5, -2.0]).double()

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        each = [Normal(theta["theta"], scale).log_prob(seen).sum(-1) for scale in (1.0, 0.1)]
        return torch.logaddexp(*each) - math.log(2.0) - 2.0 * math.log(20.0)

    def draw(count: int, generator: torch.Generator) -> Tensor:
        scale = torch.where(uniform(1, count, generator) < 0.5, 1.0, 0.1)
        return seen + scale * normal(2, count, generator)

    return Task(log_density, {"theta": Interval(-10.0, 10.0, 2)}, draw, -2.0 * math.log(20.0))


def slcp() -> Task:
    """Return the simple likelihood and complex posterior of Papamakarios et al. 2019: four modes."""
    mean = torch.tensor([0.7, -1.9]).double()
    scales, correlation = (1.0, 0.81), math.tanh(0.6)
    factor = torch.tensor(
        [[scales[0], 0.0], [correlation * scales[1], scales[1] * math.sqrt(1.0 - correlation**2)]]
    ).double()
    rows = mean + normal(2, 4, generator_of(1)) @ factor.mT
    middle = rows.mean(0)
    scatter = (rows - middle).mT @ (rows - middle)

    def log_density(theta: Mapping[str, Tensor]) -> Tensor:
        x = theta["theta"]
        deviations, rho = x[:, 2:4].square(), x[:, 4].tanh()
        steps = (rows - x[:, None, :2]) / deviations[:, None]
        rest = 1.0 - rho.square()
        squares = steps.square().sum((1, 2)) - 2.0 * rho * steps.prod(-1).sum(1)
        log_scale = deviations.log().sum(1) + 0.5 * rest.log() + math.log(2.0 * math.pi)
        return -0.5 * squares / rest - len(rows) * log_scale - 5.0 * math.log(6.0)

    # The log of the likelihood integrated over the means in the whole plane, over a grid of the other three.
    size = torch.linspace(0.0, 3.0, 241).double()
    size = 0.5 * (size[1:] + size[:-1])
    turn = torch.linspace(-3.0, 3.0, 241).double()
    turn = 0.5 * (turn[1:] + turn[:-1])
    first, second, third = torch.meshgrid(size.square(), size.square(), turn.tanh(), indexing="ij")
    rest = 1.0 - third.square()
    squares = scatter[0, 0] / first.square() + scatter[1, 1] / second.square()
    squares = squares - 2.0 * third * scatter[0, 1] / (first * second)
    grid = -0.5 * squares / rest - 3.0 * (first.log() + second.log() + 0.5 * rest.log())
    grid = grid - 3.0 * math.log(2.0 * math.pi) - math.log(len(rows)) - 5.0 * math.log(6.0)
    steps = 3.0 / len(size), 3.0 / len(size), 6.0 / len(turn)
    shape, shares = grid.shape, torch.softmax(grid.flatten(), 0)
    whole = float(torch.logsumexp(grid.flatten(), 0)) + sum(map(math.log, steps)) + math.log(4.0)

    def proposed(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        places = torch.multinomial(shares, count, replacement=True, generator=generator)
        cells = np.unravel_index(places.numpy(), shape)
        jitter = uniform(3, count, generator) - 0.5
        axes = [size, size, turn]
        others = torch.stack([axis[cell] for axis, cell in zip(axes, cells, strict=True)], 1)
        others = others + jitter * torch.tensor(steps).double()
        deviations, rho = others[:, :2].square(), others[:, 2].tanh()
        noise = normal(2, count, generator)
        second = rho * noise[:, 0] + (1.0 - rho.square()).sqrt() * noise[:, 1]
        means = middle + 0.5 * deviations * torch.stack([noise[:, 0], second], 1)
        signs = torch.where(uniform(2, count, generator) < 0.5, 1.0, -1.0)
        points = torch.cat([means, signs * others[:, :2], others[:, 2:]], 1)
        return points, (means.abs() < 3.0).all(1)

    def draw(count: int, generator: torch.Generator) -> Tensor:
        points, inside = proposed(4 * count, generator)
        return points[inside][:count]

    share = proposed(1_000_000, generator_of(2))[1].double().mean()
    error = float(((1.0 - share) / share).sqrt()) / 1000.0
    return Task(log_density, {"theta": Interval(-3.0, 3.0, 5)}, draw, whole + math.log(float(share)), error)


def bernoulli_glm() -> Task:
    """Return a generalised linear model of 100 spikes with a smooth filter."""
    size, count = 10, 100
    smooth = torch.zeros(size - 1, size - 1).double()
    for place in range(size - 1):
        smooth[place, place] = 1.0 + math.sqrt(place / (size - 1))
        if place >= 1:
            smooth[place, place - 1] = -2.0
        if place >= 2:
            smooth[place, place - 2] = 1.0
    precision = torch.block_diag(torch.tensor([[0.5]]).double(), smooth.mT @ smooth)
    generator = generator_of(3)
    stimulus = normal(1, count + size - 2, generator)[:, 0]
    design = torch.cat([torch.ones(count, 1).double(), stimulus.unfold(0, size - 1, 1).flip(1)], 1)
    prior = MultivariateNormal(torch.zeros(size).double(), precision_matrix=precision)
    truth = torch.linalg.solve_triangular(
        torch.linalg.cholesky(precision).mT, normal(1, size, generator), upper=True
    )[:, 0]
    spikes = (uniform(1, count, generator)[:, 0] < torch.sigmoid(design @ truth)).double()

    def log_of(x: Tensor) -> Tensor:
        return prior.log_prob(x) + Bernoulli(logits=x @ design.mT).log_prob(spikes).sum(-1)

    def draw(number: int, generator: torch.Generator) -> Tensor:
        # One draw of every five of Gibbs samplers side by side (Polson, Scott and Windle 2013).
        x, kept = truth.repeat(CHAINS, 1), []
        orders = (torch.arange(TERMS).double() + 0.5).square()
        for turn in range(100 + 5 * math.ceil(number / CHAINS)):
            scores = (x @ design.mT)[..., None] / (2.0 * math.pi)
            gammas = -uniform(TERMS, CHAINS * count, generator).log().view(CHAINS, count, TERMS)
            weights = (gammas / (orders + scores.square())).sum(-1) / (2.0 * math.pi**2)
            factor = torch.linalg.cholesky((design.mT * weights[:, None]) @ design + precision)
            mean = torch.cholesky_solve((design.mT @ (spikes - 0.5)).expand(CHAINS, -1)[..., None], factor)
            noise = normal(1, CHAINS * size, generator).view(CHAINS, size, 1)
            x = (mean + torch.linalg.solve_triangular(factor.mT, noise, upper=True))[..., 0]
            if turn >= 100 and turn % 5 == 0:
                kept.append(x)
        return torch.cat(kept)[:number]

    # The evidence, by importance sampling around the moments of exact draws.
    draws = draw(2000, generator_of(4))
    around = MultivariateNormal(draws.mean(0), 1.2 * draws.mT.cov())
    points = draws.mean(0) + normal(size, 200_000, generator_of(5)) @ around.scale_tril.mT
    weights = log_of(points) - around.log_prob(points)
    value = float(torch.logsumexp(weights, 0)) - math.log(len(weights))
    shares = torch.softmax(weights, 0)
    error = math.sqrt(float(shares.square().sum()) - 1.0 / len(shares))
    return Task(lambda theta: log_of(theta["theta"]), {"theta": Real(size)}, draw, value, error)


TASKS: dict[str, Callable[[], Task]] = {
    "two_moons": two_moons,
    "gaussian_mixture": gaussian_mixture,
    "slcp": slcp,
    "bernoulli_glm": bernoulli_glm,
}


def two_sample_accuracy(first: Tensor, second: Tensor) -> float:
    """Return the accuracy of a network that tells draws from others, by cross-validation."""
    mean, scale = first.mean(0), first.std(0)
    rows = ((torch.cat([first, second]) - mean) / scale).numpy()
    labels = np.repeat([0, 1], [len(first), len(second)])
    width = 10 * rows.shape[1]
    network = MLPClassifier((width, width), max_iter=1000, random_state=1)
    folds = KFold(n_splits=5, shuffle=True, random_state=1)
    return float(np.mean(cross_val_score(network, rows, labels, cv=folds, scoring="accuracy")))


def row_of(name: str, seed: int) -> list[Any]:
    """Return what is known after a run."""
    task = TASKS[name]()
    exact = task.draw(2 * DRAWS, generator_of(10 + seed))
    began = time.perf_counter()
    found = posterior(task.log_density, parameters=task.parameters, seed=seed, draws=WEIGHTED)
    trust, seconds = found.diagnosis.trust, time.perf_counter() - began
    drawn = found.sample(DRAWS, seed, resampled=trust is not Trust.TRUST)["theta"]
    error = found.log_evidence - task.log_evidence
    stated = math.hypot(found.diagnosis.log_evidence_error, task.error)
    return [
        name,
        seed,
        found.method,
        trust.value,
        f"{error:+.3f} ± {stated:.3f}",
        f"{two_sample_accuracy(drawn, exact[:DRAWS]):.3f}",
        f"{two_sample_accuracy(exact[DRAWS:], exact[:DRAWS]):.3f}",
        f"{found.costs.total.points:,}",
        f"{seconds:.1f}",
    ]


def main() -> None:
    """Run all tasks and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    heads = (
        "task | seed | method | verdict | error of log-evidence | C2ST | of exact draws | points | seconds"
    )
    print(f"| {heads} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in chosen.tasks:
        for seed in range(chosen.seeds):
            print("| " + " | ".join(map(str, row_of(name, seed))) + " |", flush=True)


if __name__ == "__main__":
    main()
