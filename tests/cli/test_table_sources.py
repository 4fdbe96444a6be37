"""Tables that commands read: piped in, with options to paste, and with notes of what is skipped."""

import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from logpx import load


def test_a_piped_table_is_scored(logpx, exact: Path, tables: Path, monkeypatch):
    expected = load(exact).log_prob(tables / "test.csv").numpy()
    with (tables / "test.csv").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        ended = logpx("score", exact, "-", "-q")
    scores = pyarrow.csv.read_csv(pa.BufferReader(ended.out.encode()))
    assert np.array_equal(scores["log_prob"].to_numpy(), expected)


def test_the_options_of_errors_can_be_pasted(logpx, tmp_path: Path):
    rows = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{a:.6f},{'c118' if index == 7 else index % 3},{b:.6f}" for index, (a, b) in enumerate(rows)]
    (tmp_path / "t.csv").write_text('x,"code, old",y\n' + "\n".join(lines))
    words = ["fit", tmp_path / "t.csv", "-o", tmp_path / "m", "-m", "gaussian", "--columns", "y=drop"]
    ended = logpx(*words)
    assert ended.status == 3
    options = [shlex.split(option) for option in re.findall(r"--columns '[^']*'", ended.err)]
    assert len(options) == 2
    for option in options:
        assert logpx(*words, *option, "--overwrite").status == 0
    assert load(tmp_path / "m").schema.modelled_names == ["x"]
    assert logpx(*words, "--columns", "y=continuous", *option, "--overwrite").status == 0
    assert load(tmp_path / "m").schema.modelled_names == ["x", "y"]


def test_a_command_offers_no_option_that_it_does_not_have(logpx, exact: Path, tmp_path: Path):
    (tmp_path / "new.csv").write_text("a,b\n1.5,2.5\n1.5,x\n")
    for command in ("score", "evaluate", "impute", "cluster"):
        ended = logpx(command, exact, tmp_path / "new.csv")
        assert ended.status != 0
        assert "--columns" not in ended.err


def test_what_is_skipped_is_said_by_every_command(logpx, exact: Path, tables: Path, tmp_path: Path):
    (tmp_path / "new.csv").write_text("# made by x\n" + (tables / "test.csv").read_text())
    for command in ("score", "evaluate", "impute"):
        ended = logpx(command, exact, tmp_path / "new.csv")
        assert ended.status == 0, ended.err
        assert ended.err.count("note: the line above the header is skipped") == 1
    ended = logpx("fit", tmp_path / "new.csv", "-o", tmp_path / "m", "-m", "gaussian")
    assert ended.err.count("the line above the header is skipped") == 1
