"""Arrays: layouts, and every array that is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from logpx.errors import DataError, UsageError
from logpx.images import open_images

X = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
X[0, 0, 0, 0] = 255


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint16])
def test_layouts_are_the_same_images(kind: type):
    expected = np.moveaxis(X, 3, 1)
    for source in (X.astype(kind), expected.astype(kind), torch.from_numpy(X.astype(np.int64))):
        images = open_images(source)
        assert (images.event_shape, images.levels, images.count) == ((3, 6, 8), 256, 5)
        np.testing.assert_array_equal(images.read().numpy(), expected)
    grey = open_images(X[..., 0].astype(kind))
    np.testing.assert_array_equal(grey.read().numpy(), X[:, None, :, :, 0])


@pytest.mark.parametrize(
    ("highest", "levels"),
    [(1, 2), (2, 4), (16, 32), (63, 64), (64, 256), (255, 256), (256, 512), (4095, 4096), (65_535, 65_536)],
)
def test_levels_are_detected(highest: int, levels: int):
    x = np.zeros((3, 4, 4), np.uint16)
    x[1, 2, 2] = highest
    assert open_images(x).levels == levels
    assert open_images(x, levels=highest + 1).levels == highest + 1


def test_a_boolean_image_has_two_levels():
    assert open_images(np.eye(4, dtype=bool)[None].repeat(2, 0)).levels == 2


def test_npy_and_npz(tmp_path: Path):
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "b.npz", y=np.arange(5), images=X)
    np.savez(tmp_path / "c.npz", X)
    np.savez(tmp_path / "d.npz", whatever=X, label=[0, 1, 1, 0, 1])
    expected = np.moveaxis(X, 3, 1)
    for name in ("a.npy", "b.npz", "c.npz", "d.npz"):
        np.testing.assert_array_equal(open_images(tmp_path / name).read().numpy(), expected)
    assert open_images(tmp_path / "b.npz").labels.tolist() == [0, 1, 2, 3, 4]
    assert open_images(tmp_path / "d.npz").classes == ["0", "1"]
    assert open_images(tmp_path / "a.npy").place(3).row == 4


def wrong(value: int) -> np.ndarray:
    x = np.zeros((1500, 4, 4), np.int32)
    x[1200, 2, 1] = value
    return x


BAD = {
    "unit floats": (np.full((3, 4, 4), 0.5), DataError, ["(255 * x).round()"]),
    "other floats": (np.full((3, 4, 4), 7.5), DataError, ["uint8"]),
    "complex": (np.zeros((3, 4, 4), complex), DataError, ["complex128"]),
    "text": (np.full((3, 4, 4), "a"), DataError, ["<U1"]),
    "negative": (wrong(-1), DataError, ["row 1201", "-1", "0..65,535"]),
    "more than 16 bits": (wrong(70_000), DataError, ["row 1201", "70000", "0..65,535"]),
    "four channels": (np.zeros((3, 4, 6, 4), np.uint8), DataError, ["(3, 4, 6, 4)", "1 or 3"]),
    "either layout": (np.zeros((3, 3, 8, 3), np.uint8), UsageError, ["NCHW"]),
    "five axes": (np.zeros((2, 2, 1, 4, 4), np.uint8), UsageError, []),
    "no images": (np.zeros((0, 4, 4), np.uint8), DataError, ["no images"]),
    "no pixels": (np.zeros((3, 0, 4), np.uint8), DataError, ["no images"]),
}


@pytest.mark.parametrize("name", [name for name in BAD if name != "five axes"])
def test_bad_array(name: str):
    array, error, mentions = BAD[name]
    with pytest.raises(error) as caught:
        open_images(array)
    assert caught.value.fix
    assert [text for text in mentions if text not in str(caught.value)] == []


def test_more_axes_than_images_have():
    with pytest.raises(DataError, match=r"\(n, H, W\)"):
        open_images(np.zeros((2, 2, 1, 4, 4), np.uint8))
    with pytest.raises(UsageError, match=r"shape \(3, 64\)"):
        open_images(np.zeros((3, 64), np.uint8))


def test_layout_can_be_said():
    images = open_images(np.zeros((3, 3, 8, 3), np.uint8), layout="NHWC")
    assert images.event_shape == (3, 3, 8)
    with pytest.raises(UsageError, match="layout"):
        open_images(X, layout="HWC")
    with pytest.raises(DataError, match="8 channels"):
        open_images(np.zeros((3, 8, 8, 3), np.uint8), layout="NCHW")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files(name: str, content: bytes, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="not a readable") as caught:
        open_images(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)


def test_no_pickle_is_loaded(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}] * 2, dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        open_images(tmp_path / "a.npy")


def test_empty_archive(tmp_path: Path):
    np.savez(tmp_path / "a.npz", labels=np.arange(3))
    with pytest.raises(DataError, match="no array"):
        open_images(tmp_path / "a.npz")


def test_a_damaged_compressed_archive_names_its_file(tmp_path: Path):
    path = tmp_path / "x.npz"
    pixels = np.random.default_rng(0).integers(0, 9, (500, 8, 8), dtype=np.uint8)
    np.savez_compressed(path, images=pixels)
    content = bytearray(path.read_bytes())
    for offset in range(200, len(content) - 400, 97):
        damaged = content.copy()
        damaged[offset : offset + 40] = bytes(255 - byte for byte in damaged[offset : offset + 40])
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.npz: not a readable \.npz file"):
            open_images(str(path))


def test_the_first_pixel_that_is_no_number_is_named():
    pixels = np.zeros((5, 8, 8), np.float32)
    pixels[3, 1, 2] = np.nan
    with pytest.raises(DataError, match="row 4: the pixel value nan"):
        open_images(pixels)


def test_negative_pixels_are_not_said_to_have_too_many_bits():
    with pytest.raises(DataError, match=r"row 1: the pixel value -1.*\nfix: give whole levels from 0 on"):
        open_images(np.full((2, 8, 8), -1))
