"""Flow = base + transform: change of variables, contexts and refusals."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from logpx import flows
from logpx.distributions import DiagonalNormal, Flow, StandardNormal, StudentT, Uniform
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Exp, Inverse, Logit, Sigmoid, Softplus, Tanh


def test_log_normal():
    flow = Flow(StandardNormal(1), Inverse(Exp(1))).double()
    x = torch.tensor([[0.1], [1.0], [5.0]], dtype=torch.float64)
    torch.testing.assert_close(flow.log_prob(x), torch.from_numpy(stats.lognorm.logpdf(x[:, 0], 1.0)))
    assert stats.kstest(flow.sample(2000, seed=0)[:, 0].numpy(), stats.lognorm(1.0).cdf).pvalue > 1e-3


def test_logistic_from_a_bounded_base():
    flow = Flow(Uniform(1), Sigmoid(1)).double()
    x = torch.tensor([[-30.0], [0.0], [2.0], [30.0]], dtype=torch.float64)
    torch.testing.assert_close(flow.log_prob(x), torch.from_numpy(stats.logistic.logpdf(x[:, 0])))


def test_logit_normal_integrates_to_one():
    flow = Flow(DiagonalNormal(1), Logit(1)).double()
    x = (torch.arange(100_000, dtype=torch.float64)[:, None] + 0.5) / 100_000
    assert flow.log_prob(x).exp().mean().item() == pytest.approx(1.0, abs=1e-6)


def test_sample_with_log_prob_is_one_pass_and_agrees():
    flow = flows.RealNVP(2, layers=2, hidden=(8,), context=2).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.3)
    calls = []
    for module in flow.modules():
        module.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    context = torch.randn(50, 2, dtype=torch.float64)
    x, log_prob = flow.sample_with_log_prob(50, context, seed=0)
    assert calls.count("MLP") == 2
    torch.testing.assert_close(log_prob, flow.log_prob(x, context))
    torch.testing.assert_close(x, flow.sample(50, context, seed=0))


def test_one_context_for_all_rows():
    flow = flows.MAF(2, layers=2, hidden=(8,), context=3)
    context = torch.randn(3)
    x = flow.sample(7, context, seed=0)
    assert x.shape == (7, 2)
    each = context.expand(7, -1)
    torch.testing.assert_close(flow.log_prob(x, context), flow.log_prob(x, each))
    torch.testing.assert_close(x, flow.sample(7, each, seed=0))


@pytest.mark.parametrize("given", [None, torch.zeros(5, 2), torch.zeros(4)])
def test_a_context_of_the_wrong_size_is_refused(given):
    flow = flows.RealNVP(2, layers=2, hidden=(8,), context=3)
    for call in (
        lambda: flow.log_prob(torch.zeros(5, 2), given),
        lambda: flow.sample(5, given),
        lambda: flow.sample_with_log_prob(5, given),
    ):
        with pytest.raises(UsageError, match="3 context features"):
            call()


def test_a_context_that_nobody_takes_is_refused():
    with pytest.raises(UsageError, match="0 context features"):
        flows.RealNVP(2, layers=2, hidden=(8,)).log_prob(torch.zeros(5, 2), torch.zeros(5, 1))


def test_base_and_transform_must_fit():
    with pytest.raises(UsageError, match="event shape"):
        Flow(StandardNormal(2), Affine(3))
    conditional = flows.RealNVP(2, layers=2, hidden=(8,), context=1)
    with pytest.raises(UsageError, match="context"):
        Flow(conditional, flows.RealNVP(2, layers=2, hidden=(8,), context=2).transform)


def test_a_conditional_base_gets_the_context():
    base = flows.RealNVP(2, layers=2, hidden=(8,), context=1)
    flow = Flow(base, Affine(2))
    x, context = torch.randn(5, 2), torch.randn(5, 1)
    torch.testing.assert_close(flow.log_prob(x, context), base.log_prob(x, context))


def test_rows_of_another_dtype_are_refused():
    flow = flows.RealNVP(2, layers=2, hidden=(8,))
    with pytest.raises(UsageError, match="float64") as error:
        flow.log_prob(torch.zeros(5, 2, dtype=torch.float64))
    assert "to(" in error.value.fix
    assert flow.log_prob(torch.zeros(5, 2)).dtype == torch.float32
    assert flow.double().log_prob(torch.zeros(5, 2).double()).dtype == torch.float64


def test_log_prob_of_a_normal_is_in_nats():
    flow = Flow(StandardNormal(3), Affine(3))
    assert flow.log_prob(torch.zeros(1, 3)).item() == pytest.approx(-1.5 * math.log(2.0 * math.pi))


@pytest.mark.parametrize("shape", [(5, 3), (0, 3)])
def test_contexts_of_other_rows_are_refused(shape):
    flow = flows.RealNVP(features=2, context=3, layers=2, hidden=(8,))
    with pytest.raises(UsageError, match="for rows of shape"):
        flow.log_prob(torch.zeros(2, 2), torch.zeros(shape))
    with pytest.raises(UsageError, match="for rows of shape"):
        flow.sample(2, torch.zeros(shape))


def test_a_count_of_draws_takes_no_contexts_of_several_dimensions():
    flow = flows.RealNVP(features=2, context=3, layers=2, hidden=(8,))
    with pytest.raises(UsageError, match="for rows of shape"):
        flow.sample(2, torch.zeros(2, 2, 3))


def test_one_context_serves_all_rows():
    flow = flows.RealNVP(features=2, context=3, layers=2, hidden=(8,))
    x = torch.zeros(4, 2)
    assert torch.equal(flow.log_prob(x, torch.ones(1, 3)), flow.log_prob(x, torch.ones(3)))
    assert flow.log_prob(torch.zeros(2, 4, 2), torch.ones(4, 3)).shape == (2, 4)


def test_rows_that_are_no_tensor_are_refused():
    with pytest.raises(UsageError, match="a list given to a model"):
        flows.RealNVP(features=2).log_prob([[0.0, 0.0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impossible_rows_have_no_density_and_a_finite_gradient(dtype):
    # scipy's log-density of |t| raised to e, of a t mapped into (-1, 1), and of its logistic image.
    cases = [
        (Inverse(Exp(1)), [2.0, -1.0, -1e30], lambda x: stats.t.logpdf(np.log(x), 2.0) - np.log(x)),
        (
            Inverse(Softplus(1)),
            [2.0, -1.0, -1e30],
            lambda x: stats.t.logpdf(np.log(np.expm1(x)), 2.0) - np.log(-np.expm1(-x)),
        ),
        (Inverse(Tanh(1)), [0.3, 1.5, -7.0], lambda x: stats.t.logpdf(np.arctanh(x), 2.0) - np.log1p(-x * x)),
        (
            Logit(1),
            [0.3, 1.5, -7.0],
            lambda x: stats.t.logpdf(special.logit(x), 2.0) - np.log(x) - np.log1p(-x),
        ),
    ]
    for transform, values, log_density in cases:
        flow = Flow(StudentT(1, degrees=2.0), Chain([transform, Affine(1)])).to(dtype)
        x = torch.tensor(values, dtype=dtype)[:, None].requires_grad_()
        log_prob = flow.log_prob(x)
        assert log_prob[0].item() == pytest.approx(log_density(values[0]), rel=1e-5)
        assert log_prob[1:].tolist() == [-math.inf, -math.inf]
        log_prob.sum().backward()
        assert all(torch.isfinite(tensor.grad).all() for tensor in (x, *flow.parameters()))


def test_noise_that_the_transform_cannot_produce_gives_no_density():
    x, log_prob = Flow(StandardNormal(1), Sigmoid(1)).sample_with_log_prob(100, seed=0)
    noise = StandardNormal(1).sample(100, seed=0)[:, 0]
    assert torch.equal(log_prob == -math.inf, (noise < 0.0) | (noise > 1.0))
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("context", [None, "one", "each"])
def test_many_rows_are_mapped_part_by_part_to_the_same_numbers(context):
    flow = flows.MAF(3, layers=2, hidden=(8,), context=0 if context is None else 2).double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0.0, 0.3)
    x = torch.randn(9000, 3, dtype=torch.float64)
    given = {None: None, "one": torch.ones(2).double(), "each": torch.randn(9000, 2).double()}[context]
    seen = []
    forward = flow.transform.forward
    flow.transform.forward = lambda x, *rest: seen.append(len(x)) or forward(x, *rest)
    found = flow.log_prob(x, given)
    assert seen == [4096, 4096, 808]
    whole = flow.log_prob(x.clone().requires_grad_(), given)
    assert seen[3:] == [9000]
    torch.testing.assert_close(found, whole.detach(), rtol=1e-12, atol=1e-12)
    flow.train()
    flow.log_prob(x, given)
    assert seen[4:] == [9000]
    del flow.transform.forward
    flow.eval()
    if context != "each":
        rows, log_prob = flow.sample_with_log_prob(9000, given, seed=0)
        torch.testing.assert_close(flow.log_prob(rows, given), log_prob, rtol=1e-9, atol=1e-9)
