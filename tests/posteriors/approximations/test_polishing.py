"""Polishing: weighted draws show the tails that a fit lacks, and what it covered stays covered."""

import pytest
import torch

from logpx.distributions import Flow, Mixture, StandardNormal
from logpx.posteriors import PosteriorMethod, Trust
from logpx.posteriors.approximations.approximation import Approximation
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.approximations.polishing import Polishing
from logpx.posteriors.diagnostics.importance import Weighted, weigh
from logpx.posteriors.diagnostics.verdict import diagnose
from logpx.posteriors.run import PosteriorRun
from logpx.posteriors.target.target import Target
from logpx.training.progress import reporter_for
from logpx.transforms import TriangularAffine

# In units in which the log-evidence is 0.
EXACT = torch.distributions.MultivariateNormal(torch.ones(2).double(), torch.eye(2).double())
WIDTH = 0.65


def too_narrow() -> Flow:
    """Return a normal distribution of 0.65 deviations: its weights have a k-hat of 0.58."""
    factor = WIDTH * torch.eye(2).double()
    return Flow(StandardNormal(2).double(), TriangularAffine.of(EXACT.mean, factor))


class TooNarrow(PosteriorMethod):
    """A fit that is too narrow, whatever the density."""

    name = "too narrow"

    def approximate(self, target, landscape, seed, draws=10_000):
        return Approximation(too_narrow())


def run(methods):
    with reporter_for(False) as reporter:
        target = Target(EXACT.log_prob, 2)
        return PosteriorRun(target, seed=0, draws=10_000, max_time=None, reporter=reporter).posterior(methods)


def test_a_narrow_fit_gets_the_tails_that_it_lacks():
    target, q = Target(EXACT.log_prob, 2), too_narrow()
    before = q.sample(1000, seed=1)
    assert torch.allclose(before.std(0), torch.full((2,), WIDTH).double(), rtol=0.1)
    weighted = weigh(q, target, 10_000, 0)
    assert diagnose(weighted).k_hat > 0.5
    found = Polishing(q, weighted).approximate(target, Landscape(paths=()), 0)
    assert isinstance(found.distribution, Mixture)
    assert diagnose(weigh(found.distribution, target, 10_000, 1)).k_hat < 0.5
    # What was fitted is neither changed nor lost.
    assert torch.equal(q.sample(1000, seed=1), before)
    assert torch.equal(found.distribution.components[0].sample(1000, seed=1), before)


def test_draws_without_the_tails_do_not_make_it_trusted():
    q = too_narrow()
    u = q.sample(10_000, seed=3)
    # Draws from the fit itself, all alike.
    found = Polishing(q, Weighted(u, torch.zeros(len(u)).double())).approximate(
        Target(EXACT.log_prob, 2), Landscape(paths=()), 0
    )
    assert diagnose(weigh(found.distribution, Target(EXACT.log_prob, 2), 10_000, 1)).trust is Trust.DO_NOT


def test_the_last_fit_is_polished_where_only_its_weights_are_uneven():
    found = run([TooNarrow(), TooNarrow()])
    assert found.method == "polished"
    assert found.diagnosis.trust is not Trust.DO_NOT
    assert found.log_evidence == pytest.approx(0.0, abs=0.02)


@pytest.mark.slow
def test_a_method_that_was_asked_for_is_not_polished():
    found = run([TooNarrow()])
    assert (found.method, found.diagnosis.trust) == ("too narrow", Trust.DO_NOT)
