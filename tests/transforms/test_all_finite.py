"""Every transform is total: any finite input gives finite values, ladj and gradients, or no density."""

import math

import numpy as np
import torch

REAL = (0.0, 1e3, -1e3, 1e30, -1e30)


def extreme_rows(case, transform, direction, dtype):
    """Return ordinary rows with one extreme element, at every place, and rows of nothing else."""
    extremes = case.forward_at if direction == "forward" else case.inverse_at
    size = max(1, torch.Size(transform.event_shape).numel())
    rows = []
    for value in extremes:
        ordinary = case.inputs(transform, direction, size + 1, dtype=dtype).reshape(size + 1, size)
        places = torch.cat([torch.eye(size, dtype=torch.bool), torch.ones(1, size, dtype=torch.bool)])
        rows.append(ordinary.masked_fill(places, value))
    return torch.cat(rows).reshape(-1, *transform.event_shape)


def check(transform, direction, inputs, context, density=True):
    inputs.requires_grad_()
    if context is not None:
        context.requires_grad_()
    y, ladj = getattr(transform, direction)(inputs, context)
    assert torch.isfinite(y).all()
    assert (torch.isfinite(ladj) if density else ladj == -math.inf).all()
    wanted = [tensor for tensor in (inputs, context, *transform.parameters()) if tensor is not None]
    for values in (y, ladj):
        if values.requires_grad:
            for gradient in torch.autograd.grad(
                values.sum(), wanted, retain_graph=True, materialize_grads=True
            ):
                assert torch.isfinite(gradient).all()


def test_extreme_inputs(case, directions):
    for dtype in (torch.float32, torch.float64):
        transform = case.make(dtype)
        for direction in directions():
            inputs = extreme_rows(case, transform, direction, dtype)
            check(transform, direction, inputs, case.context(transform, len(inputs), dtype=dtype))


def test_extreme_contexts(conditional_case, directions):
    case = conditional_case
    for dtype in (torch.float32, torch.float64):
        transform = case.make(dtype)
        for direction in directions():
            inputs = case.inputs(transform, direction, len(REAL), dtype=dtype)
            context = torch.tensor(REAL, dtype=dtype)[:, None].expand(-1, transform.context_features).clone()
            check(transform, direction, inputs, context)


def test_no_density_beyond_the_ends_of_the_domain(case_on_interval):
    case, direction = case_on_interval
    lower, upper = getattr(case, f"{direction}_on")
    for dtype, kind in ((torch.float32, np.float32), (torch.float64, np.float64)):
        transform = case.make(dtype)
        outside = [
            beyond
            for end, away in ((lower, -1.0), (upper, 1.0))
            if math.isfinite(end)
            for beyond in (
                float(np.nextafter(kind(end), kind(away * math.inf))),
                end + away,
                end + away * 1e30,
            )
        ]
        ordinary = case.inputs(transform, direction, len(outside), dtype=dtype)
        ordinary[:, -1] = torch.tensor(outside, dtype=dtype)
        check(transform, direction, ordinary, None, density=False)
