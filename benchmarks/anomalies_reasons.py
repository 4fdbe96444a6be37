"""Do reasons name the cell that is wrong? Cells of one column swapped between two rows.

A model is fitted to 4,000 rows of a table (a share of smaller ones). Of pairs of other rows the cells of one
column, drawn at random, are swapped. Of the swapped rows with a p-value of at most 0.01, how often is that
column named first? Some rows have such a p-value without the swap, for reasons of their own: the table has
the share among all such rows, and among those that had a higher p-value before. Swaps of equal cells are left
out; with `--apart 0.25` also those of numbers that less than a quarter of the rows lies between.

Run: python benchmarks/anomalies_reasons.py --data FOLDER [--tables NAME ...] [--models NAME ...]

FOLDER holds `uci-regression/NAME/data.csv.gz`, `adbench/*_NAME.npz` and `adult/adult.data`. A model is a
family, `auto`, or `detector`, which is `AnomalyDetector()` and has only the columns of numbers. With
`--append` each result is kept as it is done, and left out when the script is run again.
"""

from __future__ import annotations

import argparse
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from anomalies_validity import Kept, tables
from numpy.typing import NDArray

import logpx
from logpx.detection.reasons import Explainer
from logpx.errors import LogpxError
from logpx.estimators import AnomalyDetector

Array = NDArray[np.float64]
# Of rows, the p-values, and of some of them the column that is named first, or "".
Judge = Callable[[pd.DataFrame], tuple[Array, Callable[[NDArray[np.int64]], list[str]]]]
LEVEL = 0.01


def frames(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    adult = folder / "adult" / "adult.data"
    if adult.exists():
        frame = pd.read_csv(adult, header=None, skipinitialspace=True)
        yield "adult", frame.rename(columns=lambda place: f"c{place}")
    for name, x in tables(folder):
        yield name, pd.DataFrame(x, columns=[f"c{place}" for place in range(x.shape[1])])


def by_detector(training: pd.DataFrame) -> tuple[Judge, str]:
    names = np.array(training.columns)
    detector = AnomalyDetector(random_state=0).fit(training.to_numpy())

    def judged(rows: pd.DataFrame) -> tuple[Array, Callable[[NDArray[np.int64]], list[str]]]:
        x = rows.to_numpy()
        return detector.p_values(x), lambda found: names[detector.surprisals(x[found]).argmax(1)].tolist()

    return judged, "itself"


def by_model(training: pd.DataFrame, family: str, seconds: float) -> tuple[Judge, str]:
    model = logpx.fit(family, training, max_time=seconds).model

    def judged(rows: pd.DataFrame) -> tuple[Array, Callable[[NDArray[np.int64]], list[str]]]:
        everything = logpx.anomalies(model, rows, everything=True, explain=False)

        def first(found: NDArray[np.int64]) -> list[str]:
            # All of them, in the order of the rows.
            chosen = rows.iloc[found].reset_index(drop=True)
            reasons = logpx.anomalies(model, chosen, top=max(1, len(found))).reasons
            return [reasons[row][0].column if reasons.get(row) else "" for row in range(1, len(found) + 1)]

        return everything.table["p_value"].to_numpy(), first

    chosen = repr(model).rpartition("; ")[2]
    return judged, f"{chosen}: {Explainer(model).method}"


def swapped(
    rows: pd.DataFrame, pairs: int, apart: float, random: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.str_]]:
    """Return rows, the same with a cell of another row each, and the columns of these cells."""
    before = rows.iloc[random.permutation(len(rows))].reset_index(drop=True)
    after = before.copy()
    ranks = before.rank(pct=True).to_numpy()
    numeric = np.array([pd.api.types.is_numeric_dtype(kind) for kind in before.dtypes])
    free = np.ones(len(before), dtype=bool)
    kept: list[int] = []
    columns: list[int] = []
    for place in range(len(before)):
        if not free[place] or len(kept) == 2 * pairs:
            continue
        column = int(random.integers(before.shape[1]))
        cells = before.iloc[:, column].to_numpy()
        other = free & (cells != cells[place])
        if numeric[column]:
            other &= np.abs(ranks[:, column] - ranks[place, column]) >= apart
        if not other.any():
            continue
        partner = int(random.choice(np.flatnonzero(other)))
        after.iat[place, column], after.iat[partner, column] = cells[partner], cells[place]
        free[[place, partner]] = False
        kept += [place, partner]
        columns += [column, column]
    return before.iloc[kept], after.iloc[kept], np.array(before.columns)[columns]


def measured(
    frame: pd.DataFrame, model: str, options: argparse.Namespace
) -> dict[str, int | float | str | list[int]]:
    """Return counts of rows: swapped, detected and named first, and the two of those detected by the swap."""
    begun = time.process_time()
    if model == "detector":
        frame = frame.select_dtypes("number").astype(np.float64)
    frame = frame.iloc[np.random.default_rng(options.seed).permutation(len(frame))]
    cut = min(options.rows, int(0.6 * len(frame)))
    training = frame.iloc[:cut].reset_index(drop=True)
    before, rows, columns = swapped(
        frame.iloc[cut : cut + options.rows], options.pairs, options.apart, np.random.default_rng(1)
    )
    judge, means = (
        by_detector(training) if model == "detector" else by_model(training, model, options.seconds)
    )
    p_values, first = judge(rows)
    found = np.flatnonzero(p_values <= LEVEL)
    right = np.array(first(found), dtype=object) == columns[found] if len(found) else np.empty(0, bool)
    by_swap = judge(before)[0][found] > LEVEL
    return {
        "swapped": len(rows),
        "detected": [len(found), int(right.sum())],
        "by_swap": [int(by_swap.sum()), int(right[by_swap].sum())],
        "means": means,
        "seconds": time.process_time() - begun,
    }


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
    parser.add_argument("--apart", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--append", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = Kept(options.append)
    counts = "detected | named first | by the swap | named first"
    print(f"| table | model | explained by | swapped | {counts} | CPU s |")
    print("|---" * 9 + "|")
    for name, frame in frames(options.data):
        if name not in options.tables:
            continue
        for model in options.models:
            asked = [options.seconds, options.pairs, options.rows, options.apart, options.seed]
            try:
                found = kept.result([name, model, asked], functools.partial(measured, frame, model, options))
            except LogpxError as error:
                print(f"| {name} | {model} | {error.message} | | | | | | |", flush=True)
                continue
            shares = [
                f"{count} | {100 * right / count:.0f} %" if count else "0 | "
                for count, right in (found["detected"], found["by_swap"])
            ]
            print(
                f"| {name} | {model} | {found['means']} | {found['swapped']} | {' | '.join(shares)} "
                f"| {found['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
