"""EM on a Parquet file of many rows: seconds, iterations, and the peak memory of the whole process.

A file is drawn from a mixture of four normal distributions, and a mixture of four is fitted to it, from one
start, in passes over the file. Memory is constant if the peak is the same for a file a tenth as long.

Run: python benchmarks/long_em.py [--rows N] [--threads T] [--folder F] [--json FILE]

The folder needs about 0.2 GB per million rows; files are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES, COMPONENTS = 8, 4
_CHUNK = 250_000

# In a separate process, so that the peak is that of the fit alone.
FIT = """
import json, resource, sys, time
import torch
import logpx
from logpx import latent
from logpx.tables import open_table
torch.set_num_threads(int(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mixture = latent.GaussianMixture(int(sys.argv[3]), int(sys.argv[4]))
start = time.perf_counter()
result = logpx.fit(mixture, open_table(sys.argv[1]).matrices(), restarts=1, progress=False)
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "iterations": result.history[-1].step,
    "stopped": result.stopped.value,
    "log_likelihood": result.history[-1].train,
    "rows": result.train_rows,
    "weights": sorted(mixture.weights.tolist()),
    "imported_mib": before // 1024,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def write(path: Path, rows: int, seed: int = 0) -> None:
    """Draw a file of rows from four normal distributions; another seed gives other rows of the same."""
    generator = np.random.default_rng(0)
    means = generator.normal(0.0, 4.0, (COMPONENTS, FEATURES))
    factors = generator.normal(size=(COMPONENTS, FEATURES, FEATURES)) / np.sqrt(FEATURES)
    weights = np.arange(1, COMPONENTS + 1) / (COMPONENTS * (COMPONENTS + 1) / 2)
    generator = np.random.default_rng(seed) if seed else generator
    schema = pa.schema([(f"x{index}", pa.float64()) for index in range(FEATURES)])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, _CHUNK):
            chosen = generator.choice(COMPONENTS, size=min(_CHUNK, rows - first), p=weights)
            noise = generator.normal(size=(len(chosen), FEATURES))
            x = means[chosen] + np.einsum("ni,nij->nj", noise, factors[chosen])
            writer.write_batch(pa.record_batch(list(x.T), schema=schema))


def main() -> None:
    """Write, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=float, default=20e6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    results = []
    print(f"{platform.machine()}, {arguments.threads} threads, {FEATURES} columns, {COMPONENTS} components")
    print("| rows | file, GB | seconds | iterations | peak, MiB | after import, MiB | log p, nats per row |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for rows in (int(arguments.rows) // 10, int(arguments.rows)):
            file = Path(folder) / f"{rows}.parquet"
            write(file, rows)
            command = [sys.executable, "-c", FIT, file, arguments.threads, COMPONENTS, FEATURES]
            ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            if ended.returncode:
                sys.exit(ended.stderr)
            result = json.loads(ended.stdout)
            results.append({**result, "bytes": os.path.getsize(file)})
            file.unlink()
            print(
                f"| {rows:,} | {results[-1]['bytes'] / 1e9:.2f} | {result['seconds']:.0f} | "
                f"{result['iterations']} | {result['peak_mib']} | {result['imported_mib']} | "
                f"{result['log_likelihood']:.4f} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
