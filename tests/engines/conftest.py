"""A table of mixed columns with missing cells, and models of it in folders."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import logpx


def mixed(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    b = 0.5 * a + 0.3 * generator.normal(size=rows)
    return pa.table(
        {
            "id": pa.array([f"r{index}" for index in range(rows)]),
            "a": a,
            "b": pa.array(b, mask=generator.random(rows) < 0.2),
            "count": generator.poisson(3.0, rows),
            "label": pa.array(np.array(["x", "y", "z"])[generator.integers(0, 3, rows)]),
        }
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return mixed(300, 0)


@pytest.fixture(scope="session")
def folders(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Fit a model of a kind once, for some steps, and return its folder."""
    place, done = tmp_path_factory.mktemp("models"), {}

    def folder(kind: str) -> Path:
        if kind not in done:
            data = table.select(["a", "b"]) if kind == "smooth" else table
            asked, name = itertools.count(), {"smooth": "gaussian"}.get(kind, kind)
            fitted = logpx.fit(name, data, max_time=3600, should_stop=lambda: next(asked) > 20)
            logpx.save(fitted.model, place / kind)
            done[kind] = place / kind
        return done[kind]

    return folder
