"""SQUAREM: fewer E-steps to the same optimum, and never downhill."""

import numpy as np
import pytest
import torch

from logpx.inference import expectation_maximisation
from logpx.inference.squarem import Extrapolation
from logpx.latent import GaussianMixture


def overlapping(rows=400):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    x[: rows // 2] += 2.5
    return x


def run(x, accelerate, components=2, **options):
    mixture = GaussianMixture(components, x.shape[1]).double()
    mixture.initialise_components(x)
    options = {"tolerance": 1e-10, "max_iterations": 20_000} | options
    return mixture, expectation_maximisation(mixture, lambda: [(x, None)], accelerate=accelerate, **options)


def test_fewer_e_steps_to_the_same_optimum():
    x, steps = overlapping(), []
    original = GaussianMixture.statistics
    mixtures, results = [], []
    for accelerate in (False, True):
        calls = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                GaussianMixture,
                "statistics",
                lambda self, *rows, c=calls: (c.append(1), original(self, *rows))[1],
            )
            mixture, result = run(x, accelerate)
        steps.append(len(calls))
        mixtures.append(mixture)
        results.append(result)
    assert all(result.converged for result in results)
    assert steps[1] < 0.5 * steps[0]
    assert results[1].log_likelihood >= results[0].log_likelihood - 1e-8
    torch.testing.assert_close(mixtures[1].means, mixtures[0].means, rtol=0.0, atol=1e-2)


@pytest.mark.parametrize("components", [2, 3, 5])
def test_history_never_falls(components):
    _, result = run(overlapping(), True, components, tolerance=-1.0, max_iterations=200)
    history = np.array(result.history)
    assert len(history) == 201
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()
    assert result.largest_fall == 0.0


def test_reported_likelihood_is_that_of_the_returned_parameters():
    x = overlapping()
    # Whether the last parameters come from a jump or from an M-step.
    for iterations in range(1, 15):
        mixture, result = run(x, True, tolerance=-1.0, max_iterations=iterations)
        assert result.log_likelihood == pytest.approx(mixture.log_prob(x).mean().item(), rel=1e-12)


class Linear(torch.nn.Module):
    """A fixed-point iteration whose every direction shrinks by its own rate."""

    def __init__(self, rates):
        super().__init__()
        self.rates = torch.tensor(rates, dtype=torch.float64)
        self.x = torch.nn.Parameter(torch.ones(len(rates), dtype=torch.float64))

    def step(self):
        with torch.no_grad():
            self.x.mul_(self.rates)


def test_one_rate_is_extrapolated_to_its_limit():
    model = Linear([0.6, 0.6])
    extrapolation = Extrapolation(model)
    for _ in range(4):
        # The length of an exact jump is 1 / (1 - rate) = 2.5: the second pair may be as long.
        model.step()
        extrapolation.step()
        if extrapolation.pending:
            break
    assert extrapolation.pending
    torch.testing.assert_close(model.x.detach(), torch.zeros(2).double(), rtol=0.0, atol=1e-14)


def test_a_jump_that_makes_it_worse_is_taken_back():
    model = Linear([0.9, 0.5])
    extrapolation = Extrapolation(model)
    while not extrapolation.pending:
        model.step()
        before = model.x.detach().clone()
        extrapolation.step()
    assert not torch.equal(model.x.detach(), before)
    extrapolation.judge(worse=True)
    assert torch.equal(model.x.detach(), before)
    assert not extrapolation.pending


def test_a_fixed_point_stays():
    model = Linear([1.0, 1.0])
    extrapolation = Extrapolation(model)
    for _ in range(6):
        model.step()
        extrapolation.step()
    assert model.x.tolist() == [1.0, 1.0]
