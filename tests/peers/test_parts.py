"""What the peers assert of what their maps are made of: solvers of equations, roots, chains, splines."""

import math
from pathlib import Path

import pytest
import torch

from logpx.flows import AdaptiveSolver, FixedStepSolver
from logpx.transforms import (
    Affine,
    Autoregressive,
    Chain,
    MonotoneNetworkFunction,
    RationalQuadraticFunction,
    Reverse,
)
from logpx.transforms.univariate.monotone_inverse import monotone_inverse

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]


# What they assert of parts that have tests of their own here, in other folders: file and test.
ELSEWHERE = {
    "zuko Linear, MLP": ("nets/test_mlp.py", "test_all_inputs_and_contexts_reach_all_outputs"),
    "zuko MaskedMLP": ("nets/test_made.py", "test_output_i_sees_all_inputs_before_i_and_no_other"),
    "zuko GMM, initialisation": (
        "latent/test_initialisation.py",
        "test_every_start_assigns_every_row_and_repeats_with_its_seed",
    ),
    "zuko GMM, unknown strategy": ("latent/test_initialisation.py", "test_there_is_no_such_start"),
    "zuko GMM, few samples": ("latent/test_initialisation.py", "test_fewer_distinct_rows_than_clusters"),
    "nflows MADE, shapes and masks": (
        "nets/test_made.py",
        "test_output_i_sees_all_inputs_before_i_and_no_other",
    ),
    "nflows Linear, weight and inverse": (
        "transforms/linear/test_matrix.py",
        "test_product_and_solution_are_numpys",
    ),
    "nflows Linear, logabsdet": ("transforms/linear/test_matrix.py", "test_determinant_is_numpys"),
    "nflows SqueezeTransform, values": ("transforms/test_squeezed.py", "test_blocks_become_channels"),
    "nflows SqueezeTransform, wrong shapes": (
        "transforms/test_squeezed.py",
        "test_shapes_that_were_never_squeezed",
    ),
    "nflows Multiscale, wrong shapes": ("transforms/test_multiscale.py", "test_parts_that_do_not_fit"),
    "nflows ActNorm, forward": (
        "transforms/test_act_norm.py",
        "test_each_feature_of_a_vector_is_standardized",
    ),
    "nflows ActNorm, save and load": ("transforms/test_act_norm.py", "test_flag_survives_save_and_load"),
    "nflows ConditionalDiagonalNormal": ("latent/vae/test_vae.py", "test_a_context_reaches_both_nets"),
    "nflows ConditionalIndependentBernoulli": (
        "distributions/likelihoods/test_likelihoods.py",
        "test_counts_sum_to_one",
    ),
    "normflows MADE": ("nets/test_made.py", "test_output_i_sees_all_inputs_before_i_and_no_other"),
    "normflows decoders": (
        "distributions/likelihoods/test_likelihoods.py",
        "test_samples_have_the_mean_and_can_be_scored",
    ),
    "normflows encoders": ("latent/vae/test_posteriors.py", "test_"),
    "normflows NormalizingFlowVAE": ("latent/vae/test_vae.py", "test_fit_trains_it"),
    "normflows targets and priors": (
        "posteriors/test_densities.py",
        "test_those_with_a_known_integral_have_it",
    ),
    "FlowJAX masks": ("nets/test_made.py", "test_output_i_sees_all_inputs_before_i_and_no_other"),
    "FlowJAX Permute, wrong orders": ("transforms/test_permutation.py", "test_an_order_that_is_none"),
    "FlowJAX train_val_split": ("training/test_split.py", "test_validation_count"),
    "FlowJAX get_batches": ("training/test_batches.py", "test_"),
    "FlowJAX elbo_loss": ("inference/objectives/test_estimators.py", "test_gradient_is_unbiased_for_normals"),
    "FlowJAX numpyro, mcmc": ("distributions/test_pyro.py", "test_a_chain_follows_the_density_of_a_flow"),
    "FlowJAX numpyro, vi": ("distributions/test_pyro.py", "test_a_flow_is_a_guide"),
    "FlowJAX numpyro, plates": ("distributions/test_pyro.py", "test_a_flow_is_a_distribution_of_pyro"),
}


