"""p(y | x) of one target: `ConditionalDensity` beside NGBoost and quantile forests.

Log score (mean log p(y | x) of test rows in nats, higher is better) and CRPS (lower is better), with y in
its own deviations and standard errors over rows. Peers: NGBoost with a normal or a Laplace distribution,
whichever is better on a tenth of the training rows, with as many boosting iterations as are best there; and
a quantile forest, whose density is a kernel estimate over its predictive quantiles. The CRPS is the mean of
the quantile losses at the same 200 levels for all.

Targets are printed with few digits, and some have a few dozen values: log p of a value is for all methods the
logarithm of the mass of its cell per width, with cells as wide as the least distance of two values. A
density that is narrower than a cell would otherwise be rewarded without limit. Where logpx gives a value that
repeats a mass of its own (an atom), this is divided by the width of a cell, too.

Run: python benchmarks/conditional.py --data FOLDER [--only NAME ...] [--methods NAME ...] [--seconds S]
    [--rows N] [--threads N] [--seed N]

FOLDER holds `NAME/data.csv.gz` with `test_mask.csv.gz`; the last column is the target. `--rows` is the most
training rows, and half as many are tested.
Needs: ngboost, quantile-forest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from logpx.estimators import ConditionalDensity

Array = NDArray[np.float64]

SETS = ("energy", "concrete", "bike", "elevators", "protein", "kin40k", "pol")
LEVELS = (np.arange(200) + 0.5) / 200


def rows(folder: Path, name: str, seed: int, most: int) -> tuple[Array, Array, Array, Array]:
    """Return X and y of training and of test rows; y in its own deviations."""
    data = np.loadtxt(folder / name / "data.csv.gz", delimiter=",")
    mask = np.loadtxt(folder / name / "test_mask.csv.gz", delimiter=",")[:, seed].astype(bool)
    x, y = data[:, :-1], data[:, -1]
    y = y / y[~mask].std()
    return x[~mask][:most], y[~mask][:most], x[mask][: most // 2], y[mask][: most // 2]


def cell_of(y: Array) -> float:
    """Return the least distance of two values."""
    return float(np.diff(np.unique(y)).min())


def crps(quantiles: Array, y: Array) -> Array:
    """Return the CRPS of every row from quantiles at the levels, shape ``(n, 200)``."""
    errors = quantiles - y[:, None]
    return 2.0 * np.mean(((errors > 0.0) - LEVELS) * errors, axis=1)


def of_logpx(
    x: Array, y: Array, x_test: Array, y_test: Array, seconds: float, seed: int
) -> tuple[Array, Array]:
    """Return log score and CRPS of test rows under `ConditionalDensity` with no option but the time."""
    density = ConditionalDensity(max_time=seconds, random_state=seed).fit(x, y)
    log_prob = density.score_samples(x_test, y_test)
    atoms = density.model_.schema.columns[-1].atoms
    at_atom = np.isclose(y_test[:, None], np.array(atoms)[None], rtol=1e-9, atol=0.0).any(1)
    return log_prob - np.log(np.where(at_atom, cell_of(y), 1.0)), density.crps_samples(x_test, y_test)


def of_ngboost(
    x: Array, y: Array, x_test: Array, y_test: Array, seconds: float, seed: int
) -> tuple[Array, Array]:
    """Return the same under the better of NGBoost's normal and Laplace distributions."""
    from ngboost import NGBRegressor
    from ngboost.distns import Laplace, Normal

    order = np.random.default_rng(seed).permutation(len(x))
    aside, kept = order[: len(x) // 10], order[len(x) // 10 :]
    best, least = None, np.inf
    for distribution in (Normal, Laplace):
        model = NGBRegressor(Dist=distribution, n_estimators=2000, verbose=False, random_state=seed)
        model.fit(x[kept], y[kept], X_val=x[aside], Y_val=y[aside], early_stopping_rounds=50)
        loss = -np.mean(model.pred_dist(x[aside], max_iter=model.best_val_loss_itr).logpdf(y[aside]))
        if loss < least:
            best, least = model, loss
    assert best is not None
    found = best.pred_dist(x_test, max_iter=best.best_val_loss_itr)
    quantiles = np.stack([found.ppf(level) for level in LEVELS], 1)
    half = cell_of(y) / 2
    mass = found.cdf(y_test + half) - found.cdf(y_test - half)
    # Far out, the difference has no digits left.
    log_mass = np.log(np.maximum(mass, 1e-300) / (2 * half))
    return np.where(mass > 1e-9, log_mass, found.logpdf(y_test)), crps(quantiles, y_test)


def of_forest(
    x: Array, y: Array, x_test: Array, y_test: Array, seconds: float, seed: int
) -> tuple[Array, Array]:
    """Return the same under a quantile forest: its density is piecewise constant between its quantiles."""
    from quantile_forest import RandomForestQuantileRegressor

    model = RandomForestQuantileRegressor(500, min_samples_leaf=5, random_state=seed).fit(x, y)
    quantiles = np.asarray(model.predict(x_test, quantiles=LEVELS.tolist()))
    return _log_density(quantiles, y_test, y), crps(quantiles, y_test)


def _log_density(quantiles: Array, y: Array, training: Array) -> Array:
    """Return the log-density of a normal kernel at each quantile, by Silverman's bandwidth for the row.

    A floor keeps single values finite, and a hundredth of a wide normal distribution all rows possible.
    """
    spread = np.minimum(quantiles.std(1), (quantiles[:, 149] - quantiles[:, 50]) / 1.34)
    floor = 0.01 * training.std()
    width = np.maximum(0.9 * spread * LEVELS.size**-0.2, floor)[:, None]
    half = cell_of(training) / 2
    wide = stats.norm(training.mean(), 3.0 * training.std())
    kernels = stats.norm(quantiles, width)
    mass = 0.99 * (kernels.cdf(y[:, None] + half) - kernels.cdf(y[:, None] - half)).mean(1)
    return np.log((mass + 0.01 * (wide.cdf(y + half) - wide.cdf(y - half))) / (2 * half))


METHODS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "logpx": of_logpx,
    "NGBoost": of_ngboost,
    "quantile forest": of_forest,
}


def main() -> None:
    """Print one row of Markdown per set and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=SETS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        "| set | rows × columns | method | log score | CRPS | seconds, of CPU |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for name in options.only:
        x, y, x_test, y_test = rows(options.data, name, options.seed, options.rows)
        for method in options.methods:
            began, spent = time.monotonic(), time.process_time()
            scores = METHODS[method](x, y, x_test, y_test, options.seconds, options.seed)
            cells = [f"{one.mean():.3f} ± {one.std() / np.sqrt(len(one)):.3f}" for one in scores]
            taken = f"{time.monotonic() - began:.0f}, {time.process_time() - spent:.0f}"
            print(
                f"| {name} | {len(x)} × {x.shape[1]} | {method} | {cells[0]} | {cells[1]} | {taken} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
