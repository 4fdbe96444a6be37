"""Whatever a text file looks like, its cells come back, its labels have one meaning, and samples fit in."""

import csv
import datetime
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logpx.tables import fit_table

ROWS = 60
few = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
START = datetime.datetime(2019, 3, 1)


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def dates(form: str, unit: str, most: int) -> Callable[[np.random.Generator], list[str]]:
    """Return what draws dates in a format."""
    return lambda random: [
        (START + datetime.timedelta(**{unit: int(value)})).strftime(form)
        for value in random.integers(0, most, ROWS)
    ]


def chosen(*labels: str) -> Callable[[np.random.Generator], list[str]]:
    """Return what draws labels."""
    return lambda random: [labels[place] for place in random.integers(0, len(labels), ROWS)]


@dataclass(frozen=True)
class Cells:
    """How cells of a column are drawn, and what every one of them looks like."""

    draw: Callable[[np.random.Generator], list[str]]
    form: str


KINDS = {
    "euros": Cells(lambda r: [f"{german(x)} €" for x in r.lognormal(6, 2, ROWS)], r"-?[\d.]+,\d\d €"),
    "dollars": Cells(lambda r: [f"${x:,.2f}" for x in r.lognormal(6, 2, ROWS)], r"-?\$[\d,]+\.\d\d"),
    "loss": Cells(
        lambda r: [f"({-x:,.0f})" if x < 0 else f"{x:,.0f}" for x in r.normal(0, 5000, ROWS)],
        r"\(?[\d,]+\)?",
    ),
    "share": Cells(lambda r: [f"{x:.1f}%" for x in np.clip(r.normal(50, 60, ROWS), 0, 100)], r"\d+\.\d%"),
    "weight": Cells(lambda r: [f"{x:.1f} kg" for x in r.normal(70, 10, ROWS)], r"-?\d+\.\d kg"),
    "count": Cells(lambda r: [str(x) for x in r.poisson(2, ROWS)], r"\d+"),
    "rain": Cells(
        lambda r: [f"{x:.2f}" for x in np.where(r.random(ROWS) < 0.6, 0, r.gamma(2, 9, ROWS))], r"[\d.]+"
    ),
    "code": Cells(lambda r: [f"{x:05d}" for x in r.integers(501, 99_999, ROWS)], r"\d{5}"),
    "price": Cells(lambda r: [f"{x:.2f}" for x in r.gamma(2, 20, ROWS)], r"-?\d+(\.\d\d?)?"),
    "tail": Cells(lambda r: [repr(float(x)) for x in r.standard_t(1.5, ROWS)], r"-?[\d.e+-]+"),
    "iso": Cells(dates("%Y-%m-%d", "days", 900), r"\d{4}-\d\d-\d\d"),
    "zoned": Cells(dates("%Y-%m-%dT%H:%M:%S+02:00", "minutes", 90_000), r"[-\d]{10}T[:\d]{8}\+02:00"),
    "whole": Cells(dates("%Y%m%d", "days", 900), r"\d{8}"),
    "month": Cells(dates("%Y-%m", "days", 3000), r"\d{4}-\d\d"),
    "clock": Cells(dates("%H:%M", "minutes", 1440), r"\d\d:\d\d"),
    "truth": Cells(chosen("TRUE", "FALSE"), "TRUE|FALSE"),
    "answer": Cells(chosen("yes", "no", "= 1", 'say "so"', "a, b", "two\nlines"), r"(?s).+"),
}
LABELS = ["truth", "answer"]
files = st.fixed_dictionaries(
    {
        "kinds": st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=5, unique=True),
        "delimiter": st.sampled_from(",;\t|"),
        "end": st.sampled_from(["\n", "\r\n"]),
        "above": st.sampled_from(["", "\ufeff", "# made by x\n"]),
        "missing": st.sampled_from(["", "NA", "n/a"]),
        "seed": st.integers(0, 99),
    }
)


