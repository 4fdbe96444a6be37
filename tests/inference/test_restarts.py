"""EM from several starts: the best is kept, and likelihoods without meaning are not."""

import time

import pytest
import torch

from logpx.inference import expectation_maximisation, expectation_maximisation_from
from logpx.latent import ConjugatePrior, GaussianMixture


def blobs(rows=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = 3.0 * torch.randn(4, 2, generator=generator, dtype=torch.float64)
    chosen = torch.randint(0, 4, (rows,), generator=generator)
    return centres[chosen] + torch.randn(rows, 2, generator=generator, dtype=torch.float64)


def run(x, components=4, mixture=None, **options):
    mixture = mixture or GaussianMixture(components, 2).double()
    return mixture, expectation_maximisation_from(mixture, lambda: [(x, None)], x, **options)


def test_the_best_of_all_starts_is_kept():
    x, alone = blobs(), []
    for seed in range(6):
        mixture = GaussianMixture(5, 2).double()
        mixture.initialise_components(x, seed)
        result = expectation_maximisation(mixture, lambda: [(x, None)])
        if not mixture.collapsed(result.statistics):
            alone.append(result.penalised)
    mixture, outcome = run(x, 5)
    assert outcome.tried == 6
    assert len(outcome.refused) == 6 - len(alone)
    assert outcome.collapsed == []
    assert outcome.result.penalised == max(alone)
    assert max(alone) > min(alone)
    assert outcome.result.log_likelihood == pytest.approx(mixture.log_prob(x).mean().item(), rel=1e-12)


def test_many_rows_are_compared_on_some_and_finished_on_all(monkeypatch):
    x = blobs(2000)
    _, of_all = run(x, restarts=6)
    monkeypatch.setattr("logpx.inference.restarts._FEW_NUMBERS", 0)
    monkeypatch.setattr("logpx.inference.restarts._ROWS_TO_COMPARE", 500)
    mixture, of_finalists = run(x, restarts=6)
    assert of_finalists.result.converged
    assert of_finalists.result.log_likelihood == pytest.approx(mixture.log_prob(x).mean().item(), rel=1e-12)
    assert of_finalists.result.log_likelihood == pytest.approx(of_all.result.log_likelihood, abs=0.01)


def test_starts_that_collapse_are_refused_and_told():
    # Equal rows in the midst of others: a component of their own has an unbounded likelihood without meaning.
    x = torch.cat([blobs(), torch.zeros(20, 2, dtype=torch.float64)])
    given = torch.zeros(len(x), 2, dtype=torch.float64)
    given[:-20, 0], given[-20:, 1] = 1.0, 1.0
    mixture = GaussianMixture(2, 2).double()

    def start(rows, seed=0, start=None):
        if seed % 2:
            GaussianMixture.initialise_components(mixture, rows, seed, start)
        else:
            mixture.initialise_assigned(rows, given)

    mixture.initialise_components = start
    _, outcome = run(x, mixture=mixture, restarts=2, start="whitened_k_means")
    assert outcome.refused == ["component 1 on 20 rows"]
    assert outcome.collapsed == []
    mixture.initialise_assigned(x, given)
    spike = expectation_maximisation(mixture, lambda: [(x, None)])
    assert spike.penalised > outcome.result.penalised


def test_if_all_collapse_it_is_told():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).repeat(20, 1)
    _, outcome = run(x, 3, restarts=3)
    assert len(outcome.refused) == 3
    assert len(outcome.collapsed) == 3


def test_a_prior_keeps_them_from_collapsing():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).repeat(20, 1)
    prior = ConjugatePrior(covariance_rows=1.0)
    _, outcome = run(x, mixture=GaussianMixture(3, 2, prior=prior).double(), restarts=3)
    assert outcome.refused == outcome.collapsed == []


def test_one_component_has_one_start():
    _, outcome = run(blobs(), 1)
    assert outcome.tried == 1
    assert outcome.result.converged


def test_a_seed_repeats():
    first, second, other = (run(blobs(), 5, seed=seed, restarts=2)[0].means for seed in (4, 4, 10))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_no_start_begins_after_the_end():
    for options in ({"should_stop": lambda: True}, {"deadline": time.monotonic() - 1.0}):
        starts = []
        mixture = GaussianMixture(4, 2).double()
        original = mixture.initialise_components
        mixture.initialise_components = lambda *given, s=starts, o=original: (s.append(1), o(*given))
        run(blobs(), mixture=mixture, **options)
        assert len(starts) == 1
