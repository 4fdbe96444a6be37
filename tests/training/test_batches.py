import torch

from logpx.training.batches import Batch, MemoryRows, epoch_generator


def batch_of(n):
    rows = torch.arange(n)
    return Batch(rows[:, None].float(), rows, rows[:, None] + 0.5, rows + 1.0)


def test_fields_stay_together():
    for batch in MemoryRows(batch_of(50)).shuffled(7, seed=0, epoch=0):
        assert (batch.x[:, 0] == batch.rows).all()
        assert (batch.context[:, 0] == batch.rows + 0.5).all()
        assert (batch.weights == batch.rows + 1.0).all()


def test_an_epoch_visits_rows_once_in_batches_of_one_size():
    batches = list(MemoryRows(batch_of(50)).shuffled(7, seed=0, epoch=0))
    assert [len(batch) for batch in batches] == [7] * 7
    assert torch.cat([batch.rows for batch in batches]).unique().numel() == 49


def test_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        rows = MemoryRows(batch_of(50))
        return torch.cat([batch.rows for batch in rows.shuffled(10, seed, epoch)]).tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1, -1) for epoch in range(3)}) == 9


def test_fewer_rows_than_a_batch():
    (batch,) = MemoryRows(batch_of(5)).shuffled(100, seed=0, epoch=0)
    assert sorted(batch.rows.tolist()) == [0, 1, 2, 3, 4]


def test_blocks_keep_the_order():
    blocks = list(MemoryRows(batch_of(10)).blocks(4))
    assert torch.cat([block.rows for block in blocks]).tolist() == list(range(10))


def test_where_and_concatenate():
    batch = batch_of(6)
    even = batch.where(batch.rows % 2 == 0)
    odd = batch.where(batch.rows % 2 == 1)
    both = Batch.concatenate([even, odd])
    assert both.rows.tolist() == [0, 2, 4, 1, 3, 5]
    assert both.weights.tolist() == [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]


def test_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    torch.rand(3, generator=epoch_generator(0, 0))
    assert torch.equal(before, torch.get_rng_state())
