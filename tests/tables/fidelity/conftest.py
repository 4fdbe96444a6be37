"""The command line, run in this process."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def logpx_main() -> Callable[..., int]:
    """Return what runs a command and returns its exit status."""
    from logpx.cli import main

    return lambda *words: main([str(word) for word in words])


@pytest.fixture
def written(tmp_path: Any) -> Callable[..., Any]:
    """Return what writes a text file and returns its path."""

    def write(content: str, name: str = "table.csv") -> Any:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write
