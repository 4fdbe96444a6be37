"""Images on disk: readable, whole or not there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from logpx.errors import ResourceError, UsageError
from logpx.images import open_images, write_images
from logpx.images.writing import grid_of

IMAGES = torch.randint(0, 32, (5, 3, 4, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_every_image(channels: int, tmp_path: Path):
    images = IMAGES[:, :channels]
    write_images(images, tmp_path / "grid.png", levels=32)
    with Image.open(tmp_path / "grid.png") as image:
        assert image.mode == ("L" if channels == 1 else "RGB")
        grid = np.asarray(image).reshape(11, 22, channels)
    for index, one in enumerate(images.numpy()):
        top, left = 1 + 5 * (index // 3), 1 + 7 * (index % 3)
        shown = grid[top : top + 4, left : left + 6]
        np.testing.assert_array_equal(shown, np.rint(np.moveaxis(one, 0, 2) * 255.0 / 31).astype(np.uint8))


def test_npz_can_be_opened_again(tmp_path: Path):
    write_images(IMAGES, tmp_path / "samples.npz", levels=32, labels=torch.arange(5))
    images = open_images(tmp_path / "samples.npz")
    assert torch.equal(images.read(), IMAGES)
    assert images.labels.tolist() == [0, 1, 2, 3, 4]


def test_existing_file_stays(tmp_path: Path):
    target = tmp_path / "samples.png"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        write_images(IMAGES, target)
    assert target.read_text() == "mine"
    write_images(IMAGES, target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.png"]
    with Image.open(target) as image:
        assert image.size == (22, 11)


@pytest.mark.parametrize(
    ("name", "error"), [("a.jpg", UsageError), ("no/a.png", ResourceError), ("a", UsageError)]
)
def test_bad_targets(name: str, error: type[Exception], tmp_path: Path):
    with pytest.raises(error):
        write_images(IMAGES, tmp_path / name)


def test_grid_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="a grid of 0 images"):
        write_images(IMAGES[:0], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_one_image_is_a_grid():
    assert grid_of(IMAGES[:1, :1], 32).shape == (6, 8)
