"""What is sent between processes arrives to the bit."""

import math

import torch

from logpx.processes.messages import pack, unpack


def test_values_and_tensors_arrive_as_they_were():
    tensors = [
        torch.randn(3, 2, dtype=torch.float64).T,
        torch.tensor([math.nan, -0.0, math.inf]),
        torch.tensor(True),
        torch.empty(0, 4),
        torch.arange(5)[::2],
        torch.zeros((), dtype=torch.bfloat16),
    ]
    values = {"a": [0.1, None, True, -math.inf, "é"], "b": {}}
    arrived, found = unpack(pack(values, tensors))
    assert arrived == values
    for one, other in zip(found, tensors, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert torch.equal(one.nan_to_num(7.0), other.nan_to_num(7.0))
        assert one.data_ptr() % 64 == 0


def test_a_message_without_tensors_or_values():
    assert unpack(pack(None)) == (None, [])
