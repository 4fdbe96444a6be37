import numpy as np
import pandas
import pytest
import torch

from logpx.errors import DataError, UsageError
from logpx.training.intake import Intake, open_source
from logpx.training.split import row_keys
from logpx.training.survey import START_ROWS, survey

CPU = torch.device("cpu")
PLAIN = Intake((2,), (), torch.float32)


def rows_of(n):
    return np.random.default_rng(0).normal(size=(n, 2))


def divided(data, fraction=None, seed=0, **kwargs):
    return survey(open_source(data, PLAIN, None, kwargs.get("weights"), "data"), fraction, seed, CPU)


def all_rows(rows):
    return torch.cat([block.rows for block in rows.blocks(1000)]).tolist()


def test_validation_rows_have_the_smallest_keys():
    found = divided(rows_of(1000), seed=3)
    smallest = np.argsort(row_keys(np.arange(1000), 3))[:100]
    assert found.validation.rows.tolist() == sorted(smallest)
    assert sorted(all_rows(found.training) + found.validation.rows.tolist()) == list(range(1000))


@pytest.mark.parametrize("cut", [1, 17, 400])
@pytest.mark.parametrize("fraction", [None, 0.3, 0.0])
def test_stream_is_divided_like_memory(cut, fraction):
    x = rows_of(400)
    memory = divided(x, fraction)
    stream = divided([x[start : start + cut] for start in range(0, 400, cut)], fraction)
    assert all_rows(stream.training) == all_rows(memory.training)
    assert torch.equal(stream.start.x, memory.start.x)
    assert (stream.validation is None) == (memory.validation is None) == (fraction == 0.0)
    if memory.validation is not None:
        assert torch.equal(stream.validation.x, memory.validation.x)


def test_long_stream_keeps_a_sample_of_bounded_size():
    x = np.random.default_rng(0).normal(size=(600_000, 2)).astype(np.float32)
    found = divided([x[start : start + 50_000] for start in range(0, 600_000, 50_000)])
    assert len(found.validation) == 50_000
    assert found.training.count == 550_000
    assert len(found.start) == START_ROWS
    held_out = set(found.validation.rows.tolist())
    assert held_out.isdisjoint(found.start.rows.tolist())
    whole = divided(x)
    assert torch.equal(whole.validation.rows, found.validation.rows)
    assert torch.equal(whole.start.rows, found.start.rows)


def test_weights_repeat_rows_at_the_start():
    x = rows_of(9)
    weights = [1, 2, 0, 3, 1, 1, 1, 1, 2]
    found = divided(x, weights=weights)
    assert torch.equal(found.start.x, torch.from_numpy(np.repeat(x, weights, axis=0)).float())
    assert found.mean_weight == pytest.approx(12 / 8)
    assert found.training.count == 8


@pytest.mark.parametrize(
    "data", [np.empty((0, 2)), np.ones((1, 2)), [], [np.empty((0, 2))], [np.ones((1, 2))]]
)
def test_too_few_rows(data):
    with pytest.raises(DataError, match=r"two or more|dimension"):
        divided(data)


def test_constant_column_is_named():
    x = rows_of(100)
    x[:, 1] = 7.0
    with pytest.raises(DataError, match="same value") as caught:
        divided(pandas.DataFrame(x, columns=["size", "year"]))
    assert caught.value.column == "year"
    with pytest.raises(DataError, match="same value") as caught:
        divided([x[:50], x[50:]])
    assert caught.value.column == 1


def test_bad_value_in_a_stream_is_named_by_its_row():
    x = rows_of(100)
    x[77, 0] = np.nan
    with pytest.raises(DataError) as caught:
        divided([x[:50], x[50:]])
    assert (caught.value.row, caught.value.column) == (78, 0)


def test_what_can_not_be_read_twice():
    with pytest.raises(UsageError, match="only once"):
        open_source((x for x in [np.ones((3, 2))]), PLAIN, None, None, "data")
    with pytest.raises(UsageError, match="are a int"):
        open_source(3, PLAIN, None, None, "data")


def test_context_has_to_fit_the_model():
    conditional = Intake((2,), (3,), torch.float32)
    x = rows_of(5)
    with pytest.raises(UsageError, match="takes 3 context features"):
        open_source(x, conditional, None, None, "data")
    with pytest.raises(UsageError, match="takes 0 context features"):
        open_source(x, PLAIN, np.ones((5, 1)), None, "data")
    with pytest.raises(DataError, match="4 rows of context for 5 rows"):
        open_source(x, conditional, np.ones((4, 3)), None, "data")
    with pytest.raises(UsageError, match="come with its batches"):
        open_source([x], conditional, np.ones((5, 3)), None, "data")
    (batch,) = open_source([(x, np.ones((5, 3)), [1, 1, 0, 1, 1])], conditional, None, None, "data").read()
    assert batch.rows.tolist() == [0, 1, 3, 4]
    assert batch.context.shape == (4, 3)
