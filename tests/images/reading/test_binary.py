"""idx files and CIFAR-10 batches, written here byte by byte."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from logpx.errors import DataError
from logpx.images import open_images

X = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
Y = np.arange(7, dtype=np.uint8) % 3
IMAGES = struct.pack(">4I", 0x803, 7, 5, 4) + X.tobytes()
LABELS = struct.pack(">2I", 0x801, 7) + Y.tobytes()
RECORDS = np.random.default_rng(1).integers(0, 256, (4, 3073), dtype=np.uint8)
RECORDS[:, 0] = [3, 0, 9, 1]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("label_ending", ["", ".gz"])
def test_idx_with_the_labels_beside_it(ending: str, label_ending: str, tmp_path: Path):
    pack = {"": bytes, ".gz": gzip.compress}
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(pack[ending](IMAGES))
    assert open_images(path).labels is None
    (tmp_path / f"train-labels-idx1-ubyte{label_ending}").write_bytes(pack[label_ending](LABELS))
    images = open_images(path)
    assert (images.event_shape, images.levels) == ((1, 5, 4), 256)
    np.testing.assert_array_equal(images.read()[:, 0].numpy(), X)
    assert images.labels.tolist() == Y.tolist()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_cifar_batch(ending: str, tmp_path: Path):
    content = RECORDS.tobytes()
    path = tmp_path / f"data_batch_1.bin{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    images = open_images(path)
    np.testing.assert_array_equal(images.read().numpy(), RECORDS[:, 1:].reshape(4, 3, 32, 32))
    assert images.labels.tolist() == [3, 0, 9, 1]


BAD = {
    "empty": ("a-idx3-ubyte", b"", "too few"),
    "cut short": ("a-idx3-ubyte", IMAGES[:-1], "announces 140"),
    "too long": ("a-idx3-ubyte", IMAGES + b"x", "announces 140"),
    "labels as images": ("a-idx3-ubyte", LABELS + b"12345678", "not an idx file of images"),
    "broken gzip": ("a-idx3-ubyte.gz", gzip.compress(IMAGES)[:-20], "cannot be read"),
    "no whole records": ("a.bin", RECORDS.tobytes()[:-1], "3073"),
    "no records": ("a.bin", b"", "3073"),
    "another file": ("a.bin", b"\xff" * 3073, "the label 255"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(name: str, tmp_path: Path):
    file, content, text = BAD[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        open_images(tmp_path / file)
    assert caught.value.file == str(tmp_path / file)
    assert caught.value.fix


def test_labels_for_other_images(tmp_path: Path):
    (tmp_path / "a-images-idx3-ubyte").write_bytes(IMAGES)
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 2) + b"\0\1")
    with pytest.raises(DataError, match="for 7 images"):
        open_images(tmp_path / "a-images-idx3-ubyte")
