"""Folders of images: what is read, and every image that stops the run."""

import builtins
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from logpx.errors import DataError, MissingExtraError, UsageError
from logpx.images import holds_images, open_images


def save(path: Path, shape: tuple[int, ...], mode: str | None = None) -> np.ndarray:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return pixels


def test_grey_images_in_the_order_of_their_names(folder: Path):
    images = open_images(folder)
    assert (images.count, images.event_shape, images.levels) == (6, (1, 6, 8), 256)
    for index, image in enumerate(images.read()):
        with Image.open(folder / f"{index}.png") as stored:
            np.testing.assert_array_equal(image[0].numpy(), np.asarray(stored))
    assert images.place(2).file == str(folder / "2.png")
    assert images.labels is None


def test_colour_and_patterns(tmp_path: Path):
    a, b = save(tmp_path / "a.png", (4, 6, 3)), save(tmp_path / "b.PNG", (4, 6, 3))
    save(tmp_path / "c.jpg", (4, 6, 3))
    images = open_images(tmp_path)
    assert (images.count, images.event_shape) == (3, (3, 4, 6))
    np.testing.assert_array_equal(images.read()[:2].numpy(), np.moveaxis(np.stack([a, b]), 3, 1))
    assert open_images(str(tmp_path / "*.png")).count == 1
    assert open_images(tmp_path / "c.jpg").count == 1


def test_inner_folders_are_classes(tmp_path: Path):
    for name in ("dog/1.png", "dog/2.png", "cat/1.png"):
        save(tmp_path / name, (4, 4))
    images = open_images(tmp_path)
    assert images.classes == ["cat", "dog"]
    assert images.labels.tolist() == [0, 1, 1]


def test_palette_and_bilevel_images_are_decoded(tmp_path: Path):
    save(tmp_path / "p/a.png", (4, 4, 3), "P")
    save(tmp_path / "one/a.png", (4, 4), "1")
    assert open_images(tmp_path / "p").event_shape == (3, 4, 4)
    assert set(open_images(tmp_path / "one").read().unique().tolist()) <= {0, 255}


def test_mixed_sizes_name_both_files(folder: Path):
    save(folder / "5.png", (6, 9))
    with pytest.raises(DataError, match=r"6×9 .* where .*0\.png has 6×8") as caught:
        open_images(folder)
    assert caught.value.file == str(folder / "5.png")


def test_mixed_channels_name_both_files(folder: Path):
    save(folder / "5.png", (6, 8, 3))
    with pytest.raises(DataError, match=r"3 channels, where .*0\.png has .* 1 channel"):
        open_images(folder)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_not_dropped_in_silence(mode: str, folder: Path):
    save(folder / "5.png", (6, 8, 3), mode)
    with pytest.raises(DataError, match=f"mode '{mode}'") as caught:
        open_images(folder)
    assert "convert" in str(caught.value.fix)


def test_grey_of_16_bits_among_others_is_named(folder: Path):
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(folder / "5.png")
    with pytest.raises(DataError, match="1 channel of 16 bits, where"):
        open_images(folder)


def test_what_is_no_image_is_named(folder: Path):
    (folder / "3.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        open_images(folder)
    assert caught.value.file == str(folder / "3.png")


def test_a_image_cut_short_is_named_when_it_is_read(folder: Path):
    content = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(content[: len(content) // 2 + 10])
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        open_images(folder).read()
    assert caught.value.file == str(folder / "3.png")


def test_empty_folder(tmp_path: Path):
    (tmp_path / "a.txt").write_text("")
    assert not holds_images(tmp_path)
    with pytest.raises(DataError, match="no PNG, TIFF or JPEG"):
        open_images(tmp_path)
    with pytest.raises(UsageError, match="no image matches"):
        open_images(str(tmp_path / "*.png"))


def test_without_pillow_the_install_command_is_printed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def absent(name: str, *rest: object) -> object:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError) as caught:
        open_images(folder)
    assert "pip install 'logpx[images]'" in str(caught.value)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparency_is_not_lost_in_silence(mode: str, tmp_path: Path):
    colour = (0, 0, 0) if mode == "RGB" else 0
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    Image.new(mode, (4, 4)).save(tmp_path / "b.png", transparency=colour)
    with pytest.raises(DataError, match=r"b\.png: .* with transparency"):
        open_images(str(tmp_path))
