import math

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.distributions import StandardNormal, Uniform
from logpx.training.batches import Batch, MemoryRows
from logpx.training.evaluation import evaluate


def batch_of(x, weights=None):
    return Batch(
        torch.tensor(x), torch.arange(len(x)), None, None if weights is None else torch.tensor(weights)
    )


def test_mean_and_standard_error():
    x = np.random.default_rng(0).normal(size=(101, 1))
    score = evaluate(StandardNormal(1).double(), MemoryRows(batch_of(x)).blocks(10))
    values = stats.norm.logpdf(x[:, 0])
    assert score.mean == pytest.approx(values.mean(), abs=1e-12)
    assert score.error == pytest.approx(stats.sem(values), rel=1e-12)
    assert score.bad_row is None


def test_weighted_mean():
    x = np.random.default_rng(0).normal(size=(50, 1))
    weights = np.arange(50.0)
    score = evaluate(StandardNormal(1).double(), [batch_of(x, weights)])
    assert score.mean == pytest.approx(np.average(stats.norm.logpdf(x[:, 0]), weights=weights), abs=1e-12)


def test_single_row_has_no_error_bar():
    assert evaluate(StandardNormal(1), [batch_of([[0.0]])]).error == math.inf


def test_row_without_density_is_found():
    model = Uniform(1)
    model.train()
    score = evaluate(model, MemoryRows(batch_of([[0.5], [0.5], [7.0], [8.0]])).blocks(3))
    assert score.bad_row == 2
    assert score.mean == -math.inf
    assert model.training
