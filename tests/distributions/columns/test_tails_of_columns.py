"""Draws of columns may lie beyond what was seen, but not without measure."""

import numpy as np
import pytest
import torch

from logpx.distributions.columns import CentredColumn, NumberColumn, ValueColumn


def test_no_component_of_a_number_column_is_far_wider_than_the_tails_of_the_values():
    random = np.random.default_rng(0)
    # At the bound a value is far away in the units of the column, which says nothing of the other side.
    rain = np.where(random.random(500) < 0.5, 0.0, random.gamma(2.0, 5.0, 500).round(1))
    column = NumberColumn(0.1, lower=-0.05)
    column.initialise(torch.from_numpy(rain))
    raw = torch.zeros(1, column.outputs)
    raw[:, -column.components :] = 8.0
    assert column.quantile(raw, 0.999).item() < 100 * rain.max()


def test_values_that_were_not_seen_are_near_those_that_were():
    counts = torch.from_numpy(np.random.default_rng(0).poisson(2.0, 100)).double()
    column = ValueColumn(counts.unique().tolist(), lower=-0.5)
    column.initialise(counts)
    uniform = torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = column.sample(torch.zeros(100_000, column.outputs), uniform)
    assert counts.max() < drawn.max() < 20 * counts.max()


@pytest.mark.parametrize("kind", [NumberColumn, CentredColumn])
@pytest.mark.parametrize(("lower", "upper"), [(None, None), (0.0, None), (None, 0.0)])
@pytest.mark.parametrize("shift", [-500.0, 500.0])
def test_no_component_is_moved_far_beyond_the_values(kind, lower, upper, shift) -> None:
    """As a network may do for a row that is like none of those that it was trained on."""
    x = torch.from_numpy(np.random.default_rng(0).gamma(2.0, 3.0, 500))
    x = -x if upper == 0.0 else x
    column = kind(lower=lower, upper=upper)
    column.initialise(x)
    raw = torch.full((1, column.outputs + column.predictions), shift)
    raw[:, : column.components] = 0.0
    raw[:, column.outputs :] = 0.0
    for level in (0.01, 0.5, 0.99):
        assert column.quantile(raw, level).abs().item() < 100 * x.abs().max()
    raw.requires_grad_(True)
    (gradient,) = torch.autograd.grad(column.log_prob(raw, x[:1]).sum(), raw)
    assert gradient.isfinite().all()
