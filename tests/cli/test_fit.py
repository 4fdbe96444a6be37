"""``logpx fit``: what is written, what is said, and every bad table."""

import errno
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import logpx as package
from logpx.files import folders
from logpx.tables import Schema


def test_fit_as_a_process(process, tables: Path, tmp_path: Path):
    folder = tmp_path / "deep/model"
    ended = process(
        "fit", tables / "train-counts.csv", "-o", folder, "-m", "gaussian", "--json", "--seed", "3"
    )
    assert ended.status == 0, ended.err
    document = ended.document
    assert document["model"] == str(folder)
    assert document["kind"] == "lower bound"
    assert document["seed"] == 3
    assert document["interrupted"] is False
    assert sum(one["chosen"] for one in document["candidates"]) == 1
    assert [column["name"] for column in document["schema"]] == ["id", "count", "a", "b"]
    assert "identifier" in ended.err
    assert "lower bound" in ended.err
    model = package.load(folder)
    assert model.schema == Schema.from_json((folder / "schema.json").read_text())
    card = (folder / "README.md").read_text()
    for text in ("lower bound of log p(x)", "± ", "| count | integer", "logpx score model", "| seed | 3 |"):
        assert text in card
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["rows"] == 400
    assert metrics["train_rows"] + metrics["validation_rows"] == 400


def test_quiet_says_nothing(logpx, tables: Path, tmp_path: Path):
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model", "-m", "gaussian", "--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_python_gives_the_same_model(logpx, tables: Path, tmp_path: Path):
    assert logpx("fit", tables / "train.csv", "-o", tmp_path / "model", "-m", "gaussian").status == 0
    loaded = package.load(tmp_path / "model")
    direct = package.fit("gaussian", tables / "train.csv").model
    rows = tables / "test.csv"
    assert loaded.log_prob(rows).tolist() == direct.log_prob(rows).tolist()


def test_columns_override_the_inferred_kinds(logpx, tables: Path, tmp_path: Path):
    kinds = "count=continuous,a=positive,b=drop"
    table = tables / "train-counts.csv"
    ended = logpx("fit", table, "-o", tmp_path / "model", "-m", "gaussian", "--columns", kinds, "--json")
    assert ended.status == 0, ended.err
    chosen = {column["name"]: column["kind"] for column in ended.document["schema"]}
    assert chosen == {"id": "identifier", "count": "continuous", "a": "positive", "b": "drop"}


def test_schema_of_another_model_can_be_edited_and_given(logpx, bound: Path, tables: Path, tmp_path: Path):
    schema = json.loads((bound / "schema.json").read_text())
    schema["columns"][3]["kind"] = "drop"
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    table = tables / "train-counts.csv"
    words = ["fit", table, "-o", tmp_path / "model", "-m", "gaussian", "--schema", tmp_path / "schema.json"]
    assert logpx(*words).status == 0
    assert package.load(tmp_path / "model").schema.modelled_names == ["count", "a"]
    assert logpx(*words, "--columns", "a=drop", "--overwrite").status == 2


@pytest.mark.parametrize(("content", "status"), [(None, 2), ("{", 3), ('{"columns": [{"name": 1}]}', 3)])
def test_bad_schema_file(logpx, tables: Path, tmp_path: Path, content: str | None, status: int):
    path = tmp_path / "schema.json"
    if content is not None:
        path.write_text(content)
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model", "--schema", path)
    assert ended.status == status
    assert str(path) in ended.err
    assert "fix: " in ended.err
    assert not (tmp_path / "model").exists()


def test_validation_table_is_used(logpx, tables: Path, tmp_path: Path):
    words = ["fit", tables / "train.csv", "-o", tmp_path / "model", "-m", "gaussian", "--json"]
    document = logpx(*words, "--validation", tables / "test.csv").document
    assert (document["train_rows"], document["validation_rows"]) == (400, 400)


@pytest.mark.parametrize(("name", "hint"), [("gausian", "gaussian"), ("RealNVP", "realnvp"), ("zzz", "auto")])
def test_unknown_model_suggests_the_nearest(logpx, tables: Path, tmp_path: Path, name: str, hint: str):
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model", "--model", name)
    assert ended.status == 2
    assert hint in ended.err.splitlines()[1]