@pytest.mark.parametrize("solver", [FixedStepSolver(100), AdaptiveSolver(1e-9)])
def test_a_linear_equation_is_solved_with_its_gradients(solver):
    # zuko test_odeint: the solution and its gradients by the start and by a coefficient.
    alpha, start = torch.tensor(1.0, requires_grad=True), torch.randn(64, 1, requires_grad=True)
    (found,) = solver.solve(lambda t, state: (-alpha * state[0],), (start,), 0.0, 3.0)
    expected = start * (-3.0 * alpha).exp()
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-7)
    own = torch.autograd.grad(found.sum(), (start, alpha))
    for mine, other in zip(own, torch.autograd.grad(expected.sum(), (start, alpha)), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-6)


def test_roots_have_gradients():
    # zuko test_bisection; FlowJAX test_bisection_search, test_NumericalInverse_implicit_jvp.
    alpha = torch.tensor(1.3, requires_grad=True)
    y = (1.98 * torch.rand(64) - 0.99).requires_grad_()

    def wave(x):
        return torch.sin(alpha * x), (alpha * torch.cos(alpha * x)).log()

    # The ends of the branch of the arcsine.
    half = math.pi / 2.0 / 1.3 - 1e-6
    found = monotone_inverse(wave, y, -half, half)[0]
    expected = torch.asin(y) / alpha
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0.0)
    own = torch.autograd.grad(found.sum(), (y, alpha))
    for mine, other in zip(own, torch.autograd.grad(expected.sum(), (y, alpha)), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def test_a_chain_of_chains_is_the_chain():
    # FlowJAX test_chain_dunders, test_merge_chains; nflows CompositeTransformTest.
    scale, turn = Affine(2), Reverse(2)
    with torch.no_grad():
        scale.log_scale.copy_(torch.tensor([0.5, -1.0]))
    nested, flat = Chain([scale, Chain([turn, scale])]), Chain([scale, turn, scale])
    x = torch.randn(5, 2)
    for mine, other in zip(nested.forward(x), flat.forward(x), strict=True):
        assert torch.equal(mine, other)
    assert len(flat.transforms) == 3
    assert flat.transforms[1] is turn


@pytest.mark.parametrize("bound", [3.0, 5.0])
def test_a_spline_begins_as_the_identity_and_ends_there(bound):
    # FlowJAX test_RationalQuadraticSpline_init, _tails and _out_of_bounds_grad_nan; nflows in_tails.
    spline = RationalQuadraticFunction(10, bound)
    x = torch.tensor([-7.0, 0.1, 2.0, 1.0, 50.0])
    y, ladj = spline(x, torch.zeros(5, spline.parameters))
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(ladj, torch.zeros(5), atol=1e-9, rtol=0.0)
    for inverse in (False, True):
        params = torch.randn(5, spline.parameters, requires_grad=True)
        y, ladj = spline(x, params, inverse=inverse)
        outside = x.abs() > bound
        torch.testing.assert_close(y[outside], x[outside])
        assert not torch.allclose(y[~outside], x[~outside], atol=1e-3)
        (gradient,) = torch.autograd.grad(y.sum() + ladj.sum(), params)
        assert gradient.isfinite().all()


def test_a_monotone_network_rises_and_sees_its_context():
    # zuko test_MonotonicMLP, test_triangular_transforms; FlowJAX test_BlockAutoregressiveNetwork.
    layer = Autoregressive(3, MonotoneNetworkFunction(), hidden=(9,), context=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x, context = torch.randn(3), torch.randn(2)
    slopes = torch.autograd.functional.jacobian(lambda u: layer.forward(u, context)[0], x)
    assert torch.equal(slopes, slopes.tril())
    assert (slopes.diagonal() > 0.0).all()
    torch.testing.assert_close(slopes.diagonal().log().sum(), layer.forward(x, context)[1].detach())
    back = torch.autograd.functional.jacobian(
        lambda u: layer.inverse(u, context)[0], layer.forward(x, context)[0].detach()
    )
    torch.testing.assert_close(slopes @ back, torch.eye(3), atol=1e-6, rtol=0.0)
    assert not torch.equal(layer.forward(x, context)[0], layer.forward(x, context + 1.0)[0])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_other_folders_test_is_there(name):
    file, test = ELSEWHERE[name]
    assert f"def {test}" in (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
