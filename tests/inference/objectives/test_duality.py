r"""The duality of the lecture: a flow's divergence from the data is that of its noise from the base.

With z = f(x), and p* the distribution of f(x) where x follows pi: KL(pi || p) = KL(p* || base). The
push-forward p* is itself a flow: its base is pi, its transform the inverse of f.
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from logpx import flows
from logpx.distributions import Flow, FullNormal, StandardNormal
from logpx.inference import PathGradient, StickingTheLanding, forward_kl, reverse_kl
from logpx.transforms import Inverse, Transform


class Triangular(Transform):
    """z = A x + b with a lower triangular matrix A."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.matrix = nn.Parameter(torch.eye(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrix = self.matrix.tril()
        return x @ matrix.mT + self.shift, matrix.diagonal().abs().log().sum().expand(x.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrix = self.matrix.tril()
        x = torch.linalg.solve_triangular(matrix, (z - self.shift).mT, upper=False).mT
        return x, -matrix.diagonal().abs().log().sum().expand(z.shape[:-1])


@pytest.fixture
def affine() -> Flow:
    model = Flow(StandardNormal(3), Triangular(3)).double()
    with torch.no_grad():
        model.transform.matrix.copy_(torch.tensor([[1.2, 0.0, 0.0], [-0.7, 0.5, 0.0], [0.3, 0.9, -2.0]]))
        model.transform.shift.copy_(torch.tensor([0.4, -1.0, 0.1]))
    return model.requires_grad_(False)


@pytest.fixture
def data(target: MultivariateNormal) -> FullNormal:
    """The target as a distribution of logpx."""
    model = FullNormal(3).double()
    with torch.no_grad():
        model.mean.copy_(target.mean)
        model.log_diagonal.copy_(target.scale_tril.diagonal().log())
        model.lower.copy_(target.scale_tril.tril(-1))
    return model.requires_grad_(False)


@pytest.fixture
def maf() -> Flow:
    torch.manual_seed(4)
    model = flows.MAF(3, layers=3, hidden=(16,)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2)
    return model.requires_grad_(False)


def push_forward(data: FullNormal, model: Flow) -> Flow:
    return Flow(data, Inverse(model.transform))


def test_closed_form_on_normals(affine, data, target, exact_draws):
    """Both sides by PyTorch's closed form and by ours: four numbers, one value."""
    matrix, shift = affine.transform.matrix, affine.transform.shift
    inverse = torch.linalg.inv(matrix)
    p = MultivariateNormal(-inverse @ shift, inverse @ inverse.mT)
    p_star = MultivariateNormal(matrix @ target.mean + shift, matrix @ target.covariance_matrix @ matrix.mT)
    base = MultivariateNormal(torch.zeros_like(shift), torch.eye(3, dtype=torch.float64))
    expected = kl_divergence(target, p).item()
    assert expected > 1.0
    assert kl_divergence(p_star, base).item() == pytest.approx(expected, abs=1e-10)
    of_x = forward_kl(affine, exact_draws, target.log_prob)
    noise, _ = affine.transform.forward(exact_draws)
    of_z = forward_kl(affine.base, noise, push_forward(data, affine).log_prob)
    assert of_x.item() == pytest.approx(expected, abs=1e-10)
    assert of_z.item() == pytest.approx(expected, abs=1e-10)


def test_the_push_forward_is_the_density_of_the_noise(affine, data, target):
    matrix, shift = affine.transform.matrix, affine.transform.shift
    p_star = MultivariateNormal(matrix @ target.mean + shift, matrix @ target.covariance_matrix @ matrix.mT)
    z = torch.randn(50, 3, dtype=torch.float64)
    torch.testing.assert_close(push_forward(data, affine).log_prob(z), p_star.log_prob(z))


def test_each_draw_has_the_same_ratio_on_both_sides(maf, data):
    x = data.sample(500, seed=0)
    z, _ = maf.transform.forward(x)
    of_x = data.log_prob(x) - maf.log_prob(x)
    of_z = push_forward(data, maf).log_prob(z) - maf.base.log_prob(z)
    assert of_x.std() > 0.5
    torch.testing.assert_close(of_z, of_x, atol=1e-10, rtol=0.0)


def test_independent_estimates_agree_on_a_maf(maf, data):
    """Draws of pi for one side; draws of p*, made by its own sampler, for the other."""
    n, p_star = 20_000, push_forward(data, maf)
    of_x = forward_kl(maf, x := data.sample(n, seed=1), data.log_prob).item()
    of_z = forward_kl(maf.base, z := p_star.sample(n, seed=2), p_star.log_prob).item()
    spreads = [(data.log_prob(x) - maf.log_prob(x)).var(), (p_star.log_prob(z) - maf.base.log_prob(z)).var()]
    assert abs(of_x - of_z) < 4.0 * math.sqrt(sum(spreads).item() / n)
    assert of_x > 0.5


def test_the_push_forward_of_a_maf_is_normalised(maf):
    """By importance weights of a wider normal distribution: no draw of p* enters."""
    for parameter in maf.parameters():
        parameter.mul_(0.5)
    standard = FullNormal(3).double().requires_grad_(False)
    z = 1.5 * torch.randn(100_000, 3, dtype=torch.float64)
    log_proposal = standard.log_prob(z / 1.5) - 3.0 * math.log(1.5)
    weights = (push_forward(standard, maf).log_prob(z) - log_proposal).exp()
    error = weights.std().item() / math.sqrt(len(z))
    assert error < 0.02
    assert abs(weights.mean().item() - 1.0) < 4.0 * error


@pytest.mark.parametrize("estimator", [None, StickingTheLanding(), PathGradient()])
def test_the_reverse_divergence_has_the_same_duality(maf, data, estimator):
    p_star = push_forward(data, maf)
    of_x = reverse_kl(maf, data.log_prob, samples=500, estimator=estimator, seed=3)
    of_z = reverse_kl(maf.base, p_star.log_prob, samples=500, estimator=estimator, seed=3)
    assert of_z.item() == pytest.approx(of_x.item(), abs=1e-10)
