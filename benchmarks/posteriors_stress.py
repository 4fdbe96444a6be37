"""Densities that mislead: how often is a result trusted, and how often is it then wrong?

Every case has a known evidence, in closed form or by quadrature. A result is right if the log-evidence is off
by less than 0.1 nats plus three of its errors, and known shares of the mass by less than 0.1. What matters is
that none is trusted and wrong. A record grows over days: each line also has the commit, and how busy the
machine was.

Run: python benchmarks/posteriors_stress.py [--seeds N] [--first-seed N] [--cases NAME ...]
     [--max-time SECONDS] [--method NAME] [--record FILE]
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Laplace, Normal, StudentT

import logpx
from logpx.errors import LogpxError
from logpx.posteriors import Trust, densities, posterior

Density = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A log-density of a vector, the log of its integral, and the shares of coordinates above a number."""

    log_density: Density
    dim: int
    log_evidence: float
    shares: dict[int, float] = field(default_factory=dict)
    above: float = 0.0


def log_normal(x: Tensor, mean: Tensor | float = 0.0, scale: float = 1.0) -> Tensor:
    """Return the log-density of independent normals, summed over the last dimension."""
    return Normal(mean, scale).log_prob(x).sum(-1)


def mixture(*parts: tuple[float, Density]) -> Density:
    """Return the log of a weighted sum of densities."""

    def log_density(x: Tensor) -> Tensor:
        return torch.logsumexp(torch.stack([math.log(share) + part(x) for share, part in parts]), 0)

    return log_density


def at(mean: float | Tensor, scale: float = 1.0) -> Density:
    """Return a normal density."""
    return lambda x: log_normal(x, mean, scale)


def along(dim: int, distance: float) -> Tensor:
    """Return the point at a distance along the first axis."""
    point = torch.zeros(dim, dtype=torch.float64)
    point[0] = distance
    return point


def by_quadrature(log_density: Density, *edges: tuple[float, float, int]) -> float:
    """Return the log of the integral over a box, by the midpoint rule."""
    axes = [low + (high - low) / count * (torch.arange(count).double() + 0.5) for low, high, count in edges]
    points = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    values = torch.cat([log_density(part) for part in torch.split(points, 20_000)])
    cell = sum(math.log((high - low) / count) for low, high, count in edges)
    return float(torch.logsumexp(values, 0)) + cell


def two(dim: int, distance: float, share: float = 0.5) -> Case:
    """Return two unit normals at a distance."""
    parts = (1.0 - share, at(0.0)), (share, at(along(dim, distance)))
    return Case(mixture(*parts), dim, 0.0, {0: share}, above=0.5 * distance)


def signs(dim: int) -> Case:
    """Return coordinates of which only the squares are seen: 2^dim modes."""

    def log_density(x: Tensor) -> Tensor:
        return log_normal(x.square(), 4.0, 0.5) + log_normal(x, 0.0, 5.0)

    one = by_quadrature(log_density, (-6.0, 6.0, 400_000))
    return Case(log_density, dim, dim * one, {0: 0.5, dim - 1: 0.5})


def lattice(number: int, spacing: float, scale: float) -> Case:
    """Return a square lattice of modes."""
    centres = torch.cartesian_prod(*[spacing * torch.arange(number).double()] * 2)

    def log_density(x: Tensor) -> Tensor:
        return torch.logsumexp(log_normal(x[:, None], centres, scale), -1) - math.log(len(centres))

    return Case(log_density, 2, 0.0, {0: 1.0 / number}, above=(number - 1.5) * spacing)


def cross() -> Case:
    """Return two narrow ridges that cross at 45 degrees."""

    def log_density(x: Tensor) -> Tensor:
        turned = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], 1) / math.sqrt(2.0)
        scales = torch.tensor([5.0, 0.1]).double()
        ridges = [Normal(0.0, each).log_prob(turned).sum(1) for each in (scales, scales.flip(0))]
        return torch.logaddexp(*ridges) - math.log(2.0)

    return Case(log_density, 2, 0.0, {0: 0.5})


