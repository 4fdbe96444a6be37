"""A table with missing cells, models of it in folders, and the recipes of the page on engines."""

import itertools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import logpx

PAGE = (Path(__file__).parents[2] / "docs/engines.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## ([^\n]+)\n\n```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


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


class Recipe:
    """Runs the recipe under a heading, in a folder with a model, a table in parts, and names for both."""

    def __init__(self, table: pa.Table, model: Path):
        self.names: dict[str, Any] = {"logpx": logpx, "rows": table, "frame": table.to_pandas()}
        self.names["score"] = logpx.score_batches(model, keep=["id"], id="id")
        whole = self.names["score"](table)
        self.expected = dict(
            zip(*(whole.column(name).to_pylist() for name in whole.column_names[:2]), strict=True)
        )

    def __call__(self, heading: str, **names: Any) -> dict[str, Any]:
        lines = RECIPES[heading].replace("/shared/model", "model")
        # What a recipe computes last is not always given a name.
        lines = re.sub(r"^(?=fa\.transform)", "found = ", lines, flags=re.MULTILINE)
        exec(compile(lines, heading, "exec"), self.names | {"__name__": heading} | names, found := {})
        return found

    def check(self, scored: pa.Table) -> None:
        found = zip(*(scored.column(name).to_pylist() for name in ("id", "log_prob_lower")), strict=True)
        assert dict(found) == pytest.approx(self.expected, abs=1e-9)


@pytest.fixture
def recipe(
    table: pa.Table, folders: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Recipe:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folders("gaussian"), "model")
    Path("rows").mkdir()
    for part in range(2):
        pq.write_table(table.slice(150 * part, 150), f"rows/part-{part}.parquet")
    return Recipe(table, Path("model").resolve())
