"""Time flows of logpx beside the same flows of its peers, turn by turn in one process.

Run ``python benchmarks/peers/flows.py`` (``--help`` for options). ``benchmarks/peers/requirements.txt`` lists
the peers, and those that are not installed are left out. All libraries take turns, so that other load on the
machine affects all of them: what counts is the ratio to the fastest peer, pair by pair. On a busy machine,
``--clock processor`` counts the processor's seconds instead of the wall's.

Beside every time stands the floor: the floating-point operations of the dense products that the work needs,
over the rate at which this machine multiplies matrices of that size. Of a masked net only the products count
that are not zero by its masks.

``--grid`` times 5 numbers of features with 4 numbers of rows, and prints a table of ratios instead of JSON.
Work that would take some library longer than ``--longest`` once, or more than ``--memory``, is left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from _models import KINDS, LIBRARIES, Model, Shape
from torch import Tensor

WORKS = ("step", "log_prob", "sample")
# Pairs at the largest and the smallest amount of work.
FEWEST, MOST = 3, 100
GRID_FEATURES, GRID_BATCHES = (6, 21, 43, 63, 256), (1, 64, 1024, 16384)
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def step_of(model: Model, x: Tensor) -> Callable[[], Any]:
    optimiser = torch.optim.AdamW(model.module.parameters(), 1e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        (-model.log_prob(x).mean()).backward()
        optimiser.step()

    return step


def work_of(name: str, model: Model, x: Tensor) -> Callable[[], Any]:
    """Return a function that does the work once."""
    if name == "step":
        model.module.train()
        return step_of(model, x)

    def without_gradients() -> None:
        model.module.eval()
        with torch.no_grad():
            model.log_prob(x) if name == "log_prob" else model.sample(len(x))

    return without_gradients


def products(kind: str, shape: Shape) -> float:
    """Return the multiplications of one row's pass through the dense layers that no mask sets to 0."""
    autoregressive = kind in {"MAF", "NSF autoregressive"}
    each = 2 if kind in {"RealNVP", "MAF"} else 3 * shape.bins - 1
    half = shape.features / 2
    inputs = shape.features if autoregressive else half
    outputs = (shape.features if autoregressive else half) * each
    widths = [inputs, *shape.hidden, outputs]
    dense = sum(a * b for a, b in pairwise(widths))
    return shape.layers * dense * (0.5 if autoregressive else 1.0)


def multiplication_rate(rows: int, width: int, clock: Callable[[], float]) -> float:
    """Return floating-point operations per second of a product of rows with a square matrix."""
    a, b = torch.randn(rows, width), torch.randn(width, width)
    seconds = []
    for _ in range(30):
        began = clock()
        for _ in range(3):
            a @ b
        seconds.append((clock() - began) / 3)
    return 2.0 * rows * width * width / statistics.median(seconds)


def measured(
    works: dict[str, Callable[[], Any]], seconds: float, clock: Callable[[], float]
) -> dict[str, Any]:
    """Return the times of all libraries, which take turns."""
    began = time.perf_counter()
    for work in works.values():
        work()
    once = time.perf_counter() - began
    turns = max(FEWEST, min(MOST, int(seconds / max(once, 1e-6))))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            start = clock()
            work()
            times[name].append((clock() - start) * 1e3)
    peers = [name for name in works if name != "logpx"]
    best = min(peers, key=lambda name: statistics.median(times[name]), default=None)
    found: dict[str, Any] = {"turns": turns, "best_peer": best}
    found["milliseconds"] = {
        name: dict(zip(("lower", "median", "upper"), _quartiles(values), strict=True))
        for name, values in times.items()
    }
    if best is not None:
        pairs = [a / b for a, b in zip(times["logpx"], times[best], strict=True)]
        found["ratio"] = dict(zip(("lower", "median", "upper"), _quartiles(pairs), strict=True))
    return found


def too_much(
    kind: str, work: str, shape: Shape, batch: int, floor: float, options: argparse.Namespace
) -> bool:
    """Return whether work would take too long or too much memory for some library, by rough estimates."""
    autoregressive = kind in {"MAF", "NSF autoregressive"}
    # A sampler without a sweep makes a pass for every feature, at several times the floor.
    passes = shape.features if work == "sample" and autoregressive else 1
    seconds = 4.0 * passes * floor / 1e3
    each = 3 * shape.bins - 1 if kind.startswith("NSF") else 2
    # Peers keep some ten tensors of the size of the parameters in every layer for the backward pass.
    kept = 10 * shape.layers if work == "step" else 10
    numbers = batch * (kept * shape.features * each + shape.layers * sum(shape.hidden))
    return seconds > options.longest or 4 * numbers > options.memory * 1e9


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, median, upper


