"""What every kind of covariance must do: density, inverse, M-step, floor, noise; and kinds by name."""

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from logpx.errors import UsageError
from logpx.latent import COVARIANCES
from logpx.latent.covariances import DiagonalCovariance, covariance_named

KINDS = pytest.mark.parametrize("kind", COVARIANCES)
NO_FLOOR = torch.zeros(4, dtype=torch.float64)


def objective(matrices, scatters):
    """Return what the M-step maximises, by numpy."""
    matrices, scatters = matrices.detach().numpy(), scatters.numpy()
    return np.array(
        [
            -np.linalg.slogdet(a)[1] - np.trace(np.linalg.solve(a, s))
            for a, s in zip(matrices, scatters, strict=True)
        ]
    )


@KINDS
def test_density_is_that_of_the_dense_normal(kind, make_covariance):
    covariance = make_covariance(kind)
    deviations = 3.0 * torch.randn(3, 50, 4, dtype=torch.float64)
    dense = MultivariateNormal(torch.zeros(4).double(), covariance.matrices().expand(3, -1, -1)[:, None])
    torch.testing.assert_close(
        covariance.log_normal(deviations), dense.log_prob(deviations), rtol=1e-10, atol=1e-10
    )


@KINDS
def test_inverse_and_determinant(kind, make_covariance):
    covariance = make_covariance(kind)
    matrices = covariance.matrices()
    inverses, log_determinants = covariance.precisions()
    inverses = torch.diag_embed(inverses) if covariance.diagonal else inverses
    assert matrices.shape == (covariance.blocks, 4, 4)
    torch.testing.assert_close(inverses, torch.linalg.inv(matrices), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_determinants, torch.linalg.slogdet(matrices).logabsdet)


@KINDS
@pytest.mark.parametrize("features", [3, 4, 5])
def test_free_parameters_is_the_rank_of_the_jacobian(kind, features, make_covariance):
    covariance = make_covariance(kind, features=features)
    names, values = zip(*covariance.named_parameters(), strict=True)

    def flat(*parameters):
        found = torch.func.functional_call(
            _Matrices(covariance), {f"covariance.{n}": p for n, p in zip(names, parameters, strict=True)}, ()
        )
        return found.flatten()

    jacobians = torch.autograd.functional.jacobian(flat, tuple(values))
    jacobian = torch.cat([each.flatten(1) for each in jacobians], 1)
    assert torch.linalg.matrix_rank(jacobian, rtol=1e-9) == covariance.free_parameters


class _Matrices(torch.nn.Module):
    def __init__(self, covariance):
        super().__init__()
        self.covariance = covariance

    def forward(self):
        return self.covariance.matrices()


@pytest.mark.parametrize("kind", [kind for kind in COVARIANCES if "low_rank" not in kind])
def test_update_ends_where_the_gradient_is_zero(kind, make_covariance, scatters_for):
    covariance = make_covariance(kind)
    matrices, averages, rows = scatters_for(covariance)
    covariance.update(averages, rows, NO_FLOOR + 1e-12)
    gradients = torch.autograd.grad(covariance.penalty(matrices).sum(), list(covariance.parameters()))
    assert all(gradient.abs().max() < 1e-7 for gradient in gradients)


@KINDS
@pytest.mark.parametrize("floor", [1e-12, 0.5])
def test_update_never_loses(kind, floor, make_covariance, scatters_for):
    covariance = make_covariance(kind)
    matrices, averages, rows = scatters_for(covariance)
    least = NO_FLOOR + floor
    # The first update leads to matrices that keep to the floor; from there on nothing may be lost.
    covariance.update(averages, rows, least)
    for step in range(5):
        target = matrices * (1.0 + 0.3 * step) + 0.1 * step * torch.eye(4)
        scatter = target.diagonal(dim1=1, dim2=2) if covariance.diagonal else target
        before = objective(covariance.matrices(), target)
        covariance.update(scatter, rows, least)
        after = objective(covariance.matrices(), target)
        assert (after >= before - 1e-9).all()
        assert (covariance.smallest(least) > 1.0 - 1e-9).all()


@KINDS
def test_penalty_is_log_determinant_plus_trace(kind, make_covariance, scatters_for):
    covariance = make_covariance(kind)
    matrices, _, _ = scatters_for(covariance)
    found = covariance.penalty(matrices[0]).detach()
    scatters = matrices[:1].expand_as(matrices)
    np.testing.assert_allclose(found, -objective(covariance.matrices(), scatters), rtol=1e-10)


@KINDS
def test_noise_is_spread_by_a_root_of_the_covariance(kind, make_covariance):
    covariance = make_covariance(kind)
    for k, expected in enumerate(covariance.matrices().expand(3, -1, -1)):
        roots = covariance.spread(torch.full((4,), k), torch.eye(4, dtype=torch.float64))
        torch.testing.assert_close(roots.mT @ roots, expected)


@KINDS
def test_smallest_variance_in_units_of_the_floor(kind, make_covariance):
    covariance = make_covariance(kind)
    floor = torch.tensor([1e-4, 1.0, 4.0, 100.0], dtype=torch.float64)
    scaled = covariance.matrices().detach() / floor.sqrt() / floor.sqrt()[:, None]
    expected = torch.linalg.eigvalsh(scaled).amin(1)
    torch.testing.assert_close(covariance.smallest(floor), expected)


@KINDS
def test_a_block_without_rows_stays(kind, make_covariance, scatters_for):
    covariance = make_covariance(kind)
    _, averages, rows = scatters_for(covariance)
    before = covariance.matrices().detach().clone()
    empty = rows.clone()
    empty[0] = 0.0
    averages = averages.clone()
    averages[0] = torch.nan
    covariance.update(averages, empty, NO_FLOOR + 1e-9)
    after = covariance.matrices().detach()
    assert torch.equal(after[0], before[0])
    assert all(not torch.equal(a, b) for a, b in zip(after[1:], before[1:], strict=True))


@KINDS
def test_a_tied_kind_has_one_block_and_single_precision_stays(kind, make_covariance):
    covariance = make_covariance(kind, dtype=torch.float32)
    assert covariance.tied == kind.startswith("tied")
    assert covariance.blocks == (1 if covariance.tied else 3)
    deviations = torch.randn(3, 10, 4)
    assert covariance.log_normal(deviations).dtype == torch.float32
    exact = covariance.log_normal(deviations.double())
    torch.testing.assert_close(covariance.log_normal(deviations).double(), exact, rtol=1e-4, atol=1e-4)


def test_hyphens_stand_for_underscores():
    covariance = covariance_named("tied-diagonal", 3, 2)
    assert type(covariance) is DiagonalCovariance
    assert covariance.tied


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("fulll", 3, 2), "full"),
        ((3, 3, 2), ""),
        (("low_rank", 3, 2), "rank"),
        (("principal", 3, 2), "rank"),
        (("full", 3, 2, 1), "leave rank out"),
        (("low_rank", 3, 2, 2), "from 0 to 1"),
        (("low_rank", 3, 2, -1), "from 0 to 1"),
        (("low_rank", 3, 2, 1.5), "from 0 to 1"),
        (("full", 0, 2), "components"),
        (("diagonal", 3, 0), "features"),
    ],
)
def test_what_is_no_kind(arguments, fix):
    with pytest.raises(UsageError) as error:
        covariance_named(*arguments)
    assert error.value.fix
    assert fix in error.value.fix
