"""EM within a time limit: fewer rows where all would take too long, and an end between chunks."""

import time

import numpy as np
import pytest
import torch

from logpx.errors import UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import GaussianMixture
from logpx.tables.families import climb as module
from logpx.tables.families.climb import climb


def rows(count: int, columns: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, columns, generator=generator).double().cumsum(1)
    return torch.where(torch.rand(x.shape, generator=generator) < 0.2, torch.nan, x)


def test_with_enough_time_nothing_is_cut_short():
    x = rows(600)
    model, plain = GaussianMixture(1, 12).double(), GaussianMixture(1, 12).double()
    done = climb(
        model, x, time.monotonic() + 600, model.initialise_components, max_iterations=50, tolerance=1e-6
    )
    plain.initialise_components(x)
    expectation_maximisation(plain, lambda: [(x, None)], max_iterations=50, tolerance=1e-6)
    assert (done.remark, done.result.converged) == ("", True)
    torch.testing.assert_close(model.covariances, plain.covariances)


def test_without_time_for_em_one_component_has_the_moments_of_pairs_and_it_is_said():
    x = rows(20_000)
    model, late = GaussianMixture(1, 12).double(), time.monotonic() - 1.0
    done = climb(model, x, late, model.initialise_components, max_iterations=99, tolerance=-1.0)
    assert done.remark == "from the moments of pairs of columns, for lack of time for EM"
    # Over columns that are all present in some rows, these are numpy's.
    pair = x[:, :2][~x[:, :2].isnan().any(1)].numpy()
    torch.testing.assert_close(
        model.covariances[0, :2, :2], torch.from_numpy(np.cov(pair.T)), rtol=0.1, atol=0
    )


def test_without_time_for_several_components_they_are_refused():
    model = GaussianMixture(3, 12).double()
    with pytest.raises(UsageError, match="time limit is too short for 3 components"):
        climb(model, rows(20_000), 0.0, model.initialise_components, max_iterations=9, tolerance=-1.0)


@pytest.fixture
def slow_rows(monkeypatch):
    """A row takes a hundredth of a second, and the clock stands still, so that all of the time is left."""
    monkeypatch.setattr(module, "_cost_of", lambda *_: module._Cost(per_row=0.01, per_step=0.0))
    monkeypatch.setattr(module, "_LEAST_ROWS", 300)
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)


def test_if_time_is_short_a_sample_is_fitted_and_said(slow_rows):
    model, x = GaussianMixture(1, 12).double(), rows(20_000)
    done = climb(model, x, 20.0, model.initialise_components, max_iterations=9, tolerance=1e-3)
    assert (done.remark, done.rows) == ("fitted to a sample of 333 of 20,000 rows", 333)


@pytest.mark.parametrize(
    ("different", "said"),
    [(5000, "fitted to a sample of 333 of 5,000 rows"), (333, ""), (100, "")],
)
def test_noisy_copies_of_rows_are_not_counted(slow_rows, different: int, said: str):
    model, x = GaussianMixture(1, 12).double(), rows(20_000)
    start = model.initialise_components
    done = climb(model, x, 20.0, start, max_iterations=9, tolerance=1e-3, of_rows=different)
    assert done.remark == said
    assert done.rows == min(333, different)


@pytest.mark.parametrize(("seconds", "taken"), [(20.0, 1800), (17.0, 0)])
def test_a_model_goes_on_from_its_parameters_only_on_all_rows(slow_rows, seconds: float, taken: int):
    model, x = GaussianMixture(1, 12).double(), rows(3600)
    model.initialise_components(x)
    before = model.covariances.clone()
    done = climb(model, x, seconds, max_iterations=2, tolerance=-1.0, of_rows=1800)
    assert done.rows == taken
    assert torch.equal(model.covariances, before) == (taken == 0)


def test_an_iteration_ends_between_chunks(monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr("logpx.inference.em.time.monotonic", lambda: float(next(now)))
    x = rows(100)
    model = GaussianMixture(1, 12).double()
    model.initialise_components(x)
    read = []

    def batches():
        for chunk in x.split(10):
            read.append(1)
            yield chunk, None

    result = expectation_maximisation(model, batches, deadline=14.0, tolerance=-1.0)
    # The first pass is completed without a look at the clock, the second is abandoned.
    assert len(result.history) == 2
    assert 20 < len(read) < 30


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gaussian", "gmm", "ppca", "fa", "mppca", "vae"])
def test_the_limit_is_kept_whatever_the_table(model):
    from logpx.tables import fit_table

    x = rows(12_000, 75)
    result = fit_table(x.numpy(), model, max_time=20)
    assert result.seconds < 24
