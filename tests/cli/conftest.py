"""Running the command in this process or as a process of its own, and models that were fitted once."""

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from logpx.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        """The one JSON object on stdout."""
        return json.loads(self.out)


@pytest.fixture
def logpx(capfd: pytest.CaptureFixture[str]):
    """Run the command in this process."""

    def run(*words: object) -> Ended:
        capfd.readouterr()
        status = main([str(word) for word in words])
        return Ended(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def fitted() -> Callable[..., Path]:
    """Fit for some steps, however fast the machine is: the command itself can only be given a time."""

    def fit(steps: int, source: Path, folder: Path, *words: object) -> Path:
        from logpx import images, tables

        asked = itertools.count()

        def ended(fit: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *own, **options: fit(
                *own, **{**options, "should_stop": lambda: next(asked) > steps}
            )

        command = ["fit", source, "-o", folder, "--time", "1h", "-q", *words]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "fit_table", ended(tables.fit_table))
            patch.setattr(images, "fit_images", ended(images.fit_images))
            assert main([str(word) for word in command]) == 0
        return folder

    return fit


@pytest.fixture
def process():
    """Run the command as a process of its own."""

    def run(*words: object, **options) -> Ended:
        command = [sys.executable, "-m", "logpx", *map(str, words)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def started():
    """Start the command as a process of its own, which is killed at the end if it still runs."""
    processes = []

    def start(*words: object, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "logpx", *map(str, words)]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options))
        return processes[-1]

    yield start
    for running in processes:
        running.kill()
        running.communicate()


def _command(words: list[str], environment: Mapping[str, str], said: str) -> None:
    import torch

    from logpx.tables.families import climb
    from logpx.training import checkpoints, gradients

    os.environ.update(environment)
    torch.set_num_threads(1)
    # Small fits would otherwise be over before a checkpoint is due,
    checkpoints._SHARE = 1e9
    # and too small to be divided among processes.
    climb._NUMBERS_PER_CHUNK = climb._PROBE_ROWS = 16
    gradients._LEAST_ROWS = 4
    with open(os.devnull, "w") as nowhere, open(said, "w") as file:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os._exit(main(words))


Started = Callable[..., multiprocessing.process.BaseProcess]


@pytest.fixture
def forked(forking) -> Iterator[Started]:
    """Start the command in a process that has imported everything, and keeps what is done so far at once."""
    processes = []

    def start(
        *words: object, environment: Mapping[str, str] | None = None, said: Path | str = os.devnull
    ) -> multiprocessing.process.BaseProcess:
        arguments = ([str(word) for word in words], dict(environment or {}), str(said))
        processes.append(forking.Process(target=_command, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


def rows(n: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    a = generator.lognormal(size=n)
    return {"a": a, "b": 0.5 * a + generator.normal(size=n)}


def write(path: Path, columns: dict) -> Path:
    pyarrow.csv.write_csv(pa.table(columns), path)
    return path


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tables: smooth columns (exact log p) and the same with a column of counts (a bound)."""
    folder = tmp_path_factory.mktemp("tables")
    for name, seed in (("train", 0), ("test", 1)):
        smooth = rows(400, seed)
        write(folder / f"{name}.csv", smooth)
        counts = np.random.default_rng(seed + 10).integers(0, 9, 400)
        names = [f"r{index}" for index in range(400)]
        write(folder / f"{name}-counts.csv", {"id": names, "count": counts, **smooth})
    return folder


@pytest.fixture(scope="session")
def exact(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose log p is exact."""
    folder = tmp_path_factory.mktemp("exact") / "model"
    assert main(["fit", str(tables / "train.csv"), "-o", str(folder), "--model", "gaussian", "-q"]) == 0
    return folder


@pytest.fixture(scope="session")
def bound(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose log p is a lower bound."""
    folder = tmp_path_factory.mktemp("bound") / "model"
    assert (
        main(["fit", str(tables / "train-counts.csv"), "-o", str(folder), "--model", "gaussian", "-q"]) == 0
    )
    return folder


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows of two numbers, for fits that are interrupted."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(60, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    path = tmp_path_factory.mktemp("small") / "t.csv"
    lines = [f"{a:.6f},{b:.6f}" for a, b in rows]
    path.write_text("a,b\n" + "\n".join(lines) + "\n")
    return path
