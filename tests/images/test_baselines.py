"""The baselines against counting and scipy."""

import numpy as np
import pytest
import scipy.stats
import torch

from logpx.errors import UsageError
from logpx.images import FlatNormal, PixelHistogram, UniformLevels


def test_histogram_is_the_relative_frequency(digits: np.ndarray):
    x = torch.from_numpy(digits[:, None])
    histogram = PixelHistogram((1, 8, 8), 17).double()
    histogram.update(histogram.counts(x[:1000]) + histogram.counts(x[1000:]))
    table = np.stack([(digits == level).sum(0) for level in range(17)], -1) + 0.1
    table /= table.sum(-1, keepdims=True)
    rows, columns = np.indices((8, 8))
    expected = [np.log(table[rows, columns, image]).sum() for image in digits[:20]]
    np.testing.assert_allclose(histogram.log_prob(x[:20]).numpy(), expected, rtol=1e-6)


def test_histogram_sums_to_one_and_is_sampled_from():
    histogram = PixelHistogram((1, 1, 1), 3)
    histogram.update(torch.tensor([10, 30, 60]).view(1, 1, 1, 3))
    probabilities = histogram.log_prob(torch.arange(3).view(3, 1, 1, 1)).exp()
    assert probabilities.sum().item() == pytest.approx(1.0)
    drawn = torch.bincount(histogram.sample(20_000, seed=0).flatten().long(), minlength=3) / 20_000
    assert drawn.tolist() == pytest.approx(probabilities.tolist(), abs=0.02)


def test_uniform_histogram_costs_the_logarithm_of_the_levels():
    value = PixelHistogram((1, 4, 4), 256).log_prob(torch.zeros(1, 1, 4, 4)).item()
    assert value == pytest.approx(-16 * np.log(256))


def test_normal_of_images_is_the_multivariate_normal():
    x = torch.randn(200, 1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    normal = FlatNormal((1, 2, 3)).double()
    normal.normal.update(normal.normal.statistics(x.flatten(1)))
    flat = x.flatten(1).numpy()
    expected = scipy.stats.multivariate_normal(flat.mean(0), np.cov(flat.T, ddof=0)).logpdf(flat)
    np.testing.assert_allclose(normal.log_prob(x).detach(), expected)
    assert normal.sample(5, seed=0).shape == (5, 1, 2, 3)


def test_levels_are_checked():
    with pytest.raises(UsageError, match="1 levels"):
        PixelHistogram((1, 2, 2), 1)


def test_uniform_levels_cost_the_logarithm_of_their_number_and_are_drawn_equally_often():
    uniform = UniformLevels((1, 2, 2), 5)
    value = uniform.log_prob(torch.zeros(3, 1, 2, 2, dtype=torch.uint8))
    torch.testing.assert_close(value, torch.full((3,), -4 * float(np.log(5.0))))
    drawn = uniform.sample(2000, seed=0)
    assert scipy.stats.chisquare(drawn.flatten().long().bincount(minlength=5)).pvalue > 1e-3
    assert torch.equal(drawn[:7], uniform.sample(7, seed=0))
    with pytest.raises(UsageError):
        UniformLevels((1, 2, 2), 65_537)