def built(kind: str, shape: Shape) -> dict[str, Model]:
    """Return the flow of every library that has it and is installed."""
    models = {}
    for name, build in LIBRARIES.items():
        try:
            models[name] = build(kind, shape)
        except (ImportError, NotImplementedError) as error:
            print(f"{kind}: {name} is left out: {error}", file=sys.stderr)
    return models


def processor() -> str:
    """Return the processor's name as the system gives it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    """Return the versions of everything that was timed."""
    found = {}
    for name in ("torch", *LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def rows_of(shape: Shape, batch: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all kinds of flows of one size."""
    clock = CLOCKS[options.clock]
    x = torch.randn(batch, shape.features)
    rate = multiplication_rate(batch, shape.hidden[0], clock)
    rows = []
    for kind in options.kinds:
        models = built(kind, shape)
        parameters = {name: model.parameters for name, model in models.items()}
        for work in options.works:
            operations = 2.0 * batch * products(kind, shape) * (3.0 if work == "step" else 1.0)
            floor = operations / rate * 1e3
            if too_much(kind, work, shape, batch, floor, options):
                print(f"{kind} {work}, {shape.features} × {batch}: left out", file=sys.stderr)
                continue
            found = measured(
                {name: work_of(work, model, x) for name, model in models.items()}, options.seconds, clock
            )
            row = {
                "kind": kind,
                "work": work,
                "features": shape.features,
                "batch": batch,
                "parameters": parameters,
                "floor_milliseconds": floor,
                **found,
            }
            rows.append(row)
            print(line(row), file=sys.stderr, flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    times = row["milliseconds"]
    own = times["logpx"]["median"]
    cells = [
        f"{row['kind']} {row['work']}",
        f"{row['features']} × {row['batch']}",
        *(f"{name} {each['median']:.1f}" for name, each in times.items()),
        f"floor {row['floor_milliseconds']:.1f} (× {own / row['floor_milliseconds']:.1f})",
    ]
    if "ratio" in row:
        ratio = row["ratio"]
        cells.append(f"ratio {ratio['median']:.2f} ({ratio['lower']:.2f} to {ratio['upper']:.2f})")
    return " | ".join(cells)


def grid(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return a table in Markdown of ratios to the fastest peer, and the milliseconds of logpx."""
    sizes = [(features, batch) for features in options.features for batch in options.batch]
    found = {(row["kind"], row["work"], row["features"], row["batch"]): row for row in rows}
    lines = [
        "| features × rows | "
        + " | ".join(f"{kind} {work}" for kind in options.kinds for work in options.works)
    ]
    lines[0] += " |"
    lines.append("|---" * (1 + len(options.kinds) * len(options.works)) + "|")
    for features, batch in sizes:
        cells = []
        for kind in options.kinds:
            for work in options.works:
                row = found.get((kind, work, features, batch))
                if row is None or "ratio" not in row:
                    cells.append("–")
                    continue
                own = row["milliseconds"]["logpx"]["median"]
                cells.append(f"{row['ratio']['median']:.2f} ({own:.3g})")
        lines.append(f"| {features} × {batch:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, nargs="+", default=[6, 21, 43, 63])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--bins", type=int, default=8)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=WORKS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row of the table, about")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--grid", action="store_true", help="all sizes of the grid, as a table of ratios")
    parser.add_argument("--longest", type=float, default=60.0, help="seconds of one call, at most about")
    parser.add_argument("--memory", type=float, default=4.0, help="GB, at most about")
    options = parser.parse_args()
    if options.grid:
        options.features, options.batch = list(GRID_FEATURES), list(GRID_BATCHES)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = []
    for features in options.features:
        for batch in options.batch:
            shape = Shape(features, options.layers, tuple(options.hidden), options.bins)
            rows += rows_of(shape, batch, options)
    machine = {"processor": processor(), "python": platform.python_version(), "versions": versions()}
    if options.grid:
        print(grid(rows, options))
        return
    print(json.dumps({"options": vars(options), "machine": machine, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
