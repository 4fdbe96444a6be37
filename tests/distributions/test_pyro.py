"""Flows in Pyro: as sites, as guides, as densities of a Markov chain. Skipped where Pyro is not installed."""

import copy
import pickle

import pytest
import torch

from logpx import flows
from logpx.distributions import Flow, StandardNormal
from logpx.transforms import Affine

pyro = pytest.importorskip("pyro", reason="Pyro is not installed: pip install pyro-ppl")
dist, infer, optim = (pytest.importorskip(f"pyro.{part}") for part in ("distributions", "infer", "optim"))


@pytest.fixture(autouse=True)
def _seeded():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


def test_a_flow_is_a_distribution_of_pyro():
    flow = flows.MAF(2, layers=1, hidden=(4,))
    given = flow.distribution()
    assert isinstance(given, dist.torch_distribution.TorchDistributionMixin)
    assert pyro.sample("x", given).shape == (2,)
    with pyro.plate("rows", 5):
        assert pyro.sample("y", given).shape == (5, 2)
    assert given.expand_by([3]).batch_shape == (3,)
    assert given.expand([4]).to_event(1).event_shape == (4, 2)
    assert given.mask(torch.tensor(False)).log_prob(torch.zeros(2)) == 0.0
    context = flows.MAF(2, layers=1, hidden=(4,), context=1).distribution(torch.zeros(3, 1))
    with pyro.plate("contexts", 3):
        assert pyro.sample("z", context).shape == (3, 2)


def test_copies_are_distributions_of_pyro_too():
    given = flows.MAF(2, layers=1, hidden=(4,), context=1).distribution(torch.zeros(3, 1)).expand((2, 3))
    x = torch.ones(2)
    for other in (copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert isinstance(other, dist.torch_distribution.TorchDistributionMixin)
        assert other.batch_shape == (2, 3)
        assert torch.equal(other.log_prob(x), given.log_prob(x))


def test_a_flow_is_a_guide():
    flow = Flow(StandardNormal(2), Affine(2))

    def model():
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=torch.tensor([2.0, -2.0]))

    def guide():
        pyro.module("flow", flow)
        pyro.sample("z", flow.distribution())

    loss = infer.Trace_ELBO(num_particles=32, vectorize_particles=True)
    svi = infer.SVI(model, guide, optim.Adam({"lr": 0.05}), loss)
    for _ in range(200):
        svi.step()
    # Of two normals the posterior is one: half the datum, half the variance.
    torch.testing.assert_close(flow.transform.shift.detach(), torch.tensor([1.0, -1.0]), atol=0.1, rtol=0.0)
    scale = flow.transform.log_scale.exp().detach()
    torch.testing.assert_close(scale, torch.full((2,), 0.5**0.5), atol=0.1, rtol=0.0)


def test_a_fitted_flow_is_trained_on_through_pyro():
    flow = flows.MAF(2, layers=1, hidden=(4,), context=1).eval()

    def model():
        pyro.module("flow", flow)
        with pyro.plate("rows", 5):
            pyro.sample("x", flow.distribution(torch.zeros(5, 1)), obs=torch.ones(5, 2))

    svi = infer.SVI(model, lambda: None, optim.Adam({"lr": 0.02}), infer.Trace_ELBO())
    losses = [svi.step() for _ in range(30)]
    assert losses[-1] < losses[0] - 1.0


@pytest.mark.slow
@pytest.mark.parametrize("bounded", [None, {0: (0.0, 1.0)}])
def test_a_chain_follows_the_density_of_a_flow(bounded):
    flow = flows.NSF(2, layers=1, hidden=(4,), bounded=bounded).eval()
    kernel = infer.NUTS(lambda: pyro.sample("x", flow.distribution()))
    chain = infer.MCMC(kernel, num_samples=200, warmup_steps=50, disable_progbar=True)
    chain.run()
    x, drawn = chain.get_samples()["x"], flow.sample(2000, seed=0)
    assert flow.log_prob(x).isfinite().all()
    torch.testing.assert_close(x.mean(0), drawn.mean(0), atol=0.3, rtol=0.0)
    torch.testing.assert_close(x.std(0), drawn.std(0), atol=0.3, rtol=0.0)


def test_a_flow_is_scaled_enumerated_over_and_predicted_from():
    flow = flows.MAF(2, layers=1, hidden=(4,), context=2)
    x = torch.zeros(4, 2)

    def model():
        with pyro.plate("rows", 4), pyro.poutine.scale(scale=2.0):
            part = pyro.sample("part", dist.Categorical(torch.ones(2)), infer={"enumerate": "parallel"})
            context = torch.nn.functional.one_hot(part, 2).float()
            pyro.sample("x", flow.distribution(context), obs=x)

    loss = infer.TraceEnum_ELBO(max_plate_nesting=1).loss(model, lambda: None)
    each = torch.stack([flow.log_prob(x, context) for context in torch.eye(2)])
    assert loss == pytest.approx(-2.0 * (each.exp().mean(0).log().sum().item()), rel=1e-5)

    def prior():
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))

    def guide():
        pyro.sample("z", flow.distribution(torch.zeros(2)))

    assert infer.Predictive(prior, guide=guide, num_samples=7)()["z"].shape[0] == 7
