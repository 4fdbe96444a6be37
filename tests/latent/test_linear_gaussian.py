"""Probabilistic PCA and factor analysis: their maxima, posteriors and missing cells."""

import math

import mpmath
import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as Reference

import logpx
from logpx.errors import DataError, DivergedError, UsageError
from logpx.inference import expectation_maximisation
from logpx.latent import FactorAnalysis, MixtureOfFactorAnalysers, MixtureOfPPCA, ProbabilisticPCA

IRIS = torch.from_numpy(load_iris().data).double()
KINDS = [ProbabilisticPCA, FactorAnalysis]


def correlated(rows=400, features=6, latent=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loadings = torch.randn(features, latent, generator=generator, dtype=torch.float64)
    z = torch.randn(rows, latent, generator=generator, dtype=torch.float64)
    noise = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    return z @ loadings.mT + noise * torch.linspace(0.2, 0.8, features).double() + 3.0


def fitted(kind, x, latent=2, **options):
    model = kind(x.shape[1], latent).double()
    return model, logpx.fit(model, x, **options)


def gaps(x, seed=1, share=0.2):
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share
    return x.masked_fill(holes, torch.nan)


@pytest.mark.parametrize(("rows", "features", "latent"), [(20, 40, 5), (150, 4, 2), (300, 6, 0), (50, 10, 9)])
def test_ppca_is_the_closed_form_and_never_below_scikit_learns_pca(rows, features, latent):
    x = np.random.default_rng(0).normal(size=(rows, features)) @ np.diag(np.linspace(1.0, 3.0, features))
    model, result = fitted(ProbabilisticPCA, torch.from_numpy(x), latent)
    values = np.linalg.eigvalsh(np.cov(x.T, ddof=0))[::-1]
    assert model.noise_variance.item() == pytest.approx(values[latent:].mean(), rel=1e-9)
    log_likelihood = model.log_prob(torch.from_numpy(x)).mean().item()
    assert result.history[-1].train == pytest.approx(log_likelihood, rel=1e-10)
    if latent:
        assert log_likelihood >= PCA(latent).fit(x).score(x) - 1e-9


def test_ppca_gains_what_the_divisors_of_pca_lose():
    x = np.random.default_rng(0).normal(size=(20, 40))
    model, _ = fitted(ProbabilisticPCA, torch.from_numpy(x), 5)
    assert model.log_prob(torch.from_numpy(x)).mean().item() > PCA(5).fit(x).score(x) + 5.0


@pytest.mark.parametrize("kind", KINDS)
def test_density_is_the_dense_normals(kind):
    model, _ = fitted(kind, correlated())
    covariance = model.loadings @ model.loadings.mT + torch.diag(model.noise_variances)
    dense = torch.distributions.MultivariateNormal(model.mean, covariance)
    x = 3.0 * torch.randn(50, 6, dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(x), dense.log_prob(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.covariance.matrices()[0], covariance)


@pytest.mark.parametrize("kind", KINDS)
def test_posterior_is_generic_gaussian_conditioning(kind):
    model, _ = fitted(kind, correlated())
    x = correlated(seed=3)[:20]
    w = model.loadings
    covariance = w @ w.mT + torch.diag(model.noise_variances)
    gain = torch.linalg.solve(covariance, w)
    found = model.posterior(x)
    torch.testing.assert_close(found.mean, (x - model.mean) @ gain, rtol=1e-10, atol=1e-10)
    expected = torch.eye(2).double() - w.mT @ gain
    torch.testing.assert_close(found.covariance_matrix, expected.expand(20, 2, 2), rtol=1e-9, atol=1e-10)
    # Bayes' rule, with the distributions that the model returns.
    z = found.sample()
    joint = model.prior.log_prob(z) + model.likelihood(z).log_prob(x)
    torch.testing.assert_close(joint - found.log_prob(z), model.log_prob(x), rtol=1e-9, atol=1e-9)


def test_the_posterior_as_the_lecture_prints_it_does_not_even_fit():
    # The slide has M = W Wᵀ + σ² I of shape D × D, and σ² M for the covariance; right is q × q, and σ² M⁻¹.
    model, _ = fitted(ProbabilisticPCA, correlated())
    w, noise = model.loadings, model.noise_variance
    printed = w @ w.mT + noise * torch.eye(6).double()
    with pytest.raises(RuntimeError):
        torch.linalg.solve(printed, w.mT)
    right = w.mT @ w + noise * torch.eye(2).double()
    expected = noise * torch.linalg.inv(right)
    found = model.posterior(correlated()[:1]).covariance_matrix[0]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_posterior_with_missing_cells_is_that_of_the_others(kind):
    model, _ = fitted(kind, correlated())
    x = correlated(seed=4)[:3]
    x[:, [1, 4]] = torch.nan
    kept = [0, 2, 3, 5]
    w, noise = model.loadings[kept], model.noise_variances[kept]
    gain = torch.linalg.solve(w @ w.mT + torch.diag(noise), w)
    found = model.posterior(x)
    torch.testing.assert_close(found.mean, (x[:, kept] - model.mean[kept]) @ gain, rtol=1e-9, atol=1e-9)
    nothing = model.posterior(torch.full((1, 6), torch.nan).double())
    torch.testing.assert_close(nothing.covariance_matrix[0], torch.eye(2).double())


def test_factor_analysis_is_at_least_as_good_as_scikit_learns():
    for x in (IRIS, correlated(), correlated(300, 12, 4, seed=5)):
        model, result = fitted(FactorAnalysis, x, 1)
        reference = Reference(1, tol=1e-5, max_iter=20_000, svd_method="lapack").fit(x.numpy())
        found = model.log_prob(x).mean().item()
        assert found >= reference.score(x.numpy()) - 1e-6
        # One factor of iris explains a feature wholly (a Heywood case): its covariance has condition 1e8.
        assert result.history[-1].train == pytest.approx(found, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_at_the_maximum_is_zero(kind):
    x = correlated()
    model, _ = fitted(kind, x)
    (-model.train().log_prob(x).mean()).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.abs().max() < 2e-4, name


@pytest.mark.parametrize("kind", KINDS)
def test_em_with_missing_cells_climbs_to_the_closed_form(kind):
    x = correlated()
    _, result = fitted(kind, x)
    again = kind(6, 2).double()
    again.initialise_components(x)
    # EM over rows, from another start and without the closed form.
    found = logpx.inference.expectation_maximisation(
        again, lambda: [(x, None)], tolerance=1e-12, max_iterations=3000, accelerate=True
    )
    assert found.log_likelihood == pytest.approx(result.history[-1].train, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_cells_are_not_mean_imputation_and_em_is_monotone(kind):
    x = gaps(correlated())
    model = kind(6, 2).double()
    model.initialise_components(x)
    found = logpx.inference.expectation_maximisation(model, lambda: [(x, None)], max_iterations=60)
    assert np.diff(found.history).min() > -1e-9 * abs(found.history[-1])
    means = torch.where(x.isnan(), x.nanmean(0), x)
    imputed, _ = fitted(kind, means)
    with torch.no_grad():
        assert found.log_likelihood > imputed.log_prob(x).mean().item() + 0.01
    _, result = fitted(kind, x)
    assert result.history[-1].train >= found.log_likelihood - 1e-4


def test_reconstruction_is_the_orthogonal_projection():
    x = correlated()
    model, _ = fitted(ProbabilisticPCA, x)
    reference = PCA(2).fit(x.numpy())
    expected = reference.inverse_transform(reference.transform(x.numpy()))
    np.testing.assert_allclose(model.reconstruct(x).detach(), expected, atol=1e-9)


def test_translation_and_units():
    x = correlated()
    for kind in KINDS:
        model, _ = fitted(kind, x)
        moved, _ = fitted(kind, x + 1e6)
        torch.testing.assert_close(
            moved.covariance.matrices(), model.covariance.matrices(), rtol=1e-6, atol=1e-6
        )
    units = torch.logspace(-4, 4, 6).double()
    plain, scaled = fitted(FactorAnalysis, x)[1], fitted(FactorAnalysis, x * units)[1]
    shift = units.log().sum().item()
    assert scaled.history[-1].train == pytest.approx(plain.history[-1].train - shift, abs=1e-6)


def test_weights_are_repetitions():
    x, times = correlated(100), torch.randint(0, 3, (100,), generator=torch.Generator().manual_seed(0))
    for kind in KINDS:
        weighted, _ = fitted(kind, x, weights=times)
        repeated, _ = fitted(kind, x.repeat_interleave(times, 0))
        torch.testing.assert_close(
            weighted.covariance.matrices(), repeated.covariance.matrices(), rtol=1e-6, atol=1e-8
        )


def test_free_parameters_are_the_ranks_of_the_covariances():
    for kind, own in ((ProbabilisticPCA, 1), (FactorAnalysis, 6)):
        model = kind(6, 2)
        assert model.free_parameters == 6 + 6 * 2 - 1 + own


def test_samples_have_the_covariance():
    model, _ = fitted(FactorAnalysis, correlated())
    x = model.sample(100_000, seed=0)
    torch.testing.assert_close(x.mT.cov(), model.covariance.matrices()[0], rtol=0.03, atol=0.03)


def test_bad_arguments_and_data():
    for kind in KINDS:
        for latent in (-1, 6, 2.0, True):
            with pytest.raises(UsageError, match="latent"):
                kind(6, latent)
        empty = correlated()
        empty[:, 3] = math.nan
        with pytest.raises(DataError, match="missing") as error:
            fitted(kind, empty)
        assert error.value.column == 3


@pytest.mark.parametrize("noise", [1e-3, 2e-4])
def test_small_noise_in_single_precision(noise):
    torch.manual_seed(0)
    x = torch.randn(500, 2) @ torch.randn(2, 10) + noise * torch.randn(500, 10)
    x[torch.rand(500, 10) < 0.2] = torch.nan
    model = ProbabilisticPCA(10, 2)
    logpx.fit(model, x, progress=False)
    found, filled, drawn = model.log_prob(x), model.impute(x), model.sample(3, seed=0)
    assert bool(torch.isfinite(model.marginal(range(9)).log_prob(drawn[:, :9])).all())
    model.double()
    torch.testing.assert_close(found.double(), model.log_prob(x.double()), rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(filled.double(), model.impute(x.double()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("seed", "features", "latent"), [pytest.param(2, 5, 1, marks=pytest.mark.slow), (0, 6, 2)]
)
def test_accelerated_em_ends_where_little_is_to_come(seed, features, latent):
    # What a jump gains, or the first step after it, once said that this was over.
    random = np.random.default_rng(seed + 100)
    random.integers(8, size=2)
    x = random.normal(size=(200, latent)) @ random.normal(size=(latent, features))
    x = x + 0.5 * random.normal(size=x.shape) * random.uniform(0.5, 2.0, features)
    x[random.random(x.shape) < 0.2] = np.nan
    rows = torch.tensor(x[~np.isnan(x).all(1)])
    model = FactorAnalysis(features, latent).double()
    model.initialise_components(rows)
    ended = expectation_maximisation(
        model, lambda: [(rows, None)], max_iterations=2000, tolerance=1e-6, accelerate=True
    )
    assert ended.converged
    further = expectation_maximisation(model, lambda: [(rows, None)], max_iterations=600, tolerance=-1.0)
    assert further.log_likelihood - ended.log_likelihood < 1e-6 * abs(ended.log_likelihood)


def test_factor_analysis_refuses_a_constant_column_and_ppca_one_where_nothing_varies():
    constant = correlated()
    constant[:, 2] = 1.0
    with pytest.raises(DataError) as error:
        fitted(FactorAnalysis, constant)
    assert error.value.column == 2
    with pytest.raises(DataError, match="same value"):
        fitted(ProbabilisticPCA, torch.ones(10, 6).double())


def exact_maximum(x, latent):
    """Return the maximum of PPCA's mean log-likelihood, by numpy's singular values of the centred rows."""
    features = x.shape[1]
    values = np.zeros(features)
    found = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2 / len(x)
    values[: len(found)] = found
    noise = values[latent:].mean()
    logarithms = np.log(values[:latent]).sum() + (features - latent) * np.log(noise)
    return -0.5 * (logarithms + features * (1.0 + np.log(2.0 * np.pi)))


def precise_maximum(x, latent):
    """Return the same in 60 digits, from the rows as they are: double precision loses 1e12 as a condition."""
    rows, features = x.shape
    with mpmath.workdps(60):
        columns = [[mpmath.mpf(value) for value in column] for column in x.T.tolist()]
        centred = [[value - sum(column) / rows for value in column] for column in columns]
        products = [[mpmath.fdot(one, other) / rows for other in centred] for one in centred]
        values = sorted(mpmath.eigsy(mpmath.matrix(products), eigvals_only=True), reverse=True)
        noise = sum(values[latent:]) / (features - latent)
        logarithms = sum(map(mpmath.log, values[:latent])) + (features - latent) * mpmath.log(noise)
        return float(-0.5 * (logarithms + features * (1.0 + mpmath.log(2.0 * mpmath.pi))))


def table_of_any_condition(random):
    """Return rows whose directions' deviations span up to 12 orders of magnitude, in any units."""
    features = int(random.integers(2, 9))
    rows, latent = int(random.integers(features + 2, 150)), int(random.integers(1, features))
    axes = np.linalg.qr(random.normal(size=(features, features)))[0]
    scales = np.geomspace(1.0, 10.0 ** -random.uniform(0.0, 12.0), features)
    return (random.normal(size=(rows, features)) * scales) @ axes * 10.0 ** random.uniform(-3.0, 3.0), latent


@pytest.mark.parametrize("tables", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_ppca_is_at_its_maximum_whatever_the_condition(tables):
    random = np.random.default_rng(0)
    for number in range(tables):
        x, latent = table_of_any_condition(random)
        model, result = fitted(ProbabilisticPCA, torch.tensor(x), latent)
        found, exact = model.log_prob(torch.tensor(x)).mean().item(), precise_maximum(x, latent)
        # At a condition of 1e12, the rows' own rounding is 1e-4 of the noise.
        assert found == pytest.approx(exact, abs=3e-5), number
        assert result.history[-1].train == pytest.approx(exact, abs=3e-5), number
        # Never below scikit-learn's, but where this is above the maximum: its precision matrix costs digits.
        with np.errstate(all="ignore"):
            reference = PCA(latent, svd_solver="full").fit(x).score(x)
        assert found >= min(reference, exact) - 3e-5, number


def test_conditionals_and_draws_where_the_noise_is_a_billionth():
    random = np.random.default_rng(0)
    w = random.normal(size=(5, 2))
    x = torch.tensor(random.normal(size=(300, 2)) @ w.T + 1e-9 * random.normal(size=(300, 5)))
    model, _ = fitted(ProbabilisticPCA, x)
    assert model.noise_variance.item() == pytest.approx(1e-18, rel=0.1)
    # Two cells determine the others, but for the noise; one does not.
    holes = x.clone()
    holes[:150, 2:] = torch.nan
    holes[150:, 1:] = torch.nan
    filled = model.impute(holes)
    assert (filled - x)[:150].abs().max() < 1e-7
    marginal, conditional = model.marginal([0, 1]), model.condition([0, 1], x[0, :2])
    joint = model.log_prob(x[:1]).item()
    parts = marginal.log_prob(x[:1, :2]).item() + conditional.log_prob(x[:1, 2:]).item()
    assert parts == pytest.approx(joint, abs=1e-4)
    assert model.log_prob(holes[:1]).item() == pytest.approx(marginal.log_prob(x[:1, :2]).item(), abs=1e-6)
    drawn = model.sample(2000, seed=0)
    assert model.log_prob(drawn).mean().item() == pytest.approx(model.log_prob(x).mean().item(), abs=0.2)
    assert (model.reconstruct(x) - x).abs().max() < 1e-8
    assert model.posterior(holes[:1]).mean.isfinite().all()


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_ppca_takes_constant_columns(share):
    x = correlated()
    x[:, [1, 4]] = torch.tensor([0.0, 7.0], dtype=torch.float64)
    model, _ = fitted(ProbabilisticPCA, gaps(x, share=share) if share else x)
    if not share:
        found = model.log_prob(x).mean().item()
        assert found == pytest.approx(exact_maximum(x.numpy(), 2), abs=1e-9)
        assert found >= PCA(2).fit(x.numpy()).score(x.numpy())
    assert torch.isfinite(model.impute(gaps(x))).all()


def test_factor_analysis_finds_noise_far_below_the_factors():
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 2)) @ random.normal(size=(2, 8)) + 1e-5 * random.normal(size=(500, 8))
    model, _ = fitted(FactorAnalysis, torch.tensor(x))
    reference = Reference(2, tol=1e-9, max_iter=5000, svd_method="lapack").fit(x)
    np.testing.assert_allclose(model.noise_variances.detach(), reference.noise_variance_, rtol=1e-3)
    found = model.log_prob(torch.tensor(x)).mean().item()
    assert found >= reference.score(x) - 1e-4


@pytest.mark.filterwarnings("ignore:FactorAnalysis did not converge")
@pytest.mark.parametrize("seeds", [(0, 5, 8, 24), pytest.param(range(30), marks=pytest.mark.slow)])
def test_factor_analysis_seeks_the_best_of_its_local_maxima(seeds):
    for seed in seeds:
        random = np.random.default_rng(seed)
        x = random.normal(size=(60, 15)) if seed % 2 else random.standard_t(3, size=(60, 15))
        model, _ = fitted(FactorAnalysis, torch.tensor(x))
        reference = Reference(2, tol=1e-7, max_iter=1000, svd_method="lapack").fit(x)
        assert model.log_prob(torch.tensor(x)).mean().item() >= reference.score(x) - 1e-6


def precise_log_likelihood(x, loadings, deviations):
    """Return the mean log-density of rows under N(0, W Wᵀ + Ψ), in 60 digits."""
    with mpmath.workdps(60):
        rows, w = mpmath.matrix(x.tolist()), mpmath.matrix(loadings.tolist())
        covariance = w * w.T + mpmath.diag([mpmath.mpf(value) ** 2 for value in deviations.tolist()])
        distances = mpmath.fdot(rows * mpmath.inverse(covariance), rows) / len(x)
        constant = mpmath.log(mpmath.det(covariance)) + x.shape[1] * mpmath.log(2.0 * mpmath.pi)
        return float(-0.5 * (constant + distances))


@pytest.mark.parametrize("noise", [1e-7, 1e-10])
def test_factor_analysis_follows_the_noise_as_far_as_rows_show_it(noise):
    random = np.random.default_rng(0)
    loadings, deviations = random.normal(size=(8, 2)), noise * random.uniform(0.5, 2.0, 8)
    x = random.normal(size=(500, 2)) @ loadings.T + deviations * random.normal(size=(500, 8))
    model, result = fitted(FactorAnalysis, torch.tensor(x))
    np.testing.assert_allclose(model.noise_variances.detach().sqrt().numpy(), deviations, rtol=0.12)
    found = model.log_prob(torch.tensor(x)).mean().item()
    assert result.history[-1].train == pytest.approx(found, abs=1e-5)
    # Twice what a fit gains over the truth follows a χ² distribution with as many degrees as parameters.
    gain = found - precise_log_likelihood(x, loadings, deviations)
    assert 0.0 < gain < model.free_parameters / len(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [50, 5])
def test_a_likelihood_without_a_maximum_is_said(kind, rows):
    random = np.random.default_rng(0)
    x = torch.tensor(random.normal(size=(rows, 2)) @ random.normal(size=(2, 6)))
    model = kind(6, 2).double()
    with pytest.warns(UserWarning, match="no maximum"):
        logpx.fit(model, x)
    assert model.log_prob(x).isfinite().all()


@pytest.mark.parametrize("kind", [MixtureOfPPCA, MixtureOfFactorAnalysers])
def test_mixtures_without_a_floor_say_that_they_collapse(kind):
    random = np.random.default_rng(0)
    plane = random.normal(size=(100, 2)) @ random.normal(size=(2, 4))
    model = kind(2, 4, 2, floor=0.0).double()
    with pytest.raises(DivergedError, match="every start"):
        logpx.fit(model, torch.tensor(np.concatenate([plane, plane + 5.0])))
