"""Batches, places, levels and labels."""

import numpy as np
import pytest
import torch

from logpx.errors import DataError, UsageError
from logpx.images import open_images
from logpx.images.reading.image_sequence import ImageArray, JoinedImages
from logpx.images.reading.images import Images

X = np.random.default_rng(0).integers(0, 17, (50, 1, 4, 6), dtype=np.uint8)


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_batches_are_the_images_in_order(size: int):
    images = open_images(X, labels=np.arange(50))
    for _ in range(2):
        batches = list(images.batches(size))
        np.testing.assert_array_equal(torch.cat([batch.pixels for batch in batches]).numpy(), X)
        assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(50))
        assert [batch.start for batch in batches] == list(range(0, 50, size))


def test_value_outside_the_levels_is_named():
    x = X.copy()
    x[30, 0, 1, 2] = 40
    with pytest.raises(DataError, match=r"40 lies outside the 17 levels 0\.\.16") as caught:
        open_images(x, levels=17).read()
    assert caught.value.row == 31


@pytest.mark.parametrize("levels", [0, 1, 65_537, 8.0])
def test_levels_that_cannot_be(levels: object):
    with pytest.raises(UsageError, match="levels"):
        open_images(X, levels=levels)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.arange(49), "49"),
        (np.arange(50) * 1.0, "float64"),
        (np.arange(50) - 1, "the label -1"),
        (np.arange(100).reshape(50, 2), "(50, 2)"),
    ],
)
def test_bad_labels(labels: np.ndarray, text: str):
    with pytest.raises(DataError) as caught:
        open_images(X, labels=labels)
    assert text in str(caught.value)


def test_more_labels_than_names():
    with pytest.raises(DataError, match="2 classes"):
        Images(ImageArray(X), None, np.arange(50), ["a", "b"])


def test_parts_are_joined():
    parts = [ImageArray(X[:20], "a"), ImageArray(X[20:21], "b"), ImageArray(X[21:], "c")]
    joined = JoinedImages(parts)
    for start, stop in [(0, 50), (0, 20), (19, 22), (20, 21), (30, 50), (5, 5)]:
        np.testing.assert_array_equal(joined.read(start, stop), X[start:stop])
    places = [(joined.place(i).file, joined.place(i).row) for i in (0, 19, 20, 21, 49)]
    assert places == [("a", 1), ("a", 20), ("b", 1), ("c", 1), ("c", 29)]


def test_parts_of_other_shapes_are_refused():
    with pytest.raises(DataError, match="where a has") as caught:
        JoinedImages([ImageArray(X, "a"), ImageArray(X[:, :, 1:], "b")])
    assert caught.value.file == "b"


def test_read_only_images_can_be_used():
    x = X.copy()
    x.flags.writeable = False
    open_images(x).read().add_(1)
    np.testing.assert_array_equal(x, X)


def test_labels_and_levels_can_be_given_to_opened_images():
    opened = open_images(np.zeros((4, 2, 2), np.uint8), levels=16)
    changed = open_images(opened, levels=17, labels=[0, 1, 2, 0])
    assert (changed.levels, changed.labels.tolist()) == (17, [0, 1, 2, 0])
    assert (open_images(changed, levels=20).labels == changed.labels).all()
    assert open_images(opened, labels=[0, 0, 1, 1]).levels == 16
    assert open_images(opened) is opened


def labelled(labels: list[int], classes: list[str] | None = None) -> Images:
    return Images(ImageArray(np.zeros((len(labels), 1, 2, 2), np.uint8)), 16, np.array(labels), classes)


@pytest.mark.parametrize(
    ("images", "classes", "expected"),
    [
        (labelled([0, 1, 1], ["dog", "cat"]), ["ant", "cat", "dog"], [2, 1, 1]),
        (labelled([0, 1], ["3", "7"]), list("0123456789"), [3, 7]),
        (labelled([0, 1], ["dog", "cat"]), ["0", "1"], [0, 1]),
        (labelled([0, 2]), ["ant", "cat", "dog"], [0, 2]),
    ],
)
def test_classes_are_matched_by_name_or_else_by_number(images: Images, classes: list[str], expected: list):
    assert images.for_model((1, 2, 2), 16, classes).labels.tolist() == expected


@pytest.mark.parametrize("images", [labelled([0, 1], ["cat", "cow"]), labelled([0, 3])])
def test_a_class_that_the_model_does_not_know_is_named(images: Images):
    with pytest.raises(DataError, match=r"row 2: an image of class '(cow|3)', where .* ant, cat, dog"):
        images.for_model((1, 2, 2), 16, ["ant", "cat", "dog"])
