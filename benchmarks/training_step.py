"""Time a training step of RealNVP and MAF beside zuko's, turn by turn in one process.

Run ``python benchmarks/training_step.py`` (``--help`` for options). A table goes to stderr, JSON to stdout.
The two libraries take turns, so that other load on the machine affects both; what counts is the ratio of the
medians. If the fastest step is much faster than the median, the machine was not quiet.
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
from pathlib import Path

import torch
import zuko
from torch import Tensor

from logpx import flows

Step = Callable[[], float]


def training_step(parameters: list[Tensor], loss: Callable[[], Tensor]) -> Step:
    """Return a function that makes one AdamW step and returns the seconds it took."""
    optimiser = torch.optim.AdamW(parameters, 1e-4)

    def step() -> float:
        start = time.perf_counter()
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        return time.perf_counter() - start

    return step


def pairs(features: int, layers: int, hidden: tuple[int, ...], x: Tensor) -> dict[str, tuple[Step, Step]]:
    """Return logpx's and zuko's step for each flow, by name."""
    shape = {"features": features, "hidden_features": hidden, "transforms": layers}
    built = {
        "RealNVP": (flows.RealNVP(features, layers, hidden), zuko.flows.RealNVP(**shape)),
        "MAF": (flows.MAF(features, layers, hidden), zuko.flows.MAF(**shape)),
    }
    return {
        name: (
            training_step(list(own.parameters()), lambda own=own: -own.log_prob(x).mean()),
            training_step(list(peer.parameters()), lambda peer=peer: -peer().log_prob(x).mean()),
        )
        for name, (own, peer) in built.items()
    }


def processor() -> str:
    """Return the processor's name as the system gives it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=43)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="steps of each library")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = torch.randn(options.batch, options.features)
    results = {}
    print(f"{'flow':8} {'':8} {'logpx ms':>9} {'zuko ms':>9} {'ratio':>6}", file=sys.stderr)
    for name, steps in pairs(options.features, options.layers, tuple(options.hidden), x).items():
        for step in steps * 5:
            step()
        times = [[step() * 1e3 for step in steps] for _ in range(options.steps)]
        results[name] = {}
        for summary, of in {"median": statistics.median, "fastest": min}.items():
            own, peer = (of(column) for column in zip(*times, strict=True))
            results[name][summary] = {"logpx_ms": own, "zuko_ms": peer, "ratio": own / peer}
            print(f"{name:8} {summary:8} {own:9.2f} {peer:9.2f} {own / peer:6.2f}", file=sys.stderr)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "zuko")}
    machine = {"processor": processor(), "python": platform.python_version(), **versions}
    print(json.dumps({"options": vars(options), "machine": machine, "results": results}, indent=2))


if __name__ == "__main__":
    main()
