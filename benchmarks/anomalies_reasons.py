"""Do reasons name the cell that is wrong? Cells of one column swapped between two rows.

A model is fitted to 4,000 rows of a table (a share of smaller ones). Of pairs of other rows the cells of one
column, drawn at random, are swapped. Of the swapped rows with a p-value of at most 0.01, how often is that
column named first? Some rows have such a p-value without the swap, for reasons of their own: the table has
the share among all such rows, and among those that had a higher p-value before. Swaps of equal cells are left
out.

Run: python benchmarks/anomalies_reasons.py --data FOLDER [--tables NAME ...] [--models NAME ...]

FOLDER holds `uci-regression/NAME/data.csv.gz` and `adbench/*_NAME.npz`. A model is a family, `auto`, or
`detector`, which is `AnomalyDetector()`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from anomalies_validity import tables
from numpy.typing import NDArray

import logpx
from logpx.estimators import AnomalyDetector

Array = NDArray[np.float64]
# Of rows, the p-values, and of some of them the column that is named first, or -1.
Judge = Callable[[Array], tuple[Array, Callable[[NDArray[np.int64]], list[int]]]]
LEVEL = 0.01


def by_detector(training: Array) -> Judge:
    detector = AnomalyDetector(random_state=0).fit(training)

    def judged(rows: Array) -> tuple[Array, Callable[[NDArray[np.int64]], list[int]]]:
        return detector.p_values(rows), lambda found: detector.surprisals(rows[found]).argmax(1).tolist()

    return judged


def by_model(training: Array, family: str, seconds: float) -> Judge:
    model = logpx.fit(family, training, max_time=seconds).model
    names = model.schema.modelled_names

    def judged(rows: Array) -> tuple[Array, Callable[[NDArray[np.int64]], list[int]]]:
        everything = logpx.anomalies(model, rows, everything=True)

        def first(found: NDArray[np.int64]) -> list[int]:
            if not len(found):
                return []
            # All of them, in the order of the rows.
            reasons = logpx.anomalies(model, rows[found], top=len(found)).reasons
            return [
                names.index(reasons[row][0].column) if reasons[row] else -1
                for row in range(1, len(found) + 1)
            ]

        return everything.table["p_value"].to_numpy(), first

    return judged


def swapped(rows: Array, pairs: int, random: np.random.Generator) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return rows, the same with a cell of another row each, and the columns of these cells."""
    before = rows[random.permutation(len(rows))[: 2 * pairs]]
    rows = before.copy()
    one, other = rows[0::2], rows[1::2]
    differ = np.array(
        [random.permutation(np.flatnonzero(a != b))[0] for a, b in zip(one, other, strict=False)]
    )
    at = np.arange(len(differ))
    one[at, differ], other[at, differ] = other[at, differ].copy(), one[at, differ].copy()
    return before, rows, np.repeat(differ, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*", default=["magic.gamma", "protein", "satellite"])
    parser.add_argument("--models", nargs="*", default=["gmm", "auto", "detector"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--rows", type=int, default=4000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| table | model | rows swapped | detected | named first | by the swap | named first | seconds |")
    print("|---" * 8 + "|")
    for name, x in tables(options.data):
        if name not in options.tables:
            continue
        x = x[np.random.default_rng(0).permutation(len(x))]
        cut = min(options.rows, int(0.8 * len(x)))
        before, rows, columns = swapped(x[cut:], options.pairs, np.random.default_rng(1))
        for model in options.models:
            begun = time.process_time()
            training = x[:cut]
            judge = (
                by_detector(training) if model == "detector" else by_model(training, model, options.seconds)
            )
            p_values, first = judge(rows)
            found = np.flatnonzero(p_values <= LEVEL)
            right = np.array(first(found), dtype=np.int64) == columns[found]
            by_swap = judge(before[found])[0] > LEVEL if len(found) else np.empty(0, dtype=bool)
            shares = (f"{100 * own.mean():.0f} %" if len(own) else "" for own in (right, right[by_swap]))
            print(
                f"| {name} | {model} | {len(rows)} | {len(found)} | {next(shares)} | {by_swap.sum()} "
                f"| {next(shares)} | {time.process_time() - begun:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