def ring(radius: float, width: float) -> Case:
    """Return a ring in the plane."""

    def log_density(x: Tensor) -> Tensor:
        return Normal(radius, width).log_prob(x.norm(dim=1))

    def radial(r: Tensor) -> Tensor:
        return Normal(radius, width).log_prob(r[:, 0]) + (2.0 * math.pi * r[:, 0]).log()

    evidence = by_quadrature(radial, (1e-9, radius + 12.0 * width, 100_000))
    return Case(log_density, 2, evidence, {0: 0.5, 1: 0.5})


def exchanged_labels() -> Case:
    """Return the means of a mixture of three normals: six modes."""
    generator = torch.Generator().manual_seed(3)
    centres = torch.tensor([-2.5, 0.3, 3.0]).double().repeat_interleave(10)
    rows = centres + 0.6 * torch.randn(30, generator=generator).double()

    def log_density(x: Tensor) -> Tensor:
        each = Normal(x[:, None], 0.6).log_prob(rows[:, None])
        return torch.logsumexp(each - math.log(3.0), -1).sum(1) + log_normal(x, 0.0, 5.0)

    # A mode is narrow, and symmetry gives all six of them.
    def ordered(x: Tensor) -> Tensor:
        return torch.where((x[:, 1:] > x[:, :-1]).all(1), log_density(x), -math.inf)

    box = [(centre - 1.6, centre + 1.6, 80) for centre in (-2.5, 0.3, 3.0)]
    return Case(log_density, 3, by_quadrature(ordered, *box) + math.log(6.0))


def periodic() -> Case:
    """Return frequency and phase of a sine wave, seen with noise."""
    times = torch.linspace(0.0, 10.0, 25).double()
    seen = torch.sin(1.3 * times + 0.4)

    def log_density(x: Tensor) -> Tensor:
        wave = torch.sin(x[:, :1] * times + x[:, 1:])
        return log_normal(seen, wave, 0.3) + log_normal(x, 0.0, 3.0)

    return Case(log_density, 2, by_quadrature(log_density, (-15.0, 15.0, 1500), (-15.0, 15.0, 1500)))


def sizes_alone() -> Case:
    """Return a regression of which the sizes are seen alone: x and -x are alike."""
    generator = torch.Generator().manual_seed(1)
    design = torch.randn(6, 2, generator=generator).double()
    seen = (design @ torch.randn(2, generator=generator).double()).abs()

    def log_density(x: Tensor) -> Tensor:
        return log_normal((x @ design.mT).abs(), seen, 0.2) + log_normal(x, 0.0, 2.0)

    evidence = by_quadrature(log_density, (-8.0, 8.0, 1600), (-8.0, 8.0, 1600))
    return Case(log_density, 2, evidence, {0: 0.5, 1: 0.5})


def scattered(number: int, dim: int, scale: float) -> Case:
    """Return modes at random places with random weights and widths."""
    generator = torch.Generator().manual_seed(number)
    centres = scale * torch.randn(number, dim, generator=generator).double()
    weights = torch.softmax(torch.randn(number, generator=generator).double(), 0).tolist()
    widths = (0.5 + torch.rand(number, generator=generator)).tolist()
    parts = [
        (weight, at(centre, width)) for weight, centre, width in zip(weights, centres, widths, strict=True)
    ]
    return Case(mixture(*parts), dim, 0.0)


def unequal(number: int, dim: int, distance: float, ratio: float) -> Case:
    """Return modes of equal weights at random places, the widest so many times as wide as the narrowest."""
    generator = torch.Generator().manual_seed(number)
    centres = distance / math.sqrt(2.0 * dim) * torch.randn(number, dim, generator=generator).double()
    widths = (ratio ** (torch.arange(number) / (number - 1.0) - 0.5)).tolist()
    parts = [(1.0 / number, at(centre, width)) for centre, width in zip(centres, widths, strict=True)]
    return Case(mixture(*parts), dim, 0.0)


def of_problem(problem: densities.Problem) -> Case:
    """Return one of the package's own problems of a vector."""
    assert problem.dim is not None
    assert problem.log_evidence is not None
    return Case(problem.log_density, problem.dim, problem.log_evidence)


