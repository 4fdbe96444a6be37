"""Two processes of one thread each beside one: passes of EM, scoring, engines, and what checkpoints cost.

Every figure is a ratio within one run. The floor is what two processes of matrix products do beside one: no
program gains more from the second core of this machine.

Run: python benchmarks/processes.py [--rows N] [--part floor em scoring engines checkpoints ...] [--json FILE]

Spark and Ray are measured by the interpreter of `make test-engines` (`--engines`, .venv-engines/bin/python by
default), and left out, with a line that says so, where it is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from long_em import FEATURES, write

PARTS, COMPONENTS, STEPS = 16, 10, 6
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS")}

PRODUCTS = """
import time, torch
torch.set_num_threads(1)
a, count, until = torch.randn(400, 400), 0, time.perf_counter() + 10.0
while time.perf_counter() < until:
    a @ a
    count += 1
print(count)
"""

# The command, with the time of the passes over all rows alone: kind and size were chosen before them.
PASSES = """
import sys, time
from logpx.cli import main
from logpx.tables.fitting.all_rows import FitToAllRows
fit = FitToAllRows.fit
def timed(self, density):
    began = time.perf_counter()
    finish = fit(self, density)
    print("passes", time.perf_counter() - began, file=sys.stderr, flush=True)
    return finish
FitToAllRows.fit = timed
sys.exit(main(sys.argv[1:]))
"""

SCORE = """
import sys
import pyarrow.parquet as pq
import logpx
model, target, *files = sys.argv[1:]
score = logpx.score_batches(model)
for number, file in enumerate(files):
    with pq.ParquetWriter(f"{target}-{number}.parquet", score.schema) as writer:
        for scored in score(pq.ParquetFile(file).iter_batches(50_000)):
            writer.write_batch(scored)
