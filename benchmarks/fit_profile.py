"""What `logpx fit` spends its time on: model arithmetic, imports, reading, writing, and the rest.

The command runs in this process while another thread looks every few milliseconds at what it is doing. A look
counts as model arithmetic if any function under way belongs to the models, to EM, to a training step or a
score, or to PyTorch, imports excepted. Shares are of the wall's time; on a busy machine, imports and reading,
which happen once, take more of it.

Run: python benchmarks/fit_profile.py table.csv [more.csv ...] [--time 60s] [--most N]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from logpx.cli.entry import main as logpx_command

EVERY = 0.005
PARTS = {
    "training steps": r"logpx/training/(gradients|loop\.py:_Descent\.advance)",
    "EM and its starts": r"logpx/(inference/|latent/initialisation)",
    "other scores and models": (
        r"logpx/(distributions|latent|nets|flows|transforms|training/evaluation)|^torch/"
    ),
    "reading": r"logpx/tables/reading",
    "writing": r"logpx/(files|storage|training/journal)",
    "columns, scales and bookkeeping": r"logpx/tables",
}
ARITHMETIC = ["training steps", "EM and its starts", "other scores and models"]


def functions(frame: FrameType | None) -> list[str]:
    """Return the functions under way, the outermost first."""
    found = []
    while frame is not None:
        file = re.sub(r".*/(site-packages|src|lib/python[\d.]+)/", "", frame.f_code.co_filename)
        found.append(f"{file}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


def part_of(under_way: list[str]) -> str:
    """Return the name of the part that functions under way belong to."""
    if any("importlib" in each for each in under_way):
        return "imports"
    for name, pattern in PARTS.items():
        if any(re.search(pattern, each) for each in under_way):
            return name
    return "rest"


class Looks:
    """What a command was doing, look by look."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        own = threading.get_ident()
        while not self._done.wait(EVERY):
            # The command may work in a thread of its own, in which more is under way.
            others = [functions(f) for ident, f in sys._current_frames().items() if ident != own]
            under_way = max(others, key=len)
            part = part_of(under_way)
            self.parts[part] += 1
            if part not in ARITHMETIC:
                logpx = [each for each in under_way if each.startswith("logpx/")]
                self.functions[f"{part}: {logpx[-1] if logpx else 'before any'}"] += 1

    def __enter__(self) -> Looks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def profile(table: Path, limit: str, most: int) -> None:
    """Fit a table and print shares."""
    with tempfile.TemporaryDirectory() as folder:
        start, worked = time.perf_counter(), time.process_time()
        with Looks() as looks, contextlib.redirect_stderr(io.StringIO()) as said:
            status = logpx_command(["fit", str(table), "-o", f"{folder}/model", "--time", limit])
        wall, worked = time.perf_counter() - start, time.process_time() - worked
    if status:
        raise SystemExit(said.getvalue())
    total = looks.parts.total()
    print(f"\n{table.name}: {wall:.0f} s, of which the processor worked {worked:.0f} s\n")
    print("| part | share |\n|---|---|")
    print(f"| **model arithmetic** | **{sum(looks.parts[name] for name in ARITHMETIC) / total:.1%}** |")
    for name in [*PARTS, "imports", "rest"]:
        print(f"| {name} | {looks.parts[name] / total:.1%} |")
    print("\nmost time beside the arithmetic:")
    for name, count in looks.functions.most_common(most):
        print(f"{count / total:6.1%}  {name}")


def main() -> None:
    """Profile each table in a process of its own, so that imports count for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--time", default="60s")
    parser.add_argument("--most", type=int, default=8)
    arguments = parser.parse_args()
    if len(arguments.tables) == 1:
        profile(arguments.tables[0], arguments.time, arguments.most)
        return
    for table in arguments.tables:
        options = ["--time", arguments.time, "--most", str(arguments.most)]
        subprocess.run([sys.executable, __file__, str(table), *options], check=True)


if __name__ == "__main__":
    main()
