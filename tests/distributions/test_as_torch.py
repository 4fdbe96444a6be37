"""Models where torch's distributions are expected: shapes, gradients, supports and divergences."""

import copy
import pickle

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
    biject_to,
    kl_divergence,
    transforms,
)

from logpx import flows, latent
from logpx.distributions import (
    DiagonalNormal,
    Distribution,
    Flow,
    FullNormal,
    Mixture,
    Product,
    StandardNormal,
    StudentT,
    Uniform,
)
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Exp, Logit, Sigmoid

CONDITIONAL = {
    "MAF": lambda: flows.MAF(3, layers=2, hidden=(8,), context=2),
    "NSF": lambda: flows.NSF(3, layers=2, hidden=(8,), context=2),
    "IAF": lambda: flows.IAF(3, layers=2, hidden=(8,), context=2),
    "RealNVP of images": lambda: flows.RealNVP((1, 2, 2), layers=2, hidden=(4,), context=2),
}


def randomised(model, scale=0.3):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(params=CONDITIONAL)
def model(request):
    return randomised(CONDITIONAL[request.param]())


def test_batches_come_from_contexts(model):
    context = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0))
    given = model.distribution(context)
    assert isinstance(given, torch.distributions.Distribution)
    assert given.batch_shape == (2, 3)
    assert given.event_shape == model.event_shape
    x = given.sample((5,))
    assert x.shape == (5, 2, 3, *model.event_shape)
    log_prob = given.log_prob(x)
    each = torch.stack([model.log_prob(x[:, i, j], context[i, j]) for i in range(2) for j in range(3)], -1)
    torch.testing.assert_close(log_prob, each.view(5, 2, 3))
    one = x[0, 0, 0]
    torch.testing.assert_close(given.log_prob(one), model.log_prob(one.expand(2, 3, *one.shape), context))
    wide = given.expand((4, 2, 3))
    assert wide.batch_shape == (4, 2, 3)
    assert wide.sample((7,)).shape == (7, 4, 2, 3, *model.event_shape)
    torch.testing.assert_close(wide.log_prob(one), given.log_prob(one).expand(4, 2, 3))


def test_draws_follow_their_own_context():
    flow = Flow(StandardNormal(2), Affine(2))
    conditional = randomised(flows.MAF(2, layers=1, hidden=(8,), context=1))
    context = torch.tensor([[-3.0], [3.0]])
    torch.manual_seed(0)
    x = conditional.distribution(context).sample((20_000,))
    medians = torch.stack([conditional.sample(20_000, row, seed=0).median(0).values for row in context])
    assert (medians[0] - medians[1]).abs().max() > 0.3
    torch.testing.assert_close(x.median(0).values, medians, atol=0.1, rtol=0.0)
    assert flow.distribution().sample((2, 3)).shape == (2, 3, 2)
    assert flow.distribution().expand((4,)).sample((2,)).shape == (2, 4, 2)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_torch_in_evaluation_mode_too(training):
    flow = flows.MAF(2, layers=1, hidden=(4,)).train(training)
    given = flow.distribution()
    assert not given.sample((3,)).requires_grad
    assert given.has_rsample
    assert given.rsample((3,)).requires_grad
    assert given.log_prob(torch.zeros(3, 2)).requires_grad
    with torch.no_grad():
        assert not given.log_prob(torch.zeros(3, 2)).requires_grad
    mixture = Mixture([StandardNormal(2), DiagonalNormal(2)]).distribution()
    assert not mixture.has_rsample
    with pytest.raises(NotImplementedError, match="Mixture"):
        mixture.rsample()


def test_torchs_own_wrappers_take_it():
    flow = randomised(flows.MAF(2, layers=2, hidden=(8,)))
    x = torch.tensor([[0.3, -0.4], [1.0, 2.0]])
    joined = Independent(flow.distribution().expand((2,)), 1)
    torch.testing.assert_close(joined.log_prob(x), flow.log_prob(x).sum())
    positive = TransformedDistribution(flow.distribution(), [transforms.ExpTransform()])
    torch.testing.assert_close(positive.log_prob(x.exp()), flow.log_prob(x) - x.sum(-1))
    conditional = randomised(flows.NSF(2, layers=2, hidden=(8,), context=1))
    contexts, weights = torch.tensor([[-1.0], [0.0], [2.0]]), torch.tensor([0.2, 0.3, 0.5])
    mixed = MixtureSameFamily(Categorical(weights), conditional.distribution(contexts))
    each = torch.stack([conditional.log_prob(x, context) for context in contexts], -1)
    torch.testing.assert_close(mixed.log_prob(x), torch.logsumexp(each + weights.log(), -1))
    assert mixed.sample((4,)).shape == (4, 2)


