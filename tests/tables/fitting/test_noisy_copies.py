"""Rows on a grid are copied with other noise: no copy is called a row, and all rows count alike."""

import re
from pathlib import Path

import numpy as np
import pytest

import logpx
from logpx.cli import main
from logpx.report import Figure, write_report
from logpx.report.drawing import Drawing
from logpx.tables.families import climb
from logpx.tables.fitting import rows as rows_of_tables

ROWS = 400


def counts(seed: int = 0) -> dict[str, np.ndarray]:
    """Return whole numbers, which are spread over their cells with eight draws of noise."""
    rng = np.random.default_rng(seed)
    a = rng.normal(50.0, 12.0, ROWS)
    return {"a": a.round(), "b": (a + rng.normal(0.0, 4.0, ROWS)).round()}


@pytest.mark.parametrize(("there_is_time_for", "sample"), [(1000, None), (150, 150)])
def test_a_sample_is_one_of_rows_wherever_it_is_said(
    there_is_time_for: int,
    sample: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(
        climb, "_affordable", lambda model, rows, *_: (min(there_is_time_for, len(rows)), len(rows))
    )
    monkeypatch.setattr(
        Drawing, "figure", lambda self, title, draw, **_: Figure(svg="<svg></svg>", title=title)
    )
    table, folder, page = tmp_path / "table.csv", str(tmp_path / "model"), tmp_path / "report.html"
    table.write_text("a,b\n" + "".join(f"{a:g},{b:g}\n" for a, b in zip(*counts().values(), strict=True)))
    assert main(["fit", str(table), "-o", folder, "--model", "gmm", "--components", "2", "--time", "1h"]) == 0
    assert main(["info", folder]) == 0
    write_report(folder, page)
    said = capfd.readouterr()
    card = (tmp_path / "model/README.md").read_text(encoding="utf-8")
    for text in (said.err + said.out, said.out, page.read_text(encoding="utf-8"), card):
        found = set(re.findall(r"fitted to a sample of ([\d,]+) of ([\d,]+) rows", " ".join(text.split())))
        assert found == (set() if sample is None else {(str(sample), "300")})


def test_rows_set_aside_count_as_much_as_others_once_the_model_is_fitted_to_them(
    monkeypatch: pytest.MonkeyPatch,
):
    # As many draws of the training rows as of a table of a hundred thousand; of those aside, eight.
    monkeypatch.setattr(rows_of_tables, "_REPLICATED_NUMBERS", 1000)
    values = np.random.default_rng(2).normal(0.0, 1000.0, ROWS).round()
    model = logpx.fit("gaussian", {"a": values, "b": values[::-1].copy()}, max_steps=20).model
    (mean,) = model.impute({"a": [np.nan], "b": [np.nan]})["a"].to_pylist()
    assert abs(mean - values.mean()) < 2.0
