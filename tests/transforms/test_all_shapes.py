"""Every transform: shapes, dtypes and devices in are those out, and nothing is changed in place."""

import pytest
import torch

LEADING = [(), (1,), (5,), (2, 3), (0,), (2, 0)]


def test_leading_shapes(case, direction, dtype):
    transform = case.make(dtype)
    for leading in LEADING:
        inputs = case.inputs(transform, direction, *leading, dtype=dtype)
        y, ladj = getattr(transform, direction)(inputs, case.context(transform, *leading, dtype=dtype))
        assert y.shape == inputs.shape
        assert ladj.shape == leading
        assert y.dtype == ladj.dtype == dtype


def test_one_context_for_all_rows(conditional_case, direction):
    case, transform = conditional_case, conditional_case.make()
    inputs = case.inputs(transform, direction, 2, 3)
    context = case.context(transform)
    repeated = getattr(transform, direction)(inputs, context.expand(2, 3, -1))
    for one, each in zip(getattr(transform, direction)(inputs, context), repeated, strict=True):
        torch.testing.assert_close(one, each, rtol=1e-12, atol=1e-12)


def test_inputs_are_not_changed_and_two_calls_agree(case, direction):
    transform = case.make()
    inputs, context = case.inputs(transform, direction, 8), case.context(transform, 8)
    before = inputs.clone(), None if context is None else context.clone()
    state = {name: tensor.clone() for name, tensor in transform.state_dict().items()}
    first = getattr(transform, direction)(inputs, context)
    second = getattr(transform, direction)(inputs, context)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(inputs, before[0])
    assert context is None or torch.equal(context, before[1])
    assert all(torch.equal(tensor, state[name]) for name, tensor in transform.state_dict().items())


def test_non_contiguous_inputs(case, direction):
    transform = case.make()
    inputs, context = case.inputs(transform, direction, 8), case.context(transform, 8)
    expected = getattr(transform, direction)(inputs, context)
    strided = torch.stack([inputs, torch.zeros_like(inputs)], -1)[..., 0]
    reversed_context = None if context is None else context.mT.contiguous().mT
    assert not strided.is_contiguous()
    for found, correct in zip(
        getattr(transform, direction)(strided, reversed_context), expected, strict=True
    ):
        torch.testing.assert_close(found, correct, rtol=1e-12, atol=1e-12)


def test_runs_where_its_tensors_are(case, direction):
    # The meta device is at hand everywhere and refuses to meet tensors of the CPU, as a GPU does.
    transform = case.make(torch.float32)
    inputs = case.inputs(transform, direction, 4, dtype=torch.float32).to("meta")
    context = case.context(transform, 4, dtype=torch.float32)
    transform.to("meta")
    y, ladj = getattr(transform, direction)(inputs, None if context is None else context.to("meta"))
    assert y.device.type == ladj.device.type == "meta"
    assert (y.shape, ladj.shape) == (inputs.shape, (4,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(case, direction):
    transform = case.make()
    inputs, context = case.inputs(transform, direction, 8), case.context(transform, 8)
    expected = getattr(transform, direction)(inputs, context)
    transform.cuda()
    found = getattr(transform, direction)(inputs.cuda(), None if context is None else context.cuda())
    for on_gpu, correct in zip(found, expected, strict=True):
        assert on_gpu.is_cuda
        torch.testing.assert_close(on_gpu.cpu(), correct, rtol=1e-9, atol=1e-9)
