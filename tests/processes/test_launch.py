"""A process knows its place among those of a launcher."""

import pytest

from logpx.errors import UsageError
from logpx.processes.launch import Launch, launch


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


def test_place_is_what_the_launcher_says(monkeypatch):
    assert launch() is None
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(UsageError, match="a rank below a size"):
        launch()
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert launch() == Launch(1, 3, 2)
    assert str(launch()) == "process 1 of 3"
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert launch() is None
