"""Real processes that meet as those of a launcher do."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

SCRIPT = """
import sys, torch
from logpx.processes.launch import launch
from logpx.processes.link import linked
from logpx.processes.team import Team, leading
from logpx.processes.worker import Worker

def by_all(models, handlers, lead):
    place = launch()
    if place is None:
        return lead()
    with linked(place) as link:
        if not place.leads:
            return Worker(link, handlers, models.__getitem__).serve()
        number = lambda model: next(n for n, one in enumerate(models) if one is model)
        with leading(Team(link, number)) as team:
            lead()
            team.end()
"""


@pytest.fixture
def several(socket_enabled) -> Iterator[Callable[..., list[subprocess.Popen]]]:
    """Start a script that may call ``by_all(models, handlers, lead)``, in so many processes."""
    started: list[subprocess.Popen] = []

    def start(script: str, size: int) -> list[subprocess.Popen]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
        for rank in range(size):
            environment = os.environ | meeting | {"RANK": str(rank), "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT + script],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        return started[-size:]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def alone(capsys, monkeypatch) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Run such a script in this process, and return what it prints on stdout and stderr."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def run(script: str) -> tuple[str, str]:
        exec(SCRIPT + script, {})
        return capsys.readouterr()

    yield run
    torch.set_num_threads(threads)
