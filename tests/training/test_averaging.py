import pytest
import torch
from torch import nn

from logpx.training.averaging import Snapshot, WeightAverage


def test_average_is_the_recursion():
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage([weight], decay=0.9)
    expected = torch.zeros(3)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 200):
        with torch.no_grad():
            weight.copy_(torch.randn(3, generator=generator))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
        average.update()
    torch.testing.assert_close(average.values[0], expected)


def test_in_place_puts_the_weights_back_after_an_error():
    weight = nn.Parameter(torch.zeros(1))
    average = WeightAverage([weight], decay=0.5)
    with torch.no_grad():
        weight.fill_(1.0)

    def fail_in_place():
        with average.in_place():
            assert weight.item() == 0.0
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_place()
    assert weight.item() == 1.0


def test_snapshot_updates():
    value = torch.zeros(2)
    snapshot = Snapshot([value])
    value.fill_(1.0)
    snapshot.update()
    value.fill_(2.0)
    snapshot.restore()
    assert value.tolist() == [1.0, 1.0]