def rows_of(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def write_table(path: Path, rows: list[list[str]], like: dict[str, Any]) -> None:
    """Write rows as a file of a kind."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=like["delimiter"], lineterminator=like["end"]).writerows(rows)
    path.write_bytes((like["above"] + text.getvalue()).encode())


def table_of(like: dict[str, Any]) -> list[list[str]]:
    """Return names and rows, with some cells missing, but for those of the first column."""
    random = np.random.default_rng(like["seed"])
    columns = [KINDS[kind].draw(random) for kind in like["kinds"]]
    for column in columns[1:]:
        for row in np.flatnonzero(random.random(ROWS) < 0.1):
            column[row] = like["missing"]
    return [like["kinds"], *map(list, zip(*columns, strict=True))]


@few
@given(like=files)
def test_cells_come_back_and_new_ones_look_like_them(logpx_main, tmp_path: Path, like: dict[str, Any]):
    rows = table_of(like)
    write_table(tmp_path / "a.csv", rows, like)
    words = ["-m", "gaussian", "--time", "1s", "-q", "--overwrite"]
    assert logpx_main("fit", tmp_path / "a.csv", "-o", tmp_path / "m", *words) == 0
    for name, options in (("b.csv", []), ("c.csv", ["--draws", "2"])):
        target = ["-o", tmp_path / name, "-q", "--overwrite"]
        assert logpx_main("impute", tmp_path / "m", tmp_path / "a.csv", *target, *options) == 0
        filled = rows_of((tmp_path / name).read_bytes().decode(), like["delimiter"])
        assert filled[0] == [*(["draw"] if options else []), *rows[0]]
        whole = filled[1:]
        assert len(whole) == ROWS * (2 if options else 1)
        for place, new in enumerate(whole):
            for kind, old, cell in zip(rows[0], rows[1 + place % ROWS], new[bool(options) :], strict=True):
                assert cell == old or (old == like["missing"] and re.fullmatch(KINDS[kind].form, cell))


@few
@given(like=files, model=st.sampled_from(["gaussian", "autoregressive", "vae"]))
def test_samples_look_like_the_table_and_are_possible(tmp_path: Path, like: dict[str, Any], model: str):
    rows = table_of(like)
    write_table(tmp_path / "a.csv", rows, like)
    fitted = fit_table(tmp_path / "a.csv", model, max_time=1).model
    drawn = fitted.sample(100, seed=like["seed"])
    assert torch.isfinite(fitted.log_prob(drawn)).all()
    for column in fitted.schema.modelled:
        cells = drawn.column(column.name)
        if pa.types.is_string(cells.type):
            assert all(re.fullmatch(KINDS[column.name].form, cell) for cell in cells.to_pylist())
        else:
            values = cells.to_numpy()
            assert column.lower is None or values.min() >= column.lower
            assert column.upper is None or values.max() <= column.upper
            on_grid = column.step is not None and column.uniform
            assert not on_grid or np.allclose(values, np.round(values / column.step) * column.step)
        if column.levels is not None:
            assert set(cells.to_pylist()) <= {row[like["kinds"].index(column.name)] for row in rows[1:]}


@few
@given(
    like=files, spelling=st.sampled_from([str.lower, str.title, lambda text: {"TRUE": "1"}.get(text, "0")])
)
def test_labels_mean_the_same_in_a_file_and_in_a_frame(
    tmp_path: Path, like: dict[str, Any], spelling: Callable[[str], str]
):
    like = like | {"kinds": [*LABELS, *(kind for kind in like["kinds"] if kind not in LABELS)], "missing": ""}
    rows = table_of(like)
    write_table(tmp_path / "a.csv", rows, like)
    model = fit_table(tmp_path / "a.csv", "gaussian", max_time=1).model
    expected = model.log_prob(tmp_path / "a.csv")
    assert torch.isfinite(expected).all()
    above = like["above"].startswith("#")
    frame = pd.read_csv(tmp_path / "a.csv", sep=like["delimiter"], skiprows=int(above), encoding="utf-8-sig")
    assert frame["truth"].dtype == bool
    for same in (
        frame,
        frame.assign(truth=frame["truth"].astype(float)),
        frame.astype({"truth": "category"}),
    ):
        assert torch.equal(model.log_prob(same), expected)
        assert model.unseen_labels(same) == []
    place = rows[0].index("truth")
    other = [[*row[:place], spelling(row[place]), *row[place + 1 :]] for row in rows[1:]]
    write_table(tmp_path / "b.csv", [rows[0], *other], like)
    assert torch.equal(model.log_prob(tmp_path / "b.csv"), expected)
