"""Data sets by name, from folders and from mirrors, which are folders too (file://)."""

import gzip
import hashlib
import io
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from logpx.errors import DataError, UsageError
from logpx.images import DATA_SETS, holds_images, open_data_set, open_images
from logpx.images.reading.download import RemoteFile, fetch

IDX = struct.pack(">4I", 0x803, 3, 4, 4) + bytes(range(48))
LABELS = struct.pack(">2I", 0x801, 3) + bytes([2, 0, 9])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LOGPX_DATA", raising=False)
    monkeypatch.delenv("LOGPX_OFFLINE", raising=False)


def write_mnist(folder: Path, ending: str = ".gz") -> None:
    folder.mkdir(parents=True)
    for name in ("train", "t10k"):
        for kind, content in (("images-idx3", IDX), ("labels-idx1", LABELS)):
            content = gzip.compress(content, mtime=0) if ending else content
            (folder / f"{name}-{kind}-ubyte{ending}").write_bytes(content)


@pytest.mark.parametrize("inner", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_usual_folders(inner: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_mnist(tmp_path / "data" / inner, ending)
    for source in ("mnist", "MNIST", "mnist:test"):
        images = open_images(source, data=tmp_path / "data")
        assert images.count == 3
        assert images.labels.tolist() == [2, 0, 9]
        assert len(images.classes) == 10
    monkeypatch.setenv("LOGPX_DATA", str(tmp_path / "data"))
    assert open_data_set("mnist").count == 3


def test_folder_of_a_data_set_is_its_training_images(tmp_path: Path):
    write_mnist(tmp_path / "m")
    assert holds_images(tmp_path / "m")
    assert open_images(tmp_path / "m").place(0).file == str(tmp_path / "m/train-images-idx3-ubyte.gz")


def test_batches_of_cifar_are_joined(tmp_path: Path):
    for number in (1, 3):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(bytes([number]) + bytes([number] * 3072))
    images = open_images("cifar10", data=tmp_path)
    assert images.labels.tolist() == [1, 3]
    assert images.read()[1].unique().tolist() == [3]
    assert images.classes[3] == "cat"


@pytest.mark.parametrize(("name", "text"), [("mnist:val", "no split 'val'"), ("mnist", "train-images-idx3")])
def test_wrong_split_or_folder(name: str, text: str, tmp_path: Path):
    with pytest.raises(UsageError, match=text):
        open_data_set(name, data=tmp_path)


def test_unknown_name():
    with pytest.raises(UsageError, match="no data set 'mnits'"):
        open_data_set("mnits")


def test_offline_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGPX_OFFLINE", "1")
    with pytest.raises(UsageError, match="LOGPX_OFFLINE") as caught:
        open_data_set("mnist")
    assert "https://" in str(caught.value.fix)
    assert "--data" in str(caught.value.fix)


def test_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_mnist(tmp_path / "mirror")
    mirror = (tmp_path / "mirror").as_uri() + "/"
    remote = [
        RemoteFile(
            file.name, [(tmp_path / "gone").as_uri() + "/", mirror], hashlib.sha256(content).hexdigest()
        )
        for file in sorted((tmp_path / "mirror").iterdir())
        for content in [file.read_bytes()]
    ]
    monkeypatch.setitem(DATA_SETS, "mnist", replace(DATA_SETS["mnist"], remote=remote))
    assert open_data_set("mnist").count == 3
    for file in (tmp_path / "mirror").iterdir():
        file.unlink()
    assert open_data_set("mnist:test").count == 3
    kept = sorted(path.name for path in (tmp_path / "cache/logpx/mnist").iterdir())
    assert kept == sorted(file.name for file in remote)


def test_wrong_checksum_leaves_nothing(tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(b"content")
    file = RemoteFile("a.bin", [tmp_path.as_uri() + "/"], "0" * 64)
    with pytest.raises(UsageError, match="the checksum is another"):
        fetch(file, tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_archive_gives_only_the_wanted_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = io.BytesIO()
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin", "evil.sh"]
    with tarfile.open(fileobj=archive, mode="w:gz") as content:
        for index, name in enumerate(names):
            member = tarfile.TarInfo(f"../../{name}")
            member.size = 3073
            content.addfile(member, io.BytesIO(bytes([index]) + bytes(3072)))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive.getvalue())
    sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
    remote = [RemoteFile("cifar-10-binary.tar.gz", [tmp_path.as_uri() + "/"], sha256)]
    monkeypatch.setitem(DATA_SETS, "cifar10", replace(DATA_SETS["cifar10"], remote=remote))
    assert open_data_set("cifar10").labels.tolist() == [0, 1, 2, 3, 4]
    assert open_data_set("cifar10:test").labels.tolist() == [5]
    assert list(tmp_path.rglob("evil*")) == []
    assert not (tmp_path.parent / "test_batch.bin").exists()


def test_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"no archive")
    remote = [
        RemoteFile(
            "cifar-10-binary.tar.gz", [tmp_path.as_uri() + "/"], hashlib.sha256(b"no archive").hexdigest()
        )
    ]
    monkeypatch.setitem(DATA_SETS, "cifar10", replace(DATA_SETS["cifar10"], remote=remote))
    with pytest.raises(DataError, match="damaged"):
        open_data_set("cifar10")


def test_every_published_file_is_fetched_by_https_and_has_a_sha256():
    remote = [file for data_set in DATA_SETS.values() for file in data_set.remote]
    sums = [file.sha256 for file in remote]
    assert len(sums) == len(set(sums)) == 9
    assert all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in sums)
    assert all(mirror.startswith("https://") for file in remote for mirror in file.mirrors)


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.bin").write_bytes(b"content")
    file = RemoteFile("a.bin", [tmp_path.as_uri() + "/"], hashlib.sha256(b"content").hexdigest())
    kept = fetch(file, tmp_path / "into")
    kept.write_bytes(b"contempt")
    assert fetch(file, tmp_path / "into").read_bytes() == b"content"
    kept.write_bytes(b"contempt")
    monkeypatch.setenv("LOGPX_OFFLINE", "1")
    with pytest.raises(UsageError, match="LOGPX_OFFLINE"):
        fetch(file, tmp_path / "into")


def test_a_redirection_away_from_https_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Plain(io.BytesIO):
        url = "http://example.org/a.bin"

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Plain(b"content"))
    file = RemoteFile("a.bin", ["https://example.org/"], hashlib.sha256(b"content").hexdigest())
    with pytest.raises(UsageError, match="not https"):
        fetch(file, tmp_path / "into")


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("mnist", np.zeros((2, 2)))
    assert not holds_images("mnist")
