"""Continuous flows: log p against closed forms, estimates with their error, training, saving."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import logpx
from logpx import flows, nets
from logpx.errors import NotConvergedError, UsageError
from logpx.flows import AdaptiveSolver, FixedStepSolver, FlowMatching
from logpx.training.history import StopReason


class OfNormal(nn.Module):
    """The velocity of flow matching where the data are N(mean, factor factorᵀ), in closed form."""

    def __init__(self, mean, factor):
        super().__init__()
        self.mean = torch.as_tensor(mean, dtype=torch.float64)
        self.covariance = torch.as_tensor(factor, dtype=torch.float64)
        self.covariance = self.covariance @ self.covariance.mT

    def forward(self, x, t, context=None):
        # Given x_t, the data are normal; the velocity is the mean of (x - z).
        t = t.reshape(-1, 1, 1)
        identity = torch.eye(len(self.mean), dtype=torch.float64)
        slope = (t * self.covariance - (1.0 - t) * identity) @ torch.linalg.inv(
            (1.0 - t) ** 2 * identity + t**2 * self.covariance
        )
        return self.mean + (slope @ (x - t[..., 0] * self.mean).unsqueeze(-1)).squeeze(-1)


NORMALS = {
    "standard": ([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]),
    "wide and narrow": ([1.0, -2.0], [[0.2, 0.0], [0.0, 3.0]]),
    "correlated": ([0.5, 0.0], [[1.0, 0.0], [0.9, 0.3]]),
    "narrow": ([0.0, 1.0], [[0.1, 0.0], [0.05, 0.1]]),
}


@pytest.fixture(params=NORMALS)
def normal(request):
    mean, factor = NORMALS[request.param]
    truth = MultivariateNormal(
        torch.tensor(mean, dtype=torch.float64), scale_tril=torch.tensor(factor, dtype=torch.float64)
    )
    flow = FlowMatching(2, velocity=OfNormal(mean, factor)).double().eval()
    return flow, truth


def test_log_p_is_that_of_the_normal_in_closed_form(normal):
    flow, truth = normal
    torch.manual_seed(0)
    x = truth.sample((50,))
    assert flow.kind == "exact"
    assert (flow.log_prob(x) - truth.log_prob(x)).abs().max() < 1e-4
    drawn, log_prob = flow.sample_with_log_prob(50, seed=0)
    assert (log_prob - truth.log_prob(drawn)).abs().max() < 1e-4
    torch.testing.assert_close(flow.sample(50, seed=0), drawn)


def test_the_estimate_is_unbiased_and_knows_its_error():
    flow = (
        FlowMatching(2, velocity=OfNormal(*NORMALS["correlated"]), solver=FixedStepSolver(20)).double().eval()
    )
    x = flow.sample(40, seed=1)
    found = flow.log_prob_estimate(x, draws=200, seed=2)
    error = (found.log_prob - flow.log_prob(x)).abs()
    assert bool((error <= 4.0 * found.standard_error + 1e-6).all())
    assert torch.equal(found.log_prob, flow.log_prob_estimate(x, draws=200, seed=2).log_prob)
    assert flow.log_prob_estimate(x[:3], draws=1).standard_error.isnan().all()
    # A row's signs depend on its number alone.
    torch.testing.assert_close(flow.log_prob_estimate(x[:5], draws=200, seed=2).log_prob, found.log_prob[:5])


def test_an_estimate_is_called_one():
    mean, factor = NORMALS["correlated"]
    options = {"velocity": OfNormal(mean, factor), "solver": FixedStepSolver(10)}
    flow = FlowMatching(2, trace="hutchinson", draws=64, **options).double().eval()
    exact = FlowMatching(2, **options).double().eval()
    x = exact.sample(200, seed=0)
    assert flow.kind == "estimate"
    found = flow.log_prob_lower(x, draws=64, seed=3)
    assert (found.standard_error > 0.0).all()
    scores = (found.log_prob - exact.log_prob(x)) / found.standard_error
    assert scores.square().mean().sqrt() < 1.5
    assert abs(scores.mean()) < 4.0 / math.sqrt(200)
    assert flow.log_prob(x).shape == (200,)
    assert flow.distribution().kind == "estimate"


def randomised(flow):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return flow.eval()


def test_the_trace_is_that_of_automatic_differentiation():
    net = randomised(nets.VelocityMLP(3, hidden=(8, 8), context=2)).double()
    x, context, t = torch.randn(4, 3).double(), torch.randn(4, 2).double(), torch.tensor(0.3).double()
    velocity, products = net.with_products(x, t, context, torch.eye(3).double())
    torch.testing.assert_close(velocity, net(x, t, context))
    for row in range(4):
        jacobian = torch.autograd.functional.jacobian(lambda u, r=row: net(u, t, context[r]), x[row])
        torch.testing.assert_close(products[row], jacobian.mT)

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x, t, context=None):
            return self.net(x, t, context)

    own = FlowMatching(3, context=2, velocity=net).double().eval()
    other = FlowMatching(3, context=2, velocity=Plain()).double().eval()
    torch.testing.assert_close(own.log_prob(x, context), other.log_prob(x, context))


@pytest.mark.parametrize("context", [0, 2])
def test_the_ladj_is_that_of_the_whole_map(context):
    flow = randomised(FlowMatching(2, hidden=(8,), context=context, solver=FixedStepSolver(40))).double()
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double()
    c = torch.randn(5, context, generator=torch.Generator().manual_seed(1)).double() if context else None
    z, ladj = flow.transform.forward(x, c)
    for row in range(5):
        own = None if c is None else c[row]
        jacobian = torch.autograd.functional.jacobian(
            lambda u, own=own: flow.transform.forward(u, own)[0], x[row]
        )
        assert ladj[row].item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-6)
    back, ladj_back = flow.transform.inverse(z, c)
    torch.testing.assert_close(back, x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ladj_back, -ladj, atol=1e-6, rtol=1e-6)
    assert flow.log_prob(x[:, None], None if c is None else c).shape == ((5, 5) if context else (5, 1))


def test_flow_matching_finds_a_density():
    torch.manual_seed(0)
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[2.0, 1.0], [0.0, 0.5]]
    )
    x = x + torch.tensor([5.0, -3.0])
    flow = FlowMatching(2, hidden=(32, 32), solver=FixedStepSolver(8))
    result = logpx.fit(flow, x, max_steps=200, batch_size=64, seed=0, progress=False)
    assert result.stopped is StopReason.BUDGET
    truth = MultivariateNormal(x.mean(0), torch.cov(x.T))
    rows = truth.sample((500,))
    assert abs(flow.log_prob(rows).mean() - truth.log_prob(rows).mean()) < 0.08
    assert result.best_validation == pytest.approx(truth.log_prob(x).mean().item(), abs=0.15)


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_the_likelihood_is_climbed_through_the_solver(trace):
    torch.manual_seed(0)
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[1.0, 0.9], [0.0, 0.2]]
    )
    flow = FlowMatching(
        2, hidden=(8,), solver=FixedStepSolver(3), trace=trace, draws=2, objective="likelihood"
    )
    logpx.fit(flow, x, max_steps=60, batch_size=64, learning_rate=0.03, seed=0, progress=False)
    truth = MultivariateNormal(x.mean(0), torch.cov(x.T))
    apart = truth.log_prob(x).mean() - Normal(x.mean(0), x.std(0)).log_prob(x).sum(1).mean()
    assert truth.log_prob(x).mean() - flow.log_prob(x).mean() < 0.5 * apart
    flow.objective = "flow matching"
    logpx.fit(flow, x, max_steps=2, seed=0, progress=False)
    with pytest.raises(UsageError, match="the objective 'loss'"):
        flow.objective = "loss"


def test_a_batch_is_paired_by_optimal_transport():
    from logpx.flows.flow_matching import _paired

    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(6, 1, generator=generator), torch.randn(6, 1, generator=generator)
    order = _paired(x, z)
    # On a line the optimal order is that of the ranks.
    assert torch.equal(z[order].flatten().argsort(), x.flatten().argsort())
    assert sorted(_paired(torch.randn(300, 2), torch.randn(300, 2)).tolist()) == list(range(300))


def test_a_context_is_learnt_and_all_is_saved(tmp_path):
    torch.manual_seed(0)
    context = torch.rand(1000, 1, generator=torch.Generator().manual_seed(0)) * 4.0 - 2.0
    x = context + 0.2 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(1))
    flow = FlowMatching(1, hidden=(32,), context=1, solver=FixedStepSolver(8), trace="hutchinson", draws=2)
    logpx.fit(flow, x, context=context, max_steps=150, batch_size=64, seed=0, progress=False)
    drawn = flow.sample((200,), torch.tensor([[-1.5], [1.5]]), seed=0)
    np.testing.assert_allclose(drawn.median(0).values.flatten().numpy(), [-1.5, 1.5], atol=0.4)
    logpx.save(flow, tmp_path / "model")
    again = logpx.load(tmp_path / "model")
    assert again.kind == "estimate"
    assert torch.equal(again.log_prob(x[:20], context[:20]), flow.log_prob(x[:20], context[:20]))
    assert torch.equal(again.sample(3, context[:3], seed=1), flow.sample(3, context[:3], seed=1))


def test_fits_repeat_and_leave_the_global_generator_alone():
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        flow = FlowMatching(2, hidden=(8,), solver=FixedStepSolver(4))
        state = torch.get_rng_state()
        logpx.fit(flow, x, max_steps=5, seed=3, progress=False)
        assert torch.equal(state, torch.get_rng_state())
        found.append(flow.log_prob(x))
    assert torch.equal(*found)


def test_it_is_a_distribution_of_torch():
    flow = randomised(FlowMatching(2, hidden=(8,), solver=FixedStepSolver(8)))
    given = flow.distribution()
    assert given.rsample((3,)).requires_grad
    assert given.log_prob(torch.zeros(4, 2)).shape == (4,)
    image = FlowMatching(
        2, hidden=(8,), context=(3, 2), embedding=nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    )
    assert image.eval().sample((4,), torch.zeros(5, 3, 2)).shape == (4, 5, 2)
    assert image.log_prob(torch.zeros(5, 2), torch.zeros(5, 3, 2)).shape == (5,)


def test_an_adaptive_solver_keeps_its_tolerance_or_gives_up(normal):
    flow, truth = normal
    flow.transform.transforms[1].solver = AdaptiveSolver(1e-7)
    x = truth.sample((10,))
    assert (flow.log_prob(x) - truth.log_prob(x)).abs().max() < 1e-4
    assert flow.log_prob(x[:0]).shape == (0,)
    flow.transform.transforms[1].solver = AdaptiveSolver(1e-9, most_steps=3)
    with pytest.raises(NotConvergedError, match="more than 3 steps"):
        flow.log_prob(x)


class Exploding(nn.Module):
    """The velocity -x²: from 1 to 0, x becomes x / (1 - x) where x < 1, and infinite where it is not."""

    def forward(self, x, t, context=None):
        return -x.square()

    def with_products(self, x, t, context, directions):
        return -x.square(), -2.0 * x.unsqueeze(-2) * directions


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_a_row_without_an_answer_takes_none_from_the_others(trace):
    solver = AdaptiveSolver(1e-6, most_steps=60)
    flow = FlowMatching(1, velocity=Exploding(), solver=solver, trace=trace, draws=1).double().eval()
    x = torch.tensor([[0.5], [3.0], [-4.0], [math.nan]], dtype=torch.float64)
    with pytest.warns(RuntimeWarning, match=r"2 of 4 rows, counted from 0: 1, 3; they are NaN"):
        found = flow.log_prob(x)
    assert found.isnan().tolist() == [False, True, False, True]
    known = x[[0, 2], 0]
    expected = Normal(0.0, 1.0).log_prob(known / (1.0 - known)) - 2.0 * (1.0 - known).log()
    torch.testing.assert_close(found[[0, 2]], expected, atol=1e-4, rtol=0.0)
    with pytest.raises(NotConvergedError, match="for 1 of 1 rows"):
        flow.log_prob(x[1:2])
    # Nothing of it reaches a gradient.
    inputs = x.clone().requires_grad_()
    with pytest.warns(RuntimeWarning):
        flow.log_prob(inputs)[[0, 2]].sum().backward()
    slope = -(known / (1.0 - known)) / (1.0 - known).square() + 2.0 / (1.0 - known)
    torch.testing.assert_close(inputs.grad[[0, 2], 0], slope, atol=1e-3, rtol=0.0)


def test_with_an_adaptive_solver_no_row_depends_on_another():
    flow = randomised(FlowMatching(2, hidden=(8,), solver=AdaptiveSolver(1e-5))).double()
    near = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double()
    found = flow.log_prob(torch.cat([near, torch.full((1, 2), 1e6).double()]))
    assert found.isfinite().all()
    torch.testing.assert_close(found[:5], flow.log_prob(near), atol=1e-12, rtol=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trace": "none"}, "the trace 'none'"),
        ({"draws": 0}, "draws is 0"),
        ({"objective": "elbo"}, "the objective 'elbo'"),
        ({"velocity": nn.Linear(2, 2)}, "called as velocity"),
        ({"velocity": nets.VelocityMLP(3)}, "does not take rows of 2 features"),
        ({"solver": 50}, "solver is 50"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        FlowMatching(2, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moons", "eight normals"])
def test_shapes_are_learnt_to_near_their_entropy(name):
    def moons(n, seed):
        generator = torch.Generator().manual_seed(seed)
        angle = math.pi * torch.rand(n, generator=generator)
        upper = torch.stack([angle.cos(), angle.sin()], 1)
        lower = torch.stack([1.0 - angle.cos(), 0.5 - angle.sin()], 1)
        chosen = torch.rand(n, 1, generator=generator) < 0.5
        return torch.where(chosen, upper, lower) + 0.1 * torch.randn(n, 2, generator=generator)

    def eight(n, seed):
        generator = torch.Generator().manual_seed(seed)
        angle = torch.randint(8, (n,), generator=generator) * math.pi / 4.0
        return torch.stack([angle.cos(), angle.sin()], 1) * 2.0 + 0.2 * torch.randn(n, 2, generator=generator)

    def of_eight(x):
        angle = torch.arange(8) * math.pi / 4.0
        centres = torch.stack([angle.cos(), angle.sin()], 1) * 2.0
        return torch.logsumexp(Normal(centres, 0.2).log_prob(x[:, None]).sum(-1), 1) - math.log(8.0)

    data = moons if name == "moons" else eight
    flow = flows.FlowMatching(2)
    logpx.fit(flow, data(20_000, 0), max_steps=6000, batch_size=256, seed=0, progress=False)
    test = data(4000, 9)
    # Two moons with noise 0.1 have an entropy of 1.008 nats.
    floor = -1.008 if name == "moons" else of_eight(test).mean().item()
    assert flow.log_prob(test).mean().item() > floor - 0.05
