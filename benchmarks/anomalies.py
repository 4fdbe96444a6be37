"""AUROC of `AnomalyDetector()` on the sets of PyOD's table, beside IsolationForest, ECOD and kNN.

The protocol is PyOD's: 60 % of the rows to fit to, 40 % to test on, without labels, columns standardised by
the rows of the fit, ten trials whose splits come from one generator with seed 42. ECOD (Li et al. 2022) is
written out here; the others are scikit-learn's. `published_auroc.csv` has the figures of ten detectors.

Run: python benchmarks/anomalies.py --data FOLDER [--others FOLDER] [--only NAME ...] [--trials N]

FOLDER holds `NAME.mat` with `X` and `y`, and `published_auroc.csv`; the folder of others `*_NAME.npz`.
Results are printed as a Markdown table; `--append FILE` keeps them set by set.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from logpx.estimators import AnomalyDetector

Array = NDArray[np.float64]
MOST_ROWS = 50_000


def isolation_forest(training: Array, test: Array, seed: int) -> Array:
    return -IsolationForest(random_state=seed).fit(training).score_samples(test)


def ecod(training: Array, test: Array, seed: int) -> Array:
    """Sum log tail probabilities of columns: left, right, and on the side that the column is skewed to."""
    ordered, rows = np.sort(training, 0), len(training)
    left = [np.searchsorted(one, values, "right") for one, values in zip(ordered.T, test.T, strict=True)]
    right = [rows - np.searchsorted(one, values) for one, values in zip(ordered.T, test.T, strict=True)]
    tails = -np.log(np.maximum(np.array([left, right]), 1) / (rows + 1)).transpose(0, 2, 1)
    skewed = np.where(((training - training.mean(0)) ** 3).mean(0) < 0.0, tails[0], tails[1])
    return np.maximum(np.maximum(tails[0].sum(1), tails[1].sum(1)), skewed.sum(1))


def nearest_neighbours(training: Array, test: Array, seed: int) -> Array:
    return NearestNeighbors(n_neighbors=5).fit(training).kneighbors(test)[0][:, -1]


def logpx(training: Array, test: Array, seed: int) -> Array:
    return -AnomalyDetector(random_state=seed).fit(training).score_samples(test)


DETECTORS: dict[str, Callable[[Array, Array, int], Array]] = {
    "logpx": logpx,
    "IsolationForest": isolation_forest,
    "ECOD": ecod,
    "kNN": nearest_neighbours,
}


def sets(folder: Path | None, others: Path | None) -> Iterator[tuple[str, Array, NDArray[np.int64]]]:
    for path in sorted(folder.glob("*.mat")) if folder else []:
        content = loadmat(path)
        yield path.stem, content["X"].astype(np.float64), content["y"].ravel().astype(np.int64)
    for path in sorted(others.glob("*.npz")) if others else []:
        content = np.load(path)
        x, y = content["X"].astype(np.float64), content["y"].ravel().astype(np.int64)
        if len(x) > MOST_ROWS:
            kept = np.random.default_rng(0).permutation(len(x))[:MOST_ROWS]
            x, y = x[kept], y[kept]
        yield path.stem, x, y


def measured(x: Array, y: NDArray[np.int64], trials: int) -> dict[str, dict[str, list[float]]]:
    """Return AUROC and seconds of every detector in every trial."""
    found = {name: {"auroc": [], "seconds": []} for name in DETECTORS}
    splits = np.random.RandomState(42)
    for trial in range(trials):
        training, test, _, labels = train_test_split(x, y, test_size=0.4, random_state=splits)
        scaler = StandardScaler().fit(training)
        for name, detector in DETECTORS.items():
            begun = time.perf_counter()
            scores = detector(scaler.transform(training), scaler.transform(test), trial)
            found[name]["seconds"].append(time.perf_counter() - begun)
            found[name]["auroc"].append(float(roc_auc_score(labels, scores)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--others", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--append", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    published = {}
    if options.data:
        with open(options.data / "published_auroc.csv", newline="", encoding="utf-8") as stream:
            published = {
                row["Data"]: {k: float(v) for k, v in list(row.items())[4:]} for row in csv.DictReader(stream)
            }
    names = list(DETECTORS)
    print(f"| set | rows × columns | {' | '.join(names)} | best published | seconds of logpx |")
    print("|---" * (len(names) + 4) + "|")
    means = []
    for name, x, y in sets(options.data, options.others):
        if options.only and name not in options.only:
            continue
        found = measured(x, y, options.trials)
        row = [float(np.mean(found[one]["auroc"])) for one in names]
        means.append(row)
        best = max(published.get(name, {"": float("nan")}).items(), key=lambda item: item[1])
        seconds = np.mean(found["logpx"]["seconds"])
        cells = " | ".join(f"{value:.4f}" for value in row)
        print(
            f"| {name} | {len(x)} × {x.shape[1]} | {cells} | {best[1]:.4f} ({best[0]}) | {seconds:.1f} |",
            flush=True,
        )
        if options.append:
            with open(options.append, "a", encoding="utf-8") as stream:
                stream.write(json.dumps({"set": name, **found}) + "\n")
    print(f"| mean | | {' | '.join(f'{value:.4f}' for value in np.mean(means, 0))} | | |")


if __name__ == "__main__":
    main()
