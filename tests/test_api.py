"""One verb for models and for tables."""

from pathlib import Path

import numpy as np
import pytest
import torch

import logpx
from logpx import storage, tables, training
from logpx.errors import UsageError


def test_save_and_load_are_those_of_the_model_folder():
    assert logpx.save is storage.save
    assert logpx.load is storage.load


def test_model_is_fitted_in_place():
    x = torch.randn(200, 2) * 3.0 + 1.0
    normal = logpx.distributions.FullNormal(2)
    result = logpx.fit(normal, x)
    assert isinstance(result, training.FitResult)
    assert result.model is normal
    assert torch.allclose(normal.mean, x.mean(0), atol=1e-5)


def test_options_reach_the_training():
    x = torch.randn(200, 2)
    flow = logpx.flows.NICE(2)
    result = logpx.fit(flow, x, x[:20], max_steps=3, seed=5)
    assert result.seed == 5
    assert result.validation_rows == 20


def test_name_gives_the_model_of_a_table(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b", comments="")
    result = logpx.fit("gaussian", tmp_path / "x.csv", columns={"b": "drop"}, seed=2)
    assert isinstance(result, tables.TableFitResult)
    assert result.model.schema.modelled_names == ["a"]
    assert result.seed == 2
    validation = logpx.fit("gaussian", {"a": x[:, 0]}, {"a": x[:50, 0]})
    assert validation.validation_rows == 50


def test_unknown_name():
    with pytest.raises(UsageError, match="gausian"):
        logpx.fit("gausian", {"a": [1.5, 2.5]})


def test_unknown_option():
    with pytest.raises(TypeError, match="epochs"):
        logpx.fit(logpx.distributions.FullNormal(2), torch.randn(20, 2), epochs=3)
