"""Normal components: units, M-step, floors, and what has collapsed."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from logpx.latent import COVARIANCES, GaussianMixture
from logpx.latent.covariances import FullCovariance
from logpx.latent.gaussian_components import GaussianComponents

KINDS = pytest.mark.parametrize("kind", COVARIANCES)


@KINDS
def test_densities_of_each_component_are_scipys(kind, make_mixture):
    mixture, x = make_mixture(kind), 2.0 * torch.randn(40, 3, dtype=torch.float64)
    found = mixture.parts.log_prob(x).detach()
    assert found.shape == (3, 40)
    parameters = zip(mixture.means.detach().numpy(), mixture.covariances.detach().numpy(), strict=True)
    for k, (mean, covariance) in enumerate(parameters):
        expected = multivariate_normal(mean, covariance).logpdf(x.numpy())
        np.testing.assert_allclose(found[k], expected, rtol=1e-10)


@KINDS
def test_gradients_pass_through_missing_cells(kind, make_mixture, blobs):
    mixture = make_mixture(kind)
    x = blobs(20, missing=0.3).requires_grad_()
    mixture.log_prob(x).sum().backward()
    assert torch.isfinite(x.grad[~x.isnan()]).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in mixture.parameters())


@KINDS
def test_free_parameters_are_the_rank_of_the_jacobian(kind, make_mixture):
    mixture = make_mixture(kind, features=5)
    names, values = zip(*mixture.named_parameters(), strict=True)

    class Moments(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mixture = mixture

        def forward(self):
            parts = (self.mixture.weights, self.mixture.means, self.mixture.covariances)
            return torch.cat([part.flatten() for part in parts])

    def flat(*parameters):
        given = {f"mixture.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Moments(), given, ())

    jacobians = torch.autograd.functional.jacobian(flat, tuple(values))
    jacobian = torch.cat([each.flatten(1) for each in jacobians], 1)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) == mixture.free_parameters


def test_units_are_those_of_the_columns(blobs):
    x = blobs(100, missing=0.2) * torch.tensor([1e-3, 1.0, 1e6]) + 5.0
    mixture = GaussianMixture(2, 3, floor=1e-4).double()
    mixture.initialise_components(x)
    np.testing.assert_allclose(mixture.parts.centre, np.nanmean(x, 0), rtol=1e-12)
    np.testing.assert_allclose(mixture.parts.scale, np.nanstd(x, 0), rtol=1e-12)
    np.testing.assert_allclose(mixture.parts.floors, 1e-4 * np.nanvar(x, 0), rtol=1e-12)


@KINDS
def test_a_component_that_lost_every_row_stays(kind, make_mixture):
    mixture, x = make_mixture(kind), torch.randn(50, 3, dtype=torch.float64)
    with torch.no_grad():
        mixture.means[0] = 1e6
        before, covariance = mixture.means[0].clone(), mixture.covariances[0].clone()
        mixture.update(mixture.statistics(x))
    assert torch.equal(mixture.means[0], before)
    assert mixture.covariance.tied or torch.equal(mixture.covariances[0], covariance)
    assert torch.isfinite(mixture.log_prob(x)).all()


def test_a_column_that_a_component_never_has_holds_up_no_other():
    # The second component has no value in column 1, but many in column 0.
    first, second = torch.randn(100, 2, dtype=torch.float64), torch.randn(100, 2, dtype=torch.float64)
    second[:, 0] = 0.1 * second[:, 0] + 100.0
    second[:, 1] = torch.nan
    x, shares = torch.cat([first, second]), torch.eye(2).repeat_interleave(100, 0)
    for kind in ("spherical", "diagonal"):
        mixture = GaussianMixture(2, 2, kind).double()
        mixture.initialise_assigned(x, shares)
        variance = mixture.covariances[1, 0, 0].item()
        assert variance == pytest.approx(second[:, 0].var(correction=0).item(), rel=1e-6), kind


@KINDS
@pytest.mark.parametrize("width", [0.0, 1.0])
def test_what_has_shrunk_onto_a_few_rows_is_told(kind, width, blobs, fit_mixture):
    x = torch.cat([blobs(60), 30.0 + width * torch.randn(20, 3, dtype=torch.float64)])
    shares = torch.zeros(80, 2, dtype=torch.float64)
    shares[:60, 0], shares[60:, 1] = 1.0, 1.0
    rank = {"rank": 1} if COVARIANCES[kind].ranked else {}
    mixture = GaussianMixture(2, 3, kind, **rank).double()
    mixture.initialise_assigned(x, shares)
    for _ in range(3):
        mixture.update(mixture.statistics(x))
    found = mixture.collapsed(mixture.statistics(x))
    if width or mixture.covariance.tied:
        assert found == []
    else:
        assert found == ["component 1 on 20 rows"]


def test_too_few_rows_for_a_covariance_are_told_unless_there_is_a_prior(blobs):
    x = torch.cat([blobs(60), 50.0 + torch.randn(3, 3, dtype=torch.float64)])
    shares = torch.zeros(63, 2, dtype=torch.float64)
    shares[:60, 0], shares[60:, 1] = 1.0, 1.0
    mixture = GaussianMixture(2, 3, floor=0.0).double()
    mixture.initialise_assigned(x, shares)
    assert mixture.collapsed(mixture.statistics(x)) == ["component 1 on 3 rows"]


@KINDS
def test_draws_have_the_moments_of_their_components(kind, make_mixture):
    mixture, draws = make_mixture(kind), 20_000
    for k in range(3):
        x = mixture.parts.draw(torch.full((draws,), k), torch.Generator().manual_seed(0)).detach()
        mean, covariance = mixture.means[k].detach(), mixture.covariances[k].detach()
        assert ((x.mean(0) - mean).abs() < 4.0 * (covariance.diagonal() / draws).sqrt()).all()
        variances = covariance.diagonal()
        error = ((variances * variances[:, None] + covariance.square()) / draws).sqrt()
        assert ((x.T.cov() - covariance).abs() < 4.0 * error).all()


def test_selected_components_keep_their_floor_and_have_no_prior(make_mixture):
    parts = make_mixture("tied", floor=1e-3).parts.marginal([2, 0])
    assert isinstance(parts, GaussianComponents)
    assert isinstance(parts.covariance, FullCovariance)
    assert (parts.components, parts.features, parts.floor, parts.prior) == (3, 2, 1e-3, None)
