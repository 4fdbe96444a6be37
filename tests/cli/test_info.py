"""``logpx info``: what a folder holds, and whether it is intact."""

import shutil
from pathlib import Path

import pytest

from logpx.flows import NICE
from logpx.storage import FORMAT_VERSION, save


@pytest.mark.slow
def test_info_as_a_process(process, bound: Path):
    ended = process("info", bound)
    assert ended.status == 0, ended.err
    for text in (
        "gaussian",
        "lower bound, in nats",
        "± ",
        "300 to train",
        "identifier",
        "integer",
        "tried",
        "logpx",
    ):
        assert text in ended.out
    assert ended.err == ""


def test_info_as_json(logpx, bound: Path):
    document = logpx("info", bound, "--json").document
    assert document["folder"] == str(bound)
    assert document["config"]["format_version"] == FORMAT_VERSION
    assert [column["name"] for column in document["schema"]["columns"]] == ["id", "count", "a", "b"]
    assert document["metrics"]["kind"] == "lower bound"
    scales = {one["column"]: one["scale"] for one in document["metrics"]["scales"]}
    assert set(scales) == {"count", "a", "b"}


def test_reasons_and_scales_are_shown(logpx, bound: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    scales = {
        one["column"]: one["scale"] for one in logpx("info", bound, "--json").document["metrics"]["scales"]
    }
    lines = logpx("info", bound).out.splitlines()
    row = next(line for line in lines if line.startswith("count"))
    assert scales["count"] in row
    assert "whole numbers" in row


@pytest.mark.parametrize("columns", ["80", None])
def test_lines_fit_a_narrow_terminal(
    logpx, bound: Path, monkeypatch: pytest.MonkeyPatch, columns: str | None
):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    lines = logpx("info", bound).out.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("count"))
    assert "integer" in row
    assert "whole numbers" not in row


def test_model_of_arrays(logpx, tmp_path: Path):
    save(NICE(2), tmp_path / "flow")
    ended = logpx("info", tmp_path / "flow")
    assert ended.status == 0
    assert "NICE" in ended.out


@pytest.mark.parametrize("command", ["info", "score", "sample", "evaluate"])
@pytest.mark.parametrize(
    "damage", ["missing weights", "truncated weights", "truncated config", "no folder", "foreign"]
)
def test_bad_folder(logpx, exact: Path, tables: Path, tmp_path: Path, command: str, damage: str):
    folder = Path(shutil.copytree(exact, tmp_path / "model"))
    if damage == "missing weights":
        (folder / "model.safetensors").unlink()
    elif damage == "no folder":
        shutil.rmtree(folder)
    elif damage == "foreign":
        (folder / "config.json").write_text('{"model_type": "bert"}')
    else:
        path = folder / ("model.safetensors" if damage == "truncated weights" else "config.json")
        path.write_bytes(path.read_bytes()[:-7])
    words = {
        "score": [tables / "test.csv"],
        "evaluate": [tables / "test.csv"],
        "sample": ["-n", "3"],
        "info": [],
    }
    ended = logpx(command, folder, *words[command])
    assert ended.status == 4
    assert ended.out == ""
    error, fix = ended.err.strip().splitlines()
    assert str(folder) in error
    assert fix.startswith("fix: ")
