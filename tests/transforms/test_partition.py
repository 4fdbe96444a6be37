"""Partitions: which elements are kept, that nothing is lost, and shapes that cannot be divided."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import Channels, Checkerboard, Coupling, Halves

PARTITIONS = [
    kind(shape, flip=flip)
    for flip in (False, True)
    for kind, shape in ((Halves, 5), (Halves, 1), (Channels, (4, 3, 5)), (Checkerboard, (3, 4, 6)))
]


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda p: f"{type(p).__name__}, flip={p.flip}")
@pytest.mark.parametrize("rows", [(), (7,), (2, 3), (0,)])
def test_split_and_join(partition, rows):
    x = torch.randn(*rows, *partition.event_shape)
    kept, moved = partition.split(x)
    assert (kept.shape, moved.shape) == (rows + partition.kept_shape, rows + partition.moved_shape)
    assert torch.equal(partition.join(kept, moved), x)


def test_flip_exchanges_the_parts_of_an_image():
    x = torch.randn(2, 4, 6, 6)
    for kind in (Channels, Checkerboard):
        kept, moved = kind((4, 6, 6)).split(x)
        flipped = kind((4, 6, 6), flip=True).split(x)
        assert torch.equal(kept, flipped[1])
        assert torch.equal(moved, flipped[0])


def test_checkerboard_is_that_of_the_parity_of_row_plus_column():
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(4), indexing="ij")
    black, white = Checkerboard((3, 6, 4)).split(((rows + columns) % 2).expand(3, -1, -1))
    assert not black.any()
    assert white.all()


def test_every_part_of_a_checkerboard_is_an_image_at_half_the_resolution():
    rows = torch.arange(4.0)[:, None].expand(1, 4, 4)
    black, _ = Checkerboard((1, 4, 4)).split(rows)
    assert black.tolist() == [[[0.0, 0.0], [2.0, 2.0]], [[1.0, 1.0], [3.0, 3.0]]]


def test_parameters_of_an_image_are_one_block_of_channels_each():
    partition = Channels((4, 2, 2))
    outputs = torch.arange(3.0 * 2 * 4).view(1, 6, 2, 2)
    params = partition.arrange(outputs, 3)
    assert params.shape == (1, 2, 2, 2, 3)
    for index, parameter in enumerate(params.unbind(-1)):
        assert parameter.is_contiguous()
        assert torch.equal(parameter, outputs[:, 2 * index : 2 * index + 2])


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Channels((3, 4, 4)), "3 channels cannot"),
        (lambda: Channels((1, 4, 4)), "1 channel cannot"),
        (lambda: Checkerboard((1, 27, 28)), "odd height 27"),
        (lambda: Checkerboard((1, 27, 29)), "height 27 and width 29"),
        (lambda: Checkerboard((28, 28)), "channels, height and width"),
        (lambda: Channels(4), "channels, height and width"),
        (lambda: Halves((1, 4, 4)), "as a vector"),
        (lambda: Coupling(), "no size"),
        (lambda: Coupling(4, partition=Halves(4)), "from the partition"),
        (lambda: Coupling(flip=True, partition=Halves(4)), "from the partition"),
        (lambda: Coupling(hidden=(4, 8), partition=Channels((2, 4, 4))), "one width"),
        (lambda: Coupling(hidden=(), partition=Channels((2, 4, 4))), "one width"),
    ],
)
def test_what_cannot_be_divided(build, match):
    with pytest.raises(UsageError, match=match) as error:
        build()
    assert error.value.fix


def test_a_partition_of_a_vector_is_the_same_layer_as_features_and_flip():
    torch.manual_seed(0)
    plain = Coupling(5, hidden=(8,), flip=True)
    given = Coupling(hidden=(8,), partition=Halves(5, flip=True))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.normal_()
    given.load_state_dict(plain.state_dict())
    x = torch.randn(10, 5)
    for found, expected in zip(given.forward(x), plain.forward(x), strict=True):
        assert torch.equal(found, expected)