def test_existing_model_needs_overwrite(logpx, exact: Path, tables: Path):
    before = {path.name: path.read_bytes() for path in exact.iterdir()}
    ended = logpx("fit", tables / "train.csv", "-o", exact)
    assert ended.status == 2
    assert "--overwrite" in ended.err
    assert {path.name: path.read_bytes() for path in exact.iterdir()} == before


def test_foreign_folder_is_kept(logpx, tables: Path):
    ended = logpx("fit", tables / "train.csv", "-o", tables, "--overwrite")
    assert ended.status == 2
    assert (tables / "train.csv").exists()


def test_unwritable_output_is_said_before_the_fit(logpx, tables: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("logpx.tables.fit_table", lambda *_, **__: pytest.fail("the fit began"))
    ended = logpx("fit", tables / "train.csv", "-o", tables / "train.csv/model", "--time", "1h")
    assert ended.status == 6
    assert "fix: " in ended.err


NUMBERS = "\n".join(f"{value:.6f},{value * value:.6f}" for value in np.random.default_rng(0).normal(size=50))
BAD_TABLES = {
    "empty file": (b"", 3, []),
    "header only": (b"a,b\n", 3, []),
    "one row": (b"a,b\n1.5,2.5\n", 3, []),
    "ragged rows": (f"a,b\n{NUMBERS}\n1,2,3\n".encode(), 3, ["row 51"]),
    "wrong encoding": ("a,b\n".encode("utf-16") + NUMBERS.encode("utf-16"), 3, []),
    "latin-1 header": (f"größe,b\n{NUMBERS}\n".encode("latin-1"), 3, []),
    "duplicate names": (f"a,a\n{NUMBERS}\n".encode(), 3, ["'a'"]),
    "only constants": (b"a,b\n" + b"1,2\n" * 50, 3, []),
    "infinity": (f"a,b\n{NUMBERS}\ninf,1\n".encode(), 3, ["'a'"]),
    "text in numbers": (f"a,b\n{NUMBERS}\n0.5,twelve\n".encode(), 3, ["'b'"]),
    "nothing but names": (b"a,b\n" + b"".join(b",name %d\n" % i for i in range(60)), 3, ["'a'", "'b'"]),
    "not text": (bytes(range(256)) * 20, 3, []),
}


def test_full_disk_is_said_before_the_fit(logpx, tables: Path, tmp_path: Path, monkeypatch):
    usage = folders.shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage)
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model", "-m", "gaussian")
    assert ended.status == 6
    assert "MB are free" in ended.err
    assert "validation" not in ended.err


@pytest.mark.parametrize("full_for", [(".model.tmp-",), (".model.tmp-", ".saved.json.tmp-")])
def test_model_is_kept_elsewhere_if_its_place_fails(
    logpx, tables: Path, tmp_path: Path, monkeypatch, full_for: tuple[str, ...]
):
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    write = folders._write_file

    def full(path: Path, content: bytes) -> None:
        if place in path.parents and path.parent.name.startswith(full_for):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(folders, "_write_file", full)
    ended = logpx("fit", tables / "train.csv", "-o", place / "model", "-m", "gaussian")
    (kept,) = elsewhere.iterdir()
    assert ended.status == 6
    assert f"the disk is full; the model is in {kept} instead\nfix: load it from there" in ended.err
    assert package.load(kept).schema.columns
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("rank", ["0", "1"])
def test_several_processes_that_cannot_meet(logpx, tables: Path, tmp_path, monkeypatch, rank):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model")
    assert ended.status == 2
    assert "fix: start them with torchrun" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_table(logpx, tmp_path: Path, name: str):
    content, status, mentions = BAD_TABLES[name]
    table = tmp_path / "table.csv"
    table.write_bytes(content)
    ended = logpx("fit", table, "-o", tmp_path / "model", "-m", "gaussian", "--json")
    assert ended.status == status, ended.err
    assert "Traceback" not in ended.err
    assert "fix: " in ended.err
    error = ended.document["error"]
    assert error["file"] == str(table)
    assert error["exit_code"] == status
    assert [text for text in mentions if text not in ended.err] == []
    assert os.listdir(tmp_path) == ["table.csv"]


