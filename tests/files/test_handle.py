"""Files are read from the folder that was opened, and what cannot be read is a typed error."""

from pathlib import Path

import pytest

from logpx.errors import ModelFolderError
from logpx.files.handle import FolderHandle, read_folder


def test_file_that_is_too_large_is_not_read(tmp_path: Path):
    with (tmp_path / "config.json").open("wb") as stream:
        stream.truncate(10**9)
    with FolderHandle(tmp_path) as folder, pytest.raises(ModelFolderError, match="too large"):
        folder.read_bytes("config.json")


def test_folder_in_the_place_of_a_file(tmp_path: Path):
    (tmp_path / "config.json").mkdir()
    with FolderHandle(tmp_path) as folder, pytest.raises(ModelFolderError, match="not a regular file"):
        folder.read_bytes("config.json")


def test_what_the_system_refuses_to_read(tmp_path: Path):
    with FolderHandle(tmp_path) as folder, pytest.raises(ModelFolderError, match="cannot be read"):
        folder.read_bytes("x" * 5000)


@pytest.mark.parametrize("name", ["nothing", "a" * 5000, "null\0byte", "circle"])
def test_places_that_do_not_exist(tmp_path: Path, name: str):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(ModelFolderError):
        read_folder(tmp_path / name, lambda folder: folder.read_bytes("a"))


def test_files_come_from_the_folder_that_was_opened(tmp_path: Path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "a").write_bytes(b"old")
    with FolderHandle(place) as folder:
        place.rename(tmp_path / "aside")
        place.mkdir()
        (place / "a").write_bytes(b"new")
        assert folder.read_bytes("a") == b"old"
        assert not folder.is_still_at(place)


def test_folder_is_read_again_when_it_was_replaced_meanwhile(tmp_path: Path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "a").write_bytes(b"old")
    tries = []

    def read(folder: FolderHandle) -> bytes:
        tries.append(folder)
        if len(tries) == 1:
            (place / "a").unlink()
            place.rmdir()
            (tmp_path / "next").mkdir()
            (tmp_path / "next/a").write_bytes(b"new")
            (tmp_path / "next").rename(place)
        return folder.read_bytes("a")

    assert read_folder(place, read) == b"new"
    assert len(tries) == 2
