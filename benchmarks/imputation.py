"""Imputation with a fifth of the cells hidden at random: `fit` and `impute` beside chained regressions.

RMSE of the best guess over the hidden cells, in deviations of their columns, and the share of hidden cells
that lie in the central 90 % of 20 draws (19 of 21 places, that is 90.5 %, with ties broken at random). Peers
of scikit-learn: `IterativeImputer` with its default (Bayesian ridge), and, in the manner of MissForest, with
random forests.

Run: python benchmarks/imputation.py --data FOLDER [--only NAME ...] [--seconds S] [--rows N] [--seed N]

FOLDER holds `NAME/data.csv.gz`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next line possible
from sklearn.impute import IterativeImputer

from logpx.tables import fit_table

Array = NDArray[np.float64]

SETS = ("energy", "concrete", "elevators", "protein", "kin40k")
SHARE, DRAWS = 0.2, 20
# Standardised values on a grid come back with another last digit.
ROUNDING = 1e-9


def rows(folder: Path, name: str, most: int, seed: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return standardised rows of columns that vary, and which cells are hidden."""
    rng = np.random.default_rng(seed)
    data = np.loadtxt(folder / name / "data.csv.gz", delimiter=",")
    data = data[rng.permutation(len(data))[:most]]
    # The deviation of equal numbers may differ from 0 by rounding.
    data = data[:, [len(np.unique(column)) > 1 for column in data.T]]
    data = (data - data.mean(0)) / data.std(0)
    return data, rng.random(data.shape) < SHARE


def of_logpx(holes: Array, seconds: float, seed: int) -> tuple[Array, Array, str]:
    """Return best guesses, draws, and what was chosen."""
    table = pd.DataFrame(holes, columns=[f"x{index}" for index in range(holes.shape[1])])
    result = fit_table(table, max_time=seconds, seed=seed, conditional=True)
    model = result.model
    kept = [name for name in table.columns if name in model.schema.modelled_names]
    if kept != list(table.columns):
        raise SystemExit(f"columns were left out: {set(table.columns) - set(kept)}")
    guess = model.impute(table).to_pandas()[kept].to_numpy(float)
    drawn = model.impute(table, draws=DRAWS, seed=seed).to_pandas()[kept].to_numpy(float)
    return guess, drawn.reshape(DRAWS, *holes.shape), result.chosen.model


def chained(holes: Array, forest: bool, seed: int) -> Array:
    """Return the rows with holes filled in by chained regressions."""
    estimator = RandomForestRegressor(50, max_features="sqrt", min_samples_leaf=2, random_state=seed)
    imputer = IterativeImputer(estimator if forest else None, max_iter=5 if forest else 10, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(imputer.fit_transform(holes))


def rmse(filled: Array, whole: Array, hidden: NDArray[np.bool_]) -> str:
    """Return the root of the mean squared error over hidden cells, with its standard error."""
    squares = (filled - whole)[hidden] ** 2
    root = np.sqrt(squares.mean())
    return f"{root:.3f} ± {squares.std() / np.sqrt(len(squares)) / (2 * root):.3f}"


def coverage(drawn: Array, whole: Array, hidden: NDArray[np.bool_], seed: int) -> float:
    """Return the share of hidden cells in the central 90 % of their draws, with ties broken at random.

    References
    ----------
    Czado, Gneiting and Held 2009, Predictive model assessment for count data, section 2.1.
    """
    below = (drawn < whole - ROUNDING).sum(0)
    ties = (np.abs(drawn - whole) <= ROUNDING).sum(0)
    place = below + np.random.default_rng(seed).integers(0, ties + 1)
    return float(((place > 0) & (place < DRAWS))[hidden].mean())


def main() -> None:
    """Print one row of Markdown per set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=SETS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = ["set", "rows × columns", "logpx", "IterativeImputer", "forests", "column means", "coverage"]
    names += ["chosen", "seconds"]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for name in options.only:
        whole, hidden = rows(options.data, name, options.rows, options.seed)
        holes = np.where(hidden, np.nan, whole)
        began = time.monotonic()
        guess, drawn, chosen = of_logpx(holes, options.seconds, options.seed)
        taken = time.monotonic() - began
        cells = [
            name,
            f"{len(whole)} × {whole.shape[1]}",
            *(rmse(one, whole, hidden) for one in (guess, chained(holes, False, options.seed))),
            rmse(chained(holes, True, options.seed), whole, hidden),
            rmse(np.broadcast_to(np.nanmean(holes, 0), whole.shape), whole, hidden),
            f"{coverage(drawn, whole, hidden, options.seed):.3f}",
            chosen,
            f"{taken:.0f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