def heavy(dim: int, degrees: float) -> Case:
    """Return independent Student's t."""
    return Case(lambda x: StudentT(degrees).log_prob(x).sum(-1), dim, 0.0, {0: 0.5})


def pointed(dim: int) -> Case:
    """Return independent Laplace distributions, whose modes have no curvature."""
    return Case(lambda x: Laplace(0.0, 1.0).log_prob(x).sum(-1), dim, 0.0, {0: 0.5})


CASES: dict[str, Callable[[], Case]] = {
    "one normal, 5": lambda: Case(at(1.0), 5, 0.0),
    "one normal, 50": lambda: Case(at(1.0), 50, 0.0),
    "far away": lambda: Case(at(30.0, 0.5), 3, 0.0),
    **{
        f"two normals {distance:g} apart, {dim}": lambda dim=dim, distance=distance: two(dim, distance)
        for dim in (1, 2, 5, 20)
        for distance in (4.0, 10.0, 30.0)
    },
    "two normals 100 apart": lambda: two(2, 100.0),
    "a twentieth 10 apart": lambda: two(3, 10.0, 0.05),
    "nineteen twentieths 15 apart": lambda: two(3, 15.0, 0.95),
    "narrow normals 12 apart": lambda: Case(mixture((0.5, at(0.0, 0.3)), (0.5, at(12.0, 0.3))), 1, 0.0),
    "narrow in wide, 2": lambda: Case(mixture((0.5, at(0.0)), (0.5, at(4.0, 0.2))), 2, 0.0),
    "narrow in wide, 5": lambda: Case(mixture((0.5, at(0.0)), (0.5, at(4.0, 0.2))), 5, 0.0),
    "spike in a slab, 3": lambda: Case(mixture((0.9, at(0.0, 0.05)), (0.1, at(0.0, 3.0))), 3, 0.0),
    "spike in a slab, 10": lambda: Case(mixture((0.9, at(0.0, 0.05)), (0.1, at(0.0, 3.0))), 10, 0.0),
    "lattice of 9": lambda: lattice(3, 8.0, 1.0),
    "lattice of 25": lambda: lattice(5, 10.0, 0.5),
    "6 scattered in 3": lambda: scattered(6, 3, 8.0),
    "12 scattered in 5": lambda: scattered(12, 5, 6.0),
    "8 scattered in 10": lambda: scattered(8, 10, 5.0),
    "6 unequal 60 apart, 2": lambda: unequal(6, 2, 60.0, 10.0),
    "4 unequal 30 apart, 5": lambda: unequal(4, 5, 30.0, 3.0),
    "8 unequal 20 apart, 10": lambda: unequal(8, 10, 20.0, 2.0),
    "5 unequal 126 apart, 20": lambda: unequal(5, 20, 126.0, 3.0),
    "12 unequal 300 apart, 20": lambda: unequal(12, 20, 300.0, 2.0),
    "16 signs": lambda: signs(4),
    "64 signs": lambda: signs(6),
    "sizes alone": sizes_alone,
    "exchanged labels": exchanged_labels,
    "periodic": periodic,
    "cross": cross,
    "ring": lambda: ring(10.0, 0.3),
    "thin ring": lambda: ring(20.0, 0.1),
    "banana": lambda: of_problem(densities.banana()),
    "funnel, 2": lambda: of_problem(densities.funnel(2)),
    "funnel, 10": lambda: of_problem(densities.funnel(10)),
    "Student's t, 5": lambda: heavy(5, 2.0),
    "Laplace, 4": lambda: pointed(4),
}