def test_a_model_is_called_like_any_module():
    flow = randomised(flows.MAF(2, layers=1, hidden=(4,), context=1))
    x, context = torch.zeros(3, 2), torch.ones(3, 1)
    seen = []
    flow.register_forward_hook(lambda *_: seen.append(True))
    torch.testing.assert_close(flow(x, context), flow.log_prob(x, context))
    assert seen
    torch.testing.assert_close(StandardNormal(2)(x), StandardNormal(2).log_prob(x))


def test_it_takes_parameters_as_they_are_when_asked():
    flow = Flow(StandardNormal(1), Affine(1))
    given = flow.distribution()
    before = given.log_prob(torch.zeros(1)).item()
    with torch.no_grad():
        flow.transform.shift.fill_(2.0)
    assert given.log_prob(torch.zeros(1)).item() == pytest.approx(before - 2.0)
    assert pickle.loads(pickle.dumps(given)).log_prob(torch.zeros(1)) == given.log_prob(torch.zeros(1))
    assert copy.deepcopy(given).model is not flow


CLOSED = {
    "standard": lambda: StandardNormal(2),
    "diagonal": lambda: randomised(DiagonalNormal(2)),
    "full": lambda: randomised(FullNormal(2)),
}


@pytest.mark.parametrize("p", CLOSED)
@pytest.mark.parametrize("q", CLOSED)
def test_divergences_of_normals_are_closed_forms(p, q):
    ours = [CLOSED[name]() for name in (p, q)]
    torchs = []
    for normal in ours:
        rows = normal.sample(1, seed=0).new_zeros(1, 2)
        mean = getattr(normal, "mean", rows[0])
        covariance = getattr(normal, "covariance", None)
        if covariance is None:
            covariance = torch.diag((2.0 * getattr(normal, "log_scale", rows[0])).exp())
        torchs.append(MultivariateNormal(mean, covariance))
    expected = kl_divergence(*torchs)
    found = kl_divergence(ours[0].distribution(), ours[1].distribution())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not hasattr(found, "standard_error")
    torch.testing.assert_close(
        kl_divergence(ours[0].distribution(), torchs[1]), expected, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(
        kl_divergence(torchs[0], ours[1].distribution()), expected, atol=1e-5, rtol=1e-5
    )


def test_divergences_without_a_closed_form_are_estimates_with_their_error():
    torch.manual_seed(0)
    flow = Flow(StandardNormal(2), Affine(2))
    with torch.no_grad():
        flow.transform.shift.copy_(torch.tensor([1.0, -2.0]))
    normal = Independent(Normal(torch.zeros(2), 1.0), 1)
    found = kl_divergence(flow.distribution(), normal)
    assert found.kind == "estimate"
    assert 0.0 < found.standard_error < 0.2
    assert abs(found.item() - 2.5) < 4.0 * found.standard_error
    found.backward()
    # The gradient of half the squared mean.
    torch.testing.assert_close(flow.transform.shift.grad, torch.tensor([1.0, -2.0]), atol=0.2, rtol=0.0)
    back = kl_divergence(normal, flow.distribution())
    assert abs(back.item() - 2.5) < 4.0 * back.standard_error


def test_the_gradient_of_a_divergence_reaches_weights_by_the_score():
    mixture = Mixture([Uniform(1, 0.0, 1.0), Uniform(1, 2.0, 3.0)], [1.0, 3.0])
    other = Mixture([Uniform(1, 0.0, 1.0), Uniform(1, 2.0, 3.0)], [1.0, 1.0])
    torch.manual_seed(0)
    gradients = []
    for _ in range(20):
        mixture.zero_grad()
        kl_divergence(mixture.distribution(), other.distribution()).backward()
        gradients.append(mixture.logits.grad[0].clone())
    weights = torch.softmax(mixture.logits.detach(), 0).requires_grad_()
    logits = mixture.logits.detach().clone().requires_grad_()
    weights = torch.softmax(logits, 0)
    (weights * (weights / 0.5).log()).sum().backward()
    assert torch.stack(gradients).mean().item() == pytest.approx(logits.grad[0].item(), abs=0.02)


def test_a_map_in_common_changes_no_divergence():
    transform = randomised(flows.NSF(2, layers=2, hidden=(8,))).transform
    p, q = Flow(randomised(DiagonalNormal(2)), transform), Flow(StandardNormal(2), transform)
    expected = kl_divergence(p.base.distribution(), q.base.distribution())
    assert kl_divergence(p.distribution(), q.distribution()) == expected
    conditional = flows.NSF(2, layers=2, hidden=(8,), context=1).distribution(torch.zeros(3, 1))
    assert kl_divergence(conditional, conditional).tolist() == [0.0, 0.0, 0.0]


def test_divergences_that_mean_nothing_are_refused():
    with pytest.raises(UsageError, match=r"\(2,\) and \(3,\)"):
        kl_divergence(StandardNormal(2).distribution(), StandardNormal(3).distribution())
    bound = latent.VAE(NormalLikelihood(2), 1).distribution()
    with pytest.raises(UsageError, match="only a bound"):
        kl_divergence(StandardNormal(2).distribution(), bound)


SUPPORTS = {
    "real": (lambda: flows.MAF(2, layers=1, hidden=(4,)), [[1e6, -3.0]], []),
    "uniform": (lambda: Uniform(2, -1.0, 3.0), [[0.0, 3.0]], [[0.0, 3.1], [-2.0, 0.0]]),
    "logit": (lambda: Flow(StandardNormal(2), Chain([Logit(2), Affine(2)])), [[0.1, 0.9]], [[0.1, 1.1]]),
    "onto the cube": (lambda: Flow(Uniform(2), Chain([Affine(2), Sigmoid(2)])), [[5.0, -9.0]], []),
    "unnamed": (lambda: Flow(Uniform(2), Affine(2)), [[0.5, 0.1]], [[1.5, 0.1]]),
    "product": (lambda: Product([Uniform(1), StandardNormal(1)]), [[0.5, 9.0]], [[1.5, 0.0]]),
    "mixture": (lambda: Mixture([Uniform(2), Uniform(2, 3.0, 4.0)]), [[0.5, 0.5], [3.5, 3.5]], [[0.5, 3.5]]),
    "circle and interval": (
        lambda: flows.NSF(2, layers=2, hidden=(4,), circular=(0,), bounded={1: (0.0, 2.0)}),
        [[3.0, 1.0]],
        [[3.2, 1.0], [0.0, 2.1]],
    ),
    "lower-bounded": (lambda: Flow(Flow(StandardNormal(2), Affine(2)), Exp(2)), [[-3.0, 5.0]], []),
}


@pytest.mark.parametrize("name", SUPPORTS)
def test_supports_are_where_the_density_is(name):
    build, inside, outside = SUPPORTS[name]
    model = build()
    support = model.distribution().support
    assert support.event_dim == 1
    assert not support.is_discrete
    assert support.check(torch.tensor(inside)).tolist() == [True] * len(inside)
    if outside:
        assert support.check(torch.tensor(outside)).tolist() == [False] * len(outside)
    assert model.log_prob(torch.tensor(inside)).isfinite().all()
    assert support.check(model.sample(100, seed=0)).all()


@pytest.mark.parametrize("name", ["real", "uniform", "logit", "product", "circle and interval"])
def test_named_supports_have_a_map_from_free_numbers(name):
    model = SUPPORTS[name][0]()
    given = model.distribution()
    found = biject_to(given.support)(3.0 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    assert given.log_prob(found).isfinite().all()


def test_moments_come_where_torch_has_them():
    normal = randomised(FullNormal(2))
    given = normal.distribution()
    torch.testing.assert_close(given.mean, normal.mean)
    torch.testing.assert_close(given.variance, normal.covariance.diagonal())
    expected = MultivariateNormal(normal.mean, normal.covariance).entropy()
    torch.testing.assert_close(given.entropy(), expected)
    heavy = randomised(StudentT(2))
    x = torch.tensor([[0.3, 5.0]])
    torch.testing.assert_close(heavy.torch_equivalent().log_prob(x), heavy.log_prob(x))
    with pytest.raises(NotImplementedError, match="NSF"):
        _ = flows.NSF(2, layers=1, hidden=(4,)).distribution().mean


def test_wrong_shapes_are_named():
    flow = flows.MAF(2, layers=1, hidden=(4,), context=3)
    with pytest.raises(UsageError, match="3 context features, but got 0"):
        flow.distribution()
    with pytest.raises(UsageError, match="3 context features, but got 2"):
        flow.distribution(torch.zeros(5, 2))
    given = flow.distribution(torch.zeros(5, 3))
    with pytest.raises(UsageError, match=r"\(7, 3\).*event shape \(2,\)"):
        given.log_prob(torch.zeros(7, 3))
    with pytest.raises(UsageError, match=r"\(5,\) for rows of shape \(7,\)"):
        given.log_prob(torch.zeros(7, 2))
    with pytest.raises(UsageError, match=r"\(5,\) for rows of shape \(4,\)"):
        given.expand((4,))
    with pytest.raises(UsageError, match=r"\(5,\) expanded to \(1,\)"):
        given.expand((1,))


def test_every_kind_of_model_has_one():
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    models: list[Distribution] = [
        latent.GaussianMixture(2, 2),
        latent.ProbabilisticPCA(2, 1),
        latent.PoissonMixture(2, 2),
        latent.BernoulliMixture(2, 2),
    ]
    for model in models:
        given = model.distribution()
        torch.testing.assert_close(given.log_prob(x), model.log_prob(x))
        drawn = given.sample((3, 4))
        assert drawn.shape == (3, 4, 2)
        assert given.support.check(drawn).all()
        assert given.kind == model.kind == "exact"