"""

# A first job starts the workers, which load torch and the model; the second is measured.
SPARK = """
import sys, time
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
import logpx
model, target, warm, *files = sys.argv[1:]
score = logpx.score_batches(model)
settings = {
    "sql.execution.arrow.maxRecordsPerBatch": "50000",
    "ui.enabled": "false",
    "driver.host": "127.0.0.1",
    "driver.bindAddress": "127.0.0.1",
}
builder = SparkSession.builder.master("local[2]")
for name, value in settings.items():
    builder = builder.config(f"spark.{name}", value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
def job(rows, target):
    rows.mapInArrow(score, from_arrow_schema(score.schema)).write.mode("overwrite").parquet(target)
job(spark.read.parquet(warm).repartition(2), target + "-warm")
began = time.perf_counter()
job(spark.read.parquet(*files), target)
print("engine", time.perf_counter() - began)
spark.stop()
"""

RAY = """
import sys, time
import ray
import logpx
model, target, warm, *files = sys.argv[1:]
score = logpx.score_batches(model)
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
def job(files, target):
    rows = ray.data.read_parquet(files)
    rows.map_batches(score, batch_format="pyarrow", batch_size=50_000).write_parquet(target)
job([warm, warm], target + "-warm")
began = time.perf_counter()
job(files, target)
print("engine", time.perf_counter() - began)
ray.shutdown()
"""

CHECKPOINTS = """
import json, sys, time, torch
import logpx
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.training import journal
torch.set_num_threads(1)
kind, seconds, folder = sys.argv[1], float(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
x = torch.randn(20_000, 20) @ torch.randn(20, 20)
model = {
    "flow": lambda: logpx.flows.MAF(20, layers=5, hidden=(128, 128)),
    "VAE": lambda: logpx.latent.VAE(NormalLikelihood(20), 5, hidden=(256, 256)),
    "flow of ten million parameters": lambda: logpx.flows.RealNVP(20, layers=9, hidden=(1024, 1024)),
}[kind]()
spent = []
write = journal.StateFolder.write
offer = journal.Journal.offer
def timed(self, *arguments):
    before = len(spent)
    clocks = time.perf_counter(), time.process_time()
    writes.clear()
    answer = offer(self, *arguments)
    if writes:
        spent.append((time.perf_counter() - clocks[0], time.process_time() - clocks[1]))
    return answer
writes = []
def counted(self, state):
    writes.append(1)
    return write(self, state)
journal.StateFolder.write, journal.Journal.offer = counted, timed
began = time.perf_counter(), time.process_time()
result = logpx.fit(model, x, max_time=seconds, progress=False, checkpoint=folder, batch_size=256)
whole = time.perf_counter() - began[0], time.process_time() - began[1]
print(json.dumps({
    "model": kind, "parameters": sum(p.numel() for p in model.parameters()), "steps": result.history[-1].step,
    "checkpoints": len(spent), "seconds": whole[0], "share": sum(s[0] for s in spent) / whole[0],
    "share of processor time": sum(s[1] for s in spent) / whole[1],
    "share without the first and the last": sum(s[0] for s in spent[1:-1]) / whole[0],
}))
"""


class Machine:
    """Runs scripts, one or two at a time, with one thread each.

    Parameters
    ----------
    folder
        Where files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *commands: list[Any], **environment: str) -> tuple[float, list[str]]:
        """Run commands at the same time; return the seconds until all have ended, and what they print."""
        began = time.perf_counter()
        processes = [
            subprocess.Popen(
                [str(word) for word in command],
                env=os.environ | ONE_THREAD | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for command in commands
        ]
        printed = [process.communicate()[0] for process in processes]
        for process, text in zip(processes, printed, strict=True):
            if process.returncode:
                sys.exit(text)
        return time.perf_counter() - began, printed

    def by(self, processes: int, script: Path | None, words: list[Any]) -> tuple[float, str]:
        """Run a command of logpx in so many processes of torchrun; return the seconds and what it prints."""
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "torch.distributed.run", "--nproc-per-node", processes]
        command += ["-m", "logpx"] if script is None else [script]
        seconds, (text,) = self.run([*command, *words])
        return seconds, text


def named(text: str, name: str) -> float:
    """Return the number that a script has printed after a name, the largest if several have."""
    return max(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def floor(machine: Machine, **_: Any) -> dict[str, float]:
    """How much more do two processes of matrix products do than one?"""
    command = [sys.executable, "-c", PRODUCTS]
    one = float(machine.run(command)[1][0])
    two = sum(float(text) for text in machine.run(command, command)[1])
    return {"one process": one, "two processes": two, "two beside one": two / one}


def em(machine: Machine, *, rows: int, repeat: int, **_: Any) -> dict[str, float]:
    """How many rows per second does a pass of EM read, by one process and by two?"""
    script = machine.folder / "passes.py"
    script.write_text(PASSES)
    words = ["fit", machine.folder / "part-*.parquet", "-m", "gmm", "--components", COMPONENTS, "--all-rows"]
    words += ["--steps", STEPS, "--overwrite", "-q", "-o"]
    passes: dict[int, float] = {}
    whole: dict[int, float] = {}
    for processes in (1, 2) * repeat:
        seconds, text = machine.by(processes, script, [*words, machine.folder / f"em-{processes}"])
        passes[processes] = min(passes.get(processes, math.inf), named(text, "passes"))
        whole[processes] = min(whole.get(processes, math.inf), seconds)
    # As many passes as steps, and one for the likelihood of the last.
    return beside(rows * (STEPS + 1), passes) | {f"seconds of the whole fit by {n}": whole[n] for n in whole}


def scoring(machine: Machine, *, rows: int, model: Path, repeat: int, **_: Any) -> dict[str, float]:
    """How many rows per second does `logpx score` write, by one process and by two?"""
    start: dict[int, float] = {}
    whole: dict[int, float] = {}
    for processes in (1, 2) * repeat:
        for source, known in (("small", start), ("part", whole)):
            output = f"{machine.folder}/{source}-scores-{processes}/"
            words = [
                "score",
                model,
                machine.folder / f"{source}-*.parquet",
                "-o",
                output,
                "--overwrite",
                "-q",
            ]
            seconds, _ = machine.by(processes, None, words)
            known[processes] = min(known.get(processes, math.inf), seconds)
    found = beside(rows, {n: whole[n] - start[n] for n in whole})
    return found | {f"seconds to start {n}": start[n] for n in start}


def beside(rows: int, seconds: dict[int, float]) -> dict[str, float]:
    """Return the rows per second of one process and of two, and their ratio."""
    found = {f"rows per second by {n}": rows / seconds[n] for n in seconds}
    return found | {"two beside one": seconds[1] / seconds[2]}


def engines(
    machine: Machine, *, files: list[Path], model: Path, interpreter: Path, **_: Any
) -> dict[str, float]:
    """How long do Spark and Ray with two workers take, beside two plain processes?"""
    if not interpreter.exists():
        print(f"ENGINES WERE NOT MEASURED: no {interpreter} (make test-engines)")
        return {}
    small = machine.folder / "small-0.parquet"

    def plain(parts: list[Path]) -> float:
        target = machine.folder / "plain"
        shares = [[interpreter, "-c", SCORE, model, f"{target}-{n}", *parts[n::2]] for n in range(2)]
        return machine.run(*shares)[0]

    found = {"two plain processes, seconds": plain(files) - plain([small, small])}
    for name, script in (("Spark", SPARK), ("Ray", RAY)):
        words = [interpreter, "-c", script, model, machine.folder / name, small, *files]
        _, (text,) = machine.run(words, PYSPARK_PYTHON=str(interpreter))
        found[f"{name}, seconds"] = named(text, "engine")
        found[f"{name} beside plain"] = found[f"{name}, seconds"] / found["two plain processes, seconds"]
    return found


def checkpoints(machine: Machine, *, seconds: float, **_: Any) -> dict[str, Any]:
    """What share of training do checkpoints take?"""
    found = {}
    for number, kind in enumerate(("flow", "VAE", "flow of ten million parameters")):
        command = [sys.executable, "-c", CHECKPOINTS, kind, seconds, machine.folder / f"run-{number}"]
        found[kind] = json.loads(machine.run(command)[1][0].splitlines()[-1])
    return found


MEASURED = {one.__name__: one for one in (floor, em, scoring, engines, checkpoints)}


def main() -> None:
    """Write a table in parts, fit a mixture, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=float, default=4e6)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each fit with checkpoints")
    parser.add_argument("--repeat", type=int, default=1, help="passes and scoring: the best of so many runs")
    parser.add_argument("--part", nargs="*", choices=MEASURED, default=list(MEASURED))
    parser.add_argument("--engines", type=Path, default=Path(".venv-engines/bin/python"))
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    each = int(arguments.rows) // PARTS
    results = {}
    print(f"{platform.machine()}, one thread a process, {each * PARTS:,} rows x {FEATURES} in {PARTS} parts")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machine = Machine(folder)
        files = [folder / f"part-{number:02}.parquet" for number in range(PARTS)]
        for number, file in enumerate(files):
            write(file, each, seed=number)
        for number in range(2):
            write(folder / f"small-{number}.parquet", 2000)
        model = folder / "model"
        fit = ["fit", folder / "small-0.parquet", "-o", model, "-m", "gmm", "--components", COMPONENTS]
        machine.by(1, None, [*fit, "--steps", 20, "-q"])
        known = {
            "files": files,
            "rows": each * PARTS,
            "model": model,
            "repeat": arguments.repeat,
            "seconds": arguments.seconds,
            "interpreter": arguments.engines.absolute(),
        }
        for part in arguments.part:
            results[part] = MEASURED[part](machine, **known)
            print(json.dumps({part: results[part]}, indent=1), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