@dataclass(frozen=True)
class Run:
    """What one call has answered.

    Attributes
    ----------
    case : str
        The name of the case.
    seed : int
        Of the call.
    trusted, right : bool
        What the verdict says, and what is known.
    seconds : float
        How long it took.
    said : str
        The method, and the error of the log-evidence.
    asked : str
        The method that was asked for.
    max_time : float
        The most seconds that it was given.
    code : str
        The commit, marked if files differed from it.
    load : float
        How many processes wanted a processor, by the mean of the last minute.
    """

    case: str
    seed: int
    trusted: bool
    right: bool
    seconds: float
    said: str
    asked: str = "auto"
    max_time: float = math.nan
    code: str = "earlier"
    load: float = math.nan

    @property
    def place(self) -> int:
        """0 for trusted and right, 1 for not trusted, 2 for trusted and wrong."""
        return (0 if self.right else 2) if self.trusted else 1


def judged(name: str, seed: int, method: str, max_time: float) -> Run:
    """Return whether a result is trusted, and whether it is right."""
    case, began, load = CASES[name](), time.perf_counter(), round(os.getloadavg()[0], 1)
    try:
        found = posterior(case.log_density, case.dim, method, seed=seed, max_time=max_time)
    except LogpxError as error:
        seconds, said = time.perf_counter() - began, type(error).__name__
        return Run(name, seed, False, False, seconds, said, method, max_time, code(), load)
    trust, seconds = found.diagnosis.trust, time.perf_counter() - began
    error = 0.1 + 3.0 * found.diagnosis.log_evidence_error
    right = abs(found.log_evidence - case.log_evidence) < error
    x = found.sample(4000, seed=seed, resampled=trust is Trust.AFTER_RESAMPLING)
    for place, share in case.shares.items():
        right &= abs(float((x[:, place] > case.above).double().mean()) - share) < 0.1
    said = f"{found.method}, {found.log_evidence - case.log_evidence:+.2f}"
    trusted = trust is not Trust.DO_NOT
    return Run(name, seed, trusted, bool(right), seconds, said, method, max_time, code(), load)


@functools.cache
def code() -> str:
    """Return the commit, or the version where there is no repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return logpx.__version__


def counts_by_code(runs: Sequence[Run]) -> str:
    """Return what was counted for each state of the code, in the order of the record."""
    lines = [
        "| code | max_time | load | runs | trusted and right | not trusted | trusted and wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for state in dict.fromkeys((run.code, run.max_time) for run in runs):
        own = [run for run in runs if (run.code, run.max_time) == state]
        loads = [run.load for run in own]
        cells = [state[0], f"{state[1]:g}", f"{min(loads):g} to {max(loads):g}", len(own)]
        cells += np.bincount([run.place for run in own], minlength=3).tolist()
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def table(runs: Sequence[Run]) -> str:
    """Return what was counted, a row for each case."""
    lines = [
        "| case | d | runs | trusted and right | not trusted | trusted and wrong | seconds | first answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    totals = np.zeros(3, dtype=int)
    for name in CASES:
        own = [run for run in runs if run.case == name]
        if not own:
            continue
        counts = np.bincount([run.place for run in own], minlength=3)
        totals += counts
        seconds = f"{np.mean([run.seconds for run in own]):.1f}"
        cells = [name, CASES[name]().dim, len(own), *counts, seconds, own[0].said]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    seeds = len({run.seed for run in runs})
    lines.append(f"| all, {seeds} seeds | | {sum(totals)} | {totals[0]} | {totals[1]} | {totals[2]} | | |")
    return "\n".join(lines)


def main() -> None:
    """Run all cases, seed by seed, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--max-time", type=float, default=20.0)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--record", type=Path, help="a file that takes each run at once, and is gone on with")
    chosen = parser.parse_args()
    runs: list[Run] = []
    if chosen.record and chosen.record.exists():
        runs = [Run(**json.loads(line)) for line in chosen.record.read_text().splitlines()]
    runs = [run for run in runs if run.asked == chosen.method]
    done = {(run.case, run.seed) for run in runs}
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        for name in chosen.cases:
            if (name, seed) in done:
                continue
            runs.append(judged(name, seed, chosen.method, chosen.max_time))
            if chosen.record:
                with chosen.record.open("a") as file:
                    file.write(json.dumps(asdict(runs[-1])) + "\n")
    print(table(runs), counts_by_code(runs), sep="\n\n")


if __name__ == "__main__":
    main()