def test_columns_without_a_value_and_of_names_are_left_out(logpx, tmp_path: Path):
    rows = [f"{index * index}.5,,name {index}" for index in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,c", *rows]))
    ended = logpx("fit", tmp_path / "table.csv", "-o", tmp_path / "model", "-m", "gaussian")
    assert ended.status == 0, ended.err
    assert "column 'b' is left out: no value in any row" in ended.err
    assert "column 'c' is left out: names the row" in ended.err
    assert "log p is that of the other columns" in ended.err


@pytest.mark.parametrize("name", ["nothing.csv", "nothing/*.csv", "table.rds"])
def test_table_that_is_not_there(logpx, tmp_path: Path, name: str):
    (tmp_path / "table.rds").write_bytes(b"RDX3")
    ended = logpx("fit", tmp_path / name, "-o", tmp_path / "model")
    assert ended.status == 2
    assert "fix: " in ended.err


def test_interrupt_keeps_the_best_model_so_far(started, tables: Path, tmp_path: Path):
    folder = tmp_path / "model"
    running = started("fit", tables / "train.csv", "-o", folder, "-m", "maf", "--time", "10m")
    said = ""
    while "modelled columns" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    time.sleep(2)
    running.send_signal(signal.SIGTERM)
    said += running.stderr.read()
    assert running.wait(60) == 143, said
    assert f"go on with: logpx resume {folder}" in said
    if folder.exists():
        assert "the best model so far was saved" in said
        assert package.load(folder).log_prob(tables / "test.csv").shape == (400,)
    assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == [".model.run"]


def test_rows_are_weighted_by_a_column(logpx, tables: Path, tmp_path: Path):
    lines = (tables / "train.csv").read_text().splitlines()
    table = tmp_path / "survey.csv"
    table.write_text(
        "\n".join([lines[0] + ",w", *(f"{line},{row % 3}" for row, line in enumerate(lines[1:]))])
    )
    words = ["fit", table, "-m", "gaussian", "--steps", "5"]
    ended = logpx(*words, "-o", tmp_path / "model", "--weights", "w")
    assert ended.status == 0, ended.err
    assert "weighted by 'w'" in ended.err
    assert "weighted by 'w'" in (tmp_path / "model" / "README.md").read_text()
    schema = json.loads((tmp_path / "model" / "schema.json").read_text())
    assert schema["columns"][-1]["kind"] == "weight"
    assert logpx("score", tmp_path / "model", table, "-o", tmp_path / "scores.csv").status == 0
    assert "weighted by 'w'" in logpx("evaluate", tmp_path / "model", table).err
    assert "lacks the column 'w'" in logpx("evaluate", tmp_path / "model", tables / "test.csv").err
    assert "'w'" in logpx("update", tmp_path / "model", table, "-o", tmp_path / "updated").err
    # The same words in a schema.
    words += ["-o", tmp_path / "again", "--schema", tmp_path / "model" / "schema.json"]
    assert logpx(*words).status == 0
    files = [tmp_path / name / "model.safetensors" for name in ("model", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_weights_that_make_no_sense(logpx, tables: Path, tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text(
        "a,b,w\n" + "".join(f"{row % 7}.5,{row % 5}.25,{-1 if row == 3 else 1}\n" for row in range(60))
    )
    words = ["fit", table, "-o", tmp_path / "model", "-m", "gaussian", "--weights"]
    ended = logpx(*words, "w")
    assert ended.status == 3
    assert "row 4" in ended.err
    assert "column 'w'" in ended.err
    assert logpx(*words, "weight").status == 2
    assert logpx(*words, "w", "--columns", "w=integer").status == 2
    assert not (tmp_path / "model").exists()
    images = tmp_path / "x.npy"
    np.save(images, np.zeros((4, 8, 8), np.uint8))
    assert "--weights is for tables" in logpx("fit", images, "-o", tmp_path / "m", "--weights", "w").err
