"""Score a long Parquet table with `logpx score`: rows per second and peak memory of the whole process.

Memory is constant if the peak is the same for a table and for one ten times as long.

Run: python benchmarks/scoring.py [--rows N] [--model NAME ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = 10
GROUP = 250_000


def write_table(path: Path, rows: int) -> None:
    """Write correlated, skewed columns, one row group at a time."""
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(COLUMNS, COLUMNS))
    schema = pa.schema([(f"x{index}", pa.float64()) for index in range(COLUMNS)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP):
            values = generator.normal(size=(min(GROUP, rows - start), COLUMNS)) @ mixing
            values[:, ::2] = np.exp(0.3 * values[:, ::2])
            writer.write_table(pa.table(list(values.T), schema=schema))


def run(*words: object) -> tuple[float, float]:
    """Run a command; return its seconds and peak resident memory in MiB."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    start = time.monotonic()
    command = [sys.executable, "-c", code, sys.executable, "-m", "logpx", *map(str, words)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - start, int(result.stdout) / 1024


def main() -> None:
    """Write the tables, fit on the short one, score both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--model", nargs="*", default=["gaussian", "maf"])
    parser.add_argument("--time", default="20s", help="time for each fit")
    arguments = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        tables = {rows: Path(folder) / f"{rows}.parquet" for rows in (arguments.rows // 10, arguments.rows)}
        for rows, path in tables.items():
            write_table(path, rows)
        for name in arguments.model:
            model = Path(folder) / name
            run(
                "fit",
                tables[arguments.rows // 10],
                "-o",
                model,
                "--model",
                name,
                "--time",
                arguments.time,
                "-q",
            )
            for rows, path in tables.items():
                seconds, peak = run(
                    "score", model, path, "-o", Path(folder) / "scores.parquet", "--overwrite", "-q"
                )
                figures.append(
                    {
                        "model": name,
                        "rows": rows,
                        "columns": COLUMNS,
                        "seconds": round(seconds, 1),
                        "rows_per_second": round(rows / seconds),
                        "peak_mib": round(peak),
                    }
                )
                print(json.dumps(figures[-1]), flush=True)
    print(f"whole process, start of Python included; {platform.machine()}, {platform.python_version()}")


if __name__ == "__main__":
    main()
