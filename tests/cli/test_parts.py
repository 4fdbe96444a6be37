"""Tables in many files: parts, shards, restarts, and what of an interrupted run is kept."""

import errno
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logpx.files import places


@pytest.fixture(scope="module")
def parts(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table with counts in five Parquet files of different lengths, two of them in a folder below."""
    folder = tmp_path_factory.mktemp("parts")
    table = pa.csv.read_csv(tables / "test-counts.csv")
    (folder / "more").mkdir()
    names = ["a.parquet", "b.parquet", "c.parquet", "more/a.parquet", "more/b.parquet"]
    for name, start, stop in zip(names, (0, 37, 150, 151, 300), (37, 150, 151, 300, 400), strict=True):
        pq.write_table(table.slice(start, stop - start), folder / name)
    (folder / "_SUCCESS").write_text("")
    return folder


def joined(folder: Path) -> pa.Table:
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.parquet"))
    return pa.concat_tables([pq.read_table(folder / file) for file in files])


def test_parts_hold_what_one_file_would(logpx, bound: Path, tables: Path, parts: Path, tmp_path: Path):
    whole = tmp_path / "whole.parquet"
    assert logpx("score", bound, tables / "test-counts.csv", "-o", whole, "--keep", "id", "-q").status == 0
    outputs = tmp_path / "scores"
    for shard in ("2/3", "1/3", "3/3"):
        ended = logpx("score", bound, parts, "-o", f"{outputs}/", "--shard", shard, "--keep", "id", "--json")
        assert ended.status == 0, ended.err
    own, expected = joined(outputs), pq.read_table(whole)
    assert own.column("id").equals(expected.column("id"))
    for name in ("log_prob_lower", "log_prob_se"):
        assert own.column(name).to_numpy() == pytest.approx(expected.column(name).to_numpy(), abs=1e-9)
    # All parts were finished by the shards.
    ended = logpx("score", bound, parts, "-o", outputs, "--resume", "--keep", "id", "--json")
    assert (ended.document["parts"], ended.document["finished_before"]) == (5, 5)
    assert ended.document["rows"] == 400
    alone = logpx(
        "score", bound, tables / "test-counts.csv", "-o", tmp_path / "b.csv", "--keep", "id", "--json"
    )
    shared = alone.document.keys() - {"output"}
    assert {"standard_error", "outside", "kind", "columns", "rows"} <= shared
    for name in shared:
        assert ended.document[name] == pytest.approx(alone.document[name]), name


def test_damaged_missing_and_changed_parts_are_made_again(logpx, bound: Path, parts: Path, tmp_path: Path):
    own = shutil.copytree(parts, tmp_path / "parts")
    words = ("score", bound, f"{own}/*.parquet", "-o", f"{tmp_path}/scores/", "--resume", "--json")
    assert logpx(*words).document["finished_before"] == 0
    made = {file.name: file.read_bytes() for file in (tmp_path / "scores").glob("*.parquet")}
    (tmp_path / "scores/a.parquet").write_bytes(made["a.parquet"][:-1])
    (tmp_path / "scores/b.parquet").unlink()
    assert logpx(*words).document["finished_before"] == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "scores").glob("*.parquet")} == made
    # One row less moves the numbers of all rows behind it.
    table = pq.read_table(own / "a.parquet")
    pq.write_table(table.slice(1), own / "a.parquet")
    ended = logpx(*words)
    assert (ended.document["finished_before"], ended.document["rows"]) == (0, 150)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "already exists"),
        (("--resume", "--seed", "1"), "with other options: seed"),
        (("--resume", "--keep"), "with other options: keep"),
    ],
)
def test_finished_parts_are_not_replaced(logpx, bound: Path, parts: Path, tmp_path: Path, words, message):
    command = ("score", bound, f"{parts}/*.parquet", "-o", f"{tmp_path}/scores/")
    assert logpx(*command).status == 0
    before = (tmp_path / "scores/a.parquet").read_bytes()
    ended = logpx(*command, *words)
    assert ended.status == 2
    assert message in ended.err
    assert (tmp_path / "scores/a.parquet").read_bytes() == before
    assert logpx(*command, *words, "--overwrite").status == 0


def test_another_model_is_another_job(logpx, bound: Path, exact: Path, parts: Path, tmp_path: Path):
    assert logpx("score", bound, f"{parts}/*.parquet", "-o", f"{tmp_path}/scores/").status == 0
    copy = shutil.copytree(bound, tmp_path / "copy")
    words = (f"{parts}/*.parquet", "-o", f"{tmp_path}/scores/", "--resume")
    assert logpx("score", copy, *words).status == 0
    metrics = json.loads((copy / "metrics.json").read_text())
    from logpx import load, save

    save(load(copy), copy, overwrite=True, metrics={**metrics, "again": True})
    ended = logpx("score", copy, *words)
    assert ended.status == 2
    assert "by another model" in ended.err


def test_files_of_others_are_left_alone(logpx, bound: Path, parts: Path, tmp_path: Path):
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores/b.parquet").write_text("mine")
    ended = logpx("score", bound, f"{parts}/*.parquet", "-o", tmp_path / "scores", "--resume")
    assert ended.status == 2
    assert "not known to be of this work" in ended.err
    assert (tmp_path / "scores/b.parquet").read_text() == "mine"
    assert not (tmp_path / "scores/a.parquet").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "{parts}/", "--resume"), "one of the files of the table being read"),
        (("-o", "{tmp}/s/", "--shard", "4/3"), "the shard '4/3'"),
        (("-o", "{tmp}/s/", "--shard", "three"), "the shard 'three'"),
        (("--shard", "1/3"), "parts cannot go to stdout"),
        (("-o", "nosuch://bucket/scores"), "not an address"),
    ],
)
def test_what_cannot_be_asked_for(logpx, bound: Path, parts: Path, tmp_path: Path, words, message):
    words = [word.format(parts=parts, tmp=tmp_path) for word in words]
    ended = logpx("score", bound, f"{parts}/*.parquet", *words)
    assert ended.status == 2
    assert message in ended.err


def test_no_parts(logpx, bound: Path, parts: Path, tmp_path: Path):
    ended = logpx("score", bound, f"{tmp_path}/none/*.parquet", "-o", f"{tmp_path}/s/")
    assert ended.status == 2
    assert "no file of a table is here" in ended.err
    ended = logpx("score", bound, f"{parts}/*.parquet", "-o", f"{tmp_path}/s/", "--shard", "9/9", "--json")
    assert (ended.status, ended.document["parts"]) == (0, 0)


def test_errors_name_the_part(logpx, bound: Path, parts: Path, tmp_path: Path):
    own = shutil.copytree(parts, tmp_path / "parts")
    table = pq.read_table(own / "b.parquet").to_pydict()
    table["a"][4] = float("inf")
    pq.write_table(pa.table(table), own / "b.parquet")
    ended = logpx("score", bound, own, "-o", f"{tmp_path}/scores/", "--json")
    assert ended.status == 3
    error = ended.document["error"]
    assert (error["file"], error["row"], error["column"]) == (str(own / "b.parquet"), 5, "a")
    assert sorted(file.name for file in (tmp_path / "scores").glob("*.parquet")) == ["a.parquet"]


def test_keys_that_the_model_does_not_know_are_kept_if_named(
    logpx, exact: Path, tables: Path, tmp_path: Path
):
    table = pa.csv.read_csv(tables / "test.csv")
    stamped = table.append_column("time", pa.array(np.arange(table.num_rows)))
    pq.write_table(stamped, tmp_path / "stamped.parquet")
    words = ("score", exact, tmp_path / "stamped.parquet", "-o", tmp_path / "scores.parquet")
    ended = logpx(*words, "--keep", "time")
    assert ended.status == 0, ended.err
    assert pq.read_table(tmp_path / "scores.parquet").column_names == ["time", "row", "log_prob"]
    assert logpx(*words, "--overwrite").status == 3


def test_imputed_parts(logpx, bound: Path, parts: Path, tmp_path: Path):
    own = shutil.copytree(parts, tmp_path / "parts")
    table = pq.read_table(own / "b.parquet").to_pydict()
    table["a"][3:60] = [None] * 57
    pq.write_table(pa.table(table), own / "b.parquet")
    for number, draws in enumerate(([], ["--draws", "2"])):
        words = ("impute", bound, own, *draws, "-o", f"{tmp_path}/filled{number}/", "--resume", "--json")
        ended = logpx(*words)
        assert ended.status == 0, ended.err
        assert ended.document["rows"] == 400 * (2 if draws else 1)
        assert joined(tmp_path / f"filled{number}").column("a").null_count == 0
        assert logpx(*words).document["finished_before"] == 5


def test_csv_parts_stay_csv(logpx, bound: Path, tables: Path, tmp_path: Path):
    (tmp_path / "parts").mkdir()
    for name in "ab":
        shutil.copy(tables / "test-counts.csv", tmp_path / f"parts/{name}.csv")
    assert logpx("score", bound, tmp_path / "parts", "-o", f"{tmp_path}/scores/").status == 0
    one, other = (pa.csv.read_csv(tmp_path / f"scores/{name}.csv") for name in "ab")
    assert one.num_rows == other.num_rows == 400
    # Rows of the second part have numbers, and noise, of their own.
    assert one != other


class Failing:
    """A file layer in which call k of the operations that change a disk fails."""

    NAMES = ("replace", "fsync", "open", "mkdir", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, k: int, code: int, place: Path):
        self.calls, self.k, self.code, self.place = 0, k, code, str(place)
        for name in self.NAMES:
            patch.setattr(os, name, self.failing(getattr(os, name)))

    def failing(self, operation):
        def run(*own, **options):
            if operation.__name__ == "fsync" or self.place in str(own[0]):
                self.calls += 1
                if self.calls == self.k:
                    raise OSError(self.code, os.strerror(self.code))
            return operation(*own, **options)

        return run


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, pytest.param(errno.EIO, marks=SLOW), pytest.param(errno.EACCES, marks=SLOW)]
)
@pytest.mark.slow
def test_a_failing_disk_leaves_whole_parts(logpx, bound: Path, parts: Path, tmp_path: Path, code: int):
    outputs = tmp_path / "scores"
    words = ("score", bound, f"{parts}/[ab].parquet", "-o", f"{outputs}/", "--resume", "--draws", "1", "-q")
    assert logpx(*words).status == 0
    expected = {file.name: file.read_bytes() for file in outputs.glob("*.parquet")}
    failed = 0
    for k in range(1, 200):
        shutil.rmtree(outputs)
        with pytest.MonkeyPatch.context() as patch:
            layer = Failing(patch, k, code, tmp_path)
            ended = logpx(*words)
        if layer.calls < k:
            break
        assert ended.status in (0, 6), ended.err
        if ended.status:
            failed += 1
            assert "fix: " in ended.err
            assert "--resume" in ended.err
        left = {file.name: file.read_bytes() for file in outputs.glob("*.parquet")}
        assert left.items() <= expected.items()
        assert logpx(*words).status == 0
        assert {file.name: file.read_bytes() for file in outputs.glob("*.parquet")} == expected
    assert ended.status == 0
    assert failed >= 6
    # Nothing else is left behind.
    assert sorted(entry.name for entry in outputs.iterdir()) == ["_logpx", *sorted(expected)]


def test_a_killed_run_goes_on(started, logpx, bound: Path, tmp_path: Path):
    (tmp_path / "parts").mkdir()
    generator = np.random.default_rng(0)
    a = generator.lognormal(size=20_000)
    table = pa.table(
        {
            "id": [str(index) for index in range(20_000)],
            "count": generator.integers(0, 9, 20_000),
            "a": a,
            "b": a,
        }
    )
    for number in range(6):
        pq.write_table(table, tmp_path / f"parts/{number}.parquet")
    outputs = tmp_path / "scores"
    words = ("score", bound, f"{tmp_path}/parts/*.parquet", "-o", f"{outputs}/", "--resume", "--draws", "40")
    running = started(*words)
    while not (outputs / "1.parquet").exists():
        time.sleep(0.02)
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    ended = logpx(*words, "--json")
    assert ended.status == 0, ended.err
    assert 2 <= ended.document["finished_before"] < 6
    assert ended.document["rows"] == 120_000
    assert {entry.name for entry in outputs.iterdir()} == {
        "_logpx",
        *(f"{number}.parquet" for number in range(6)),
    }


def test_drafts_of_living_processes_stay(tmp_path: Path):
    place = places.LocalPlace(str(tmp_path))
    with place.draft("a.parquet") as one:
        Path(one).write_text("one")
        with place.draft("a.parquet") as other:
            assert one != other
            assert Path(one).read_text() == "one"
        place.put(one, "a.parquet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch):
    """Make this process one of several of a launcher."""

    def place(rank: int, size: int) -> None:
        for name, value in {"RANK": rank, "WORLD_SIZE": size}.items():
            monkeypatch.setenv(name, str(value))

    return place


@pytest.mark.parametrize("command", ["score", "impute"])
def test_each_process_of_a_launcher_writes_its_own_parts(
    logpx, bound: Path, parts: Path, tmp_path: Path, placed, command: str
):
    assert logpx(command, bound, parts, "-o", f"{tmp_path}/alone/", "-q").status == 0
    for rank in range(2):
        placed(rank, 2)
        ended = logpx(command, bound, parts, "-o", f"{tmp_path}/several/", "--json")
        assert ended.status == 0, ended.err
        assert (ended.document["shard"], ended.document["parts"]) == ([rank + 1, 2], 3 - rank)
    assert joined(tmp_path / "several").equals(joined(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("score", "-o", "scores.parquet"), "--shard 1/2"),
        (("impute", "-o", "filled.csv"), "--shard 1/2"),
        (("score", "-o", "scores/", "--shard", "1/2"), "leave out --shard"),
        (("evaluate",), "start it without the launcher"),
        (("predict", "--target", "a", "-o", "p.csv"), "start it without the launcher"),
        (("update", "-o", "model2"), "start it without the launcher"),
        (("sample", "-n", "10", "-o", "s.csv"), "start it without the launcher"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_processes_of_a_launcher_would_do_twice_is_refused(
    logpx, bound: Path, parts: Path, tmp_path: Path, placed, monkeypatch, words, says: str
):
    monkeypatch.chdir(tmp_path)
    placed(1, 2)
    command, *options = words
    source = [] if command == "sample" else [parts]
    ended = logpx(command, bound, *source, *options)
    assert ended.status == 2
    assert "this is process 1 of 2 of a launcher" in ended.err
    assert says in ended.err
    assert list(tmp_path.iterdir()) == []
