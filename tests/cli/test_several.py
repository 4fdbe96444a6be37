"""torchrun and logpx fit: the same model as of one process, whatever happens to the processes."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

FILES = ("config.json", "model.safetensors", "metrics.json", "statistics.safetensors")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 3, 40_000)
    x = generator.normal(size=(40_000, 8)) + groups[:, None] * np.array([2, 1, -2, 0, 2, 2, 0, 4])
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    pq.write_table(pa.table({f"c{index}": x[:, index].round(6) for index in range(8)}), path)
    return path


def fit(table: Path, output: Path, *options: str, size: int = 2, launcher: tuple[str, ...] = ()):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "--standalone"]
    command += [*launcher, "-m", "logpx", "fit", str(table), "-o", str(output), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=output.parent)


def sums(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def processes_of(launcher: subprocess.Popen) -> dict[int, int]:
    """Return the process ids of the launcher's children by rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    found = {}
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        ranks = [each for each in variables if each.startswith(b"RANK=")]
        if ranks:
            found[int(ranks[0].removeprefix(b"RANK="))] = int(child)
    return found


def wait_for_checkpoint(output: Path) -> None:
    deadline = time.monotonic() + 240
    while not list(output.parent.glob(f".{output.name}.run/0001/journal/gmm*/step-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_em_of_one_two_and_four_processes_is_the_same_to_the_bit(table, tmp_path):
    options = ("--model", "gmm", "--components", "3", "--steps", "5")
    for size in (1, 2, 4):
        process = fit(table, tmp_path / f"m{size}", *options, size=size)
        _, printed = process.communicate(timeout=400)
        assert process.returncode == 0, printed
        assert printed.count("40,000 rows, 8 modelled columns") == 1
    assert sums(tmp_path / "m1") == sums(tmp_path / "m2") == sums(tmp_path / "m4")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_restart_after_a_kill_ends_with_the_same_files(table, tmp_path, rank):
    options = ("--model", "gmm", "--components", "6", "--steps", "60", "--checkpoint-every", "0.2s")
    undisturbed = fit(table, tmp_path / "undisturbed", *options)
    disturbed = fit(table, tmp_path / "disturbed", *options, launcher=("--max-restarts", "1"))
    wait_for_checkpoint(tmp_path / "disturbed")
    os.kill(processes_of(disturbed)[rank], signal.SIGKILL)
    printed = disturbed.communicate(timeout=500)[1]
    assert disturbed.returncode == 0, printed
    assert "going on with the fit" in printed
    undisturbed.communicate(timeout=400)
    assert undisturbed.returncode == 0
    assert sums(tmp_path / "disturbed") == sums(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("rank", "number", "says"),
    [
        (1, signal.SIGKILL, "process 1 of 2 of this fit has ended"),
        (0, signal.SIGKILL, "process 0 of 2 of this fit has ended"),
        (1, signal.SIGSTOP, "process 1 of 2 has said nothing for 20 s"),
    ],
)
def test_a_process_that_is_gone_ends_the_other_within_half_a_minute(table, tmp_path, rank, number, says):
    with_port = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20_000 + os.getpid() % 20_000)}
    command = [sys.executable, "-m", "logpx", "fit", str(table), "-o", "model", "--model", "gmm"]
    command += ["--components", "6", "--steps", "3000", "--checkpoint-every", "0.2s"]
    both = []
    try:
        for own in range(2):
            environment = (
                os.environ | with_port | {"RANK": str(own), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
            )
            both.append(
                subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            )
        wait_for_checkpoint(tmp_path / "model")
        both[rank].send_signal(number)
        began = time.monotonic()
        other = both[1 - rank]
        printed = other.communicate(timeout=60)[1]
        assert time.monotonic() - began < 30.0
        assert other.returncode == 6, printed
        assert says in printed
        assert "Traceback" not in printed
    finally:
        for process in both:
            process.kill()
            process.communicate()
