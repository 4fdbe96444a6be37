"""Model folders with hostile names, missing cells and labels, fitted once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import logpx
from logpx.report import Figure
from logpx.report.drawing import Drawing

HOSTILE = "<script>alert(1)</script>"


def rows(count: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    y = np.exp(x + 0.3 * rng.normal(size=count)).round(2)
    label = np.where(x > 0.3, "</td><img src=x onerror=alert(2)>", "b & c")
    return pa.table(
        {
            HOSTILE: x.round(4),
            "$price$": pa.array(y, mask=rng.random(count) < 0.1),
            "\"quoted' `name`": label,
        }
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of a table whose source is beside it."""
    place = tmp_path_factory.mktemp("reported")
    pyarrow.csv.write_csv(rows(900, 0), place / "table.csv")
    pyarrow.csv.write_csv(rows(300, 1), place / "new.csv")
    result = logpx.fit("gmm", str(place / "table.csv"), components=2, max_time=4)
    metrics = {"source": str(place / "table.csv"), **result.to_dict()}
    logpx.save(result.model, place / "model", metrics=metrics)
    return place


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures empty, where only words are tested."""

    def empty(self: Drawing, title: str, draw: object, **options: object) -> Figure:
        return Figure(svg="<svg></svg>", title=title)

    monkeypatch.setattr(Drawing, "figure", empty)
