"""Every transform: shapes, dtypes and devices in are those out, and nothing is changed in place."""

import copy

import pytest
import torch

LEADING = {torch.float64: [(), (1,), (5,), (2, 3), (0,), (2, 0)], torch.float32: [(2, 3)]}


def test_leading_shapes(case, directions):
    for dtype, leadings in LEADING.items():
        transform = case.make(dtype)
        for direction in directions():
            for leading in leadings:
                inputs = case.inputs(transform, direction, *leading, dtype=dtype)
                context = case.context(transform, *leading, dtype=dtype)
                y, ladj = getattr(transform, direction)(inputs, context)
                assert y.shape == inputs.shape
                assert ladj.shape == leading
                assert y.dtype == ladj.dtype == dtype


def test_one_context_for_all_rows(conditional_case, directions):
    case, transform = conditional_case, conditional_case.make()
    context = case.context(transform)
    for direction in directions():
        inputs = case.inputs(transform, direction, 2, 3)
        repeated = getattr(transform, direction)(inputs, context.expand(2, 3, -1))
        for one, each in zip(getattr(transform, direction)(inputs, context), repeated, strict=True):
            torch.testing.assert_close(one, each, rtol=1e-12, atol=1e-12)


def test_inputs_are_not_changed_and_two_calls_agree(case, directions):
    transform = case.make()
    state = {name: tensor.clone() for name, tensor in transform.state_dict().items()}
    for direction in directions():
        inputs, context = case.inputs(transform, direction, 8), case.context(transform, 8)
        before = inputs.clone(), None if context is None else context.clone()
        first = getattr(transform, direction)(inputs, context)
        second = getattr(transform, direction)(inputs, context)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert torch.equal(inputs, before[0])
        assert context is None or torch.equal(context, before[1])
        assert all(torch.equal(tensor, state[name]) for name, tensor in transform.state_dict().items())


def test_non_contiguous_inputs(case, directions):
    transform = case.make()
    context = case.context(transform, 8)
    reversed_context = None if context is None else context.mT.contiguous().mT
    for direction in directions():
        inputs = case.inputs(transform, direction, 8)
        strided = torch.stack([inputs, torch.zeros_like(inputs)], -1)[..., 0]
        assert not strided.is_contiguous()
        expected = getattr(transform, direction)(inputs, context)
        found = getattr(transform, direction)(strided, reversed_context)
        for of_strided, correct in zip(found, expected, strict=True):
            torch.testing.assert_close(of_strided, correct, rtol=1e-12, atol=1e-12)


def test_runs_where_its_tensors_are(traced_case, directions):
    # The meta device is at hand everywhere and refuses to meet tensors of the CPU, as a GPU does.
    transform = traced_case.make(torch.float32).to("meta")
    inputs = torch.empty(4, *transform.event_shape, device="meta")
    context = traced_case.context(transform, 4, dtype=torch.float32)
    for direction in directions():
        y, ladj = getattr(transform, direction)(inputs, None if context is None else context.to("meta"))
        assert y.device.type == ladj.device.type == "meta"
        assert (y.shape, ladj.shape) == (inputs.shape, (4,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(case, directions):
    transform = case.make()
    on_gpu = copy.deepcopy(transform).cuda()
    context = case.context(transform, 8)
    for direction in directions():
        inputs = case.inputs(transform, direction, 8)
        expected = getattr(transform, direction)(inputs, context)
        found = getattr(on_gpu, direction)(inputs.cuda(), None if context is None else context.cuda())
        for there, correct in zip(found, expected, strict=True):
            assert there.is_cuda
            torch.testing.assert_close(there.cpu(), correct, rtol=1e-9, atol=1e-9)
