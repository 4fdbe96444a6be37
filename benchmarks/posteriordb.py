"""Approximate posteriors of posteriordb beside its reference draws.

The folder is a copy of posteriordb's ``posterior_database``. Means and standard deviations are those of all
weighted draws, the 1-Wasserstein distance (of each dimension, then averaged) that of 4,000 draws resampled by
weight; all are in standard deviations of the reference. Of 4,000 exact draws the distance is about 0.02.

Run: python benchmarks/posteriordb.py --data FOLDER [--methods laplace full_rank flow auto] [--cases NAME ...]
     [--threads N] [--max-time SECONDS] [--seed N] [--peers]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from _posteriordb import CASES, Case, Outcome, load, reference
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from logpx.errors import LogpxError
from logpx.posteriors import posterior

METHODS = ["laplace", "full_rank", "flow", "auto"]
DRAWS = 4000
HEADER = ["case", "d", "method", "k-hat", "verdict", "mean error", "sd error", "W1", "gradients", "seconds"]


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def errors(outcome: Outcome, draws: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the largest error of a mean and of a standard deviation, and the distance to the reference."""
    mean, scale = draws.mean(0), draws.std(0)
    # Far-off draws of weight 0 may overflow.
    there = outcome.weights > 0.0
    pool, weights = (outcome.pool[there].numpy() - mean) / scale, outcome.weights[there].numpy()
    means = weights @ pool
    deviations = np.sqrt(weights @ (pool - means) ** 2)
    chosen = pool[np.random.default_rng(0).choice(len(pool), DRAWS, p=weights)]
    pairs = zip(chosen.T, ((draws - mean) / scale).T, strict=True)
    distance = np.mean([wasserstein_distance(own, other) for own, other in pairs])
    return float(np.abs(means).max()), float(np.abs(deviations - 1.0).max()), float(distance)


def approximate(case: Case, method: str, max_time: float, seed: int) -> Outcome:
    """Run a method of the package."""
    began = time.perf_counter()
    found = posterior(
        case.log_density, method=method, parameters=case.constraints, max_time=max_time, seed=seed
    )
    seconds = time.perf_counter() - began
    with torch.no_grad():
        pool = case.columns(found.target.natural(found.weighted.u))
    return Outcome(
        method if found.method == method else f"{method}: {found.method}",
        found.k_hat,
        found.verdict.partition(":")[0],
        pool,
        found.weighted.smoothed,
        found.gradient_evaluations,
        seconds,
    )


def outcomes(
    case: Case, methods: list[str], max_time: float, seed: int, peers: bool
) -> Iterator[Outcome | str]:
    """Yield the outcome of every method, or its error message."""
    for method in methods:
        try:
            yield approximate(case, method, max_time, seed)
        except (LogpxError, RuntimeError, ValueError) as error:
            yield f"{method} | | {type(error).__name__}: {str(error).splitlines()[0]}"
    if peers:
        from _posterior_peers import approximations

        yield from approximations(case, max_time)


def main() -> None:
    """Compare, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-time", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the package's methods")
    parser.add_argument("--peers", action="store_true", help="also run Pyro's guides; needs pyro-ppl")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads; at most {arguments.max_time:g} s of gradient descent a fit\n")
    row(*HEADER)
    print("|---" * len(HEADER) + "|")
    for name in arguments.cases:
        case = load(arguments.data, name)
        columns, draws = reference(arguments.data, name)
        found = outcomes(case, arguments.methods, arguments.max_time, arguments.seed, arguments.peers)
        for outcome in found:
            if isinstance(outcome, str):
                row(name, len(columns), outcome, "", "", "", "", "")
                continue
            far = (f"{error:.3f}" for error in errors(outcome, draws))
            counts = f"{outcome.gradients:,}", f"{outcome.seconds:.1f}"
            row(name, len(columns), outcome.method, f"{outcome.k_hat:.2f}", outcome.verdict, *far, *counts)


if __name__ == "__main__":
    main()
