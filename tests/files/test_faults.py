"""What commands write with ``-o``: whatever operation on the disk fails or dies, the old file or the new one.

Tables go through one writer (score, sample, impute, predict, anomalies, cluster), single files through
another function (report, a schema of inspect, images); folders of models and parts have tests of their own.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import logpx
from logpx.errors import ResourceError
from logpx.files import flushing, single
from logpx.tables import writer

OPERATIONS = ("fsync", "replace", "unlink", "open", "close")
OLD = b"what was there before"
ELSE = (errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT)


class Dead(BaseException):
    """The process is gone: nothing after this runs."""


class Disk:
    """Stands in for ``os`` and ``open``; operation k fails, and if the process dies, all later ones, too."""

    def __init__(self, fail_at: int | None, error: BaseException) -> None:
        self.fail_at, self.error, self.count = fail_at, error, 0

    def look(self) -> None:
        self.count += 1
        late = self.fail_at is not None and self.count >= self.fail_at
        if late and (isinstance(self.error, Dead) or self.count == self.fail_at):
            raise self.error

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self.failing(real) if name in OPERATIONS else real

    def failing(self, real: Callable) -> Callable:
        def operation(*own: Any, **options: Any) -> Any:
            self.look()
            return real(*own, **options)

        return operation

    def opened(self, *own: Any) -> "Stream":
        self.look()
        return Stream(self, open(*own))


class Stream:
    """A file whose writes, flushes and closing may fail."""

    def __init__(self, disk: Disk, file: Any) -> None:
        self._disk, self._file = disk, file

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        if name not in ("write", "flush", "close"):
            return found

        def operation(*own: Any) -> Any:
            if name == "close":
                found()
            self._disk.look()
            return found(*own)

        return operation

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_table(path: Path) -> None:
    with writer.open_writer(path, ["a", "b"], overwrite=True) as out:
        for _ in range(2):
            out.write(np.zeros((50, 2)))


def write_file(path: Path) -> None:
    single.install_file(b"new" * 1000, str(path))


@contextmanager
def on(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for module in (writer, single, flushing):
            patch.setattr(module, "os", disk)
            patch.setattr(module, "open", disk.opened, raising=False)
        yield


@pytest.mark.parametrize(
    "error",
    [
        Dead(),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        *(pytest.param(OSError(code, os.strerror(code)), marks=pytest.mark.slow) for code in ELSE),
    ],
    ids=lambda error: getattr(error, "strerror", None) or "dies",
)
@pytest.mark.parametrize(
    ("name", "write", "before"),
    [
        ("a.csv", write_table, False),
        ("a.csv", write_table, True),
        ("a.csv.gz", write_table, True),
        ("a.parquet", write_table, True),
        ("a.html", write_file, True),
    ],
)
def test_faults_at_every_operation(
    tmp_path: Path, monkeypatch, name: str, write: Callable, before: bool, error: BaseException
):
    counting = Disk(None, error)
    with on(counting, monkeypatch):
        write(tmp_path / name)
    new = (tmp_path / name).read_bytes()
    assert counting.count >= 6
    seen = set()
    for k in range(1, counting.count + 1):
        folder = tmp_path / str(k)
        folder.mkdir()
        if before:
            (folder / name).write_bytes(OLD)
        raised: BaseException | None = None
        with on(Disk(k, error), monkeypatch):
            try:
                write(folder / name)
            except (Dead, ResourceError) as caught:
                raised = caught
        found = (folder / name).read_bytes() if (folder / name).exists() else None
        assert found in ((OLD if before else None), new), k
        seen.add(found)
        if isinstance(raised, ResourceError):
            assert raised.exit_code == 6
            assert raised.fix
        elif raised is None:
            # Only tidying up and flushing the folder may fail in silence.
            assert found == new
        write(folder / name)
        assert (folder / name).read_bytes() == new
    assert seen == {OLD if before else None, new}


# Where files are opened for writing: the layer that is tested here and beside this, copies of what comes in
# that are removed again, and what other libraries read at once.
WRITERS = {
    "files/lock.py",
    "files/places.py",
    "images/reading/data_sets.py",
    "images/reading/download.py",
    "mlflow.py",
    "tables/reading/standard_input.py",
    "cli/streams.py",
}


def test_nothing_else_writes_files():
    root = Path(logpx.__file__).parent
    pattern = re.compile(r"""\.write_(text|bytes)\(|\bopen\([^)]*["'][wa]b?["']""")
    found = {
        path.relative_to(root).as_posix() for path in root.rglob("*.py") if pattern.search(path.read_text())
    }
    assert found == WRITERS
