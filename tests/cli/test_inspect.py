"""``logpx inspect``: schema, reasons and problems, and what ``logpx fit`` makes of its answers."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from logpx.tables import Schema


@pytest.fixture
def table(tmp_path: Path) -> Path:
    draw = np.random.default_rng(3)
    rows = [
        f"{1000 + 7 * i},{draw.choice(['N1', 'S2'])},{draw.normal():.6f},{draw.lognormal(2, 2):.2f},x"
        for i in range(200)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["customer_id,zip,z,price,k", *rows, ""]))
    return tmp_path / "table.csv"


def test_the_schema_with_reasons_and_pins(logpx, table: Path):
    ended = logpx("inspect", table)
    assert ended.status == 0, ended.err
    lines = {line.split()[0]: line for line in ended.out.splitlines()}
    assert "all above 0, over" in lines["price"]
    assert lines["price"].rstrip().endswith("a grid of 0.01")
    assert "identifier" in lines["customer_id"]
    assert "left out, 2 of 5 columns: 'customer_id' (identifier), 'k' (constant)" in ended.out
    option = "--columns customer_id=identifier,zip=categorical,z=continuous,price=positive,k=constant"
    assert f"to pin the kinds: {option}" in ended.out


def test_the_schema_goes_into_a_file_that_fit_takes(logpx, table: Path, tmp_path: Path):
    ended = logpx("inspect", table, "-o", tmp_path / "schema.json", "--columns", "zip=drop")
    assert ended.status == 0, ended.err
    schema = Schema.from_json((tmp_path / "schema.json").read_bytes())
    assert schema.modelled_names == ["z", "price"]
    checked = logpx("inspect", table, "--schema", tmp_path / "schema.json", "--json")
    assert checked.status == 0, checked.err
    assert checked.document["problems"] == []
    fitted = logpx(
        "fit", table, "--schema", tmp_path / "schema.json", "-o", tmp_path / "m", "-m", "gaussian", "--json"
    )
    assert fitted.status == 0, fitted.err
    assert fitted.document["schema"] == json.loads((tmp_path / "schema.json").read_text())["columns"]
    again = logpx("inspect", table, "-o", tmp_path / "schema.json")
    assert again.status == 2
    assert "--overwrite" in again.err
    assert logpx("inspect", table, "-o", tmp_path / "schema.json", "--overwrite").status == 0
    assert len(Schema.from_json((tmp_path / "schema.json").read_bytes()).modelled) == 3


def test_an_edited_schema_does_not_keep_its_reasons(logpx, table: Path, tmp_path: Path):
    place = tmp_path / "schema.json"
    assert logpx("inspect", table, "-o", place).status == 0
    content = json.loads(place.read_text())
    before = {column["name"]: column["reason"] for column in content["columns"]}
    edited = next(column for column in content["columns"] if column["name"] == "zip")
    edited.update(kind="drop", levels=None)
    place.write_text(json.dumps(content))
    shown = logpx("inspect", table, "--schema", place, "--json").document["schema"]
    after = {column["name"]: column["reason"] for column in shown}
    assert after["zip"] != before["zip"]
    assert {name: after[name] for name in after if name != "zip"} == {
        name: before[name] for name in before if name != "zip"
    }


def test_the_pasted_option_leads_to_the_same_fit(logpx, table: Path, tmp_path: Path):
    option = logpx("inspect", table, "--json").document["option"]
    words = shlex.split(option)
    one, other = (
        logpx("fit", table, "-o", tmp_path / name, "-m", "gaussian", "--json", *pinned)
        for name, pinned in (("m1", []), ("m2", words))
    )
    assert one.status == other.status == 0, other.err
    kinds = [[(c["name"], c["kind"]) for c in ended.document["schema"]] for ended in (one, other)]
    assert kinds[0] == kinds[1]


def test_problems_end_in_the_exit_code_of_bad_data(logpx, tmp_path: Path):
    rows = [f"{i}.5,{'bad' if i == 40 else i * 1.5},{'oops' if i == 50 else i % 3}" for i in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,m,n", *rows, ""]))
    ended = logpx("inspect", tmp_path / "t.csv", "-o", tmp_path / "s.json", "--columns", "x=integer")
    assert ended.status == 3
    assert [f"problem {k} of 3: " in ended.out for k in (1, 2, 3)] == [True] * 3
    assert "some values have fractions" in ended.out
    assert "'bad'" in ended.out
    assert os.listdir(tmp_path) == ["t.csv"]
    as_json = logpx("inspect", tmp_path / "t.csv", "--columns", "x=integer", "--json")
    assert as_json.status == 3
    problems = as_json.document["problems"]
    assert [problem["column"] for problem in problems] == ["x", "m", "n"]
    assert all(problem["fix"] for problem in problems)
    refused = logpx("fit", tmp_path / "t.csv", "--columns", "x=integer", "-o", tmp_path / "model", "--json")
    assert refused.status == 3
    for problem in problems:
        assert problem["message"] in refused.document["error"]["message"]
    # The schema is shown even where a fit refuses it.
    assert "fractions" in refused.err
    assert refused.err.splitlines()[0].startswith("column")


def test_fit_prints_the_schema_and_what_it_leaves_out(logpx, table: Path, tmp_path: Path):
    shown = logpx("inspect", table).out.splitlines()
    ended = logpx("fit", table, "-o", tmp_path / "model", "-m", "gaussian")
    assert ended.status == 0, ended.err
    said = ended.err.splitlines()
    assert [line for line in shown[1:8] if line not in said] == []
    assert "left out, 2 of 5 columns: 'customer_id' (identifier), 'k' (constant)" in said


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nothing.csv"], 2, "no such file"),
        (["table.csv", "--columns", "zap=drop"], 2, "no such column"),
        (["table.csv", "-o", "nowhere/s.json"], 6, "no such folder"),
        (["table.csv", "--schema", "none.json"], 2, "cannot be read"),
        (["mnist"], 2, "logpx inspect is for tables"),
    ],
)
def test_mistakes(logpx, table: Path, monkeypatch, words: list[str], status: int, message: str):
    monkeypatch.chdir(table.parent)
    ended = logpx("inspect", *words)
    assert ended.status == status, ended.err
    assert message in ended.err
    assert "fix: " in ended.err
