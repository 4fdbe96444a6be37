"""Iterations of EM and fits of linear-Gaussian models, beside scikit-learn's, in the same run.

Both sides start from the same assignment of rows, make the same number of iterations, and must end at the
same log-likelihood. Rows are drawn from known models.

Run: python benchmarks/mixtures.py [--threads N] [--repeats R]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as ReferenceAnalysis
from sklearn.mixture import GaussianMixture as Reference
from threadpoolctl import threadpool_limits

import logpx
from logpx.latent import FactorAnalysis, GaussianMixture, ProbabilisticPCA

ITERATIONS = 5
SIZES = [(100_000, 20, 20), (60_000, 28, 12), (20_000, 50, 6), (10_000, 8, 4)]
KINDS = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rest() -> None:
    """Let the threads of the other side fall asleep: they busy-wait for a while after their last work."""
    time.sleep(0.2)


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def iterations(rows: int, features: int, components: int, kind: str, repeats: int) -> None:
    """Compare iterations of EM."""
    generator = np.random.default_rng(0)
    centres = 2.0 * generator.normal(size=(components, features))
    x = centres[generator.integers(0, components, rows)] + generator.normal(size=(rows, features))
    # Near the centres, so that no component has too few rows for a covariance.
    seeds = centres + generator.normal(size=(components, features))
    nearest = np.stack([((x - seed) ** 2).sum(1) for seed in seeds], 1).argmin(1)
    shares = np.eye(components)[nearest]
    tensor = torch.from_numpy(x)
    mixture = GaussianMixture(components, features, kind, floor=0.0).double()
    mixture.initialise_assigned(tensor, torch.from_numpy(shares))
    reference = Reference(components, covariance_type=KINDS[kind], reg_covar=0.0)
    reference._initialize(x, shares)

    def own() -> None:
        mixture.update(mixture.statistics(tensor))

    def other() -> None:
        _, log_shares = reference._e_step(x)
        reference._m_step(x, log_shares)

    own_times, other_times = [], []
    for _ in range(repeats):
        rest()
        own_times += [seconds(own) for _ in range(ITERATIONS)]
        rest()
        other_times += [seconds(other) for _ in range(ITERATIONS)]
    gap = mixture.statistics(tensor).log_likelihood.item() / rows - reference._e_step(x)[0]
    ours, theirs = median(own_times), median(other_times)
    size = f"{rows:,} × {features}, K = {components}"
    row(
        f"EM iteration, {kind}, {size}",
        f"{1e3 * ours:.2f}",
        f"{1e3 * theirs:.2f}",
        f"1/{theirs / ours:.1f}",
        f"{gap:.1e}",
    )


def holes(share: float, repeats: int) -> None:
    """Compare iterations of EM on rows with missing cells with scikit-learn's on the complete rows."""
    generator = np.random.default_rng(0)
    rows, features, components = 100_000, 20, 5
    centres = 2.0 * generator.normal(size=(components, features))
    group = generator.integers(0, components, rows)
    whole = centres[group] + generator.normal(size=(rows, features))
    shares = np.eye(components)[group]
    x = torch.from_numpy(np.where(generator.random(whole.shape) < share, np.nan, whole))
    mixture = GaussianMixture(components, features, floor=0.0).double()
    mixture.initialise_assigned(x, torch.from_numpy(shares))
    reference = Reference(components, reg_covar=0.0)
    reference._initialize(whole, shares)
    own_times, other_times = [], []
    for _ in range(repeats):
        rest()
        own_times.append(seconds(lambda: mixture.update(mixture.statistics(x))))
        rest()
        other_times.append(seconds(lambda: reference._m_step(whole, reference._e_step(whole)[1])))
    ours, theirs = median(own_times), median(other_times)
    row(
        f"EM iteration, full, {rows:,} × {features}, K = {components}, {share:.0%} of cells missing",
        f"{1e3 * ours:.0f}",
        f"{1e3 * theirs:.0f} (none missing)",
        f"{ours / theirs:.1f} ×",
        "",
    )


def subspaces(repeats: int) -> None:
    """Compare fits of probabilistic PCA and of factor analysis."""
    generator = np.random.default_rng(0)
    rows, features, latent = 100_000, 100, 10
    x = generator.normal(size=(rows, latent)) @ generator.normal(size=(latent, features))
    x = x + generator.normal(size=(rows, features)) * generator.uniform(0.5, 2.0, features)
    size = f"{rows:,} × {features}, q = {latent}"
    own_times, other_times = [], []
    for _ in range(3 * repeats):
        model = ProbabilisticPCA(features, latent).double()
        rest()
        own_times.append(seconds(lambda m=model: logpx.fit(m, x, progress=False)))
        reference = PCA(latent)
        rest()
        other_times.append(seconds(lambda r=reference: r.fit(x)))
    with torch.no_grad():
        gap = model.log_prob(torch.from_numpy(x)).mean().item() - reference.score(x)
    ours, theirs = median(own_times), median(other_times)
    row(
        f"PPCA beside PCA, {size}",
        f"{1e3 * ours:.1f}",
        f"{1e3 * theirs:.1f}",
        f"{ours / theirs:.2f} ×",
        f"{gap:.1e}",
    )
    analysis = FactorAnalysis(features, latent).double()
    ours = median(seconds(lambda: logpx.fit(analysis, x, progress=False)) for _ in range(repeats))
    other = ReferenceAnalysis(latent)
    theirs = seconds(lambda: other.fit(x))
    with torch.no_grad():
        gap = analysis.log_prob(torch.from_numpy(x)).mean().item() - other.score(x)
    row(
        f"factor analysis, {size}",
        f"{1e3 * ours:.1f}",
        f"{1e3 * theirs:.1f}",
        f"1/{theirs / ours:.0f}",
        f"{gap:.1e}",
    )


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    print(f"{arguments.threads} threads; median milliseconds; gap: nats per row above scikit-learn's")
    row("work", "logpx", "scikit-learn", "ratio", "gap")
    print("|---" * 5 + "|")
    with threadpool_limits(arguments.threads):
        for size in SIZES:
            for kind in KINDS:
                iterations(*size, kind, arguments.repeats)
        for share in (0.05, 0.3):
            holes(share, arguments.repeats)
        subspaces(arguments.repeats)


if __name__ == "__main__":
    main()
