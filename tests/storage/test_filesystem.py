"""A save that fails or dies at any file operation leaves the old model or the new one."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from logpx.errors import ModelFolderError, ResourceError
from logpx.files import folders as filesystem
from logpx.files.claims import claimed
from logpx.flows import RealNVP
from logpx.storage import load, save

OPERATIONS = ("mkdir", "makedirs", "open", "write", "fsync", "close", "rename", "unlink", "rmdir")


class Crash(BaseException):
    """The process is gone: nothing after this runs."""


class Disk:
    """Stands in for ``os`` in the file layer and fails at operation k, once or from then on.

    After a crash every file that was not flushed is cut to nothing, as a power loss may do.
    """

    def __init__(
        self, fail_at: int | None, error: BaseException, forever: bool, drop_unflushed: bool = False
    ):
        self.fail_at, self.error, self.forever, self.drop = fail_at, error, forever, drop_unflushed
        self.count = 0
        self.unflushed: dict[int, str] = {}

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in OPERATIONS:
            return real

        def operation(*args, **kwargs):
            self.count += 1
            failing = self.fail_at is not None and (
                self.count >= self.fail_at if self.forever else self.count == self.fail_at
            )
            if failing:
                if name == "close":
                    real(*args, **kwargs)
                self.lose()
                raise self.error
            result = real(*args, **kwargs)
            if name == "open":
                self.unflushed[result] = os.fspath(args[0])
            elif name == "fsync":
                self.unflushed.pop(args[0], None)
            return result

        return operation

    def lose(self) -> None:
        if self.drop:
            for path in self.unflushed.values():
                if os.path.isfile(path):
                    os.truncate(path, 0)
            self.unflushed.clear()


OLD, NEW = (RealNVP(2, layers=2, hidden=(4,)) for _ in range(2))
with torch.no_grad():
    for _parameter in NEW.parameters():
        _parameter.add_(1.0)


def which(folder: Path) -> str | None:
    """Say whose weights a folder holds; a folder that is not there holds none, any other loads."""
    try:
        weights = load(folder).state_dict()
    except ModelFolderError as error:
        if error.message != "no such model folder":
            raise
        return None
    for name, model in (("old", OLD), ("new", NEW)):
        if all(torch.equal(weights[key], value) for key, value in model.state_dict().items()):
            return name
    raise AssertionError("neither the old nor the new model")


def attempt(monkeypatch, folder: Path, disk: Disk, overwrite: bool) -> BaseException | None:
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "os", disk)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                save(NEW, folder, overwrite=overwrite)
            assert all("saved and in place" in str(one.message) for one in caught)
        except (Crash, ResourceError) as error:
            return error
    return None


def count_operations(monkeypatch, folder: Path, overwrite: bool) -> int:
    disk = Disk(None, Crash(), forever=True)
    assert attempt(monkeypatch, folder, disk, overwrite) is None
    return disk.count


@pytest.mark.parametrize("overwrite", [False, True], ids=["first", "overwrite"])
@pytest.mark.parametrize("drop", [False, True], ids=["process dies", "power loss"])
def test_crash_at_any_operation(tmp_path: Path, monkeypatch, overwrite: bool, drop: bool):
    if overwrite:
        save(OLD, tmp_path / "counted")
    total = count_operations(monkeypatch, tmp_path / "counted", overwrite)
    assert total > 20
    seen = set()
    for k in range(1, total + 1):
        folder = tmp_path / f"crash-{k}"
        if overwrite:
            save(OLD, folder)
        error = attempt(monkeypatch, folder, Disk(k, Crash(), forever=True, drop_unflushed=drop), overwrite)
        assert isinstance(error, Crash)
        state = which(folder)
        assert state in ({"old", "new"} if overwrite else {None, "new"})
        seen.add(state)
        save(NEW, folder, overwrite=True)
        assert which(folder) == "new"
    assert seen == ({"old", "new"} if overwrite else {None, "new"})


@pytest.mark.parametrize(
    "code",
    [
        errno.ENOSPC,
        *(pytest.param(code, marks=pytest.mark.slow) for code in (errno.EACCES, errno.EIO, errno.EROFS)),
    ],
)
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
@pytest.mark.parametrize("overwrite", [False, True], ids=["first", "overwrite"])
def test_error_at_any_operation(tmp_path: Path, monkeypatch, code: int, forever: bool, overwrite: bool):
    if overwrite:
        save(OLD, tmp_path / "counted")
    total = count_operations(monkeypatch, tmp_path / "counted", overwrite)
    for k in range(1, total + 1):
        folder = tmp_path / f"fail-{k}"
        if overwrite:
            save(OLD, folder)
        disk = Disk(k, OSError(code, os.strerror(code)), forever)
        error = attempt(monkeypatch, folder, disk, overwrite)
        state = which(folder)
        if error is None:
            # Only tidying up after the new model is in place may fail in silence.
            assert state == "new"
            continue
        assert isinstance(error, ResourceError)
        assert error.exit_code == 6
        assert "fix:" in str(error)
        assert state in ({"old", "new"} if overwrite else {None, "new"})
        if not forever:
            leftovers = [path.name for path in tmp_path.glob(f".{folder.name}.tmp-*")]
            assert leftovers == []


def test_too_little_space_is_said_before_writing(tmp_path: Path, monkeypatch):
    usage = filesystem.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(filesystem.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="MB are free"):
        save(NEW, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_interrupt_removes_the_temporary(tmp_path: Path, monkeypatch):
    disk = Disk(8, KeyboardInterrupt(), forever=False)
    monkeypatch.setattr(filesystem, "os", disk)
    with pytest.raises(KeyboardInterrupt):
        save(NEW, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_dead_processes_are_removed_and_those_of_others_kept(tmp_path: Path):
    save(OLD, tmp_path / "model")
    dead = [tmp_path / ".model.tmp-0123456789ab", tmp_path / ".model.old-0123456789ab"]
    alive = tmp_path / ".model.tmp-ba9876543210"
    for folder in (*dead, alive):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    with claimed(alive):
        save(NEW, tmp_path / "model", overwrite=True)
        assert {path.name for path in tmp_path.iterdir()} == {"model", alive.name}
    save(NEW, tmp_path / "model", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_whose_renames_cannot_be_flushed_is_saved_and_says_so(
    tmp_path: Path, monkeypatch, overwrite: bool
):
    if overwrite:
        save(OLD, tmp_path / "model")

    def sync(folder: Path) -> None:
        if folder == tmp_path:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(filesystem, "flush_folder", sync)
    with pytest.warns(UserWarning, match="is saved and in place"):
        save(NEW, tmp_path / "model", overwrite=overwrite)
    assert which(tmp_path / "model") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("loads", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_loads_while_another_process_replaces_the_model(tmp_path: Path, loads: int):
    folder, models = tmp_path / "model", [tmp_path / "one", tmp_path / "two"]
    for place, model in zip(models, (OLD, NEW), strict=True):
        save(model, place)
    save(OLD, folder)
    code = f"""
from logpx.storage import load, save
models = [load(place) for place in {[str(place) for place in models]!r}]
while True:
    for model in models:
        save(model, {str(folder)!r}, overwrite=True)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    writer = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment)
    try:
        while which(folder) == "old":  # The writer is not there yet.
            assert writer.poll() is None
        seen = [which(folder) for _ in range(loads)]
        assert writer.poll() is None, writer.stderr.read()
    finally:
        writer.kill()
        writer.communicate()
    assert set(seen) == {"old", "new"}


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        save(NEW, tmp_path / "model")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o666 & ~mask}
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_saver_leaves_a_whole_model(tmp_path: Path):
    """Kill a process that saves again and again, at many moments; what is there always loads."""
    code = f"""
import os, signal, time
from logpx.flows import RealNVP
from logpx.storage import load, save

folder = {str(tmp_path / "model")!r}
models = [RealNVP(2, layers=2, hidden=(4,)) for _ in range(2)]
save(models[0], folder)
for kill in range(25):
    child = os.fork()
    if child == 0:
        while True:
            for model in models:
                save(model, folder, overwrite=True)
    time.sleep(0.005 + 0.0037 * kill)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert load(folder).event_shape == (2,)
print("survived")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.stdout.strip() == "survived", result.stderr
