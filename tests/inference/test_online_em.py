"""Online EM: the first batch is a step of EM, and one pass comes far."""

import pytest
import torch

from logpx.errors import DivergedError, UsageError
from logpx.inference import expectation_maximisation, online_expectation_maximisation
from logpx.latent import ConjugatePrior, GaussianMixture


def blobs(rows=6000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 6.0]], dtype=torch.float64)
    chosen = torch.randint(0, 3, (rows,), generator=generator)
    return centres[chosen] + torch.randn(rows, 2, generator=generator, dtype=torch.float64)


def started(x, **options):
    mixture = GaussianMixture(3, 2, **options).double()
    mixture.initialise_components(x[:300], seed=5)
    return mixture


@pytest.mark.parametrize("prior", [None, ConjugatePrior(1.0, 1.0, 2.0)])
def test_one_batch_of_all_rows_is_one_iteration_of_em(prior):
    x, weights = blobs(500), torch.rand(500, dtype=torch.float64)
    online, batch = started(x, prior=prior), started(x, prior=prior)
    online_expectation_maximisation(online, lambda: [(x, weights)])
    batch.update(batch.statistics(x, weights))
    for found, expected in zip(online.parameters(), batch.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_a_pass_over_many_batches_comes_near_to_em():
    x = blobs()
    online, batch = started(x), started(x)
    result = online_expectation_maximisation(
        online, lambda: [(part, None) for part in x.split(200)], passes=4
    )
    best = expectation_maximisation(batch, lambda: [(x, None)], max_iterations=500).log_likelihood
    assert len(result.history) == 120
    with torch.no_grad():
        assert online.log_prob(x).mean().item() > best - 0.005


def test_batches_without_weight_are_passed_over_and_no_rows_are_an_error():
    x = blobs(400)
    plain, holed = started(x), started(x)
    nothing = (torch.full((5, 2), torch.nan).double(), None)
    online_expectation_maximisation(plain, lambda: [(part, None) for part in x.split(100)])
    online_expectation_maximisation(
        holed, lambda: [nothing, *((part, None) for part in x.split(100)), nothing]
    )
    torch.testing.assert_close(plain.means, holed.means)
    with pytest.raises(DivergedError, match="no rows"):
        online_expectation_maximisation(plain, lambda: [nothing])


@pytest.mark.parametrize("options", [{"exponent": 0.5}, {"exponent": 1.1}, {"delay": -1.0}, {"passes": 0}])
def test_nonsense_is_refused(options):
    with pytest.raises(UsageError):
        online_expectation_maximisation(started(blobs(300)), list, **options)
