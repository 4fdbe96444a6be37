import pytest
import torch

from logpx.errors import DataError
from logpx.training.batches import Batch, MemoryRows
from logpx.training.stream import StreamRows


def parts_of(n, size):
    rows = torch.arange(n)
    return [Batch(part[:, None].float(), part) for part in rows.split(size)]


def order(rows, size, epoch=0):
    return [batch.rows.tolist() for batch in rows.shuffled(size, seed=3, epoch=epoch)]


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_order_is_that_of_memory_where_all_fits(cut):
    stream = StreamRows(lambda: iter(parts_of(100, cut)), 100)
    memory = MemoryRows(parts_of(100, 100)[0])
    for epoch in range(2):
        assert order(stream, 8, epoch) == order(memory, 8, epoch)


def test_a_small_buffer_visits_every_row_once():
    stream = StreamRows(lambda: iter(parts_of(1000, 13)), 1000, buffer_rows=100)
    batches = order(stream, 10)
    assert all(len(batch) == 10 for batch in batches)
    visited = [row for batch in batches for row in batch]
    assert sorted(visited) == list(range(1000))
    assert visited != list(range(1000))


def test_a_small_buffer_mixes_beyond_one_filling():
    stream = StreamRows(lambda: iter(parts_of(1000, 10)), 1000, buffer_rows=100)
    positions = {row: place for place, row in enumerate(row for batch in order(stream, 10) for row in batch)}
    # A row that stays in the kept half of the buffer is used later than a filling after its own.
    assert max(positions[row] - row for row in range(900)) > 100


def test_epochs_differ_and_repeat():
    stream = StreamRows(lambda: iter(parts_of(300, 10)), 300, buffer_rows=50)
    assert order(stream, 10, epoch=1) == order(stream, 10, epoch=1) != order(stream, 10, epoch=2)


def test_blocks_in_order():
    stream = StreamRows(lambda: iter(parts_of(25, 10)), 25)
    blocks = [block.rows.tolist() for block in stream.blocks(6)]
    assert [row for block in blocks for row in block] == list(range(25))
    assert max(map(len, blocks)) <= 6


@pytest.mark.parametrize("visit", ["shuffled", "blocks"])
def test_a_source_that_changes_is_refused(visit):
    stream = StreamRows(lambda: iter(parts_of(20, 10)), 30)
    with pytest.raises(DataError, match="gave 30 rows at first, and 20 now"):
        list(stream.shuffled(5, 0, 0) if visit == "shuffled" else stream.blocks(5))
