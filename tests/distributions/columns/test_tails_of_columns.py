"""Draws of columns may lie beyond what was seen, but not without measure."""

import numpy as np
import torch

from logpx.distributions.columns import NumberColumn, ValueColumn


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
