"""Where memory does not hold a batch, its parts give the same steps."""

from pathlib import Path

import pytest
import torch
from torch import nn

import logpx
from logpx.distributions import Distribution
from logpx.errors import ResourceError, is_out_of_memory

ROWS = torch.randn(160, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ALLOCATOR = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried 64 GB"


class Hungry(Distribution):
    """A density that takes only so many rows at once, and draws noise in training."""

    def __init__(self, most: int | None, error: Exception | None = None) -> None:
        super().__init__((2,))
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
        self.mean = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self._most, self._error = most, error or torch.OutOfMemoryError("CUDA out of memory")
        self.largest = 0

    def log_prob(self, x, context=None):
        if self._most is not None and len(x) > self._most:
            raise self._error
        self.largest = max(self.largest, len(x))
        return -((x - self.mean) ** 2).sum(1) / 2.0 - 2.0 + 0.1 * torch.tanh(self.net(x)[:, 0])

    def sample(self, n, context=None, seed=None):
        raise NotImplementedError


def fit(model: Distribution, **options):
    options = {"max_steps": 12, "batch_size": 32, "progress": False, "noise": 0.1, **options}
    with torch.random.fork_rng():
        return logpx.fit(model, ROWS, **options)


@pytest.mark.parametrize(
    "error", [None, MemoryError(), RuntimeError(ALLOCATOR)], ids=["device", "python", "allocator"]
)
def test_steps_are_the_same_in_parts(error):
    whole, parts = Hungry(None), Hungry(5, error)
    reference, result = fit(whole), fit(parts)
    assert parts.largest <= 5 < whole.largest
    for expected, found in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    for expected, found in zip(reference.history, result.history, strict=True):
        assert found.train == pytest.approx(expected.train, rel=1e-9) if expected.train else True
        assert found.validation == pytest.approx(expected.validation, rel=1e-9)
    said = [event.message for event in result.events if event.kind == "memory"]
    assert "out of memory with 32 rows at once: from now on 16 at once" in said


def test_weights_and_prior_count_once():
    weights = torch.rand(160, generator=torch.Generator().manual_seed(1))

    def prior(model):
        return -5.0 * model.mean.square().sum()

    whole, parts = Hungry(None), Hungry(7)
    for model in (whole, parts):
        fit(model, weights=weights, prior=prior)
    for expected, found in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "stops", [(7,), pytest.param(range(51), marks=pytest.mark.slow)], ids=["one", "all of fifty"]
)
def test_resumed_in_the_middle_of_parts(tmp_path: Path, stops):
    whole = Hungry(5)
    fit(whole, max_steps=50)
    for stop in stops:
        begun, resumed, steps = Hungry(5), Hungry(5), iter(range(stop))
        folder = tmp_path / str(stop)
        fit(begun, max_steps=50, checkpoint=folder, should_stop=lambda steps=steps: next(steps, None) is None)
        fit(resumed, max_steps=50, resume=folder)
        assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_draws_of_a_step_are_the_same_again():
    reference = logpx.latent.VAE(logpx.distributions.likelihoods.NormalLikelihood(2), latent=1, hidden=(8,))
    again = logpx.latent.VAE(logpx.distributions.likelihoods.NormalLikelihood(2), latent=1, hidden=(8,))
    again.load_state_dict(reference.state_dict())
    log_prob, failed = type(again).log_prob, []

    def once(x, context=None):
        found = log_prob(again, x, context)
        if again.training and len(failed) < 1:
            failed.append(len(x))
            raise torch.OutOfMemoryError
        return found

    again.log_prob = once
    for model in (reference, again):
        logpx.fit(model, ROWS.float(), max_steps=1, batch_size=32, progress=False)
    # One step of 32 rows: at once, and after the failure in two halves with the same draws.
    assert failed == [32]
    for expected, found in zip(reference.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_single_row_that_is_too_much_is_said():
    with pytest.raises(ResourceError, match="out of memory with a single row at once") as info:
        fit(Hungry(0))
    assert info.value.exit_code == 6
    assert info.value.fix


def test_other_errors_are_passed_on():
    with pytest.raises(RuntimeError, match="shapes"):
        fit(Hungry(5, RuntimeError("shapes do not match")))
    assert not is_out_of_memory(RuntimeError("shapes"))
