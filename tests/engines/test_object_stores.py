"""Parts in an object store: read from and written to a local S3 server that the test starts."""

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from logpx.cli import main
from logpx.files import places

Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip(
        "moto.server", reason="moto is not installed: make test-engines", exc_type=ImportError
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, names=itertools.count()) -> tuple[str, str]:  # noqa: B008
    """A bucket, and the query that leads to the server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    query = f"?region=us-east-1&scheme=http&endpoint_override={server}&allow_bucket_creation=true"
    name = f"bucket-{next(names)}"
    store, path = pa.fs.FileSystem.from_uri(f"s3://{name}{query}")
    store.create_dir(path)
    return f"s3://{name}", query


def test_scores_of_parts_in_a_bucket(folders: Folders, table: pa.Table, bucket, tmp_path: Path, capfd):
    address, query = bucket
    store, path = pa.fs.FileSystem.from_uri(f"{address}{query}")
    (tmp_path / "parts").mkdir()
    for number in range(3):
        pq.write_table(table.slice(100 * number, 100), tmp_path / f"parts/{number}.parquet")
    pa.fs.copy_files(str(tmp_path / "parts"), f"{path}/parts", destination_filesystem=store)
    local = ["score", str(folders("gaussian")), str(tmp_path / "parts"), "-o", f"{tmp_path}/scores/", "-q"]
    assert main(local) == 0
    for source in (f"{address}/parts/*.parquet{query}", f"{address}/parts{query}"):
        words = ["score", str(folders("gaussian")), source, "-o", f"{address}/scores{query}", "--resume"]
        assert main(words) == 0
        for number in range(3):
            found = pq.read_table(f"{path}/scores/{number}.parquet", filesystem=store)
            assert found.equals(pq.read_table(tmp_path / f"scores/{number}.parquet"))
    noted = capfd.readouterr().err
    assert noted.count("100 rows") == 3
    assert noted.count("finished before") == 3
    listed = store.get_file_info(pa.fs.FileSelector(f"{path}/scores"))
    assert sorted(info.base_name for info in listed) == ["0.parquet", "1.parquet", "2.parquet", "_logpx"]


def test_errors_name_the_address(folders: Folders, bucket, tmp_path: Path, capfd):
    address, query = bucket
    store, path = pa.fs.FileSystem.from_uri(f"{address}{query}")
    with store.open_output_stream(f"{path}/parts/a.parquet") as stream:
        stream.write(b"no table")
    words = ["score", str(folders("gaussian")), f"{address}/parts/*{query}", "-o", f"{tmp_path}/scores/"]
    assert main(words) == 3
    assert f"{address}/parts/a.parquet: not a readable Parquet file" in capfd.readouterr().err
    words[2] = f"{address}/nothing/*.parquet{query}"
    assert main(words) == 2
    assert "no such file or folder" in capfd.readouterr().err


def test_stores_without_atomic_uploads_rename(tmp_path: Path):
    """What an HDFS does, tried on a file system of the same interface."""
    inside = pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem())
    place = places.StorePlace(inside, "folder", "store://folder")
    place.write("a.json", b"one")
    place.write("a.json", b"two")
    assert place.read("a.json") == b"two"
    assert place.read("b.json") is None
    assert place.fingerprint("a.json")["bytes"] == 3
    assert [facts.name for facts in place.find("*.json")] == ["a.json"]
    assert [entry.name for entry in (tmp_path / "folder").iterdir()] == ["a.json"]
    with place.fetched("a.json") as path:
        assert Path(path).read_bytes() == b"two"
