"""Held-out log p through the commands: `logpx fit` with no option and `logpx evaluate`, on real tables.

The tables and the first split of `tables.py`, written to CSV files with 17 digits. Set OMP_NUM_THREADS
to limit the threads of the commands.

Run: python benchmarks/tables_command.py --data FOLDER [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from tables import Array, splits, tables


def write_csv(path: Path, rows: Array) -> None:
    """Write rows so that reading gives the same floats."""
    header = ",".join(f"c{index}" for index in range(rows.shape[1]))
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.17g")


def logpx(*arguments: str) -> Any:
    """Run the command with --json, and return its answer; end with its message if it fails."""
    command = [sys.executable, "-m", "logpx", *arguments, "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def row(name: str, training: Array, test: Array, folder: Path) -> str:
    """Fit and evaluate one table; return a line of Markdown."""
    files = [str(folder / part) for part in ("training.csv", "test.csv", "model")]
    write_csv(Path(files[0]), training)
    write_csv(Path(files[1]), test)
    start = time.monotonic()
    logpx("fit", files[0], "-o", files[2], "--overwrite")
    seconds = time.monotonic() - start
    answer = logpx("evaluate", files[2], files[1])
    means = [answer, *answer["baselines"].values()]
    cells = [f"{mean['mean']:.3f} ± {mean['standard_error']:.3f}" for mean in means]
    size = f"{len(training)} × {training.shape[1]}"
    return f"| {' | '.join([name, size, answer['kind'], *cells, f'{seconds:.0f}'])} |"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    columns = ["table", "rows × columns", "log p", "logpx fit", "marginals", "Gaussian", "seconds"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for name, rows, mask in tables(options.data):
        if options.only and name not in options.only:
            continue
        training, test = next(iter(splits(rows, mask)))
        with tempfile.TemporaryDirectory() as folder:
            print(row(name, training, test, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
