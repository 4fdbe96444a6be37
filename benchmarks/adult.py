"""Held-out log p of `fit` with no flag on a table of numbers, labels and holes, and its cost.

The adult census data of UCI: 32,561 training and 16,281 test rows, 15 columns, 9 of labels, holes in 3.
Figures are mean nats per test row with standard errors, and rows per second of wall and of CPU time.

Run: python benchmarks/adult.py --data FOLDER [--seconds S] [--threads N] [--seed N]

FOLDER holds `adult.data` and `adult.test` as UCI has them.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch

from logpx.tables import fit_table

COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
]


def rows(path: Path, skipped: int) -> pd.DataFrame:
    """Return a part of the data; the labels of the test rows end in a full stop, which goes."""
    frame = pd.read_csv(path, names=COLUMNS, skiprows=skipped, skipinitialspace=True, na_values="?")
    return frame.assign(income=frame.income.str.rstrip("."))


@contextmanager
def timed(seconds: list[float]) -> Iterator[None]:
    """Put seconds of wall and of CPU time into a list."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    seconds[:] = [time.perf_counter() - wall, time.process_time() - cpu]


def main() -> None:
    """Fit, evaluate, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    training, test = rows(options.data / "adult.data", 0), rows(options.data / "adult.test", 1)
    spent: list[float] = []
    with timed(spent):
        result = fit_table(training, max_time=options.seconds, seed=options.seed)
    model = result.model
    evaluation = model.evaluate(test)
    print(f"{platform.machine()}, {options.threads} threads, PyTorch {torch.__version__}\n")
    print("| | |\n|---|---|")
    print(f"| chosen | {result.chosen.model} ({model.kind}) |")
    print(f"| fit | {spent[0]:.0f} s, {spent[1]:.0f} s of CPU |")
    print(f"| log p of test rows | {evaluation.mean:.3f} ± {evaluation.mean_standard_error:.3f} |")
    for name, other in evaluation.baselines.items():
        print(f"| {name} | {other.mean:.3f} ± {other.mean_standard_error:.3f} |")
    with timed(spent):
        scored = sum(len(batch.log_prob) for batch in model.score(test))
    print(f"| scoring | {scored / spent[0]:,.0f} rows/s, {scored / spent[1]:,.0f} rows/s of CPU |")
    with timed(spent):
        drawn = sum(batch.num_rows for batch in model.sample_table(20_000))
    print(f"| sampling | {drawn / spent[0]:,.0f} rows/s, {drawn / spent[1]:,.0f} rows/s of CPU |")


if __name__ == "__main__":
    main()
