"""The variational autoencoder, against probabilistic PCA where decoder and encoder are linear."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

import logpx
from logpx.distributions.likelihoods import (
    BernoulliLikelihood,
    FixedScale,
    GlobalScale,
    NormalLikelihood,
    PoissonLikelihood,
    ScalePerValue,
)
from logpx.errors import DataError, UsageError
from logpx.inference import evidence
from logpx.latent import FactorAnalysis, ProbabilisticPCA
from logpx.latent.vae import (
    VAE,
    CombinedImportanceWeightedBound,
    DiagonalPosterior,
    DoublyReparameterised,
    EvidenceLowerBound,
    FullPosterior,
    ImportanceWeightedBound,
    MultipleImportanceWeightedBound,
    StickingTheLandingBound,
    VampPrior,
    latent_report,
)

FEATURES, LATENT = 5, 2


def rows(n: int = 2000, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    loadings = torch.randn(LATENT, FEATURES, generator=generator)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, LATENT, generator=generator)
    return z @ loadings + 0.5 * torch.randn(n, FEATURES, generator=generator) + 3.0


def as_ppca(model: ProbabilisticPCA, posterior=None, **options) -> VAE:
    """Return the VAE whose decoder is that of probabilistic PCA, and whose encoder is the exact posterior."""
    likelihood = NormalLikelihood(FEATURES, FixedScale(float(model.noise_variance.detach().sqrt())))
    posterior = FullPosterior(LATENT) if posterior is None else posterior
    decoder, encoder = nn.Linear(LATENT, FEATURES), nn.Linear(FEATURES, posterior.outputs)
    vae = VAE(likelihood, LATENT, encoder=encoder, decoder=decoder, posterior=posterior, **options).double()
    with torch.no_grad():
        decoder.weight.copy_(model.loadings)
        decoder.bias.copy_(model.mean)
        zero, one = (
            model.posterior(x).mean for x in (torch.zeros(1, FEATURES).double(), torch.eye(FEATURES).double())
        )
        encoder.weight.zero_()
        encoder.weight[:LATENT] = (one - zero).mT
        encoder.bias[:LATENT] = zero[0]
        if isinstance(posterior, FullPosterior):
            factor = model.posterior(torch.zeros(1, FEATURES).double()).scale_tril[0]
            encoder.bias[LATENT : 2 * LATENT] = factor.diagonal().log()
            encoder.bias[2 * LATENT :] = factor[1, 0]
    return vae.eval()


@pytest.fixture(scope="module")
def ppca() -> ProbabilisticPCA:
    model = ProbabilisticPCA(FEATURES, LATENT).double()
    logpx.fit(model, rows().double())
    return model


def test_with_the_exact_encoder_the_bound_is_log_p(ppca: ProbabilisticPCA):
    vae = as_ppca(ppca)
    x = rows(300, seed=1).double()
    torch.testing.assert_close(vae.log_prob(x), ppca.log_prob(x), rtol=0, atol=1e-9)
    found = evidence(vae, x, "elbo", samples=4)
    torch.testing.assert_close(found.value, ppca.log_prob(x).detach(), rtol=0, atol=1e-9)
    with pytest.raises(UsageError, match="not exact"):
        evidence(vae, x, "exact")


@pytest.mark.parametrize(
    "objective",
    [
        StickingTheLandingBound(3),
        ImportanceWeightedBound(4),
        ImportanceWeightedBound(6, followed=2),
        MultipleImportanceWeightedBound(2, 3),
        CombinedImportanceWeightedBound(0.3, 4),
        DoublyReparameterised(4),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_with_the_exact_encoder_every_objective_is_the_normal_density_of_scipy(ppca, objective):
    vae = as_ppca(ppca, objective=objective).train()
    x = rows(50, seed=1).double()
    loadings, noise = ppca.loadings.numpy(force=True), ppca.noise_variance.item()
    covariance = loadings @ loadings.T + noise * np.eye(FEATURES)
    exact = multivariate_normal(ppca.mean.numpy(force=True), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(vae.log_prob(x).numpy(force=True), exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "objective",
    [
        EvidenceLowerBound(),
        pytest.param(ImportanceWeightedBound(4), marks=pytest.mark.slow),
        pytest.param(StickingTheLandingBound(), marks=pytest.mark.slow),
        pytest.param(DoublyReparameterised(4), marks=pytest.mark.slow),
    ],
    ids=lambda objective: type(objective).__name__,
)
def test_a_linear_vae_reaches_the_maximum_of_ppca(ppca: ProbabilisticPCA, objective):
    torch.manual_seed(0)
    posterior = FullPosterior(LATENT)
    vae = VAE(
        NormalLikelihood(FEATURES, GlobalScale()),
        LATENT,
        encoder=nn.Linear(FEATURES, posterior.outputs),
        decoder=nn.Linear(LATENT, FEATURES),
        posterior=posterior,
        objective=objective,
    )
    # One deviation for all features, as probabilistic PCA has: units must not differ between them.
    x = rows() / 2.0
    vae.initialise(x)
    vae.units.spread.fill_(1.0)
    vae.likelihood_family.spread.fill_(1.0)
    optimiser = torch.optim.Adam(vae.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
    vae.train()
    for _ in range(1200):
        optimiser.zero_grad()
        batch = x[torch.randint(len(x), (256,))]
        (-vae.log_prob(batch).mean()).backward()
        optimiser.step()
        schedule.step()
    vae.eval()
    best = ProbabilisticPCA(FEATURES, LATENT).double()
    logpx.fit(best, x.double())
    exact = best.log_prob(x.double()).mean().item()
    assert vae.log_prob(x).mean().item() == pytest.approx(exact, abs=0.02)
    scale = vae.likelihood(torch.zeros(1, LATENT)).base.scale[0, 0].item()
    assert scale**2 == pytest.approx(best.noise_variance.item(), rel=0.05)
    assert evidence(vae, x[:500], "elbo", samples=32).mean == pytest.approx(
        best.log_prob(x[:500].double()).mean().item(), abs=0.03
    )


def test_the_gradient_of_sticking_the_landing_vanishes_at_the_posterior(ppca: ProbabilisticPCA):
    x = rows(64, seed=2).double()
    variances = {}
    for objective in (EvidenceLowerBound(), StickingTheLandingBound()):
        vae = as_ppca(ppca, objective=objective).train()
        gradients = []
        for seed in range(20):
            torch.manual_seed(seed)
            vae.zero_grad()
            vae.log_prob(x).sum().backward()
            gradients.append(vae.encoder.weight.grad.clone())
        variances[type(objective)] = torch.stack(gradients).var(0).max().item()
    assert variances[StickingTheLandingBound] < 1e-15
    assert variances[EvidenceLowerBound] > 1e-3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (EvidenceLowerBound(), StickingTheLandingBound()),
        pytest.param(ImportanceWeightedBound(3), DoublyReparameterised(3), marks=pytest.mark.slow),
        pytest.param(
            ImportanceWeightedBound(3), ImportanceWeightedBound(3, followed=1), marks=pytest.mark.slow
        ),
    ],
    ids=["sticking the landing", "doubly reparameterised", "one draw followed"],
)
def test_gradients_of_other_estimators_are_the_same_in_expectation(ppca: ProbabilisticPCA, one, other):
    x = rows(16, seed=5).double()
    found = {}
    for objective in (one, other):
        vae = as_ppca(ppca, objective=objective).train()
        with torch.no_grad():
            # Away from the posterior, where both gradients are far from zero.
            vae.encoder.bias += 0.3
        gradients = []
        for seed in range(300):
            torch.manual_seed(seed)
            vae.zero_grad()
            vae.log_prob(x).sum().backward()
            parts = (vae.encoder.bias, vae.decoder.weight)
            gradients.append(torch.cat([part.grad.flatten() for part in parts]))
        found[objective] = torch.stack(gradients)
    # The same draws go to both: the difference is paired.
    difference = found[one] - found[other]
    z = difference.mean(0) / (difference.std(0) / len(difference) ** 0.5).clamp_min(1e-12)
    assert z.abs().max() < 4.5
    assert found[one].mean(0).abs().max() > 1.0


def test_the_bounds_are_in_order_and_below_log_p(ppca: ProbabilisticPCA):
    vae = as_ppca(ppca)
    with torch.no_grad():
        vae.encoder.bias[:LATENT] += 0.15
    x = rows(500, seed=3).double()
    exact = ppca.log_prob(x).mean().item()
    means = [evidence(vae, x, "iwae", samples=k).mean for k in (1, 4, 16, 64)]
    assert all(low < high for low, high in itertools.pairwise(means))
    assert means[0] < exact - 0.05
    assert abs(means[-1] - exact) < 0.03
    report = latent_report(vae, x)
    assert report.gap > 0.02
    assert report.elbo < report.iwae < exact + 0.01


def test_missing_cells_are_integrated_out(ppca: ProbabilisticPCA):
    vae = as_ppca(ppca)
    # The encoder knows complete rows; a wide proposal has to do for the others.
    with torch.no_grad():
        vae.encoder.weight.zero_()
        vae.encoder.bias.zero_()
        vae.encoder.bias[LATENT : 2 * LATENT] = 0.3
    x = rows(60, seed=4).double()
    holes = x.masked_fill(torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.3, torch.nan)
    exact = ppca.log_prob(holes)
    log_weights, _ = vae.log_weights(holes, 20_000)
    bound = torch.logsumexp(log_weights, 0) - math.log(20_000)
    assert (bound - exact).abs().max() < 0.2
    assert (bound - exact).mean().abs() < 0.02
    filled = vae.impute(holes, importance_draws=5000)
    torch.testing.assert_close(filled[~holes.isnan()], x[~holes.isnan()])
    assert (filled - ppca.impute(holes)).abs().max() < 0.3
    drawn = vae.impute(holes, draws=3, importance_draws=500)
    assert drawn.shape == (3, 60, FEATURES)
    assert not drawn.isnan().any()


@pytest.mark.slow
def test_fit_trains_it():
    torch.manual_seed(0)
    x = rows()
    vae = VAE(NormalLikelihood(FEATURES, ScalePerValue(FEATURES)), LATENT, hidden=(32,))
    result = logpx.fit(vae, x[:1600], x[1600:], max_steps=2000, noise=0.0, seed=0, progress=False)
    exact = FactorAnalysis(FEATURES, LATENT)
    logpx.fit(exact, x[:1600])
    truth = exact.log_prob(x[1600:]).mean().item()
    assert result.best_validation == pytest.approx(truth, abs=0.1)
    assert latent_report(vae, x).active == LATENT
    assert latent_report(vae, x).warning is None


def test_units_of_the_data_do_not_matter():
    x = rows(400)
    values = []
    for scale, shift in ((1.0, 0.0), (1e4, -3e6)):
        torch.manual_seed(0)
        vae = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(16,)).double()
        moved = x.double() * scale + shift
        vae.initialise(moved)
        values.append(vae.eval().log_prob(moved) + FEATURES * math.log(scale))
    torch.testing.assert_close(values[0], values[1], rtol=1e-6, atol=1e-6)


def test_evaluation_is_fixed_and_knows_no_beta():
    x = rows(300)
    torch.manual_seed(0)
    plain = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(16,)).eval()
    free = VAE(
        NormalLikelihood(FEATURES),
        LATENT,
        hidden=(16,),
        objective=EvidenceLowerBound(beta=0.1, free_bits=1.0),
    ).eval()
    free.load_state_dict(plain.state_dict())
    assert torch.equal(plain.log_prob(x), free.log_prob(x))
    state = torch.random.get_rng_state()
    assert torch.equal(plain.log_prob(x), plain.log_prob(x))
    assert torch.equal(state, torch.random.get_rng_state())


def test_warm_up_and_free_bits_change_what_training_climbs():
    x = rows(64)
    torch.manual_seed(0)
    vae = VAE(NormalLikelihood(FEATURES), LATENT, encoder=nn.Linear(FEATURES, 2 * LATENT)).train()
    q, p = vae.posterior(x), vae.prior
    divergence = torch.distributions.kl_divergence(q, p).mean().item()
    assert divergence > 0.1

    def climbed(objective, step):
        torch.manual_seed(1)
        return objective.rows(vae, x, None, step).mean().item()

    plain = climbed(EvidenceLowerBound(), 0)
    warming = EvidenceLowerBound(warm_up=10)
    assert climbed(warming, 0) == pytest.approx(plain + divergence, rel=1e-5)
    assert climbed(warming, 5) == pytest.approx(plain + 0.5 * divergence, rel=1e-5)
    assert climbed(warming, 10) == pytest.approx(plain, rel=1e-6)
    assert climbed(EvidenceLowerBound(beta=3.0), 0) == pytest.approx(plain - 2.0 * divergence, rel=1e-5)
    # So many bits are free that they replace the divergence of every dimension.
    free = climbed(EvidenceLowerBound(free_bits=50.0), 0)
    assert free == pytest.approx(plain + divergence - 50.0 * LATENT, rel=1e-5)
    with pytest.raises(UsageError, match="free bits"):
        EvidenceLowerBound(free_bits=1.0).rows(
            VAE(NormalLikelihood(FEATURES), LATENT, posterior=FullPosterior(LATENT)), x, None, 0
        )


def test_a_context_reaches_both_nets():
    torch.manual_seed(0)
    vae = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(16,), context=3).train()
    x, context = rows(32), torch.randn(32, 3)
    for _ in range(3):
        vae.zero_grad()
        (-vae.log_prob(x, context).mean()).backward()
        with torch.no_grad():
            for parameter in vae.parameters():
                parameter.sub_(0.1 * parameter.grad)
    vae.eval()
    assert vae.log_prob(x, context).shape == (32,)
    assert vae.sample(5, context[:1], seed=0).shape == (5, FEATURES)
    assert not torch.allclose(vae.log_prob(x, context), vae.log_prob(x, context.flip(0)))


def test_samples_do_not_depend_on_how_many_follow():
    vae = VAE(PoissonLikelihood(FEATURES), LATENT, hidden=(16,)).eval()
    assert torch.equal(vae.sample(10, seed=3), vae.sample(600, seed=3)[:10])
    assert not torch.equal(vae.sample(10, seed=3), vae.sample(10, seed=4))


def test_bad_input_is_named():
    with pytest.raises(UsageError, match="latent"):
        VAE(NormalLikelihood(3), latent=0)
    with pytest.raises(UsageError, match="likelihood"):
        VAE(nn.Linear(1, 1), latent=1)
    with pytest.raises(UsageError, match="posterior has 3 latent"):
        VAE(NormalLikelihood(3), 2, posterior=DiagonalPosterior(3))
    wrong = VAE(NormalLikelihood(3), 2, decoder=nn.Linear(2, 4))
    with pytest.raises(UsageError, match="decoder returns 4 numbers, where NormalLikelihood takes 3"):
        wrong.log_prob(torch.zeros(2, 3))
    wrong = VAE(NormalLikelihood(3), 2, encoder=nn.Linear(3, 5))
    with pytest.raises(UsageError, match="encoder returns 5 numbers"):
        wrong.log_prob(torch.zeros(2, 3))
    with pytest.raises(DataError, match="does not integrate to 1"):
        logpx.fit(VAE(BernoulliLikelihood(3), 2), torch.rand(50, 3))
    with pytest.raises(DataError, match="whole number from 0"):
        logpx.fit(VAE(PoissonLikelihood(3), 2), -torch.ones(50, 3))


def test_a_vamp_prior_knows_no_context():
    with pytest.raises(UsageError, match="VampPrior"):
        VAE(NormalLikelihood(FEATURES), LATENT, prior=VampPrior(FEATURES), context=1)


def test_a_collapsed_posterior_is_said():
    vae = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(8,)).eval()
    report = latent_report(vae, rows(200), draws=500)
    assert report.active == 0
    assert report.warning is not None
    assert "collapsed" in report.warning


@pytest.mark.slow
def test_a_masked_encoder_tells_a_missing_cell_from_the_mean():
    torch.manual_seed(0)
    x = rows(600)
    holes = x.masked_fill(torch.rand(x.shape) < 0.5, torch.nan)
    bounds = {}
    for masked in (False, True):
        torch.manual_seed(1)
        vae = VAE(NormalLikelihood(FEATURES, ScalePerValue(FEATURES)), LATENT, hidden=(32,), masked=masked)
        logpx.fit(vae, holes, max_steps=1500, seed=0, progress=False)
        bounds[masked] = vae.log_prob_lower(holes, draws=1).log_prob.mean().item()
        assert not vae.log_prob(torch.full((3, FEATURES), torch.nan)).any()
    assert bounds[True] > bounds[False] + 0.02


def test_rows_of_truth_values_get_no_noise():
    assert not VAE(BernoulliLikelihood(2), latent=1).gains_from_noise
    x = (torch.rand(300, 4) > 0.5).float()
    result = logpx.fit(VAE(BernoulliLikelihood(4), latent=1, hidden=(8,)), x, max_steps=50, progress=False)
    assert math.isfinite(result.best_validation)


def test_a_bound_of_many_draws_keeps_no_graph():
    vae = VAE(NormalLikelihood(FEATURES), LATENT, hidden=(16,)).eval()
    x = rows(8)
    assert not vae.log_prob_lower(x, 100).log_prob.requires_grad
    assert not vae.log_prob(x).requires_grad
    assert vae.log_prob(x.requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("nets", "name"),
    [
        ({"decoder": nn.Linear(3, FEATURES)}, "decoder fails"),
        ({"encoder": nn.Linear(FEATURES + 1, 2 * LATENT)}, "encoder fails"),
        ({"decoder": nn.Linear(LATENT, FEATURES + 2)}, "decoder returns"),
        ({"encoder": nn.Linear(FEATURES, 2 * LATENT + 1)}, "encoder returns"),
        ({"encoder": nn.LSTM(FEATURES, 2 * LATENT)}, "encoder returns a tuple"),
    ],
)
def test_nets_of_ones_own_that_do_not_fit_are_named(nets, name: str):
    vae = VAE(NormalLikelihood(FEATURES), LATENT, **nets)
    with pytest.raises(UsageError, match=name):
        logpx.fit(vae, rows(100), max_steps=2, progress=False)
