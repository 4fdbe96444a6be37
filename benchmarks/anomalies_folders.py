"""AUROC of `logpx fit` and `logpx anomalies model/` on the rows of the fit, beside the table alone and log p.

No labels are used for the fit. Rows are ordered by `score`; the other columns are the AUROC of
`logpx anomalies table.csv` and of log p of the same model. At most 8,000 rows of a set, drawn at random.

Run: python benchmarks/anomalies_folders.py --data FOLDER [--labelled FILE ...] [--seconds S] [--append FILE]

FOLDER holds `NAME.mat` with `X` and `y`. A labelled file has commas between cells and a label last, the rarer
of two being the anomalies; lines that begin with @ are left out. With `--append` each set is kept as it is
done, and left out when the script is run again.
"""

from __future__ import annotations

import argparse
import csv
import functools
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from anomalies import sets
from anomalies_validity import Kept
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import logpx

Array = NDArray[np.float64]
MOST_ROWS = 8_000


def labelled(path: Path) -> tuple[str, Array, NDArray[np.int64]]:
    """Return the name, rows and anomalies of a file."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row and not row[0].startswith("@")]
    labels = np.array([row[-1].strip() for row in rows])
    names, counts = np.unique(labels, return_counts=True)
    return (
        path.stem,
        np.array([row[:-1] for row in rows], dtype=np.float64),
        (labels == names[counts.argmin()]).astype(np.int64),
    )


def all_sets(options: argparse.Namespace) -> Iterator[tuple[str, Array, NDArray[np.int64]]]:
    yield from map(labelled, options.labelled)
    yield from sets(options.data, None)


def measured(x: Array, y: NDArray[np.int64], seconds: float, seed: int) -> dict[str, float | str | None]:
    """Return three AUROCs, how many members the ensemble has, and processor seconds of the fit."""
    begun = time.process_time()
    model = logpx.fit("auto", x, max_time=seconds, seed=seed).model
    spent = time.process_time() - begun
    with tempfile.TemporaryDirectory() as folder:
        logpx.save(model, Path(folder) / "model")
        model = logpx.load(Path(folder) / "model")
    found = logpx.anomalies(model, x, everything=True, explain=False).table
    own = logpx.anomalies(x, everything=True, explain=False).table

    def auroc(values: Array) -> float:
        return float(roc_auc_score(y, -values.astype(np.float64)))

    names = found.column_names
    kept = model.unusualness
    return {
        "score": auroc(found["score"].to_numpy()) if "score" in names else None,
        "members": 0 if kept is None else len(kept.ensemble.sizes),
        "own": auroc(own["score"].to_numpy()),
        "log_prob": auroc(found[next(name for name in names if name.startswith("log_prob"))].to_numpy()),
        "seconds": spent,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--labelled", type=Path, nargs="*", default=[])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = Kept(options.append)
    print("| set | rows × columns | `anomalies model/` | members | `anomalies table.csv` | log p | CPU s |")
    print("|---" * 7 + "|")
    means = []
    for name, x, y in all_sets(options):
        if options.only and name not in options.only:
            continue
        chosen = np.random.default_rng(0).permutation(len(x))[:MOST_ROWS]
        found = kept.result(
            [name, options.seconds, options.seed],
            functools.partial(measured, x[chosen], y[chosen], options.seconds, options.seed),
        )
        score = "no ensemble" if found["score"] is None else f"{found['score']:.3f}"
        print(
            f"| {name} | {len(chosen)} × {x.shape[1]} | {score} | {found['members']} | {found['own']:.3f} "
            f"| {found['log_prob']:.3f} | {found['seconds']:.0f} |",
            flush=True,
        )
        if found["score"] is not None:
            means.append([found["score"], found["own"], found["log_prob"]])
    score, own, log_prob = np.mean(means, 0)
    print(f"| mean of {len(means)} | | {score:.3f} | | {own:.3f} | {log_prob:.3f} | |")


if __name__ == "__main__":
    main()
