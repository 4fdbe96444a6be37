"""Fits that are killed at random moments, and gone on with, end with the same files as whole ones."""

import hashlib
import itertools
import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import logpx as package
from logpx.storage.runs import KeptFits

MODELS = {
    "flow": ["-m", "nice", "--steps", "12"],
    "vae": ["-m", "vae", "--steps", "12"],
    "mixture": ["-m", "gmm", "--components", "2", "--steps", "20"],
    "search": ["--steps", "3"],
}
SETTINGS = {"trials": ["-m", "nice", "--trials", "3", "--steps", "4"]}
SOON = ("--checkpoint-every", "0.1s", "-q")
# A process whose fellow is gone ends within half a minute.
SECONDS_TO_END = 30.0


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def leads(process, target: Path) -> bool:
    """Return whether a process holds the folder of a fit."""
    try:
        holder = json.loads((target.parent / f".{target.name}.run/holder.json").read_text())
    except (OSError, ValueError):
        return False
    return holder["process"] == process.pid


class Fits:
    """Fits of one table by so many processes."""

    def __init__(self, forked: Callable, words: list, size: int) -> None:
        self.forked, self.words, self.size = forked, words, size
        self.kills = self.seconds = 0.0

    def started(self, target: Path) -> list:
        """Start the processes of a fit, or of one that goes on."""
        places: list[dict[str, str]] = [{}]
        if self.size > 1:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = str(probe.getsockname()[1])
            meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(self.size)}
            places = [{**meeting, "RANK": str(rank)} for rank in range(self.size)]
        words = [*self.words, *SOON, "-o", target, "--resume"]
        said = target.parent
        said.mkdir(parents=True, exist_ok=True)
        return [
            self.forked(*words, environment=place, said=said / f"said-{rank}")
            for rank, place in enumerate(places)
        ]

    def whole(self, target: Path) -> dict[str, str]:
        """Fit without a kill; return the hashes of the files, and note how long it takes."""
        began = time.monotonic()
        processes = self.started(target)
        for process in processes:
            process.join(300)
        self.seconds = time.monotonic() - began
        assert [process.exitcode for process in processes] == [0] * self.size, self.said(target)
        return hashes(target)

    def kill(self, target: Path, generator: np.random.Generator) -> bool:
        """Go on with a fit, and kill one of its processes or all; return whether the fit had ended."""
        processes = self.started(target)
        processes[0].join(generator.uniform(0.0, self.seconds))
        begun = leads(processes[0], target)
        victims = processes
        if self.size > 1 and generator.random() < 2 / 3:
            victims = [processes[generator.integers(self.size)]]
        for victim in victims:
            victim.kill()
        if not begun:
            # They may not have met yet, and then only a launcher knows.
            for process in processes:
                process.kill()
        began = time.monotonic()
        for process in processes:
            process.join(2 * SECONDS_TO_END)
        assert time.monotonic() - began < SECONDS_TO_END
        self.kills += any(victim.exitcode == -signal.SIGKILL for victim in victims)
        for process in processes:
            assert process.exitcode in (0, 6, -signal.SIGKILL), self.said(target)
        if not target.exists():
            return False
        package.load(target)
        return KeptFits(target).last() is None

    def said(self, target: Path) -> str:
        return "\n".join(file.read_text() for file in sorted(target.parent.glob("said-*")))


def killed_until_done(fits: Fits, kills: int, folder: Path, seed: int) -> None:
    """Kill fits so often that they have ended or were killed so often, and compare their files."""
    generator = np.random.default_rng(seed)
    expected = fits.whole(folder / "whole/model")
    for round_ in itertools.count():
        target = folder / str(round_) / "model"
        while fits.kills < kills:
            if fits.kill(target, generator):
                break
        else:
            fits.whole(target)
            assert [path.name for path in target.parent.iterdir() if path.name.startswith(".")] == []
        assert hashes(target) == expected
        if fits.kills >= kills:
            return


@pytest.mark.parametrize(
    ("model", "size", "kills"),
    [
        *((model, 1, 4) for model in MODELS),
        ("mixture", 2, 4),
        # 200 in all.
        *(pytest.param(model, 1, 24, marks=pytest.mark.slow) for model in MODELS),
        *(pytest.param(model, 2, 24, marks=pytest.mark.slow) for model in MODELS),
        *(pytest.param("trials", size, 4, marks=pytest.mark.slow) for size in (1, 2)),
    ],
)
def test_killed_fits_end_with_the_same_files(
    forked, socket_enabled, table: Path, tmp_path: Path, model: str, size: int, kills: int
):
    words = ["fit", table, *(MODELS | SETTINGS)[model]]
    killed_until_done(Fits(forked, words, size), kills, tmp_path, seed=kills + size)
