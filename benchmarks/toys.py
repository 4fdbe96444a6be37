"""Fit a spline flow or a continuous flow to three densities in the plane that are known, and compare.

Run ``python benchmarks/toys.py`` (``--help`` for options): a table on stderr, JSON on stdout. The entropy
is the least mean of -log p that any model can have on new rows: the excess is the KL divergence. It is
the mean difference of the known log-density and the model's, row by row.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_moons

import logpx
from logpx.flows import NSF, FlowMatching


def two_moons(rows: int, seed: int) -> np.ndarray:
    """Draw from scikit-learn's two moons with noise 0.1."""
    return make_moons(rows, noise=0.1, random_state=seed)[0]


def eight_gaussians(rows: int, seed: int) -> np.ndarray:
    """Draw from eight normal distributions of standard deviation 0.5 at radius 4, all divided by 1.414."""
    generator = np.random.default_rng(seed)
    angle = generator.integers(0, 8, rows) * np.pi / 4.0
    centres = 4.0 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return (centres + 0.5 * generator.normal(size=(rows, 2))) / 1.414


def checkerboard(rows: int, seed: int) -> np.ndarray:
    """Draw from the uniform distribution on eight of the sixteen squares of [-4, 4]², an area of 32."""
    generator = np.random.default_rng(seed)
    across = 4.0 * generator.random(rows) - 2.0
    up = generator.random(rows) - 2.0 * generator.integers(0, 2, rows) + np.floor(across) % 2
    return 2.0 * np.stack([across, up], 1)


def of_normals(x: np.ndarray, centres: np.ndarray, deviation: float) -> np.ndarray:
    """Return the log-density of normal distributions of equal weights and deviations around centres."""
    distances = np.square(x[:, None] - centres).sum(-1) / (2.0 * deviation**2)
    constant = math.log(len(centres)) + math.log(2.0 * math.pi * deviation**2)
    found: np.ndarray = np.logaddexp.reduce(-distances, 1) - constant
    return found


def of_two_moons(x: np.ndarray) -> np.ndarray:
    """Return the log-density of the two moons, by the midpoint rule along the arcs."""
    angle = (np.arange(1000) + 0.5) / 1000 * np.pi
    arcs = [
        np.stack([np.cos(angle), np.sin(angle)], 1),
        np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], 1),
    ]
    centres = np.concatenate(arcs)
    return np.concatenate([of_normals(part, centres, 0.1) for part in np.array_split(x, 1 + len(x) // 2000)])


def of_eight_gaussians(x: np.ndarray) -> np.ndarray:
    """Return the log-density of the eight normal distributions."""
    angle = np.arange(8) * np.pi / 4.0
    return of_normals(x, 4.0 / 1.414 * np.stack([np.cos(angle), np.sin(angle)], 1), 0.5 / 1.414)


def of_checkerboard(x: np.ndarray) -> np.ndarray:
    """Return the log-density of the checkerboard, for rows that were drawn from it."""
    return np.full(len(x), -math.log(32.0))


@dataclass(frozen=True)
class Toy:
    """A density, its entropy in nats, its log-density, and what is known about its support."""

    draw: Callable[[int, int], np.ndarray]
    entropy: float
    log_density: Callable[[np.ndarray], np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)


TOYS = {
    "two moons": Toy(two_moons, 1.008, of_two_moons),
    "eight Gaussians": Toy(eight_gaussians, 2.831, of_eight_gaussians),
    "checkerboard": Toy(
        checkerboard,
        math.log(32.0),
        of_checkerboard,
        {"bounded": {0: (-4.0, 4.0), 1: (-4.0, 4.0)}, "bins": 16},
    ),
}


def fit_one(toy: Toy, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Fit one flow; return its held-out figures."""
    training = torch.from_numpy(toy.draw(options.rows, seed)).float()
    rows = toy.draw(options.test_rows, 1_000_000 + seed)
    test, truth = torch.from_numpy(rows).float(), torch.from_numpy(toy.log_density(rows))
    torch.manual_seed(seed)
    flow: NSF | FlowMatching = FlowMatching(2)
    if options.flow == "spline":
        flow = NSF(features=2, autoregressive=True, layers=2, hidden=(128, 128), **toy.options)
    start, used = time.perf_counter(), time.process_time()
    result = logpx.fit(
        flow,
        training,
        max_steps=options.steps,
        max_time=options.time,
        batch_size=options.batch,
        seed=seed,
        progress=False,
    )
    elapsed, used = time.perf_counter() - start, time.process_time() - used
    with torch.no_grad():
        log_prob = torch.cat([flow.log_prob(part).double() for part in test.split(5000)])
    nll, error = -log_prob.mean().item(), log_prob.std().item() / math.sqrt(len(test))
    excess = truth - log_prob
    return {
        "nll": nll,
        "standard_error": error,
        "kl": excess.mean().item(),
        "kl_error": excess.std().item() / math.sqrt(len(test)),
        "steps": result.history[-1].step,
        "seconds": elapsed,
        "processor_seconds": used,
    }


def main() -> None:
    """Fit, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=list(TOYS))
    parser.add_argument("--flow", choices=["spline", "matching"], default="spline")
    parser.add_argument("--batch", type=int, help="rows per step")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--test-rows", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--time", type=float, default=120.0, help="most seconds for one fit")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| density | seed | entropy | held-out nats | above | steps | s | CPU s |", file=sys.stderr)
    print("|---|---|---|---|---|---|---|---|", file=sys.stderr)
    results = []
    for name in options.toys:
        for seed in options.seeds:
            found = fit_one(TOYS[name], seed, options)
            results.append({"density": name, "seed": seed, "entropy": TOYS[name].entropy, **found})
            print(
                f"| {name} | {seed} | {TOYS[name].entropy:.3f} | {found['nll']:.4f} ± "
                f"{found['standard_error']:.4f} | {found['kl']:+.4f} ± {found['kl_error']:.4f} | "
                f"{found['steps']} | {found['seconds']:.0f} | {found['processor_seconds']:.0f} |",
                file=sys.stderr,
                flush=True,
            )
    print(json.dumps({"torch": torch.__version__, "threads": options.threads, "results": results}, indent=2))


if __name__ == "__main__":
    main()
