"""A mean that somebody filled in for missing cells keeps its mass, and all other values their grid."""

import numpy as np
import pytest

from logpx.tables import fit_table


@pytest.mark.parametrize("mean", [29.7, 29.69911764705882])
def test_samples_hit_the_mean_and_else_whole_ages(mean: float, steps):
    generator = np.random.default_rng(2)
    ages = np.where(generator.random(400) < 0.25, mean, generator.integers(0, 80, 400))
    model = fit_table({"age": ages, "x": generator.normal(size=400)}, "gaussian", **steps(20)).model
    age = model.schema.columns[0]
    assert (age.step, age.atoms, age.lower) == (1.0, [mean], 0.0)
    drawn = model.sample(2000, seed=0)["age"].to_numpy()
    hits = drawn == mean
    assert abs(hits.mean() - (ages == mean).mean()) < 0.05
    assert np.all(drawn[~hits] == np.floor(drawn[~hits]))
    assert drawn.min() >= 0
    log_prob = model.log_prob({"age": np.array([mean, 30.0, -1.0]), "x": np.zeros(3)})
    assert np.isfinite(np.asarray(log_prob)).tolist() == [True, True, False]
